package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A diffusion model of the latents of an autoencoder (Rombach et al. 2021), from a folder of
 * diffusers or {@linkplain #of trained here}: a {@link DDPM} whose images are latents, and the
 * {@link Autoencoder} that makes pictures of them.
 *
 * <pre>{@code
 * try (LatentDiffusion model = LatentDiffusion.load(Path.of("ldm-celebahq-256"));
 *     Samples pictures = model.drawing().seed(42).generate(4)) {
 *   pictures.saveGrid(Path.of("faces.png"));
 * }
 * }</pre>
 *
 * <p>One that draws what a text says is a {@link TextToImage}, which has one of these.
 *
 * <p>It owns the networks that it loaded, which {@link #close()} frees. Thread-safe.
 */
public final class LatentDiffusion implements AutoCloseable {

  private final String name;
  private final Pipeline.Type type;
  private final DDPM ddpm;

  /** Null for a model of the caller's, who owns it and the autoencoder. */
  private final @Nullable Pretrained pretrained;

  /** Null for such a model, too. */
  private final @Nullable PipelineParts parts;

  private final Autoencoder autoencoder;
  private final SizedNetworks networks;
  private final LinearPreview preview = new LinearPreview();

  private LatentDiffusion(
      String name,
      Pipeline.Type type,
      DDPM ddpm,
      @Nullable Pretrained pretrained,
      @Nullable PipelineParts parts,
      Autoencoder autoencoder) {
    this.name = name;
    this.type = type;
    this.ddpm = ddpm;
    this.pretrained = pretrained;
    this.parts = parts;
    this.autoencoder = autoencoder;
    this.networks = new SizedNetworks(network());
  }

  /**
   * Loads a model that draws without a text onto the engine's default device: a folder of diffusers
   * whose {@code model_index.json} is of LDMPipeline.
   *
   * @param folder the folder
   * @return the model; the caller closes it
   * @throws java.nio.file.NoSuchFileException if it is no such folder or a part is missing
   * @throws IOException if reading fails, a part is damaged or does not go with the others, or the
   *     pipeline is another, which the message names
   */
  public static LatentDiffusion load(Path folder) throws IOException {
    return load(folder, Machine.device(null));
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
  public static LatentDiffusion load(Path folder, Device device) throws IOException {
    Objects.requireNonNull(device, "device");
    return of(Pipeline.read(folder, false), Pretrained.options(), device, nameOf(folder), Kept.ALL);
  }

  /**
   * Puts a model of one's own together, such as one that was trained on a {@link LatentDataset}.
   *
   * @param ddpm a model of latents with a {@link UNet}, which sees nothing beside them but classes,
   *     and clips no x̂_0; the caller closes it, after this object
   * @param autoencoder what its data were encoded by; the caller closes it, after this object
   * @return the model; the caller closes it
   * @throws IllegalArgumentException if the model clips x̂_0, draws images of another number of
   *     channels than the latents have, or its network sees more than classes
   * @throws IllegalStateException if the model has another network or none
   */
  public static LatentDiffusion of(DDPM ddpm, Autoencoder autoencoder) {
    UNet network = ddpm.denoiser(UNet.class);
    if (EstimateLimit.of(ddpm.metadata()).clip()) {
      throw new IllegalArgumentException(
          "the model clips x̂_0 to "
              + ddpm.dataRange()
              + ", which latents are not held in; build it with DDPM.builder().clip(false)");
    }
    long channels = network.config().imageShape().get(0);
    if (channels != autoencoder.latentChannels()) {
      throw new IllegalArgumentException(
          "the model draws latents of "
              + channels
              + " channels, but the autoencoder decodes those of "
              + autoencoder.latentChannels()
              + ": they do not belong together");
    }
    if (!Set.of(Condition.Kind.LABELS).containsAll(network.conditionKinds())) {
      throw new IllegalArgumentException(
          "the network must see nothing beside latents but classes, but it sees "
              + network.conditionKinds()
              + "; draw latents by ddpm.sampling(), and decode them");
    }
    return new LatentDiffusion("", Pipeline.Type.LDM, ddpm, null, null, autoencoder);
  }

  /** The last part of a path, which tells nothing of where it is. */
  static String nameOf(Path folder) {
    Path last = folder.toAbsolutePath().normalize().getFileName();
    return last == null ? "" : last.toString();
  }

  /**
   * The two networks of any pipeline.
   *
   * @param options what is said of the network; the device is set here
   * @param kept how much of them is in memory
   */
  static LatentDiffusion of(
      PipelineParts pipeline, Pretrained.Options options, Device device, String name, Kept kept)
      throws IOException {
    options.device(device).hold(kept.holding());
    if (kept.mapped()) {
      options.mapped();
    }
    Pretrained pretrained = pipeline.load("unet", () -> options.load(pipeline.network()));
    @Nullable Autoencoder autoencoder = null;
    boolean done = false;
    try {
      UNet network = pretrained.ddpm().denoiser(UNet.class);
      autoencoder = pipeline.autoencoder(device, kept);
      requireFit(pipeline, network, autoencoder);
      LatentDiffusion model =
          new LatentDiffusion(
              name, pipeline.type(), pretrained.ddpm(), pretrained, pipeline, autoencoder);
      done = true;
      return model;
    } finally {
      if (!done) {
        pretrained.close();
        if (autoencoder != null) {
          autoencoder.close();
        }
      }
    }
  }

  private static void requireFit(PipelineParts pipeline, UNet unet, Autoencoder autoencoder)
      throws IOException {
    long channels = unet.config().imageShape().get(0);
    if (channels != autoencoder.latentChannels()) {
      throw new IOException(
          pipeline.part("unet")
              + " draws latents of "
              + channels
              + " channels, but "
              + pipeline.part(pipeline.type().autoencoder)
              + " decodes those of "
              + autoencoder.latentChannels()
              + ": they are not of one model");
    }
    int beside = unet.config().imageCondition();
    if (beside > 0 && (beside != channels + 1 || !pipeline.type().hasText())) {
      throw new IOException(
          pipeline.part("unet")
              + " sees "
              + beside
              + " channels beside the latents, where inpainting has "
              + (channels + 1)
              + "; this version knows no other use of such a network");
    }
  }

  /**
   * Sets up what is drawn.
   *
   * @return a request that can be set up further
   */
  public Drawing drawing() {
    return new Drawing(this, null);
  }

  /**
   * The model of latents. Its network belongs to this object.
   *
   * @return the model; its images are latents of the size that the network was trained on
   */
  public DDPM ddpm() {
    return ddpm;
  }

  /**
   * What makes pictures of latents. It belongs to this object.
   *
   * @return the autoencoder
   */
  public Autoencoder autoencoder() {
    return autoencoder;
  }

  /**
   * The sampler that the files suggest; for a model of one's own DDPM's over fewer timesteps.
   *
   * @param steps the number of steps, at least 1
   * @return the sampler
   * @throws IllegalArgumentException if the sampler cannot have so many steps
   */
  public Sampler sampler(int steps) {
    return pretrained == null
        ? Samplers.ddpm(steps).spacing(TimestepSpacing.LEADING)
        : pretrained.sampler(steps);
  }

  /**
   * Small pictures of latents for a look at a run, at next to no cost: one pixel for each of the
   * latents, whose colour is a linear function of its channels.
   *
   * <p>The function is fitted once, at the first call, by least squares to the mean colours of
   * latents that are the same everywhere, each channel 1 or −1 (2 to the power of the channels
   * small pictures are decoded for it). {@link Autoencoder#decode} shows them fully.
   *
   * @param latents such as {@code event.predictedX0()} of a run, float32, shape (N, C, H, W), on
   *     the device of the autoencoder
   * @return about [−1, 1], shape (N, 3, H, W) where pictures have 3 channels, attached to the
   *     manager of the latents
   * @throws IllegalArgumentException if the latents have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed, or latents have more than 8
   *     channels
   */
  public NDArray preview(NDArray latents) {
    return preview.of(latents, autoencoder);
  }

  /**
   * Changes execution mode and precision of both networks. Runs that have begun go on as they were.
   *
   * @param execution compiled or operation by operation
   * @param precision what compiled networks compute in; results are float32 always
   * @return this model
   * @throws IllegalArgumentException if they do not go together, as for {@link UNet#runAs}
   * @throws IllegalStateException if the model is closed
   */
  public LatentDiffusion runAs(UNet.Execution execution, UNet.Precision precision) {
    network().runAs(execution, precision);
    autoencoder.runAs(execution, precision);
    networks.forget();
    return this;
  }

  /**
   * Changes what the weights of both networks are held in, as {@link UNet#hold} does: in 16 bits
   * they take half the memory, and the model is for drawing alone. Runs that have begun can not go
   * on.
   *
   * @param precision {@link UNet.Precision#FLOAT32}, {@link UNet.Precision#BFLOAT16} or {@link
   *     UNet.Precision#FLOAT16}
   * @return this model
   * @throws IllegalArgumentException as for {@link UNet#hold}
   * @throws IllegalStateException if the model is closed
   */
  public LatentDiffusion hold(UNet.Precision precision) {
    network().hold(precision);
    autoencoder.hold(precision);
    networks.forget();
    return this;
  }

  UNet network() {
    return ddpm.denoiser(UNet.class);
  }

  Sampling sampling(SizedNetworks.Use use) {
    if (pretrained != null) {
      return pretrained.sampling(use.network());
    }
    DenoisingModel sized = DenoisingModel.of(ddpm.model().diffusion(), use.network());
    return Sampling.of(sized, ddpm.provenance());
  }

  SizedNetworks networks() {
    return networks;
  }

  Pipeline.Type type() {
    return type;
  }

  String name() {
    return name;
  }

  @Override
  public String toString() {
    return "LatentDiffusion[" + type.name + " " + name + ", " + ddpm + "]";
  }

  /**
   * Saves a model that draws without a text, as a folder of diffusers' {@code LDMPipeline}, which
   * {@link #load(Path)} loads. Names of classes and metadata have no place there; how many classes
   * there are has. The sampler that the files of a loaded model suggest is read from there again.
   *
   * @param folder the folder; must be missing, empty, or one that was written so, which is
   *     replaced. It is there whole or not at all
   * @throws IllegalStateException if the model draws what a text says, is closed, or a weight is
   *     NaN, infinite or held in 16 bits
   * @throws IllegalArgumentException if diffusers has no such network, schedule, prediction or
   *     range of images; nothing is written then
   * @throws java.nio.file.FileAlreadyExistsException if the folder holds anything else
   * @throws IOException if writing fails
   */
  public void save(Path folder) throws IOException {
    save(folder, DataType.FLOAT32);
  }

  /**
   * Saves a model as {@link #save(Path)} does, its weights in a type that may be half as long: each
   * is rounded to the nearest. They are float32 again when they are loaded.
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
    if (type.hasText()) {
      throw new IllegalStateException(
          "a " + type.name + " has parts that are not here: save it by TextToImage.save(folder)");
    }
    save(folder, null, dataType);
  }

  void save(Path folder, LatentFolder.@Nullable Text text, DataType dataType) throws IOException {
    PipelineParts from = parts;
    Path scheduler = from == null ? null : from.scheduler();
    new LatentFolder(type, ddpm, autoencoder, scheduler, from != null && scheduler == null)
        .write(folder, text, Objects.requireNonNull(dataType, "dataType"));
  }

  /**
   * Frees what was made here, and both networks if they were loaded here, once what has begun is
   * done. Close runs before.
   */
  @Override
  public void close() {
    networks.close();
    if (pretrained != null) {
      pretrained.close();
      autoencoder.close();
    }
  }
}
