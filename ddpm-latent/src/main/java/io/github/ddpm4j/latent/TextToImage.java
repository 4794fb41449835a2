package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.hub.Hub;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.running.Holding;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A published model that draws what a text says, from its folder of diffusers: latent diffusion's
 * text-to-image model (LDMTextToImagePipeline) and Stable Diffusion 1.x and 2.x
 * (StableDiffusionPipeline, and StableDiffusionInpaintPipeline, whose network also sees what is
 * known of a picture). {@link #options()} load single files of Stable Diffusion, too.
 *
 * <pre>{@code
 * try (TextToImage model = TextToImage.load(Path.of("ldm-text2im-large-256"));
 *     Samples pictures = model.prompt("An image of a cat laughing").guidance(6).generate(1)) {
 *   pictures.save(0, Path.of("cat.png"));
 * }
 * }</pre>
 *
 * <p>The folder's {@code safety_checker}, which blanks pictures afterwards, is left out.
 *
 * <p>It owns its networks, float32 unless they are {@linkplain #hold held} otherwise, which {@link
 * #close()} frees. Thread-safe.
 */
public final class TextToImage implements AutoCloseable {

  private final LatentDiffusion latent;
  private final Tokenizer tokenizer;
  private final TextEncoder encoder;

  /** The folder of the tokenizer's files. */
  private final Path words;

  private TextToImage(
      LatentDiffusion latent, Tokenizer tokenizer, TextEncoder encoder, Path words) {
    this.words = words;
    this.latent = latent;
    this.tokenizer = tokenizer;
    this.encoder = encoder;
  }

  /**
   * Loads a model onto the engine's default device.
   *
   * @param folder a folder with {@code model_index.json} and the parts that it names
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if it is no such folder or a part is missing
   * @throws IOException if reading fails, a part is damaged or does not go with the others, or the
   *     pipeline is another, such as Stable Diffusion XL; the message names it. A single file of
   *     weights needs {@link #options()}, as the message says
   */
  public static TextToImage load(Path folder) throws IOException {
    return options().load(folder);
  }

  /**
   * Loads a model onto a device.
   *
   * @param folder as for {@link #load(Path)}
   * @param device where to put the weights
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException as for {@link #load(Path)}
   * @throws IOException as for {@link #load(Path)}
   */
  public static TextToImage load(Path folder, Device device) throws IOException {
    return options().device(device).load(folder);
  }

  /**
   * Options for loading: whatever the files do not tell.
   *
   * @return options that can be set further
   */
  public static Options options() {
    return new Options();
  }

  /**
   * Loads a model by its name from the cache of Hugging Face on this machine, where {@link
   * #download} and Python's tools leave what they download, onto the engine's default device.
   * Nothing is downloaded here.
   *
   * @param id the name, such as {@code CompVis/ldm-text2im-large-256}, of which {@code main} is
   *     loaded; {@link Options#revision} names another state
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if it is no name
   * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
   * @throws IOException as for {@link #load(Path)}
   */
  public static TextToImage load(String id) throws IOException {
    return options().load(id);
  }

  static TextToImage load(Hub hub, String id) throws IOException {
    return options().load(hub, id);
  }

  /**
   * Downloads a model from Hugging Face's hub, as {@link #download(String, String,
   * Pretrained.Progress)} does, in silence.
   *
   * @param id the name, such as {@code CompVis/ldm-text2im-large-256}
   * @param revision a branch such as {@code main}, a tag or a commit
   * @return the folder, for {@link #load(Path)}
   * @throws IllegalArgumentException as there
   * @throws java.nio.file.NoSuchFileException as there
   * @throws java.nio.file.AccessDeniedException as there
   * @throws java.io.InterruptedIOException as there
   * @throws IOException as there
   */
  public static Path download(String id, String revision) throws IOException {
    return download(id, revision, (file, bytes, total) -> {});
  }

  /**
   * Downloads a model from Hugging Face's hub into its cache on this machine, as {@link
   * Pretrained#download(String, String, Pretrained.Progress)} does: the files of all parts that are
   * read here, and not the safety checker.
   *
   * @param id the name, such as {@code CompVis/ldm-text2im-large-256}
   * @param revision a branch such as {@code main}, a tag or a commit
   * @param progress hears how far it is
   * @return the folder, for {@link #load(Path)}
   * @throws IllegalArgumentException as there
   * @throws java.nio.file.NoSuchFileException as there
   * @throws java.nio.file.AccessDeniedException as there
   * @throws java.io.InterruptedIOException as there
   * @throws IOException as there
   */
  public static Path download(String id, String revision, Pretrained.Progress progress)
      throws IOException {
    return download(Hub.ofEnvironment(), id, revision, progress);
  }

  static Path download(Hub hub, String id, String revision, Pretrained.Progress progress)
      throws IOException {
    Objects.requireNonNull(progress, "progress");
    return hub.download(
        Objects.requireNonNull(id, "id"),
        Objects.requireNonNull(revision, "revision"),
        List.of("unet", "scheduler", "vae", "vqvae", "tokenizer", "text_encoder", "bert"),
        progress::downloaded);
  }

  private static TextToImage of(
      PipelineParts pipeline, Pretrained.Options network, Device device, String name, Kept kept)
      throws IOException {
    Tokenizer tokenizer = pipeline.tokenizer();
    TextEncoder encoder = pipeline.textEncoder(device, kept);
    @Nullable LatentDiffusion latent = null;
    boolean done = false;
    try {
      latent = LatentDiffusion.of(pipeline, network, device, name, kept);
      requireFit(pipeline, tokenizer, encoder, latent.network());
      TextToImage model = new TextToImage(latent, tokenizer, encoder, pipeline.words());
      done = true;
      return model;
    } finally {
      if (!done) {
        encoder.close();
        if (latent != null) {
          latent.close();
        }
      }
    }
  }

  /** Adds what a file says to the weights of network and text encoder. */
  private void change(LoraFile lora, double weight) throws IOException {
    Map<String, NDArray> weights = new HashMap<>();
    latent.network().weights().forEach((name, own) -> weights.put(LoraFile.UNET + name, own));
    encoder.weights().forEach((name, own) -> weights.put(LoraFile.TEXT + name, own));
    lora.merge(weight, weights);
  }

  private static void requireFit(
      PipelineParts pipeline, Tokenizer tokenizer, TextEncoder encoder, UNet unet)
      throws IOException {
    String of = pipeline.part(pipeline.type().textEncoder);
    int width = unet.config().contextCondition();
    if (width != encoder.width()) {
      throw new IOException(
          of
              + " makes tokens of "
              + encoder.width()
              + " numbers, but "
              + pipeline.part("unet")
              + " attends to those of "
              + width
              + ": they are not of one model");
    }
    int last =
        Math.max(tokenizer.startToken(), Math.max(tokenizer.endToken(), tokenizer.padToken()));
    if (last >= encoder.vocabulary() || tokenizer.length() > encoder.positions()) {
      throw new IOException(
          pipeline.part("tokenizer")
              + " makes prompts of "
              + tokenizer.length()
              + " tokens with numbers up to at least "
              + last
              + ", but "
              + of
              + " takes "
              + encoder.positions()
              + " in [0, "
              + encoder.vocabulary()
              + "): they are not of one model");
    }
  }

  /**
   * Sets up what is drawn.
   *
   * @param prompts what the pictures show, one text or several
   * @return a request that can be set up further
   * @throws IllegalArgumentException if there is no text
   */
  public Drawing prompt(String... prompts) {
    return new Drawing(latent, this).prompt(prompts);
  }

  /**
   * The model without its text. It belongs to this object.
   *
   * @return the diffusion model of latents and its autoencoder
   */
  public LatentDiffusion latentDiffusion() {
    return latent;
  }

  /**
   * What makes tokens of texts.
   *
   * @return the tokenizer
   */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * What makes contexts of tokens. It belongs to this object.
   *
   * <p>Prompts are encoded when a run starts. Where no other will be, {@link TextEncoder#close}
   * frees its memory before the run goes on: 492 MB of Stable Diffusion 1.x in float32, 1.36 GB of
   * 2.x, 2.17 GB of ldm-text2im-large-256. Later prompts are refused then.
   *
   * @return the text encoder
   */
  public TextEncoder textEncoder() {
    return encoder;
  }

  /**
   * The sampler that the files suggest.
   *
   * @param steps the number of steps, at least 1
   * @return the sampler
   * @throws IllegalArgumentException if the sampler cannot have so many steps
   */
  public Sampler sampler(int steps) {
    return latent.sampler(steps);
  }

  /**
   * Changes execution mode and precision of all networks. Runs that have begun go on as they were.
   *
   * @param execution compiled or operation by operation
   * @param precision what compiled networks compute in; results are float32 always
   * @return this model
   * @throws IllegalArgumentException if they do not go together, as for {@link UNet#runAs}
   * @throws IllegalStateException if the model is closed
   */
  public TextToImage runAs(UNet.Execution execution, UNet.Precision precision) {
    encoder.runAs(execution, precision);
    latent.runAs(execution, precision);
    return this;
  }

  /**
   * Changes what the weights of all networks are held in, as {@link UNet#hold} does: in 16 bits
   * they take half the memory, and the model is for drawing alone. Those that were {@linkplain
   * Options#mapped mapped} come into memory. Runs that have begun can not go on.
   *
   * @param precision {@link UNet.Precision#FLOAT32}, {@link UNet.Precision#BFLOAT16} or {@link
   *     UNet.Precision#FLOAT16}
   * @return this model
   * @throws IllegalArgumentException as for {@link UNet#hold}
   * @throws IllegalStateException if the model is closed
   */
  public TextToImage hold(UNet.Precision precision) {
    encoder.hold(precision);
    latent.hold(precision);
    return this;
  }

  /**
   * Saves the model as a folder of diffusers, which {@link #load(Path)} loads, with what a LoRA has
   * changed. The tokenizer's files are copied from where they were loaded, and the sampler that the
   * files suggest is read from there again; of a single file without a configuration it is DDIM.
   *
   * @param folder the folder; must be missing, empty, or one that was written so, which is
   *     replaced. It is there whole or not at all
   * @throws IllegalStateException if the model or its text encoder is closed, it has no encoder of
   *     pictures, or a weight is NaN, infinite, held in 16 bits or mapped
   * @throws IllegalArgumentException if diffusers has no such network, schedule or prediction;
   *     nothing is written then
   * @throws java.nio.file.FileAlreadyExistsException if the folder holds anything else
   * @throws IOException if writing fails, or files that the model was loaded from are gone
   */
  public void save(Path folder) throws IOException {
    save(folder, DataType.FLOAT32);
  }

  /**
   * Saves the model as {@link #save(Path)} does, its weights in a type that may be half as long:
   * each is rounded to the nearest. They are float32 again when they are loaded.
   *
   * @param folder as there
   * @param dataType FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalStateException as there
   * @throws IllegalArgumentException as there, or if the type is another, or a weight is too large
   *     for it
   * @throws java.nio.file.FileAlreadyExistsException as there
   * @throws IOException as there
   */
  public void save(Path folder, DataType dataType) throws IOException {
    latent.save(folder, new LatentFolder.Text(encoder, words), dataType);
  }

  @Override
  public String toString() {
    return "TextToImage[" + latent.type().name + " " + latent.name() + "]";
  }

  /** Frees all networks, once what has begun is done. Close runs before. */
  @Override
  public void close() {
    latent.close();
    encoder.close();
  }

  /**
   * What only the caller knows of a model, beside its files. Setters check their own argument;
   * {@link #load(Path)} checks how they go together with the files.
   *
   * <pre>{@code
   * TextToImage.options()
   *     .tokenizer(Path.of("tokenizer")) // vocab.json and merges.txt
   *     .load(Path.of("v1-5-pruned-emaonly.safetensors"));
   * }</pre>
   */
  public static final class Options {

    private @Nullable Device device;
    private @Nullable Path tokenizer;
    private @Nullable Path configuration;
    private @Nullable Prediction prediction;
    private UNet.Precision holding = UNet.Precision.FLOAT32;
    private String revision = "main";
    private boolean mapped;
    private boolean decoderAlone;
    private final List<Path> loras = new ArrayList<>();
    private final List<Double> loraWeights = new ArrayList<>();

    private Options() {}

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
     * The words of the text encoder, which a single file of weights does not hold. Without {@link
     * #configuration} the file must have the sizes of Stable Diffusion 1.x or 2.x as published.
     *
     * @param folder the folder {@code tokenizer} of a model of the same text encoder, with {@code
     *     vocab.json} and {@code merges.txt}; for 2.x also {@code special_tokens_map.json}
     * @return these options
     */
    public Options tokenizer(Path folder) {
      tokenizer = Objects.requireNonNull(folder, "folder");
      return this;
    }

    /**
     * What describes the parts of a single file of weights: a folder as diffusers have them, of
     * which configurations and tokenizer are read and no weights. Nothing of the published sizes is
     * taken for granted then.
     *
     * @param folder a folder with {@code unet/config.json}, {@code vae/config.json}, {@code
     *     text_encoder/config.json}, {@code scheduler/scheduler_config.json} and {@code tokenizer}
     * @return these options
     */
    public Options configuration(Path folder) {
      configuration = Objects.requireNonNull(folder, "folder");
      return this;
    }

    /**
     * What the network predicts. Single files of Stable Diffusion 2.x do not tell: those of 768
     * pixels predict the velocity, {@code 512-base} and those for inpainting the noise. 1.x predict
     * the noise.
     *
     * @param value the prediction
     * @return these options
     */
    public Options prediction(Prediction value) {
      prediction = Objects.requireNonNull(value, "prediction");
      return this;
    }

    /**
     * What weights are held in, as {@link TextToImage#hold} says. Each weight is rounded as soon as
     * it is read, so that never all of them lie there in float32, but with a {@link #lora} all are
     * loaded first.
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
     * Leaves weights in their safetensors files, whose pages the system reads when they are used,
     * may drop, and shares among the processes that map them: loading takes next to nothing. They
     * stay float32, float16 or bfloat16 as the files have them, and each is widened where it is
     * used, as those that are {@linkplain #hold held} in 16 bits. The model is for drawing alone;
     * {@link TextToImage#hold} brings its weights into memory.
     *
     * <p>Vectors, and weights that a file has otherwise than this library, by layout, by type or at
     * an odd place, are read; log lines say how much was mapped. Files that are not safetensors are
     * refused.
     *
     * <p>Files may be replaced by a rename or deleted meanwhile. <b>They must not be written to or
     * cut off: the process dies when it uses what is no longer there.</b>
     *
     * @return these options
     */
    public Options mapped() {
      mapped = true;
      return this;
    }

    /**
     * Leaves the half of the autoencoder that encodes pictures out, which drawing from texts alone
     * does not need: 34,163,664 of 83,653,863 parameters in Stable Diffusion, 137 MB in float32.
     * {@code imageToImage}, {@code inpaint} and {@link Autoencoder#encode} are refused then.
     *
     * @return these options
     */
    public Options decoderAlone() {
      decoderAlone = true;
      return this;
    }

    /**
     * Changes the weights of network and text encoder by a LoRA, a file of low-rank changes (Hu et
     * al. 2021), when they are loaded:
     *
     * <pre>W' = W + weight · alpha / rank · up · down</pre>
     *
     * <p>for linear layers and convolutions. Its layers have the names of diffusers, of now or of
     * 2023, or of kohya's scripts. May be called several times: changes add up.
     *
     * @param file the file, {@code .safetensors} or of {@code torch.save}
     * @param weight how strong it is, 1 as it was trained; may be negative
     * @return these options
     * @throws IllegalArgumentException if the weight is not finite
     */
    public Options lora(Path file, double weight) {
      if (!Double.isFinite(weight)) {
        throw new IllegalArgumentException("weight of a LoRA must be finite, but was " + weight);
      }
      loras.add(Objects.requireNonNull(file, "file"));
      loraWeights.add(weight);
      return this;
    }

    /**
     * Loads a model: a folder of diffusers as for {@link TextToImage#load(Path)}, or a single file
     * of Stable Diffusion 1.x or 2.x ({@code .safetensors} or {@code .ckpt}, of which nothing is
     * run) with {@link #tokenizer} or {@link #configuration}.
     *
     * <p>Of a single file without a configuration it is known that the schedule is the file's own,
     * or {@code Schedules.scaledLinear(1000)} if it has none, and the sampler is DDIM. Averages are
     * taken where the file has them beside the weights. A log line says what was assumed.
     *
     * @param path the folder or file
     * @return the model; the caller closes it
     * @throws IllegalArgumentException if weights are to be mapped, and also held in 16 bits,
     *     changed by a LoRA or on a GPU
     * @throws java.nio.file.NoSuchFileException if there is nothing, or a part is missing
     * @throws IOException if reading fails, a part is damaged or does not go with the others, it is
     *     of another kind, or something that the files do not tell was not set; the message names
     *     it and the way out
     */
    public TextToImage load(Path path) throws IOException {
      return load(path, LatentDiffusion.nameOf(path));
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
     * Loads a model by its name, as {@link TextToImage#load(String)}.
     *
     * @param id the name, such as {@code CompVis/ldm-text2im-large-256}
     * @return the model; the caller closes it
     * @throws IllegalArgumentException if it is no name, or the revision is none, or as for {@link
     *     #load(Path)}
     * @throws java.nio.file.NoSuchFileException if it is not there, saying how to get it
     * @throws IOException as for {@link #load(Path)}
     */
    public TextToImage load(String id) throws IOException {
      return load(Hub.ofEnvironment(), id);
    }

    TextToImage load(Hub hub, String id) throws IOException {
      Objects.requireNonNull(id, "id");
      Path snapshot = hub.snapshot(id, revision, "TextToImage.download");
      try {
        return load(snapshot, id);
      } catch (NoSuchFileException e) {
        // Such as what Pretrained.download leaves, which wants the network alone.
        throw new NoSuchFileException(
            e.getFile(),
            null,
            e.getReason()
                + "; the cache of Hugging Face has not all of the model: get it by"
                + " TextToImage.download(\""
                + id
                + "\", \""
                + revision
                + "\")");
      }
    }

    private TextToImage load(Path path, String name) throws IOException {
      if (mapped) {
        MappedWeights.requireAlone(Machine.device(device), holding, !loras.isEmpty());
      }
      List<LoraFile> changes = new ArrayList<>();
      for (Path lora : loras) {
        changes.add(LoraFile.open(lora));
      }
      Pretrained.Options network = Pretrained.options();
      if (prediction != null) {
        network.prediction(prediction);
      }
      PipelineParts parts;
      if (Files.isRegularFile(path)) {
        SingleFile file = SingleFile.open(path, tokenizer, configuration);
        parts = file;
        network.prefix(file.networkPrefix());
        if (configuration != null) {
          network.configuration(configuration);
        }
      } else {
        requireNothingOfFiles(path);
        parts = Pipeline.read(path, true);
      }
      // Changes are added to weights of float32.
      UNet.Precision first = changes.isEmpty() ? holding : UNet.Precision.FLOAT32;
      TextToImage model =
          of(parts, network, Machine.device(device), name, new Kept(first, mapped, decoderAlone));
      boolean done = false;
      try {
        for (int i = 0; i < changes.size(); i++) {
          model.change(changes.get(i), loraWeights.get(i));
        }
        if (!mapped) {
          model.hold(holding);
        }
        done = true;
        return model;
      } finally {
        if (!done) {
          model.close();
        }
      }
    }

    private void requireNothingOfFiles(Path path) throws IOException {
      if (Files.isDirectory(path) && (tokenizer != null || configuration != null)) {
        throw new IOException(
            path
                + " is a folder, whose own tokenizer and configurations are read: leave out"
                + " tokenizer(...) and configuration(...)");
      }
    }
  }
}
