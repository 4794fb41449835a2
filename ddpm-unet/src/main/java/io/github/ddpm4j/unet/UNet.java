package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.FiniteWeights;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import io.github.ddpm4j.unet.internal.running.Held;
import io.github.ddpm4j.unet.internal.running.Holding;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import io.github.ddpm4j.unet.internal.running.RunMode;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The noise-predicting U-Net of the paper (Ho, Jain, Abbeel 2020, "Denoising Diffusion
 * Probabilistic Models", appendix B): residual blocks with group normalisation and SiLU, a
 * sinusoidal time embedding added in each block, and self-attention at selected levels.
 *
 * <pre>{@code
 * UNet unet = UNet.builder().image(3, 32, 32).baseChannels(128).build();
 * }</pre>
 *
 * <p>It can be conditioned on classes, vectors, images, contexts such as encoded texts, and its own
 * denoised estimate (self-conditioning): see {@link UNetBuilder#classes}, {@link
 * UNetBuilder#vectorCondition}, {@link UNetBuilder#imageCondition}, {@link
 * UNetBuilder#contextCondition} and {@link UNetBuilder#selfConditioning}.
 *
 * <p>It is both a denoiser of this library and a DJL block. As a block it takes two inputs, images
 * of shape (N, C, H, W) and timesteps of shape (N), followed by one for each {@link Condition.Kind}
 * that it was built for, in their order: labels of shape (N), {@value Condition#ABSENT} for none,
 * vectors of shape (N, D), images of shape (N, K, H, W), contexts of shape (N, S, X), previous x̂_0
 * of the shape of the images. Its single output has the shape of the images, or twice their
 * channels with a {@linkplain UNetBuilder#learnedVariance() learned variance}. All weights are
 * direct parameters of the block, with the names and layout of diffusers' UNet2DModel, so published
 * weights need no conversion.
 *
 * <p>It owns its weights, in its own manager, until {@link #close()} frees them. Results are
 * attached to the images' manager. {@link #predict} is thread-safe. Training, loading, {@link
 * #runAs} and closing need exclusive access: they wait for predictions in progress. While a run
 * trains the network, predictions from other threads are rejected.
 */
public final class UNet extends UNetBlock implements ScriptedDenoiser {

  /** The {@link #type()} of such networks: {@value}. */
  public static final String TYPE = "unet";

  /** How a network is executed. The results agree up to rounding, including dropout. */
  public enum Execution {
    /**
     * The network is written down as TorchScript when it is first used, and then runs whole, in one
     * call of the engine: faster, and smaller in memory. The default.
     */
    COMPILED,

    /**
     * Operation by operation on NDArrays, useful for inspecting intermediate values. It is the only
     * mode on engines other than PyTorch, and there supports inference only: training needs
     * PyTorch.
     */
    EAGER
  }

  /**
   * The compute precision of a compiled network. Weights, optimizer state, averages and the loss
   * are always float32, and so are images and predictions.
   */
  public enum Precision {
    /** 32 bits throughout. The default. */
    FLOAT32,

    /**
     * 16 bits with the range of float32 (bfloat16) inside the network. Predictions are accurate to
     * two or three digits, which has no noticeable effect on training and sampling. Slower than
     * {@link #FLOAT32} on a processor without instructions for it, which is logged as a warning.
     */
    BFLOAT16,

    /**
     * 16 bits with more digits and a smaller range (float16, up to 65504) inside the network, for
     * GPUs without bfloat16. Training multiplies the loss by a scale, which it adapts so that
     * gradients stay within the range, as PyTorch's GradScaler does: a step whose gradient is
     * beyond it updates nothing ({@link
     * io.github.ddpm4j.training.TrainingStepListener.Event#lossScale}). Slower than {@link
     * #FLOAT32} on processors, which is logged as a warning.
     */
    FLOAT16,

    /**
     * {@link #BFLOAT16} if the CPU or GPU has instructions for it, {@link #FLOAT16} on other GPUs
     * with tensor cores (compute capability 7.0 to 7.5), otherwise {@link #FLOAT32}; the choice is
     * logged at INFO level.
     */
    AUTO
  }

  static {
    MappedWeights.way(UNet::map);
  }

  UNet(UNetConfig config, long seed, @Nullable Device device, FirstWeights first, boolean drawn) {
    super(config, seed, device, first, drawn);
  }

  /**
   * Returns a builder with the settings of the paper's CIFAR-10 network; the image shape must be
   * set.
   *
   * @return the builder
   */
  public static UNetBuilder builder() {
    return new UNetBuilder();
  }

  /**
   * Returns a builder with a given architecture.
   *
   * @param config the architecture
   * @return the builder
   */
  public static UNetBuilder builder(UNetConfig config) {
    return config.toBuilder();
  }

  /**
   * Returns a builder with the settings of {@link UNetConfig#cifar10()}.
   *
   * @return the builder
   */
  public static UNetBuilder cifar10() {
    return builder()
        .image(3, 32, 32)
        .baseChannels(128)
        .channelMultipliers(1, 2, 2, 2)
        .attentionAt(16)
        .dropout(0.1);
  }

  /**
   * Returns a builder with the settings of {@link UNetConfig#image256()}.
   *
   * @return the builder
   */
  public static UNetBuilder image256() {
    return builder()
        .image(3, 256, 256)
        .baseChannels(128)
        .channelMultipliers(1, 1, 2, 2, 4, 4)
        .attentionAt(16)
        .dropout(0);
  }

  /**
   * Loads the network of a model saved by {@code DDPM.save} onto the engine's default device.
   * {@code DDPM.load} loads the whole model.
   *
   * @param folder the model folder
   * @return the network; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails, a file is invalid, or the network is of another type
   */
  public static UNet load(Path folder) throws IOException {
    return load(folder, Machine.device(null));
  }

  /**
   * Loads the network of a model saved by {@code DDPM.save} onto a device.
   *
   * @param folder the model folder
   * @param device where to put the weights
   * @return the network; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails, a file is invalid, or the network is of another type
   */
  public static UNet load(Path folder, Device device) throws IOException {
    TrainableDenoiser network = ModelFolder.read(folder, device).denoiser();
    if (network instanceof UNet unet) {
      return unet;
    }
    network.close();
    throw new IOException(
        folder
            + " must hold a network of type "
            + TYPE
            + ", but its type is "
            + network.type()
            + "; load it with DDPM.load");
  }

  /* ---------------- What it is ---------------- */

  /**
   * The architecture.
   *
   * @return the architecture
   */
  public UNetConfig config() {
    return config;
  }

  /**
   * The seed that the weights were first drawn from, whatever has been written into them since. A
   * builder with the same architecture and seed draws bit-identical weights.
   *
   * @return the seed, drawn at random if none was given; empty if the weights were not drawn, as
   *     those of a loaded network and of {@link UNetBuilder#buildBlank()}
   */
  public OptionalLong seed() {
    return isDrawn() ? OptionalLong.of(seed) : OptionalLong.empty();
  }

  /** The name of this network type in model folders. */
  @Override
  public String type() {
    return TYPE;
  }

  /** The architecture, as read by {@link UNetConfig#of}. */
  @Override
  public Map<String, Object> describe() {
    return config.describe();
  }

  /** The shape of one image, (C, H, W). */
  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(config.imageShape());
  }

  /** The kinds of conditioning that the network was built for. */
  @Override
  public Set<Condition.Kind> conditionKinds() {
    return config.conditionKinds();
  }

  /** The number of classes that the network was built for; empty if it knows none. */
  @Override
  public OptionalInt classes() {
    return config.classes() > 0 ? OptionalInt.of(config.classes()) : OptionalInt.empty();
  }

  /** Whether the network also predicts the variance. */
  @Override
  public boolean predictsVariance() {
    return config.learnedVariance();
  }

  /** The device of the weights. */
  @Override
  public Optional<Device> device() {
    return Optional.of(manager.getDevice());
  }

  /**
   * A printable table of the network, see {@link UNetConfig#summary()}.
   *
   * @return lines of equal length, without a line break at the end
   */
  public String summary() {
    return config.summary();
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "UNet[image %s, %,d parameters, on %s]",
        config.imageShape(),
        config.parameterCount(),
        manager.getDevice());
  }

  /* ---------------- How it runs ---------------- */

  /**
   * Changes the execution mode and precision, for example of a loaded model. Waits for predictions
   * in progress.
   *
   * @param execution compiled or operation by operation
   * @param precision the compute precision of a compiled network
   * @return this network
   * @throws IllegalArgumentException if {@link Execution#EAGER} is combined with {@link
   *     Precision#BFLOAT16} or {@link Precision#FLOAT16}, or {@link Execution#COMPILED} with an
   *     engine other than PyTorch
   * @throws IllegalStateException if the network is closed or being trained
   */
  public UNet runAs(Execution execution, Precision precision) {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      RunMode mode = RunMode.of(execution, precision, manager);
      requireCompiled(mode, runner.held());
      runner.runAs(mode);
      return this;
    }
  }

  private static void requireCompiled(RunMode mode, Held held) {
    if (!held.isWide() && !mode.isCompiled()) {
      throw new IllegalArgumentException(
          "execution EAGER needs weights in FLOAT32, but they are held in "
              + held
              + "; choose execution COMPILED or call hold(Precision.FLOAT32)");
    }
  }

  /**
   * Changes what the weights are held in. In 16 bits they take half the memory, and the network is
   * for predictions alone: {@link #weights}, {@link #copy}, training, saving and exporting need
   * {@link Precision#FLOAT32} again, with the rounded values. What is computed in stays as {@link
   * #runAs} said: each weight is widened where it is used. Vectors, such as biases, stay float32.
   * Weights that were {@linkplain io.github.ddpm4j.pretrained.Pretrained.Options#mapped mapped}
   * come into memory, and their file is let go. Waits for predictions in progress; {@linkplain
   * #resized views} that are there predict nothing more.
   *
   * @param precision {@link Precision#FLOAT32}, {@link Precision#BFLOAT16}, which keeps 8 bits of
   *     each number, or {@link Precision#FLOAT16}, which keeps 11 and ends at 65504
   * @return this network
   * @throws IllegalArgumentException if the precision is AUTO, or is not FLOAT32 and the execution
   *     is EAGER
   * @throws IllegalStateException if the network is closed or being trained
   */
  public UNet hold(Precision precision) {
    Holding holding = Holding.of(precision);
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      requireCompiled(runner.mode(), Held.in(holding));
      hold(holding);
      return this;
    }
  }

  /**
   * The execution mode of the network.
   *
   * @return compiled or operation by operation
   */
  public Execution execution() {
    return runner.mode().execution();
  }

  /**
   * The compute precision of the network.
   *
   * @return {@link Precision#FLOAT32}, {@link Precision#BFLOAT16} or {@link Precision#FLOAT16},
   *     with {@link Precision#AUTO} resolved
   */
  public Precision precision() {
    return runner.mode().precision();
  }

  /**
   * This network for images of another size, as its convolutions and attention allow: with the same
   * weights, live, and a program of its own, run as this network is now.
   *
   * @param sizes height and width of the images; the length of signals; depth, height and width of
   *     volumes
   * @return a view, for sampling; close it before this network
   * @throws IllegalArgumentException if there are more or fewer sizes than the images of this
   *     network have axes, or one is less than 1 or too large
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   */
  public Denoiser resized(int... sizes) {
    try (Usage.Hold hold = usage.shared()) {
      requireOpen();
      return new SizedUNet(this, config.resized(sizes));
    }
  }

  /* ---------------- Predictions ---------------- */

  /**
   * Computes the prediction for a batch of noisy images, without dropout and without recording
   * gradients.
   *
   * @param x the noisy images, float32, shape (N, C, H, W), on the network's device
   * @param levels the noise level of each image, N entries; the network uses only the timesteps
   * @param condition the conditioning, of kinds that the network was built for; missing kinds, and
   *     all kinds with {@link Condition#none()}, are absent for every image
   * @return the prediction, of the shape and type of {@code x}, or with twice its channels if the
   *     network has a learned variance; attached to the manager of {@code x}
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException if {@code x} has the wrong shape, type or device, {@code
   *     levels} or the condition has a different number of images, the condition is of a kind or
   *     shape that the network was not built for, or a label is outside [0, classes)
   */
  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return runner.infer(x, this::weight, levels.timesteps(), conditions);
      }
    }
  }

  /** {@inheritDoc} The same numbers as {@link #predict}, with gradients of no weights. */
  @Override
  public NDArray predictRecording(NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return runner.record(x, this::weight, levels.timesteps(), conditions);
      }
    }
  }

  /**
   * Computes the prediction for a batch like {@link #predict}, but with dropout and recording
   * gradients. A compiled network records even without an open collector, and keeps the recording
   * until the result is closed.
   *
   * @param x as for {@link #predict}
   * @param levels as for {@link #predict}
   * @param condition as for {@link #predict}
   * @param pass the training pass whose dropout masks are drawn
   * @return the prediction, as from {@link #predict}; attached to the manager of {@code x}
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException if an argument is invalid, as for {@link #predict}
   */
  @Override
  public NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    try (Usage.Hold hold = usage.shared()) {
      requireWide();
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return runner.train(x, this::weight, levels.timesteps(), conditions, pass);
      }
    }
  }

  @Override
  public void requireUsable(Shape images, DataType type, Condition condition) {
    try (Usage.Hold hold = usage.shared()) {
      requireOpen();
      inputs.requireImages(images, type);
      conditionInputs.requireUsable(condition, images);
    }
  }

  private void check(NDArray x, NoiseLevels levels) {
    requireOpen();
    BlockInputs.require(x, levels, config.imageShape(), manager.getDevice());
  }

  /* ---------------- As a part of a training run's program ---------------- */

  @Override
  public Runnable beginReading() {
    return usage.shared(this::requireOpen)::close;
  }

  /** {@inheritDoc} Waits for predictions in progress. */
  @Override
  public Runnable beginTraining() {
    try (Usage.Hold hold = usage.alone()) {
      requireWide();
      return usage.claim();
    }
  }

  @Override
  public boolean isCompiled() {
    return runner.mode().isCompiled();
  }

  @Override
  public DataType computesIn() {
    return switch (runner.mode().type()) {
      case FLOAT32 -> DataType.FLOAT32;
      case BFLOAT16 -> DataType.BFLOAT16;
      case FLOAT16 -> DataType.FLOAT16;
    };
  }

  @Override
  public int dropoutLayers() {
    return network.dropoutLayers();
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return network.levelInputs(levels.timesteps());
  }

  /** {@inheritDoc} */
  @Override
  public NDList conditionInputs(Condition condition, NDArray x) {
    return conditionInputs.of(condition, x);
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> values, T x, T levels, List<T> conditions) {
    return network.forward(ops, values, x, levels, conditions);
  }

  /* ---------------- Weights ---------------- */

  /** The live weights under diffusers' names, owned by this network. */
  @Override
  public Map<String, NDArray> weights() {
    try (Usage.Hold hold = usage.shared()) {
      requireWide();
      Map<String, NDArray> weights = new LinkedHashMap<>();
      parameters.forEach((name, parameter) -> weights.put(name, parameter.getArray()));
      return Collections.unmodifiableMap(weights);
    }
  }

  /**
   * An independent copy of the network with the same weights, on the same device; what is frozen
   * here is frozen there. The caller closes it.
   */
  @Override
  public UNet copy() {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireWide();
      FirstWeights own = FirstWeights.copied(this::weight);
      UNet copy = new UNet(config, seed, manager.getDevice(), own, isDrawn());
      copy.runner.runAs(runner.mode());
      copy.freezeAs(this);
      return copy;
    }
  }

  /**
   * Exports the network with its weights to a TorchScript file, which runs in Python without Java:
   *
   * <pre>{@code
   * network = torch.jit.load("unet.pt")
   * prediction = network(x, timesteps)
   * }</pre>
   *
   * <p>{@code x} is float32 of shape (N, C, H, W), {@code timesteps} has any numeric type and shape
   * (N), and the prediction is that of {@link #predict}. A conditional network also takes those of
   * the following inputs that it was built for, by these names and in this order: {@code labels},
   * integers of shape (N), where the number of classes stands for an image without a class; {@code
   * vectors}; {@code images}; {@code previous_x0}; zeros where they are absent. The file computes
   * in the {@link #precision()} of this network and has no dropout. Its weights are float32,
   * require gradients and have diffusers' names: {@code load_state_dict} of a UNet2DModel accepts
   * its {@code state_dict()}. DJL loads it like any other PyTorch model.
   *
   * <p>Weights are copied one at a time and stored uncompressed, so the file is as large as they
   * are.
   *
   * @param file the file; missing folders are created, an existing file is replaced, or left intact
   *     if writing fails
   * @throws IOException if {@code file} is a folder, its parent is not a folder, or writing fails
   * @throws IllegalStateException if the network is closed, or being trained on another thread, or
   *     a weight is NaN or infinite
   */
  public void exportTorchScript(Path file) throws IOException {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireWide();
      RunMode mode = runner.mode();
      ImageLayout layout = mode.layout(manager.getDevice(), ImageLayout.BY_SIZE);
      FiniteWeights.require(weights(), "keep them by DDPM.saveUnchecked(folder) for a look");
      TorchScriptExport.write(network, mode.type(), layout, weights(), file);
    }
  }
}
