package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Turns images into latents and back: the autoencoders of latent diffusion (Rombach et al. 2021,
 * section 3.1) with a Kullback-Leibler penalty, diffusers' {@code AutoencoderKL}, or with a book of
 * codes, {@code VQModel}.
 *
 * <pre>{@code
 * try (Autoencoder autoencoder = Autoencoder.load(folder.resolve("vae"));
 *     Autoencoder.Latents latents = autoencoder.encode(images)) {
 *   NDArray again = autoencoder.decode(latents.mode());
 * }
 * }</pre>
 *
 * <p>Images are in [−1, 1], float32, of shape (N, C, H, W), where H and W are multiples of {@link
 * #factor}. Latents have the shape (N, {@link #latentChannels}, H / factor, W / factor), and are
 * multiplied by {@link #scale}, as the networks that work on them were trained.
 *
 * <p>It owns its weights, which are float32, until {@link #close()} frees them. Thread-safe.
 */
public final class Autoencoder implements AutoCloseable {

  private static final int LEAST_TILE = 8;

  private static final String NAME = "the autoencoder";

  private final AutoencoderConfig config;
  private final AutoencoderNetwork network;
  private final WeightedNetwork weighted;
  private final boolean encodes;
  private volatile double scale;
  private volatile Tiles tiles = new Tiles(0);

  private Autoencoder(
      AutoencoderConfig config,
      AutoencoderNetwork network,
      WeightedNetwork weighted,
      double scale,
      boolean encodes) {
    this.config = config;
    this.network = network;
    this.weighted = weighted;
    this.scale = scale;
    this.encodes = encodes;
  }

  /**
   * Sets up an autoencoder of one's own, to be {@linkplain #training trained}.
   *
   * @return a builder with the architecture of Stable Diffusion's
   */
  public static AutoencoderBuilder builder() {
    return new AutoencoderBuilder();
  }

  /**
   * An autoencoder of drawn weights.
   *
   * @throws IllegalArgumentException if the groups do not divide the channels of every norm
   */
  static Autoencoder drawn(AutoencoderConfig config, @Nullable Device device, long seed) {
    AutoencoderNetwork network = new AutoencoderNetwork(config);
    WeightedNetwork weighted =
        new WeightedNetwork(NAME, network.parameters(), device, FirstWeights.drawn(seed));
    return new Autoencoder(config, network, weighted, config.scale(), true);
  }

  /**
   * Loads an autoencoder onto the engine's default device, with the scale that its configuration
   * says. If that says none, an AutoencoderKL has 0.18215, as in diffusers, and a VQModel has 1.
   *
   * <p>The latter is what the models were trained with, such as ldm-celebahq-256, where diffusers
   * divides by 0.18215 since 2023, which spoils their pictures. Copies that a newer version has
   * saved say 0.18215 although it is wrong: load them with {@link #load(Path, Device, double)}.
   *
   * @param folder a folder with {@code config.json} and weights, usually {@code vae} or {@code
   *     vqvae} in that of the model
   * @return the autoencoder; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no configuration, or no weights
   * @throws IOException if reading fails, a file is invalid, or the autoencoder is of another kind
   */
  public static Autoencoder load(Path folder) throws IOException {
    return load(folder, Machine.device(null), null, Kept.ALL);
  }

  /**
   * Loads an autoencoder onto a device, with another scale.
   *
   * @param folder as for {@link #load(Path)}
   * @param device where to put the weights
   * @param scale what latents are multiplied by, positive
   * @return the autoencoder; the caller closes it
   * @throws IllegalArgumentException if the scale is not positive
   * @throws java.nio.file.NoSuchFileException if there is no configuration, or no weights
   * @throws IOException if reading fails, a file is invalid, or the autoencoder is of another kind
   */
  public static Autoencoder load(Path folder, Device device, double scale) throws IOException {
    if (!(scale > 0 && scale < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("scale must be positive, but was " + scale);
    }
    return load(folder, device, scale, Kept.ALL);
  }

  /** With the scale of the configuration where none is given. */
  static Autoencoder load(Path folder, Device device, @Nullable Double scale, Kept kept)
      throws IOException {
    PartFolder part = PartFolder.ofDiffusers(Objects.requireNonNull(folder, "folder"));
    AutoencoderConfig config = AutoencoderConfig.read(part.config());
    AutoencoderNetwork network = network(config, folder);
    WeightedNetwork weighted =
        WeightedNetwork.read(
            NAME,
            parameters(network, kept),
            device,
            part.weights(),
            AutoencoderNetwork::oldName,
            name -> isLeftOut(name, kept),
            kept);
    double own = scale == null ? config.scale() : scale;
    return new Autoencoder(config, network, weighted, own, !kept.decoderAlone());
  }

  private static List<ParameterSpec> parameters(AutoencoderNetwork network, Kept kept) {
    return network.parameters().stream().filter(spec -> !isLeftOut(spec.name(), kept)).toList();
  }

  /** In files of CompVis, the names of the half that encodes begin in the same way. */
  private static boolean isLeftOut(String name, Kept kept) {
    return kept.decoderAlone() && (name.startsWith("encoder.") || name.startsWith("quant_conv."));
  }

  private static AutoencoderNetwork network(AutoencoderConfig config, Object where)
      throws IOException {
    try {
      return new AutoencoderNetwork(config);
    } catch (IllegalArgumentException e) {
      throw new IOException(where + " is no valid autoencoder: " + e.getMessage(), e);
    }
  }

  /** From a single file of CompVis, below {@code first_stage_model}. */
  static Autoencoder ofCompVis(
      AutoencoderConfig config,
      TensorSource source,
      String where,
      @Nullable Device device,
      Kept kept)
      throws IOException {
    AutoencoderNetwork network = network(config, where);
    WeightedNetwork weighted =
        WeightedNetwork.read(
            NAME,
            parameters(network, kept),
            device,
            source,
            where,
            CompVisNames.autoencoder(config),
            name -> CompVisNames.isDiscriminator(name) || isLeftOut(name, kept),
            kept);
    return new Autoencoder(config, network, weighted, config.scale(), !kept.decoderAlone());
  }

  /**
   * Sets up a training run, for an autoencoder without a book of codes.
   *
   * @return a run that can be set up further
   * @throws IllegalStateException if it has a book of codes, or cannot encode
   */
  public AutoencoderTraining training() {
    requireEncoder("be trained");
    if (config.quantized()) {
      throw new IllegalStateException(
          "the autoencoder has a book of codes, which training() does not know; train it by a loop"
              + " of your own over encodeForTraining(images) and decodeForTraining(latents)");
    }
    return new AutoencoderTraining(this);
  }

  /**
   * Saves the autoencoder as diffusers has them: {@code config.json} with its scale, and {@code
   * diffusion_pytorch_model.safetensors}. {@link #load(Path)} loads it.
   *
   * @param folder the folder; made if it is missing, must be empty or that of an autoencoder, which
   *     is replaced
   * @throws java.nio.file.FileAlreadyExistsException if the folder holds anything else
   * @throws IOException if writing fails; what was in the folder is then as it was
   * @throws IllegalStateException if the autoencoder is closed or cannot encode, its weights are
   *     held in 16 bits, or one is NaN or infinite
   * @throws IllegalArgumentException if the folder has no name, as the root of a file system
   */
  public void save(Path folder) throws IOException {
    save(folder, DataType.FLOAT32);
  }

  /**
   * Saves the autoencoder as {@link #save(Path)} does, its weights in a type that may be half as
   * long: each is rounded to the nearest. They are float32 again when they are loaded.
   *
   * @param folder as there
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   * @throws java.nio.file.FileAlreadyExistsException as there
   * @throws IOException as there
   * @throws IllegalStateException as there
   * @throws IllegalArgumentException as there, or if the type is another, or a weight is too large
   *     for it
   */
  public void save(Path folder, DataType type) throws IOException {
    Objects.requireNonNull(type, "type");
    try (Usage.Hold hold = weighted.reading()) {
      requireWritable(type);
      AutoencoderFolder.write(folder, config.words(scale), weighted.weights(), type);
    }
  }

  /**
   * What an encoder says of images: a normal distribution of latents per pixel, or, with a book of
   * codes, vectors. Closing it frees its arrays.
   */
  public static final class Latents implements AutoCloseable {

    private final NDArray mean;
    private final @Nullable NDArray logVariance;
    private final double scale;

    private Latents(NDArray mean, @Nullable NDArray logVariance, double scale) {
      this.mean = mean;
      this.logVariance = logVariance;
      this.scale = scale;
    }

    /**
     * The means, or the vectors before they are quantized, as the encoder gives them.
     *
     * @return without a scale, owned by these latents
     */
    public NDArray mean() {
      return mean;
    }

    /**
     * The natural logarithms of the variances, in [−30, 20].
     *
     * @return for latents without a scale, owned by these latents; empty with a book of codes
     */
    public Optional<NDArray> logVariance() {
      return Optional.ofNullable(logVariance);
    }

    /**
     * The most likely latents: the means times the scale.
     *
     * @return attached to the manager of the images
     */
    public NDArray mode() {
      return EagerOps.inference().scale(mean, scale);
    }

    /**
     * Draws latents:
     *
     * <pre>z = scale · (mean + exp(½ logVariance) · noise)</pre>
     *
     * <p>and with a book of codes those of {@link #mode()}, which has no variance.
     *
     * @param noise standard normal, of the shape of {@link #mean}
     * @return attached to the manager of the images
     * @throws IllegalArgumentException if the noise has another shape
     */
    public NDArray draw(NDArray noise) {
      if (!noise.getShape().equals(mean.getShape())) {
        throw new IllegalArgumentException(
            "noise must have the shape of the latents, "
                + mean.getShape()
                + ", but has "
                + noise.getShape());
      }
      NDArray spread = logVariance;
      if (spread == null) {
        return mode();
      }
      EagerOps ops = EagerOps.inference();
      return ops.scope(() -> ops.scale(NormalLatents.drawn(ops, mean, spread, noise), scale));
    }

    /** Frees the arrays. */
    @Override
    public void close() {
      mean.close();
      if (logVariance != null) {
        logVariance.close();
      }
    }
  }

  /**
   * Encodes images.
   *
   * @param images in [−1, 1], float32, shape (N, C, H, W)
   * @return the latents, attached to the manager of the images
   * @throws IllegalArgumentException if the images have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed
   */
  public Latents encode(NDArray images) {
    requireImages(images);
    try (GradMode off = GradMode.off()) {
      Tiles cut = tiles;
      int factor = factor();
      UnaryOperator<NDArray> encode =
          image -> weighted.infer(new AutoencoderNetwork.Encode(network), image);
      Shape shape = images.getShape();
      return latents(
          cut.cut(shape.get(2) / factor, shape.get(3) / factor)
              ? cut.mapped(images, factor, 1, encode)
              : encode.apply(images));
    }
  }

  /**
   * Encodes images and records gradients of whatever is worked out of the latents.
   *
   * @param images as for {@link #encode}
   * @return the latents, attached to the manager of the images
   * @throws IllegalArgumentException if the images have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed
   */
  public Latents encodeForTraining(NDArray images) {
    requireImages(images);
    return latents(weighted.train(new AutoencoderNetwork.Encode(network), images));
  }

  private Latents latents(NDArray encoded) {
    if (config.quantized()) {
      return new Latents(encoded, null, scale);
    }
    try (encoded) {
      NDList halves = encoded.split(2, 1);
      EagerOps ops = EagerOps.inference();
      NDArray half = halves.get(1);
      NDArray logVariance = ops.scope(() -> NormalLatents.logVariance(ops, half));
      half.close();
      return new Latents(halves.get(0), logVariance, scale);
    }
  }

  /**
   * Decodes latents. With a book of codes, each pixel's vector is first replaced by the nearest.
   *
   * @param latents times the scale, float32, shape (N, {@link #latentChannels}, H, W)
   * @return images, about [−1, 1], shape (N, C, factor · H, factor · W), attached to the manager of
   *     the latents
   * @throws IllegalArgumentException if the latents have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed
   */
  public NDArray decode(NDArray latents) {
    requireLatents(latents);
    try (Usage.Hold hold = weighted.reading();
        GradMode off = GradMode.off();
        NDArray raw = unscaled(latents);
        NDArray nearest = config.quantized() ? quantized(raw) : raw.duplicate()) {
      Tiles cut = tiles;
      return cut.cut(raw.getShape().get(2), raw.getShape().get(3))
          ? cut.mapped(nearest, 1, factor(), this::decodeRaw)
          : decodeRaw(nearest);
    }
  }

  /**
   * Encodes and decodes large pictures in tiles from now on, which bounds the memory that this
   * takes, at some more time: a tile of 64 takes what a picture of 512x512 pixels takes in Stable
   * Diffusion. Tiles overlap by a quarter and are faded into each other, so there are no seams. The
   * result is not that of the whole picture: norms and attention see a tile, so colours may drift a
   * little across a picture. Pictures of one tile are as ever. Gradients are recorded of whole
   * pictures alone.
   *
   * @param side of a tile, in latents, at least 8; 0 for whole pictures, as by default
   * @return this autoencoder
   * @throws IllegalArgumentException if the side is another number below 8
   */
  public Autoencoder tiles(int side) {
    if (side != 0 && side < LEAST_TILE) {
      throw new IllegalArgumentException(
          "side of a tile must be at least " + LEAST_TILE + ", or 0 for none, but was " + side);
    }
    tiles = new Tiles(side);
    return this;
  }

  /** How pictures are cut from now on. */
  Tiles tiles() {
    return tiles;
  }

  /** Latents without a scale, as they are. */
  NDArray decodeRaw(NDArray raw) {
    return weighted.infer(new AutoencoderNetwork.Decode(network), raw);
  }

  /**
   * Decodes latents and records gradients. With a book of codes, the gradient of a code goes to the
   * vector in whose place it is (van den Oord et al. 2017, section 3.2).
   *
   * @param latents as for {@link #decode}
   * @return images, attached to the manager of the latents
   * @throws IllegalArgumentException if the latents have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed
   */
  public NDArray decodeForTraining(NDArray latents) {
    requireLatents(latents);
    AutoencoderNetwork.Decode decode = new AutoencoderNetwork.Decode(network);
    try (Usage.Hold hold = weighted.reading();
        NDArray raw = unscaled(latents)) {
      if (!config.quantized()) {
        return weighted.train(decode, raw);
      }
      try (NDArray codes = quantized(raw);
          NDArray step = codes.sub(raw);
          NDArray fixed = step.stopGradient();
          NDArray through = raw.add(fixed)) {
        return weighted.train(decode, through);
      }
    }
  }

  /**
   * The numbers of the nearest codes.
   *
   * @param latents as for {@link #decode}
   * @return int64, shape (N, H, W), attached to the manager of the latents
   * @throws IllegalArgumentException if the latents have another type, shape or device
   * @throws IllegalStateException if the autoencoder is closed, or has no book of codes
   */
  public NDArray codes(NDArray latents) {
    if (!config.quantized()) {
      throw new IllegalStateException(
          "the autoencoder has no book of codes, so its latents have no numbers");
    }
    requireLatents(latents);
    try (Usage.Hold hold = weighted.reading();
        GradMode off = GradMode.off();
        NDArray raw = unscaled(latents)) {
      return CodeBook.nearest(raw, book(), latents.getManager());
    }
  }

  private NDArray book() {
    return weighted.weight(AutoencoderNetwork.codeBook());
  }

  private NDArray quantized(NDArray raw) {
    NDManager manager = raw.getManager();
    try (NDArray numbers = CodeBook.nearest(raw, book(), manager)) {
      return CodeBook.codes(numbers, book(), manager);
    }
  }

  private NDArray unscaled(NDArray latents) {
    return EagerOps.inference().scale(latents, 1 / scale);
  }

  /** Checks that it can be saved, before anything is written. */
  void requireWritable(DataType type) {
    requireEncoder("be saved");
    try (Usage.Hold hold = weighted.reading()) {
      Map<String, NDArray> weights = weighted.weights();
      FiniteWeights.require(weights, "load the autoencoder anew");
      Safetensors.requireWritable(weights, type);
    }
  }

  private void requireEncoder(String doing) {
    if (!encodes) {
      throw new IllegalStateException(
          "the autoencoder was loaded with decoderAlone(), so it cannot "
              + doing
              + "; load the model without");
    }
  }

  void requireImages(NDArray images) {
    requireEncoder("encode pictures");
    Shape shape = requireFour(images, "images", config.inChannels());
    int factor = factor();
    if (shape.get(2) % factor != 0 || shape.get(3) % factor != 0) {
      throw new IllegalArgumentException(
          "images must have a height and a width that are multiples of "
              + factor
              + ", but have the shape "
              + shape
              + "; cut or resize them");
    }
  }

  void requireLatents(NDArray latents) {
    requireFour(latents, "latents", config.decodedChannels());
  }

  private Shape requireFour(NDArray array, String name, int channels) {
    Shape shape = array.getShape();
    if (shape.dimension() != 4 || shape.get(1) != channels || shape.size() == 0) {
      throw new IllegalArgumentException(
          name + " must have the shape (N, " + channels + ", H, W), but have " + shape);
    }
    if (array.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException(
          name + " must be float32, but are " + array.getDataType() + "; call toType first");
    }
    weighted.requireDevice(array, name);
    return shape;
  }

  /**
   * The side of an image divided by that of its latents.
   *
   * @return 2 to the power of the levels less one, 8 for Stable Diffusion
   */
  public int factor() {
    return config.factor();
  }

  /**
   * What latents are multiplied by for the network that works on them.
   *
   * @return the factor
   */
  public double scale() {
    return scale;
  }

  /** Sets what latents are multiplied by; positive. */
  void scale(double other) {
    scale = other;
  }

  AutoencoderConfig config() {
    return config;
  }

  AutoencoderNetwork network() {
    return network;
  }

  WeightedNetwork weighted() {
    return weighted;
  }

  /**
   * The channels of latents.
   *
   * @return the number
   */
  public int latentChannels() {
    return config.decodedChannels();
  }

  /**
   * The channels of images.
   *
   * @return the number
   */
  public int imageChannels() {
    return config.inChannels();
  }

  /**
   * Whether latents are vectors of a book of codes.
   *
   * @return whether they are
   */
  public boolean isQuantized() {
    return config.quantized();
  }

  /**
   * The device of the weights.
   *
   * @return the device
   */
  public Device device() {
    return weighted.device();
  }

  /**
   * The live weights under diffusers' names, owned by this autoencoder. To train it, let them
   * require gradients.
   *
   * @return the weights; unmodifiable
   * @throws IllegalStateException if the autoencoder is closed
   */
  public Map<String, NDArray> weights() {
    return weighted.weights();
  }

  /**
   * Changes execution mode and precision. Waits for what is in progress.
   *
   * @param execution compiled or operation by operation
   * @param precision what a compiled autoencoder computes in; results are float32 always
   * @return this autoencoder
   * @throws IllegalArgumentException if they do not go together, as for {@link UNet#runAs}
   * @throws IllegalStateException if the autoencoder is closed
   */
  public Autoencoder runAs(UNet.Execution execution, UNet.Precision precision) {
    weighted.runAs(execution, precision);
    return this;
  }

  /**
   * Changes what the weights are held in, as {@link UNet#hold} does: in 16 bits they take half the
   * memory, and the autoencoder is for use alone.
   *
   * @param precision {@link UNet.Precision#FLOAT32}, {@link UNet.Precision#BFLOAT16} or {@link
   *     UNet.Precision#FLOAT16}
   * @return this autoencoder
   * @throws IllegalArgumentException as for {@link UNet#hold}
   * @throws IllegalStateException if the autoencoder is closed
   */
  public Autoencoder hold(UNet.Precision precision) {
    weighted.hold(precision);
    return this;
  }

  /** Frees the weights, once what has begun is done. */
  @Override
  public void close() {
    weighted.close();
  }
}
