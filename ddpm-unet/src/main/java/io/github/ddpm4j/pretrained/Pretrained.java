package io.github.ddpm4j.pretrained;

import ai.djl.Device;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.running.Holding;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A model of another library, loaded from its own files: a folder of diffusers, or a file of
 * weights ({@code .safetensors}, {@code .pt}, {@code .pth}, {@code .ckpt}, {@code .bin}, {@code
 * .npz}) of the paper's authors, diffusers, latent and Stable Diffusion, guided-diffusion,
 * improved-diffusion, denoising-diffusion-pytorch 2.x, labml, EDM or Conditional Diffusion MNIST.
 * The library is recognised by the names of its weights. No Python is needed, and nothing in a file
 * is run.
 *
 * <pre>{@code
 * try (Pretrained model = Pretrained.load(Path.of("ddpm-cifar10-32"));
 *     Samples samples = model.sampling().seed(42).generate(16)) {
 *   samples.saveGrid(Path.of("samples.png"));
 * }
 * }</pre>
 *
 * <p>Most files of weights say nothing of the size of images, the schedule and the heads of
 * attention. What neither the file nor a published network of the same shapes tells, the caller
 * must: {@link #options()}. What was understood is in the {@link #audit()}.
 *
 * <p>{@link #ddpm()} is a model like any other: it samples, trains, evaluates, and {@link
 * DDPM#save} keeps it as a model folder. {@link #saveDiffusers} writes what diffusers loads. Owns
 * the network, which {@link #close()} frees.
 */
public final class Pretrained implements AutoCloseable {

  /** The folders of a pipeline that are read. */
  private static final List<String> COMPONENTS = List.of("unet", "scheduler");

  private final DDPM ddpm;
  private final TrainableDenoiser network;
  private final Facts facts;
  private final Audit audit;

  Pretrained(DDPM ddpm, TrainableDenoiser network, Facts facts, Audit audit) {
    this.ddpm = ddpm;
    this.network = network;
    this.facts = facts;
    this.audit = audit;
  }

  /**
   * Loads a model, of which the files tell everything.
   *
   * @param path the folder or file; see {@link Options#load(Path)}
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is nothing at {@code path}
   * @throws IOException as {@link Options#load(Path)}
   */
  public static Pretrained load(Path path) throws IOException {
    return options().load(path);
  }

  /**
   * Loads a model by its name from the cache of Hugging Face on this machine; see {@link
   * Options#load(String)}.
   *
   * @param id the name, such as {@code google/ddpm-cifar10-32}
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if it is no name
   * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
   * @throws IOException as {@link Options#load(Path)}
   */
  public static Pretrained load(String id) throws IOException {
    return options().load(id);
  }

  /**
   * Downloads a model from Hugging Face's hub; see {@link #download(String, String, Progress)}.
   *
   * @param id the name, such as {@code google/ddpm-cifar10-32}
   * @param revision a branch such as {@code main}, a tag or a commit
   * @return the folder, for {@link #load(Path)}
   * @throws IOException as {@link #download(String, String, Progress)}
   */
  public static Path download(String id, String revision) throws IOException {
    return download(id, revision, (file, bytes, total) -> {});
  }

  /**
   * Downloads a model from Hugging Face's hub into its cache on this machine, which Python's tools
   * share: the files that {@link #load(Path)} reads and are not there yet, safetensors before
   * pickles. Sizes are checked, and of large files the SHA-256. A download that broke goes on where
   * it was when it is called again; an interrupt ends it. From then on, {@link #load(String)} finds
   * the model without the network.
   *
   * <p>Beside the variables of {@link Options#load(String)}, {@code HF_ENDPOINT} names another hub,
   * {@code HF_TOKEN} is a token for models that are not for everybody, which is sent to the hub
   * alone, and {@code HF_HUB_OFFLINE} forbids downloads. Proxies are those of the JDK's system
   * properties.
   *
   * @param id the name, such as {@code google/ddpm-cifar10-32}
   * @param revision a branch such as {@code main}, a tag or a commit
   * @param progress hears how far it is
   * @return the folder, for {@link #load(Path)}
   * @throws IllegalArgumentException if a name is none, or a variable of the environment has a
   *     value that makes no sense
   * @throws java.nio.file.NoSuchFileException if the hub has no such model or revision
   * @throws java.nio.file.AccessDeniedException if the hub does not let this user have it
   * @throws java.io.InterruptedIOException if the thread was interrupted, which it still is
   *     afterwards
   * @throws IOException if the model is no folder of diffusers, the hub cannot be reached, breaks
   *     off again and again, or sends something other than it said, or the disk is too small
   */
  public static Path download(String id, String revision, Progress progress) throws IOException {
    return download(Hub.ofEnvironment(), id, revision, progress);
  }

  static Path download(Hub hub, String id, String revision, Progress progress) throws IOException {
    Objects.requireNonNull(id, "id");
    Objects.requireNonNull(revision, "revision");
    Objects.requireNonNull(progress, "progress");
    return hub.download(id, revision, COMPONENTS, progress::downloaded);
  }

  /** What hears how far a download is. */
  @FunctionalInterface
  public interface Progress {

    /**
     * Hears of one file, on the thread that downloads; what this throws ends the download.
     *
     * @param file its name in the model, such as {@code unet/config.json}
     * @param bytes how many bytes of it are there, those of earlier downloads among them
     * @param total how many it has
     */
    void downloaded(String file, long bytes, long total);
  }

  /**
   * What only the caller knows of a model.
   *
   * @return options that say nothing yet
   */
  public static Options options() {
    return new Options();
  }

  /**
   * The model. Its network belongs to this object.
   *
   * @return the model
   */
  public DDPM ddpm() {
    return ddpm;
  }

  /**
   * Sets up a sampling run as the files want it: {@link #sampler()} with the usual number of steps,
   * two for a model that was tuned for consistency. Whether x̂_0 is clipped is known to the model,
   * too, and stays so when it is saved.
   *
   * @return a run that can be set up further
   */
  public Sampling sampling() {
    return ddpm.sampling().sampler(sampler());
  }

  /**
   * Sets up a sampling run as {@link #sampling()} does, with another form of the network.
   *
   * @param other such as {@link UNet#resized}; the run does not close it
   * @return a run that can be set up further
   * @throws IllegalArgumentException if the model's variance is learned and the network has none
   */
  public Sampling sampling(Denoiser other) {
    DenoisingModel model =
        DenoisingModel.of(ddpm.model().diffusion(), Objects.requireNonNull(other, "other"));
    return Sampling.of(model, ddpm.provenance()).sampler(sampler());
  }

  /**
   * The sampler that the files suggest, with the number of steps that their library takes by
   * default. Any other can be used as well.
   *
   * @return the sampler
   */
  public Sampler sampler() {
    return sampler(facts.steps());
  }

  /**
   * The sampler that the files suggest, with another number of steps.
   *
   * @param steps the number of network calls, at least 1
   * @return the sampler
   * @throws IllegalArgumentException if the sampler cannot have so many steps
   */
  public Sampler sampler(int steps) {
    return Objects.requireNonNull(facts.sampler()).apply(steps);
  }

  /**
   * What was found and done.
   *
   * @return the audit, which prints as a page
   */
  public Audit audit() {
    return audit;
  }

  /** Frees the network. */
  @Override
  public void close() {
    network.close();
  }

  @Override
  public String toString() {
    return "Pretrained[" + audit.family() + ", " + ddpm + "]";
  }

  /**
   * Saves a model as diffusers' {@code DDPMPipeline.from_pretrained} loads it: {@code
   * model_index.json}, {@code unet} and {@code scheduler}. The network must be one that UNet2DModel
   * can be: that of the paper, and those loaded from diffusers. A table of classes keeps its last
   * row for images without a class, which is one class more there. Of a network with a context only
   * {@code unet} and {@code scheduler} are written, for {@code
   * UNet2DConditionModel.from_pretrained(folder, subfolder="unet")}, and an earlier index is
   * removed. Whether x̂_0 is clipped is written as the files said that the model was loaded from;
   * its metadata keep that, as {@code pretrained.x0Limit}. The names of classes and what a model
   * was tuned for are written beside the weights for {@link #load}. diffusers does not know them,
   * and draws nothing sensible with a model that was tuned.
   *
   * @param ddpm the model, with a {@link UNet}
   * @param folder the folder; made if it is missing, must be empty or one that was written so
   * @throws IllegalStateException if the model has another network or none, or a weight is NaN or
   *     infinite
   * @throws IllegalArgumentException if diffusers has no such network, schedule, prediction or
   *     range of images; nothing is written then
   * @throws java.nio.file.FileAlreadyExistsException if the folder holds anything else
   * @throws IOException if writing fails
   */
  public static void saveDiffusers(DDPM ddpm, Path folder) throws IOException {
    saveDiffusers(ddpm, folder, DataType.FLOAT32);
  }

  /**
   * Saves a model as {@link #saveDiffusers(DDPM, Path)} does, its weights in a type that may be
   * half as long: each is rounded to the nearest. They are float32 again when they are loaded here;
   * diffusers makes of them what its {@code torch_dtype} says.
   *
   * @param ddpm as there
   * @param folder as there
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalStateException as there
   * @throws IllegalArgumentException as there, or if the type is another, or a weight is too large
   *     for it
   * @throws java.nio.file.FileAlreadyExistsException as there
   * @throws IOException if writing fails
   */
  public static void saveDiffusers(DDPM ddpm, Path folder, DataType type) throws IOException {
    DiffusersFolder.write(ddpm, folder, Objects.requireNonNull(type, "type"));
  }

  /**
   * Saves the weights of a network of the paper as the code of its authors has them: an archive of
   * NumPy with the variables of TensorFlow by their names, such as {@code model/conv_in/W}. It has
   * no place for the size of images and the schedule, which {@link #options()} give when the file
   * is loaded.
   *
   * @param ddpm the model, with a {@link UNet} as the paper has it, of any size, and images in [−1,
   *     1]
   * @param file the file; missing folders are made, an existing file is replaced
   * @throws IllegalStateException if the model has another network or none, or a weight is NaN or
   *     infinite
   * @throws IllegalArgumentException if the authors' code has no such network, prediction or range
   *     of images, or the model was tuned for consistency; nothing is written then
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void saveNpz(DDPM ddpm, Path file) throws IOException {
    PaperCode.write(ddpm, file);
  }

  /**
   * What only the caller knows. Whatever is set goes before what the files say. Setters check their
   * own argument; {@link #load(Path)} checks how they go together with the files.
   */
  public static final class Options {

    int @Nullable [] image;
    int heads;
    int headChannels;
    int groups;
    boolean newAttentionOrder;
    boolean nullClass;
    @Nullable Boolean rescaledTimesteps;
    double dropout;
    @Nullable UNetConfig architecture;
    @Nullable Schedule schedule;
    @Nullable Prediction prediction;
    @Nullable Variance variance;
    @Nullable DataRange range;
    boolean raw;
    @Nullable String prefix;
    @Nullable Path configuration;
    @Nullable Device device;
    UNet.Precision holding = UNet.Precision.FLOAT32;
    boolean mapped;
    private String revision = "main";

    private Options() {}

    /** A copy, which what a file says may go into. */
    Options(Options other) {
      image = other.image;
      heads = other.heads;
      headChannels = other.headChannels;
      groups = other.groups;
      newAttentionOrder = other.newAttentionOrder;
      nullClass = other.nullClass;
      rescaledTimesteps = other.rescaledTimesteps;
      dropout = other.dropout;
      architecture = other.architecture;
      schedule = other.schedule;
      prediction = other.prediction;
      variance = other.variance;
      range = other.range;
      raw = other.raw;
      prefix = other.prefix;
      configuration = other.configuration;
      device = other.device;
      holding = other.holding;
      mapped = other.mapped;
      revision = other.revision;
    }

    /**
     * The shape of an image. Weights do not tell height and width, and leave open whether channels
     * are those of the image or of something beside it; the networks of EDM alone do.
     *
     * @param channels the channels of an image
     * @param height the rows
     * @param width the columns
     * @return these options
     * @throws IllegalArgumentException if one is less than 1
     */
    public Options image(int channels, int height, int width) {
      requirePositive("image channels", channels);
      requirePositive("image height", height);
      requirePositive("image width", width);
      image = new int[] {channels, height, width};
      return this;
    }

    /**
     * The shape of a signal, instead of that of an image: {@code channels} and {@code seq_length}
     * of lucidrains' {@code Unet1D}.
     *
     * @param channels the channels of a signal
     * @param length the values of a channel
     * @return these options
     * @throws IllegalArgumentException if one is less than 1
     */
    public Options signal(int channels, int length) {
      requirePositive("signal channels", channels);
      requirePositive("signal length", length);
      image = new int[] {channels, length};
      return this;
    }

    /**
     * The number of heads of attention: {@code num_heads} of guided- and improved-diffusion.
     *
     * @param count at least 1
     * @return these options
     * @throws IllegalArgumentException if it is less than 1
     */
    public Options heads(int count) {
      requirePositive("heads", count);
      heads = count;
      headChannels = 0;
      return this;
    }

    /**
     * The channels of a head of attention: {@code num_head_channels} of guided-diffusion.
     *
     * @param channels at least 1
     * @return these options
     * @throws IllegalArgumentException if it is less than 1
     */
    public Options headChannels(int channels) {
      requirePositive("head channels", channels);
      headChannels = channels;
      heads = 0;
      return this;
    }

    /**
     * The groups of every normalisation, if the library's code was changed.
     *
     * @param count at least 1; by default those of the library's code
     * @return these options
     * @throws IllegalArgumentException if it is less than 1
     */
    public Options groups(int count) {
      requirePositive("groups", count);
      groups = count;
      return this;
    }

    /**
     * Whether guided-diffusion's {@code use_new_attention_order} was set, which the weights do not
     * tell.
     *
     * @param value the default is false
     * @return these options
     */
    public Options newAttentionOrder(boolean value) {
      newAttentionOrder = value;
      return this;
    }

    /**
     * Whether {@code rescale_timesteps} of guided- or improved-diffusion was set, which matters
     * where the schedule has other than 1000 timesteps.
     *
     * @param value whether the network was told the timestep times 1000 / T
     * @return these options
     */
    public Options rescaledTimesteps(boolean value) {
      rescaledTimesteps = value;
      return this;
    }

    /**
     * Whether the last row of diffusers' table of classes stands for images without a class.
     *
     * @param value the default is false: each row is a class, and each image must have one
     * @return these options
     */
    public Options nullClass(boolean value) {
      nullClass = value;
      return this;
    }

    /**
     * The rate of dropout when the network is trained on, where no configuration has one.
     *
     * @param rate the default is 0
     * @return these options
     * @throws IllegalArgumentException if it is outside [0, 1)
     */
    public Options dropout(double rate) {
      if (!(rate >= 0 && rate < 1)) {
        throw new IllegalArgumentException("dropout must be in [0, 1), but was " + rate);
      }
      dropout = rate;
      return this;
    }

    /**
     * The whole architecture, in place of what the weights tell.
     *
     * @param config the architecture, such as {@code PublishedUNet.GUIDED_256.config()}
     * @return these options
     */
    public Options architecture(UNetConfig config) {
      architecture = Objects.requireNonNull(config, "config");
      return this;
    }

    /**
     * The noise schedule that the model was trained with.
     *
     * @param value the schedule
     * @return these options
     */
    public Options schedule(Schedule value) {
      schedule = Objects.requireNonNull(value, "schedule");
      return this;
    }

    /**
     * What the network predicts.
     *
     * @param value the prediction
     * @return these options
     */
    public Options prediction(Prediction value) {
      prediction = Objects.requireNonNull(value, "prediction");
      return this;
    }

    /**
     * The variance of the reverse process.
     *
     * @param value the variance
     * @return these options
     */
    public Options variance(Variance value) {
      variance = Objects.requireNonNull(value, "variance");
      return this;
    }

    /**
     * The range of clean images.
     *
     * @param min black
     * @param max white
     * @return these options
     * @throws IllegalArgumentException unless both are finite and {@code min < max}
     */
    public Options dataRange(double min, double max) {
      range = new DataRange(min, max);
      return this;
    }

    /**
     * Whether to take the weights as they are where a checkpoint also has their averages.
     *
     * @param value the default is false: averages are taken where there are any
     * @return these options
     */
    public Options raw(boolean value) {
      raw = value;
      return this;
    }

    /**
     * Which network of a file to take, if it holds several.
     *
     * @param name what the names of its weights begin with, with the dot at the end
     * @return these options
     */
    public Options prefix(String name) {
      prefix = Objects.requireNonNull(name, "name");
      return this;
    }

    /**
     * What describes the network of a single file of weights: a folder as diffusers has them, of
     * which the configurations are read and no weights. Files of diffusers' networks and of latent
     * and stable diffusion (CompVis) can be described so.
     *
     * @param folder a folder with {@code config.json} or {@code unet/config.json}, and {@code
     *     scheduler/scheduler_config.json} unless the schedule is set here
     * @return these options
     */
    public Options configuration(Path folder) {
      configuration = Objects.requireNonNull(folder, "folder");
      return this;
    }

    /**
     * Where to put the weights.
     *
     * @param value the device; the engine's default if not set
     * @return these options
     */
    public Options device(Device value) {
      device = Objects.requireNonNull(value, "device");
      return this;
    }

    /**
     * What the weights of a {@link UNet} are held in, as {@link UNet#hold} says. Each is rounded
     * when it has been read, before the next one, so that never all of them are there in float32.
     *
     * @param precision the default is {@link UNet.Precision#FLOAT32}
     * @return these options
     * @throws IllegalArgumentException if it is AUTO
     */
    public Options hold(UNet.Precision precision) {
      Holding.of(precision);
      holding = precision;
      return this;
    }

    /**
     * Leaves the weights of a {@link UNet} in their safetensors file, whose pages the system reads
     * when they are used, may drop, and shares among the processes that map the file. They stay
     * float32, float16 or bfloat16 as the file has them, and each is widened where it is used. The
     * network is for predictions alone; {@link UNet#hold} brings the weights into memory.
     *
     * <p>Vectors, and weights that the file has otherwise than this library, by layout, by type or
     * at an odd place, are read; a log line says how much was mapped. The file may be replaced by a
     * rename or deleted meanwhile. <b>It must not be written to or cut off: the process dies when
     * it uses what is no longer there.</b>
     *
     * @return these options
     */
    public Options mapped() {
      mapped = true;
      return this;
    }

    /**
     * Loads a model: a folder with {@code model_index.json}, or with {@code config.json}, or a file
     * of weights.
     *
     * @param path the folder or file
     * @return the model; the caller closes it
     * @throws IllegalArgumentException if weights are to be mapped, and also held in 16 bits or on
     *     a GPU
     * @throws java.nio.file.NoSuchFileException if there is nothing at {@code path}
     * @throws IOException if reading fails, a file is damaged, holds a network or scheduler that
     *     this library has not, weights are missing, not known or of another shape, or something
     *     that the files do not tell was not set; the message names it and the way out
     */
    public Pretrained load(Path path) throws IOException {
      Objects.requireNonNull(path, "path");
      return Loading.load(path, this);
    }

    /**
     * Which state of a model to load by its name.
     *
     * @param name a branch, a tag or a commit; {@code main} by default
     * @return these options
     */
    public Options revision(String name) {
      revision = Objects.requireNonNull(name, "name");
      return this;
    }

    /**
     * Loads a model by its name from the cache of Hugging Face on this machine, where {@link
     * #download} and Python's tools leave what they download. Nothing is downloaded here. The
     * environment variables {@code HF_HUB_CACHE}, {@code HF_HOME} and {@code XDG_CACHE_HOME} are
     * obeyed.
     *
     * @param id the name, such as {@code google/ddpm-cifar10-32}
     * @return the model; the caller closes it
     * @throws IllegalArgumentException if it is no name, or the revision is none
     * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
     * @throws IOException as {@link #load(Path)}
     */
    public Pretrained load(String id) throws IOException {
      Objects.requireNonNull(id, "id");
      return load(Hub.ofEnvironment().snapshot(id, revision, "Pretrained.download"));
    }

    private static void requirePositive(String name, int value) {
      if (value < 1) {
        throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
      }
    }
  }
}
