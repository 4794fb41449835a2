package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.running.Beside;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import io.github.ddpm4j.unet.internal.running.RunMode;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The small network for images of {@value #SIDE} x {@value #SIDE} pixels of Conditional Diffusion
 * MNIST (Pearce, {@code ContextUnet}), for models that were trained with it: {@code
 * Pretrained.load} makes one of its files. New models are better built as a {@link UNet}.
 *
 * <p>Its convolutions are followed by batch norms there. Here each is a factor and a summand per
 * channel, which are what a batch norm is once training has ended:
 *
 * <pre>factor = γ / √(variance + 10⁻⁵)      summand = β − mean · factor</pre>
 *
 * <p>Training goes on from there with factors and summands as weights like any other; it never
 * looks at the statistics of a batch, so that a prediction depends on its own image alone, in
 * training too.
 *
 * <p>The network is told t/T of t from 1 to T; timestep t of this library is its t + 1. Images
 * without a class are told a vector of zeros, the others minus the one-hot vector of their class.
 *
 * <p>Weights have the names of the Python module. It owns them, in its own manager, until {@link
 * #close()} frees them. {@link #predict} is thread-safe; training, {@link #runAs} and closing need
 * exclusive access, as those of a {@link UNet}.
 */
public final class ContextUNet implements ScriptedDenoiser {

  /** The {@link #type()} of such networks: {@value}. */
  public static final String TYPE = "contextUnet";

  /** The height and width of images: {@value}. */
  public static final int SIDE = 28;

  /** What factor and summand are called, behind the name of a convolution. */
  static final String SCALE = ".1";

  private static final int MOST_FEATURES = 1024;
  private static final int MOST_CLASSES = 100_000;
  private static final int MOST_CHANNELS = 1024;
  private static final int GROUPS = 8;
  private static final int MOST_TIMESTEPS = 1_000_000;

  /**
   * The sizes of a network.
   *
   * @param imageChannels the channels of an image, 1 to 1024
   * @param features the channels of the first level, {@code n_feat}: a multiple of 8 up to 1024
   * @param classes the number of classes, 1 to 100,000
   * @param timesteps the T that timesteps are divided by, 1 to 1,000,000
   */
  public record Config(int imageChannels, int features, int classes, int timesteps) {

    /**
     * Checks the sizes.
     *
     * @param imageChannels see above
     * @param features see above
     * @param classes see above
     * @param timesteps see above
     * @throws IllegalArgumentException if one is out of its range
     */
    public Config {
      require("image channels", imageChannels, MOST_CHANNELS);
      require("features", features, MOST_FEATURES);
      require("classes", classes, MOST_CLASSES);
      require("timesteps", timesteps, MOST_TIMESTEPS);
      if (features % GROUPS != 0) {
        throw new IllegalArgumentException(
            "features must be a multiple of " + GROUPS + ", but was " + features);
      }
    }

    private static void require(String name, int value, int most) {
      if (value < 1 || value > most) {
        throw new IllegalArgumentException(
            name + " must be between 1 and " + most + ", but was " + value);
      }
    }

    /**
     * The sizes that a network {@linkplain ContextUNet#describe() describes}.
     *
     * @param description the description; numbers may be of any type
     * @return the sizes
     * @throws IllegalArgumentException if an entry is missing, unknown or invalid
     */
    public static Config of(Map<String, Object> description) {
      Description read = Description.of("the ContextUNet", description);
      read.allowOnly("imageChannels", "features", "classes", "timesteps");
      return new Config(
          read.integer("imageChannels"),
          read.integer("features"),
          read.integer("classes"),
          read.integer("timesteps"));
    }

    /**
     * The sizes, as read by {@link #of}.
     *
     * @return an unmodifiable map in a stable order
     */
    public Map<String, Object> describe() {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("imageChannels", imageChannels);
      map.put("features", features);
      map.put("classes", classes);
      map.put("timesteps", timesteps);
      return Collections.unmodifiableMap(map);
    }

    /**
     * The shapes of the weights.
     *
     * @return shapes by name, in the order of the network; unmodifiable
     */
    public Map<String, Shape> weightShapes() {
      Map<String, Shape> shapes = new LinkedHashMap<>();
      new ContextNetwork(this)
          .parameters()
          .forEach(parameter -> shapes.put(parameter.name(), parameter.shape()));
      return Collections.unmodifiableMap(shapes);
    }

    /**
     * The number of parameters, without building a network.
     *
     * @return the single values of all weights together
     */
    public long parameterCount() {
      return weightShapes().values().stream().mapToLong(Shape::size).sum();
    }

    /**
     * Builds a network whose weights are drawn: uniform variance scaling by the mean of fan-in and
     * fan-out, biases 0, factors 1.
     *
     * @param seed the seed; the same draws bit-identical weights
     * @return the network, on the engine's default device; the caller closes it
     */
    public ContextUNet build(long seed) {
      return new ContextUNet(this, null, FirstWeights.drawn(seed));
    }

    /**
     * Builds a network whose weights are not set, all of them to be overwritten.
     *
     * @param device where to put the weights; null for the engine's default
     * @return the network; the caller closes it
     */
    public ContextUNet buildBlank(@Nullable Device device) {
      return new ContextUNet(this, device, FirstWeights.unset());
    }
  }

  private final Config config;
  private final ContextNetwork network;
  private final NDManager manager;
  private final NetworkRunner runner;
  private final ConditionInputs conditionInputs;
  private final Map<String, NDArray> weights = new LinkedHashMap<>();
  private final Usage usage = new Usage();
  private volatile boolean closed;

  private ContextUNet(Config config, @Nullable Device device, FirstWeights first) {
    this.config = config;
    network = new ContextNetwork(config);
    conditionInputs = ConditionInputs.ofClasses("the ContextUNet", config.classes());
    manager = Machine.newManager(device);
    manager.setName("ContextUNet");
    boolean done = false;
    try (GradMode off = GradMode.off()) {
      List<ParameterSpec> specs = network.parameters();
      for (int i = 0; i < specs.size(); i++) {
        NDArray weight = first.value(manager, specs.get(i), i);
        weight.setRequiresGradient(true);
        weights.put(specs.get(i).name(), weight);
      }
      done = true;
    } finally {
      if (!done) {
        manager.close();
      }
    }
    runner = new NetworkRunner(network, manager.getDevice(), RunMode.standard(manager));
  }

  /**
   * The sizes of the network.
   *
   * @return the sizes
   */
  public Config config() {
    return config;
  }

  /**
   * Changes the execution mode. Waits for predictions in progress.
   *
   * @param execution compiled, which is the default with PyTorch, or operation by operation
   * @return this network
   * @throws IllegalArgumentException if {@link Execution#COMPILED} is asked of an engine other than
   *     PyTorch
   * @throws IllegalStateException if the network is closed or being trained
   */
  public ContextUNet runAs(Execution execution) {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      runner.runAs(RunMode.of(execution, UNet.Precision.FLOAT32, manager));
      return this;
    }
  }

  @Override
  public String type() {
    return TYPE;
  }

  /** The sizes, as read by {@link Config#of}. */
  @Override
  public Map<String, Object> describe() {
    return config.describe();
  }

  /** The shape of one image, (C, {@value #SIDE}, {@value #SIDE}). */
  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(image());
  }

  private Shape image() {
    return new Shape(config.imageChannels(), SIDE, SIDE);
  }

  /** Classes. */
  @Override
  public Set<Kind> conditionKinds() {
    return Set.of(Kind.LABELS);
  }

  /** The number of classes. */
  @Override
  public OptionalInt classes() {
    return OptionalInt.of(config.classes());
  }

  /** The device of the weights. */
  @Override
  public Optional<Device> device() {
    return Optional.of(manager.getDevice());
  }

  @Override
  public boolean isCompiled() {
    return runner.mode().isCompiled();
  }

  /* ---------------- Predictions ---------------- */

  /**
   * Computes the prediction for a batch of noisy images, without recording gradients.
   *
   * @param x the noisy images, float32, shape (N, C, {@value #SIDE}, {@value #SIDE}), on the
   *     network's device
   * @param levels the noise level of each image, N entries; the network uses only the timesteps
   * @param condition the class of each image; none, and {@link Condition#ABSENT}, stand for no
   *     class
   * @return the prediction, of the shape and type of {@code x}; attached to the manager of {@code
   *     x}
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException if {@code x} has the wrong shape, type or device, {@code
   *     levels} or the condition has a different number of images, the condition holds anything but
   *     labels, or a label is outside [0, classes)
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

  /** {@inheritDoc} The same numbers as {@link #predict}: nothing here is random. */
  @Override
  public NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    try (Usage.Hold hold = usage.shared()) {
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
      BlockInputs.requireImages(images, type, image());
      conditionInputs.requireUsable(condition, images);
    }
  }

  private void check(NDArray x, NoiseLevels levels) {
    requireOpen();
    BlockInputs.require(x, levels, image(), manager.getDevice());
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return network.levelInputs(levels.timesteps());
  }

  /** One row per image: minus the one-hot vector of its class, or zeros without one. */
  @Override
  public NDList conditionInputs(Condition condition, NDArray x) {
    int n = Math.toIntExact(x.getShape().get(0));
    conditionInputs.requireCondition(condition, n);
    double[] rows = conditionInputs.rows(condition, n);
    double[] vectors = new double[n * config.classes()];
    for (int i = 0; i < n; i++) {
      if (rows[i] < config.classes()) {
        vectors[i * config.classes() + (int) rows[i]] = -1;
      }
    }
    return new NDList(Beside.upload(x, vectors, new Shape(n, config.classes())));
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> values, T x, T levels, List<T> conditions) {
    return network.forward(ops, values, x, levels, conditions);
  }

  /* ---------------- Weights ---------------- */

  private NDArray weight(String name) {
    return Objects.requireNonNull(weights.get(name), name);
  }

  /** The live weights, owned by this network. */
  @Override
  public Map<String, NDArray> weights() {
    try (Usage.Hold hold = usage.shared()) {
      requireOpen();
      return Collections.unmodifiableMap(weights);
    }
  }

  /** An independent copy with the same weights, on the same device. The caller closes it. */
  @Override
  public ContextUNet copy() {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireOpen();
      ContextUNet copy =
          new ContextUNet(config, manager.getDevice(), FirstWeights.copied(this::weight));
      copy.runner.runAs(runner.mode());
      weights.forEach(
          (name, weight) -> copy.weight(name).setRequiresGradient(weight.hasGradient()));
      return copy;
    }
  }

  @Override
  public Runnable beginReading() {
    return usage.shared(this::requireOpen)::close;
  }

  /** {@inheritDoc} Waits for predictions in progress. */
  @Override
  public Runnable beginTraining() {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      return usage.claim();
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(
          "the ContextUNet is closed and its weights are freed; build or load another one");
    }
  }

  /**
   * Frees the weights and the compiled program, once the predictions that have begun are done. Does
   * nothing the second time.
   *
   * @throws IllegalStateException if the network is being trained; it stays open
   */
  @Override
  public void close() {
    try (Usage.Hold hold = usage.alone()) {
      if (!closed) {
        closed = true;
        runner.close();
        manager.close();
      }
    }
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "ContextUNet[image %s, %,d parameters, on %s]",
        image(),
        config.parameterCount(),
        manager.getDevice());
  }
}
