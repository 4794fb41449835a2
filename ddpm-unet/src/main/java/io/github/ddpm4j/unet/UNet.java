package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The noise-predicting U-Net of the paper (Ho, Jain, Abbeel 2020, "Denoising Diffusion
 * Probabilistic Models", appendix B): residual blocks with group normalisation and SiLU, a
 * sinusoidal time embedding added in each, self-attention at chosen levels.
 *
 * <pre>{@code
 * UNet unet = UNet.builder().image(3, 32, 32).baseChannels(128).build();
 * }</pre>
 *
 * <p>It can be built to be conditioned on classes, vectors, images and its own estimate of the
 * clean image: see {@link UNetBuilder#classes}, {@link UNetBuilder#vectorCondition}, {@link
 * UNetBuilder#imageCondition} and {@link UNetBuilder#selfConditioning}.
 *
 * <p>It is a denoiser of this library and a DJL block at once. As a block it takes two inputs,
 * images of shape (N, C, H, W) and timesteps of shape (N), and after them one for each {@link
 * Condition.Kind} that it was built for, in their order: labels of shape (N), {@value
 * Condition#ABSENT} for none, vectors of shape (N, D), images of shape (N, K, H, W), previous x̂_0
 * of the shape of the images. It gives one output of the shape of the images, or with twice their
 * channels if it has a {@linkplain UNetBuilder#learnedVariance() learned variance}. All weights are
 * its direct parameters, under the names and in the layout of diffusers' UNet2DModel, so published
 * weights need no translation.
 *
 * <p>It owns its weights: they live in a manager of its own until {@link #close()}, which frees
 * them. Results belong to the manager of the images. Many threads may call {@link #predict} at
 * once. Training, loading, {@link #runAs} and closing need the network for themselves: they wait
 * for the predictions that have begun. While a run trains the network, other threads' predictions
 * are refused.
 */
public final class UNet extends UNetBlock implements ScriptedDenoiser {

  /** The {@link #type()} of such networks: {@value}. */
  public static final String TYPE = "unet";

  /** How a network runs. The results agree to rounding, dropout included. */
  public enum Execution {
    /**
     * The network is written down as TorchScript when it is first used, and then runs whole, in one
     * call of the engine: faster, and smaller in memory. The default.
     */
    COMPILED,

    /**
     * Operation by operation on NDArrays: to look at what happens on the way. On engines other than
     * PyTorch it is the only way, and good for inference alone: training needs PyTorch.
     */
    EAGER
  }

  /**
   * What a compiled network computes in. Weights, optimizer state, averages and the loss are
   * float32 in any case, and so are images and predictions.
   */
  public enum Precision {
    /** 32 bits throughout. The default. */
    FLOAT32,

    /**
     * 16 bits with the range of float32 (bfloat16) inside the network. Predictions are good to two
     * or three digits, which training and sampling do not notice.
     */
    BFLOAT16,

    /**
     * {@link #BFLOAT16} where the processor or the GPU has instructions for it, {@link #FLOAT32}
     * elsewhere; what was chosen is logged at INFO level.
     */
    AUTO
  }

  UNet(UNetConfig config, long seed, @Nullable Device device, FirstWeights first) {
    super(config, seed, device, first);
  }

  /**
   * A builder with the choices of the paper's CIFAR-10 network; the image shape must be given.
   *
   * @return the builder
   */
  public static UNetBuilder builder() {
    return new UNetBuilder();
  }

  /**
   * A builder with the architecture given.
   *
   * @param config the architecture
   * @return the builder
   */
  public static UNetBuilder builder(UNetConfig config) {
    return config.toBuilder();
  }

  /**
   * A builder with the choices of {@link UNetConfig#cifar10()}.
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
   * A builder with the choices of {@link UNetConfig#image256()}.
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
   * Loads the network of a model that {@code DDPM.save} wrote, onto the engine's default device.
   * {@code DDPM.load} gives the whole model.
   *
   * @param folder the folder
   * @return the network; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails, a file is not what it should be, or the network is of
   *     another kind
   */
  public static UNet load(Path folder) throws IOException {
    return load(folder, Engine.getInstance().defaultDevice());
  }

  /**
   * Loads the network of a model that {@code DDPM.save} wrote.
   *
   * @param folder the folder
   * @param device where to put the weights
   * @return the network; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails, a file is not what it should be, or the network is of
   *     another kind
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
   * The seed that the first weights were drawn with. Given to a builder of the same architecture it
   * makes the same weights, bit by bit.
   *
   * @return the seed, drawn at random if none was given
   */
  public long seed() {
    return seed;
  }

  /** The name under which model folders know this kind of network. */
  @Override
  public String type() {
    return TYPE;
  }

  /** The architecture, as {@link UNetConfig#of} reads it back. */
  @Override
  public Map<String, Object> describe() {
    return config.describe();
  }

  /** The shape of one image, (C, H, W). */
  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(config.imageShape());
  }

  /** What the network was built to be conditioned on. */
  @Override
  public Set<Condition.Kind> conditionKinds() {
    return config.conditionKinds();
  }

  /** Whether the network has outputs for the variance too. */
  @Override
  public boolean predictsVariance() {
    return config.learnedVariance();
  }

  /** The device that holds the weights. */
  @Override
  public Optional<Device> device() {
    return Optional.of(manager.getDevice());
  }

  /**
   * The network as a table to print, as {@link UNetConfig#summary()} says.
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
   * Changes how the network runs from now on, as for a model that was loaded. Waits for the
   * predictions that have begun.
   *
   * @param execution compiled or operation by operation
   * @param precision what a compiled network computes in
   * @return this network
   * @throws IllegalArgumentException if {@link Execution#EAGER} is to compute in {@link
   *     Precision#BFLOAT16}, or {@link Execution#COMPILED} is to run on an engine other than
   *     PyTorch
   * @throws IllegalStateException if the network is closed or being trained
   */
  public UNet runAs(Execution execution, Precision precision) {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      runner.runAs(RunMode.of(execution, precision, manager));
      return this;
    }
  }

  /**
   * How the network runs.
   *
   * @return compiled or operation by operation
   */
  public Execution execution() {
    return runner.mode().execution();
  }

  /**
   * What the network computes in.
   *
   * @return {@link Precision#FLOAT32} or {@link Precision#BFLOAT16}, whichever {@link
   *     Precision#AUTO} became
   */
  public Precision precision() {
    return runner.mode().precision();
  }

  /* ---------------- Predictions ---------------- */

  /**
   * Predicts for a batch of noisy images, without dropout and without recording gradients.
   *
   * @param x the noisy images, float32, shape (N, C, H, W), on the network's device
   * @param levels how noisy each image is, N entries; the network sees the timesteps alone
   * @param condition what the images are conditioned on, of kinds that the network was built for;
   *     {@link Condition#none()}, and a kind that is missing, are absent in every image
   * @return the prediction, of the shape and type of {@code x}, or with twice its channels if the
   *     network has a learned variance; attached to the manager of {@code x}
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException if {@code x} has the wrong shape, type or device, {@code
   *     levels} or the condition has another number of images, the condition is of a kind or shape
   *     that the network was not built for, or a label is outside [0, classes)
   */
  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return runner.infer(x, this::weight, timesteps(levels), conditions);
      }
    }
  }

  /**
   * Predicts for a batch as {@link #predict} does, but with dropout and recording gradients.
   * Without an open collector a compiled network records too, and what it recorded is held until
   * the result is closed.
   *
   * @param x as for {@link #predict}
   * @param levels as for {@link #predict}
   * @param condition as for {@link #predict}
   * @param pass the training pass that dropout masks are drawn for
   * @return the prediction, as of {@link #predict}; attached to the manager of {@code x}
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException if an argument will not do, as for {@link #predict}
   */
  @Override
  public NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return runner.train(x, this::weight, timesteps(levels), conditions, pass);
      }
    }
  }

  private void check(NDArray x, NoiseLevels levels) {
    requireOpen();
    inputs.requireImages(x);
    BlockInputs.requireLevels(levels.size(), x);
    BlockInputs.requireDevice(x.getDevice(), manager.getDevice());
  }

  private static double[] timesteps(NoiseLevels levels) {
    return IntStream.range(0, levels.size()).mapToDouble(levels::timestep).toArray();
  }

  /* ---------------- As a part of a training run's program ---------------- */

  /** {@inheritDoc} Waits for the predictions that have begun. */
  @Override
  public Runnable beginTraining() {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      return usage.claim();
    }
  }

  @Override
  public boolean isCompiled() {
    return runner.mode().isCompiled();
  }

  @Override
  public DataType computesIn() {
    return runner.mode().type() == Script.Type.BFLOAT16 ? DataType.BFLOAT16 : DataType.FLOAT32;
  }

  @Override
  public int dropoutLayers() {
    return network.dropoutLayers();
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return network.timeEmbedding().sinusoids(timesteps(levels));
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
      requireOpen();
      Map<String, NDArray> weights = new LinkedHashMap<>();
      parameters.forEach((name, parameter) -> weights.put(name, parameter.getArray()));
      return Collections.unmodifiableMap(weights);
    }
  }

  /** A network of its own with the same weights, on the same device; the caller closes it. */
  @Override
  public UNet copy() {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireOpen();
      FirstWeights own = FirstWeights.copied(this::weight);
      UNet copy = new UNet(config, seed, manager.getDevice(), own);
      copy.runner.runAs(runner.mode());
      return copy;
    }
  }

  /**
   * Writes the network with its weights into one TorchScript file, which Python runs without Java:
   *
   * <pre>{@code
   * network = torch.jit.load("unet.pt")
   * prediction = network(x, timesteps)
   * }</pre>
   *
   * <p>{@code x} is float32 of shape (N, C, H, W), {@code timesteps} of any number type and shape
   * (N), and the prediction is that of {@link #predict}. A network that can be conditioned takes,
   * by these names and in this order, those that it was built for: {@code labels}, whole numbers of
   * shape (N), in which the number of classes stands for an image without a class; {@code vectors};
   * {@code images}; {@code previous_x0}; zeros where they are absent. The file computes in the
   * {@link #precision()} of this network and has no dropout. Its weights are float32, require
   * gradients and have diffusers' names: {@code load_state_dict} of a UNet2DModel takes its {@code
   * state_dict()}. DJL loads it as any other PyTorch model.
   *
   * <p>Weights are copied one at a time. The values lie in the file as they are, so it is as large
   * as they are.
   *
   * @param file the file; missing folders are made, an existing file is replaced, and when writing
   *     fails it stays as it was
   * @throws IOException if {@code file} is a folder, or lies in something that is none, or writing
   *     fails
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   */
  public void exportTorchScript(Path file) throws IOException {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireOpen();
      RunMode mode = runner.mode();
      boolean channelsLast = mode.channelsLast(manager.getDevice());
      TorchScriptExport.write(network, mode.type(), channelsLast, weights(), file);
    }
  }
}
