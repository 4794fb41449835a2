package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.NoiseLevels;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainingPass;
import io.github.ddpm4j.noise.CounterRandom;
import io.github.ddpm4j.ops.EagerOps;
import io.github.ddpm4j.ops.Ops;
import io.github.ddpm4j.ops.Script;
import io.github.ddpm4j.ops.Script.Value;
import io.github.ddpm4j.ops.ScriptOps;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.torch.GradMode;
import io.github.ddpm4j.torch.Hardware;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

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
 * clean image: see {@link Builder#classes}, {@link Builder#vectorCondition}, {@link
 * Builder#imageCondition} and {@link Builder#selfConditioning}.
 *
 * <p>It is a denoiser of this library and a DJL block at once. As a block it takes two inputs,
 * images of shape (N, C, H, W) and timesteps of shape (N), and after them one for each {@link
 * Condition.Kind} that it was built for, in their order: labels of shape (N), {@value
 * Condition#ABSENT} for none, vectors of shape (N, D), images of shape (N, K, H, W), previous x̂_0
 * of the shape of the images. It gives one output of the shape of the images, or with twice their
 * channels if it has a {@linkplain Builder#learnedVariance() learned variance}. All weights are its
 * direct parameters, under the names and in the layout of diffusers' UNet2DModel, so published
 * weights need no translation.
 *
 * <p>It owns its weights: they live in a manager of its own until {@link #close()}, which frees
 * them. Results belong to the manager of the images. Many threads may call {@link #predict} at
 * once. Training, loading, {@link #runAs} and closing need the network for themselves: they wait
 * for the predictions that have begun. While a run trains the network, other threads' predictions
 * are refused.
 */
public final class UNet extends AbstractBlock implements ScriptedDenoiser {

  /** What {@link #type()} says. */
  static final String TYPE = "unet";

  private static final byte VERSION = 1;

  private static final String PYTORCH = "PyTorch";
  private static final Logger logger = LoggerFactory.getLogger(UNet.class);

  /** Makes the first value of a weight, given its place in the order of the weights. */
  private interface Start {
    NDArray value(NDManager manager, ParameterSpec spec, int index);
  }

  private final UNetConfig config;
  private final long seed;
  private final Network network;
  private final NDManager manager;
  private final AtomicLong passes = new AtomicLong();
  private final Object compiling = new Object();
  private final Usage usage = new Usage();
  private volatile Execution execution;
  private volatile Script.Type type = Script.Type.FLOAT32;
  private volatile @Nullable NetworkProgram program;
  private volatile boolean closed;

  private UNet(UNetConfig config, long seed, @Nullable Device device, Start start) {
    super(VERSION);
    this.config = config;
    this.seed = seed;
    network = new Network(config);
    manager = NDManager.newBaseManager(device);
    manager.setName("UNet");
    try {
      List<ParameterSpec> specs = network.parameters();
      for (int i = 0; i < specs.size(); i++) {
        ParameterSpec spec = specs.get(i);
        int index = i;
        Parameter parameter =
            addParameter(
                Parameter.builder()
                    .setName(spec.name())
                    .setType(spec.type())
                    .optShape(spec.shape())
                    .optInitializer((owner, shape, type) -> start.value(owner, spec, index))
                    .build());
        parameter.initialize(manager, DataType.FLOAT32);
        // Another call may initialise again after Block.clear().
        parameter.setInitializer((owner, shape, type) -> initial(owner, spec, index, seed));
      }
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
    execution =
        manager.getEngine().getEngineName().equals(PYTORCH) ? Execution.COMPILED : Execution.EAGER;
    List<String> names = new ArrayList<>(List.of("images", "timesteps"));
    List<Shape> shapes = new ArrayList<>();
    shapes.add(new Shape(-1).addAll(config.imageShape()));
    shapes.add(new Shape(-1));
    for (Condition.Kind kind : config.conditionKinds()) {
      names.add("condition: " + kind);
      shapes.add(new Shape(-1).addAll(config.conditionShape(kind)));
    }
    inputNames = List.copyOf(names);
    inputShapes = shapes.toArray(new Shape[0]);
    outputDataTypes = new DataType[] {DataType.FLOAT32};
  }

  /**
   * A builder with the choices of the paper's CIFAR-10 network; the image shape must be given.
   *
   * @return the builder
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * A builder with the architecture given.
   *
   * @param config the architecture
   * @return the builder
   */
  public static Builder builder(UNetConfig config) {
    return config.toBuilder();
  }

  /**
   * A builder with the choices of {@link UNetConfig#cifar10()}.
   *
   * @return the builder
   */
  public static Builder cifar10() {
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
  public static Builder image256() {
    return builder()
        .image(3, 256, 256)
        .baseChannels(128)
        .channelMultipliers(1, 1, 2, 2, 4, 4)
        .attentionAt(16)
        .dropout(0);
  }

  /** A network whose weights are all zero, for those who are about to overwrite them. */
  static UNet blank(UNetConfig config, @Nullable Device device) {
    return new UNet(
        config,
        new SecureRandom().nextLong(),
        device,
        (owner, spec, index) -> kept(owner.zeros(spec.shape())));
  }

  /** The first value of a weight: the same for the same seed, whatever came before. */
  private static NDArray initial(NDManager owner, ParameterSpec spec, int index, long seed) {
    if (spec.type() == Parameter.Type.GAMMA) {
      return kept(owner.ones(spec.shape()));
    }
    if (spec.limit() == 0) {
      return kept(owner.zeros(spec.shape()));
    }
    var random = CounterRandom.of(seed, CounterRandom.Stream.INITIALIZATION).at(index, 0);
    float limit = (float) spec.limit();
    return kept(Upload.floats(owner, spec.shape(), () -> (2 * random.nextFloat() - 1) * limit));
  }

  /** Weights outlive whatever NDScope their maker is in. */
  private static NDArray kept(NDArray weight) {
    NDScope.unregister(weight);
    return weight;
  }

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
        return infer(x, this::weight, timesteps(levels), conditions);
      }
    }
  }

  /**
   * Predicts for a batch by operations of the caller's, such as ones that count, print or time what
   * they do: the network as it is written, one call of {@code ops} after the other, whatever {@link
   * #execution()} says. Gradients are recorded as the caller has it.
   *
   * @param ops the operations
   * @param x the noisy images, float32, shape (N, C, H, W), on the network's device
   * @param levels how noisy each image is, N entries
   * @param condition what the images are conditioned on, as for {@link #predict(NDArray,
   *     NoiseLevels, Condition)}
   * @return what the operations made: the prediction, attached as they attach it
   * @throws IllegalStateException if the network is closed, or being trained on another thread
   * @throws IllegalArgumentException as {@link #predict(NDArray, NoiseLevels, Condition)} throws it
   */
  public NDArray predict(Ops<NDArray> ops, NDArray x, NoiseLevels levels, Condition condition) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x);
          NDArray sinusoids = sinusoids(x, timesteps(levels))) {
        return ops.scope(
            () -> network.forward(ops, this::weight, inputs(x, sinusoids, conditions)));
      }
    }
  }

  /**
   * Predicts for a batch with dropout, recording gradients. Without an open collector a compiled
   * network records too, and what it recorded is held until the result is closed.
   *
   * @param x the noisy images, float32, shape (N, C, H, W), on the network's device
   * @param levels how noisy each image is, N entries; the network sees the timesteps alone
   * @param pass the training pass that dropout masks are drawn for
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
  public NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainingPass pass) {
    try (Usage.Hold hold = usage.shared()) {
      check(x, levels);
      try (NDList conditions = conditionInputs(condition, x)) {
        return train(x, this::weight, timesteps(levels), conditions, pass);
      }
    }
  }

  /** Dropout of passes through DJL's trainer follows the network's own seed, pass by pass. */
  @Override
  protected NDList forwardInternal(
      ParameterStore parameterStore,
      NDList inputs,
      boolean training,
      @Nullable PairList<String, Object> params) {
    try (Usage.Hold hold = usage.shared()) {
      requireOpen();
      return runBlock(parameterStore, inputs, training);
    }
  }

  private NDList runBlock(ParameterStore parameterStore, NDList inputs, boolean training) {
    requireInputs(inputs.size());
    NDArray x = inputs.get(0);
    NDArray timesteps = inputs.get(1);
    checkImages(x);
    Shape wanted = new Shape(x.getShape().get(0));
    if (!timesteps.getShape().equals(wanted)) {
      throw new IllegalArgumentException(
          "timesteps must have the shape "
              + wanted
              + ", one per image, but have "
              + timesteps.getShape());
    }
    double[] t = timestepsOf(timesteps);
    Weights<NDArray> weights =
        name -> parameterStore.getValue(parameter(name), x.getDevice(), training);
    try (NDList conditions = conditionInputs(conditionOf(inputs), x)) {
      return new NDList(
          training
              ? train(x, weights, t, conditions, new TrainingPass(seed, passes.getAndIncrement()))
              : infer(x, weights, t, conditions));
    }
  }

  /** The condition that inputs of the block stand for. */
  private Condition conditionOf(NDList inputs) {
    Condition condition = Condition.none();
    int place = 2;
    for (Condition.Kind kind : config.conditionKinds()) {
      NDArray input = inputs.get(place++);
      condition =
          condition.and(
              switch (kind) {
                case LABELS -> Condition.labels(labelsOf(input));
                case VECTORS -> Condition.vectors(input);
                case IMAGES -> Condition.images(input);
                case PREVIOUS_X0 -> Condition.previousX0(input);
              });
    }
    return condition;
  }

  private static int[] labelsOf(NDArray labels) {
    if (labels.getShape().dimension() != 1) {
      throw new IllegalArgumentException(
          "labels must have the shape (N), one per image, but have " + labels.getShape());
    }
    // As with timesteps.
    try (NDManager temporary = labels.getManager().newSubManager(labels.getDevice());
        NDArray view = labels.reshape(labels.getShape())) {
      view.attach(temporary);
      return view.toType(DataType.INT32, true).toIntArray();
    }
  }

  private NDArray infer(
      NDArray x, Weights<NDArray> weights, double[] timesteps, NDList conditions) {
    try (GradMode off = GradMode.off();
        NDArray levels = sinusoids(x, timesteps)) {
      if (execution == Execution.COMPILED) {
        return program().infer(x, inOrder(weights), levels, conditions);
      }
      EagerOps ops = EagerOps.inference();
      return ops.scope(() -> network.forward(ops, weights, inputs(x, levels, conditions)));
    }
  }

  private NDArray train(
      NDArray x,
      Weights<NDArray> weights,
      double[] timesteps,
      NDList conditions,
      TrainingPass pass) {
    try (NDArray levels = sinusoids(x, timesteps)) {
      if (execution == Execution.COMPILED) {
        return program().train(x, inOrder(weights), levels, conditions, pass);
      }
      EagerOps ops = EagerOps.training(pass.seed(), pass.index());
      return ops.scope(() -> network.forward(ops, weights, inputs(x, levels, conditions)));
    }
  }

  private Inputs<NDArray> inputs(NDArray x, NDArray levels, NDList conditions) {
    Map<Condition.Kind, NDArray> byKind = new EnumMap<>(Condition.Kind.class);
    int place = 0;
    for (Condition.Kind kind : config.conditionKinds()) {
      byKind.put(kind, conditions.get(place++));
    }
    return new Inputs<>(x, levels, byKind);
  }

  /** What the network takes timesteps in as, on the device of the images. */
  private NDArray sinusoids(NDArray x, double[] timesteps) {
    Shape shape = new Shape(timesteps.length, config.baseChannels());
    return beside(
        x,
        Upload.doubles(
            x.getManager(), network.timeEmbedding().sinusoids(timesteps), shape, DataType.FLOAT32));
  }

  /** An array on the device of the images, where their manager may be on another. */
  private static NDArray beside(NDArray x, NDArray array) {
    if (array.getDevice().equals(x.getDevice())) {
      return array;
    }
    try (NDArray elsewhere = array) {
      return elsewhere.toDevice(x.getDevice(), true);
    }
  }

  /** {@inheritDoc} */
  @Override
  public NDList conditionInputs(Condition condition, NDArray x) {
    int n = Math.toIntExact(x.getShape().get(0));
    requireCondition(condition, n);
    NDList list = new NDList();
    for (Condition.Kind kind : config.conditionKinds()) {
      NDManager owner = x.getManager();
      NDArray input;
      if (kind == Condition.Kind.LABELS) {
        double[] rows = new double[n];
        Arrays.setAll(
            rows,
            i ->
                condition.isNone()
                    ? config.classes()
                    : condition.label(i).orElse(config.classes()));
        input = Upload.doubles(owner, rows, new Shape(n), DataType.FLOAT32);
      } else if (condition.has(kind)) {
        input = condition.array(kind, owner);
      } else {
        input = owner.zeros(new Shape(n).addAll(config.conditionShape(kind)));
      }
      list.add(beside(x, input));
    }
    return list;
  }

  private void requireCondition(Condition condition, int images) {
    if (condition.isNone()) {
      return;
    }
    if (condition.size().orElseThrow() != images) {
      throw new IllegalArgumentException(
          "there must be one condition per image, but there are "
              + images
              + " images and conditions for "
              + condition.size().orElseThrow());
    }
    for (Condition.Kind kind : Condition.Kind.values()) {
      if (condition.has(kind)) {
        requireCondition(condition, kind);
      }
    }
    for (int i = 0; i < images; i++) {
      int label = condition.label(i).orElse(Condition.ABSENT);
      if (label >= config.classes()) {
        throw new IllegalArgumentException(
            "labels must be between 0 and "
                + (config.classes() - 1)
                + ", because the U-Net has "
                + config.classes()
                + " classes, but that of image "
                + i
                + " was "
                + label
                + "; use Condition.ABSENT for an image without a class");
      }
    }
  }

  private void requireCondition(Condition condition, Condition.Kind kind) {
    if (!config.conditionKinds().contains(kind)) {
      throw new IllegalArgumentException(
          "the U-Net cannot be conditioned on "
              + kind
              + ", but was given a "
              + condition
              + "; build it with "
              + option(kind)
              + ", or leave them out");
    }
    Shape own = config.conditionShape(kind);
    if (!condition.shape(kind).equals(own)) {
      throw new IllegalArgumentException(
          "the condition's "
              + kind
              + " must have the shape "
              + new Shape(condition.size().orElseThrow()).addAll(own)
              + ", as the U-Net was built for, but have "
              + new Shape(condition.size().orElseThrow()).addAll(condition.shape(kind)));
    }
  }

  private static String option(Condition.Kind kind) {
    return switch (kind) {
      case LABELS -> "classes(n)";
      case VECTORS -> "vectorCondition(length)";
      case IMAGES -> "imageCondition(channels)";
      case PREVIOUS_X0 -> "selfConditioning()";
    };
  }

  private NDList inOrder(Weights<NDArray> weights) {
    NDList list = new NDList(network.parameters().size());
    network.parameters().forEach(spec -> list.add(weights.get(spec.name())));
    return list;
  }

  private NetworkProgram program() {
    NetworkProgram compiled = program;
    if (compiled == null) {
      synchronized (compiling) {
        compiled = program;
        if (compiled == null) {
          compiled = new NetworkProgram(network, type, channelsLast());
          program = compiled;
        }
      }
    }
    return compiled;
  }

  /**
   * Whether images lie in memory with the channels last in inference. Measured: on the CPU it takes
   * 7 % off in float32 and adds in bfloat16; in training its normalisation costs more than its
   * convolutions save.
   */
  private boolean channelsLast() {
    return type == Script.Type.FLOAT32 && !manager.getDevice().isGpu();
  }

  /** Closes the program; the next use compiles a fresh one. */
  private void forget() {
    synchronized (compiling) {
      if (program != null) {
        program.close();
        program = null;
      }
    }
  }

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
      Script.Type resolved = resolve(execution, precision, manager);
      forget();
      this.execution = execution;
      this.type = resolved;
      return this;
    }
  }

  private static Script.Type resolve(Execution execution, Precision precision, NDManager manager) {
    boolean compiled = execution == Execution.COMPILED;
    String engine = manager.getEngine().getEngineName();
    if (compiled && !engine.equals(PYTORCH)) {
      throw new IllegalArgumentException(
          "execution COMPILED needs the engine PyTorch, but the engine is "
              + engine
              + "; choose execution EAGER");
    }
    return switch (precision) {
      case FLOAT32 -> Script.Type.FLOAT32;
      case BFLOAT16 -> {
        if (!compiled) {
          throw new IllegalArgumentException(
              "execution EAGER computes in float32, but precision was BFLOAT16; choose execution"
                  + " COMPILED or precision FLOAT32");
        }
        yield Script.Type.BFLOAT16;
      }
      case AUTO -> {
        Device device = manager.getDevice();
        boolean fast = compiled && Hardware.hasBfloat16(device);
        Script.Type type = fast ? Script.Type.BFLOAT16 : Script.Type.FLOAT32;
        logger.info(
            "precision AUTO is {} on {}, {}",
            type,
            device,
            compiled
                ? "which has " + (fast ? "" : "no ") + "instructions for bfloat16"
                : "since execution is EAGER");
        yield type;
      }
    };
  }

  /**
   * How the network runs.
   *
   * @return compiled or operation by operation
   */
  public Execution execution() {
    return execution;
  }

  /**
   * What the network computes in.
   *
   * @return {@link Precision#FLOAT32} or {@link Precision#BFLOAT16}, whichever {@link
   *     Precision#AUTO} became
   */
  public Precision precision() {
    return type == Script.Type.BFLOAT16 ? Precision.BFLOAT16 : Precision.FLOAT32;
  }

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
    return execution == Execution.COMPILED;
  }

  @Override
  public Value write(
      Script script,
      List<Value> weights,
      Value x,
      Value levels,
      List<Value> conditions,
      Value seeds) {
    ScriptOps ops = ScriptOps.training(script, type, seeds);
    return NetworkProgram.write(network, ops, weights, x, levels, conditions);
  }

  @Override
  public Script.Type computesIn() {
    return type;
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return network.timeEmbedding().sinusoids(timesteps(levels));
  }

  @Override
  public int dropoutLayers() {
    return network.dropoutLayers();
  }

  private Parameter parameter(String name) {
    return Objects.requireNonNull(parameters.get(name), name);
  }

  private NDArray weight(String name) {
    return parameter(name).getArray();
  }

  private static double[] timesteps(NoiseLevels levels) {
    return IntStream.range(0, levels.size()).mapToDouble(levels::timestep).toArray();
  }

  private static double[] timestepsOf(NDArray timesteps) {
    // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
    try (NDManager temporary = timesteps.getManager().newSubManager(timesteps.getDevice());
        NDArray view = timesteps.reshape(timesteps.getShape())) {
      view.attach(temporary);
      return view.toType(DataType.FLOAT64, true).toDoubleArray();
    }
  }

  private void check(NDArray x, NoiseLevels levels) {
    requireOpen();
    checkImages(x);
    if (levels.size() != x.getShape().get(0)) {
      throw new IllegalArgumentException(
          "there must be one noise level per image, but there are "
              + x.getShape().get(0)
              + " images and "
              + levels.size()
              + " levels");
    }
    requireDevice(x.getDevice(), manager.getDevice());
  }

  private void checkImages(NDArray x) {
    checkShape(x.getShape());
    if (x.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException(
          "images must be float32, but are " + x.getDataType() + "; convert them by toType");
    }
  }

  private void checkShape(Shape images) {
    if (images.dimension() != 4 || !images.slice(1).equals(config.imageShape())) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "images must have the shape (N, %d, %d, %d), but have %s",
              config.imageChannels(),
              config.imageShape().get(1),
              config.imageShape().get(2),
              images));
    }
  }

  /** Apart, so that it can be tested where there is one device only. */
  static void requireDevice(Device images, Device weights) {
    if (!images.equals(weights)) {
      throw new IllegalArgumentException(
          "images must be on the device of the network, "
              + weights
              + ", but are on "
              + images
              + "; move them by toDevice");
    }
  }

  private void requireOpen() {
    if (closed || !parameters.values().iterator().next().isInitialized()) {
      throw new IllegalStateException(
          "the U-Net is closed and its weights are freed; build or load another one");
    }
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
      UNet copy =
          new UNet(
              config,
              seed,
              manager.getDevice(),
              (owner, spec, index) -> {
                NDArray weight = kept(weight(spec.name()).duplicate());
                weight.attach(owner);
                return weight;
              });
      copy.execution = execution;
      copy.type = type;
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
      TorchScriptExport.write(network, type, channelsLast(), weights(), file);
    }
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

  /**
   * Does nothing to weights that are there, as they are from the start; draws them anew after
   * {@link #clear()}. They always belong to the network's own manager.
   *
   * @param owner not used
   * @param dataType must be float32
   * @param shapes the shapes of images, timesteps and conditions
   * @throws IllegalArgumentException if the type or a shape will not do
   * @throws IllegalStateException if the network is closed or being trained
   */
  @Override
  public void initialize(NDManager owner, DataType dataType, Shape... shapes) {
    if (closed) {
      requireOpen();
    }
    if (dataType != DataType.FLOAT32) {
      throw new IllegalArgumentException("weights must be float32, but " + dataType + " was asked");
    }
    checkInputs(shapes);
    try (Usage.Hold hold = usage.alone()) {
      super.initialize(manager, dataType, shapes);
    }
  }

  /** The shape of the prediction, for the shapes of images, timesteps and conditions. */
  @Override
  public Shape[] getOutputShapes(Shape[] shapes) {
    checkInputs(shapes);
    Shape image = config.imageShape();
    return new Shape[] {
      new Shape(shapes[0].get(0), config.outputChannels(), image.get(1), image.get(2))
    };
  }

  private void requireInputs(int count) {
    if (count != inputNames.size()) {
      throw new IllegalArgumentException(
          "the U-Net takes "
              + inputNames.size()
              + " inputs, "
              + String.join(", ", inputNames.subList(0, inputNames.size() - 1))
              + " and "
              + inputNames.get(inputNames.size() - 1)
              + ", but got "
              + count);
    }
  }

  private void checkInputs(Shape[] shapes) {
    requireInputs(shapes.length);
    checkShape(shapes[0]);
    Shape wanted = new Shape(shapes[0].get(0));
    if (!shapes[1].equals(wanted)) {
      throw new IllegalArgumentException(
          "timesteps must have the shape " + wanted + ", one per image, but have " + shapes[1]);
    }
    int place = 2;
    for (Condition.Kind kind : config.conditionKinds()) {
      Shape condition = wanted.addAll(config.conditionShape(kind));
      if (!shapes[place].equals(condition)) {
        throw new IllegalArgumentException(
            kind + " must have the shape " + condition + ", but have " + shapes[place]);
      }
      place++;
    }
  }

  /**
   * Writes the saved values into the live weights, which keep requiring gradients. Waits for the
   * predictions that have begun.
   *
   * @param owner for what is needed on the way
   * @param is what {@link #saveParameters} wrote
   * @throws IOException if reading fails
   * @throws MalformedModelException if the weights are those of another network, naming the first
   *     that differs
   * @throws IllegalStateException if the network is closed or being trained
   */
  @Override
  public void loadParameters(NDManager owner, DataInputStream is)
      throws IOException, MalformedModelException {
    try (Usage.Hold hold = usage.alone();
        GradMode off = GradMode.off();
        NDManager temporary = NDManager.newBaseManager(manager.getDevice())) {
      requireOpen();
      loadMetadata(is.readByte(), is);
      // All of them are read and checked before the first is written.
      Map<String, NDArray> read = new LinkedHashMap<>();
      for (Parameter parameter : parameters.values()) {
        Parameter saved =
            Parameter.builder().setName(parameter.getName()).setType(parameter.getType()).build();
        saved.load(temporary, is);
        NDArray weight = parameter.getArray();
        if (!saved.getArray().getShape().equals(weight.getShape())) {
          throw new MalformedModelException(
              "weight "
                  + parameter.getName()
                  + " must have the shape "
                  + weight.getShape()
                  + ", but the saved one has "
                  + saved.getArray().getShape());
        }
        read.put(parameter.getName(), saved.getArray());
      }
      read.forEach((name, value) -> weight(name).set(new NDIndex(":"), value));
    }
  }

  /**
   * Frees the weights alone, once the predictions that have begun are done.
   *
   * @throws IllegalStateException if the network is being trained
   */
  @Override
  public void clear() {
    try (Usage.Hold hold = usage.alone()) {
      super.clear();
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
      closed = true;
      forget();
      super.clear();
      manager.close();
    }
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

  /**
   * Choices of an architecture, and where and how its weights start. Setters check their own
   * argument; {@link #build()} and {@link #config()} check what depends on more than one. May be
   * used again after building.
   */
  public static final class Builder {

    /** The default of {@link #baseChannels(int)}. */
    public static final int DEFAULT_BASE_CHANNELS = 128;

    /** The default of {@link #residualBlocks(int)}. */
    public static final int DEFAULT_RESIDUAL_BLOCKS = 2;

    /** The default of {@link #heads(int)}. */
    public static final int DEFAULT_HEADS = 1;

    /** The default of {@link #dropout(double)}. */
    public static final double DEFAULT_DROPOUT = 0.1;

    /** The default of {@link #groups(int)}. */
    public static final int DEFAULT_GROUPS = 32;

    /** The default of {@link #normEpsilon(double)}. */
    public static final double DEFAULT_NORM_EPSILON = 1e-6;

    /** The side of the levels that have attention by default. */
    public static final int DEFAULT_ATTENTION_SIDE = 16;

    private static final int MOST_LEVELS = 16;

    int @Nullable [] image;
    int baseChannels = DEFAULT_BASE_CHANNELS;
    int[] channelMultipliers = {1, 2, 2, 2};
    int @Nullable [] levelChannels;
    int[] attentionLevels = {};
    int[] attentionSides = {DEFAULT_ATTENTION_SIDE};

    /** Whether attention was asked for: a default that finds no level is no mistake. */
    boolean attentionChosen;

    int residualBlocks = DEFAULT_RESIDUAL_BLOCKS;
    int heads = DEFAULT_HEADS;
    int headChannels;
    double dropout = DEFAULT_DROPOUT;
    int groups = DEFAULT_GROUPS;
    double normEpsilon = DEFAULT_NORM_EPSILON;
    UNetConfig.DownsamplePadding downsamplePadding = UNetConfig.DownsamplePadding.RIGHT_BOTTOM;
    UNetConfig.TimeOrder timeOrder = UNetConfig.TimeOrder.SIN_COS;
    UNetConfig.TimeDivisor timeDivisor = UNetConfig.TimeDivisor.HALF_MINUS_ONE;
    int classes;
    int vectorCondition;
    int imageCondition;
    boolean selfConditioning;
    boolean learnedVariance;
    private @Nullable Long seed;
    private @Nullable Device device;
    private @Nullable Execution execution;
    private Precision precision = Precision.FLOAT32;

    private Builder() {}

    /**
     * The shape of one image. Height and width need not be equal, but each must be divisible by
     * 2<sup>levels − 1</sup>. Required.
     *
     * @param channels the number of channels
     * @param height the number of rows
     * @param width the number of columns
     * @return this builder
     * @throws IllegalArgumentException if one is less than 1
     */
    public Builder image(int channels, int height, int width) {
      requireAtLeast("image channels", 1, channels);
      requireAtLeast("image height", 1, height);
      requireAtLeast("image width", 1, width);
      image = new int[] {channels, height, width};
      return this;
    }

    /**
     * The number of channels that {@link #channelMultipliers} multiplies; {@value
     * #DEFAULT_BASE_CHANNELS} by default. The work grows with its square.
     *
     * @param channels the number of channels
     * @return this builder
     * @throws IllegalArgumentException if it is less than 2
     */
    public Builder baseChannels(int channels) {
      requireAtLeast("base channels", 2, channels);
      baseChannels = channels;
      levelChannels = null;
      return this;
    }

    /**
     * The channels of each level as multiples of {@link #baseChannels}; 1, 2, 2, 2 by default.
     * Their number is the number of levels, each of half the size of the one before.
     *
     * @param multipliers one per level
     * @return this builder
     * @throws IllegalArgumentException if there are none or more than 16, or one is less than 1
     */
    public Builder channelMultipliers(int... multipliers) {
      requireLevels("channel multipliers", multipliers, 1);
      channelMultipliers = multipliers.clone();
      levelChannels = null;
      return this;
    }

    /**
     * The channels of each level outright, in place of {@link #baseChannels} and {@link
     * #channelMultipliers}; the later call holds.
     *
     * @param channels one per level
     * @return this builder
     * @throws IllegalArgumentException if there are none or more than 16, or one is less than 2
     */
    public Builder levelChannels(int... channels) {
      requireLevels("level channels", channels, 2);
      levelChannels = channels.clone();
      return this;
    }

    /**
     * The levels with self-attention by their number, 0 at full size, in place of {@link
     * #attentionAt}; the later call holds. The middle always has attention.
     *
     * @param levels the levels; none for attention in the middle alone
     * @return this builder
     * @throws IllegalArgumentException if one is negative
     */
    public Builder attentionAtLevels(int... levels) {
      for (int level : levels) {
        requireAtLeast("attention level", 0, level);
      }
      attentionLevels = levels.clone();
      attentionSides = new int[] {};
      attentionChosen = true;
      return this;
    }

    /**
     * The levels with self-attention by the length of their longer side, in place of {@link
     * #attentionAtLevels}; the later call holds. By default the level of {@value
     * #DEFAULT_ATTENTION_SIDE} has it, if there is one.
     *
     * @param sides the sides, each of which must be the longer side of a level
     * @return this builder
     * @throws IllegalArgumentException if one is less than 1
     */
    public Builder attentionAt(int... sides) {
      for (int side : sides) {
        requireAtLeast("attention side", 1, side);
      }
      attentionSides = sides.clone();
      attentionLevels = new int[] {};
      attentionChosen = true;
      return this;
    }

    /**
     * The residual blocks per level on the way down; the way up has one more per level. {@value
     * #DEFAULT_RESIDUAL_BLOCKS} by default.
     *
     * @param count the number of blocks
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder residualBlocks(int count) {
      requireAtLeast("residual blocks", 1, count);
      residualBlocks = count;
      return this;
    }

    /**
     * The number of attention heads, the same at every level; {@value #DEFAULT_HEADS} by default.
     * Takes the place of {@link #headChannels}; the later call holds.
     *
     * @param count the number of heads, a divisor of the channels wherever there is attention
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder heads(int count) {
      requireAtLeast("heads", 1, count);
      heads = count;
      headChannels = 0;
      return this;
    }

    /**
     * The channels of one attention head, so that wider levels have more heads. Takes the place of
     * {@link #heads}; the later call holds. (diffusers calls it {@code attention_head_dim}.)
     *
     * @param channels the channels, a divisor of those wherever there is attention
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder headChannels(int channels) {
      requireAtLeast("head channels", 1, channels);
      headChannels = channels;
      heads = 0;
      return this;
    }

    /**
     * The dropout rate in the residual blocks while training; {@value #DEFAULT_DROPOUT} by default,
     * as the paper's for CIFAR-10 (its larger images have 0).
     *
     * @param rate the rate
     * @return this builder
     * @throws IllegalArgumentException if it is outside [0, 1)
     */
    public Builder dropout(double rate) {
      if (!(rate >= 0 && rate < 1)) {
        throw new IllegalArgumentException("dropout must be in [0, 1), but was " + rate);
      }
      dropout = rate;
      return this;
    }

    /**
     * The number of groups of every normalisation; {@value #DEFAULT_GROUPS} by default.
     *
     * @param count the number of groups, a divisor of the channels of every level
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder groups(int count) {
      requireAtLeast("groups", 1, count);
      groups = count;
      return this;
    }

    /**
     * What keeps the root of every normalisation from zero; {@value #DEFAULT_NORM_EPSILON} by
     * default.
     *
     * @param epsilon a small number
     * @return this builder
     * @throws IllegalArgumentException if it is not greater than 0, or not finite
     */
    public Builder normEpsilon(double epsilon) {
      if (!(epsilon > 0 && Double.isFinite(epsilon))) {
        throw new IllegalArgumentException(
            "norm epsilon must be greater than 0 and finite, but was " + epsilon);
      }
      normEpsilon = epsilon;
      return this;
    }

    /**
     * Where images are padded before they are halved; {@link
     * UNetConfig.DownsamplePadding#RIGHT_BOTTOM} by default.
     *
     * @param padding the padding
     * @return this builder
     */
    public Builder downsamplePadding(UNetConfig.DownsamplePadding padding) {
      downsamplePadding = Objects.requireNonNull(padding, "padding");
      return this;
    }

    /**
     * The form of the time embedding; {@link UNetConfig.TimeOrder#SIN_COS} and {@link
     * UNetConfig.TimeDivisor#HALF_MINUS_ONE} by default.
     *
     * @param order whether sines or cosines come first
     * @param divisor what the frequencies are spaced by
     * @return this builder
     */
    public Builder timeEmbedding(UNetConfig.TimeOrder order, UNetConfig.TimeDivisor divisor) {
      timeOrder = Objects.requireNonNull(order, "order");
      timeDivisor = Objects.requireNonNull(divisor, "divisor");
      return this;
    }

    /**
     * Conditions images on classes. Each has a learned embedding that is added to that of the
     * timestep, and so has the null class of images without one, which is the last row of {@code
     * class_embedding.weight}. (diffusers calls the number of rows {@code num_class_embeds}.) None
     * by default.
     *
     * @param count the number of classes, which are numbered from 0
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder classes(int count) {
      requireAtLeast("classes", 1, count);
      classes = count;
      return this;
    }

    /**
     * Conditions images on vectors. Two linear layers with a SiLU between embed them, and the
     * result is added to the embedding of the timestep; an absent vector is zeros. The layers are
     * named {@code add_embedding}, as diffusers names such layers. None by default.
     *
     * @param length the length of a vector
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder vectorCondition(int length) {
      requireAtLeast("vector condition", 1, length);
      vectorCondition = length;
      return this;
    }

    /**
     * Conditions images on images of the same height and width, whose channels join those of the
     * noisy image before the first convolution (Saharia et al. 2021, "Image Super-Resolution via
     * Iterative Refinement", section 2.4); an absent image is zeros. None by default.
     *
     * @param channels the channels of such an image
     * @return this builder
     * @throws IllegalArgumentException if it is less than 1
     */
    public Builder imageCondition(int channels) {
      requireAtLeast("image condition", 1, channels);
      imageCondition = channels;
      return this;
    }

    /**
     * Lets the network see what it took the clean image for one step before (Chen, Zhang and Hinton
     * 2022, "Analog Bits", section 3): as many further channels before the first convolution, after
     * those of {@link #imageCondition}; zeros where there is no step before.
     *
     * @return this builder
     */
    public Builder selfConditioning() {
      selfConditioning = true;
      return this;
    }

    /**
     * Gives the network as many further outputs, for the variance of the reverse process (Nichol
     * and Dhariwal 2021, "Improved DDPM", section 3.1): predictions have the shape (N, 2C, H, W),
     * with the variance in the last C channels.
     *
     * @return this builder
     */
    public Builder learnedVariance() {
      learnedVariance = true;
      return this;
    }

    /**
     * The seed of the first weights: the same seed gives the same weights, bit by bit. Drawn at
     * random for each network if it is not set.
     *
     * @param value any number
     * @return this builder
     */
    public Builder seed(long value) {
      seed = value;
      return this;
    }

    /**
     * The device for the weights, where images must be too; the engine's default if it is not set.
     *
     * @param value the device
     * @return this builder
     */
    public Builder device(Device value) {
      device = Objects.requireNonNull(value, "device");
      return this;
    }

    /**
     * How the network runs; {@link Execution#COMPILED} by default on the PyTorch engine, {@link
     * Execution#EAGER} on others. {@link UNet#runAs} changes it later.
     *
     * @param value compiled or operation by operation
     * @return this builder
     */
    public Builder execution(Execution value) {
      execution = Objects.requireNonNull(value, "execution");
      return this;
    }

    /**
     * What a compiled network computes in; {@link Precision#FLOAT32} by default. {@link UNet#runAs}
     * changes it later.
     *
     * @param value the precision
     * @return this builder
     */
    public Builder precision(Precision value) {
      precision = Objects.requireNonNull(value, "precision");
      return this;
    }

    /**
     * The architecture alone.
     *
     * @return the architecture
     * @throws IllegalArgumentException if options do not fit together, naming what would
     */
    public UNetConfig config() {
      return new UNetConfig(this);
    }

    /**
     * A network with fresh weights: variance scaling over the mean of inputs and outputs, uniform;
     * the last layer of each residual branch and of the network as good as zero; biases 0, norms 1.
     *
     * @return the network; the caller closes it
     * @throws IllegalArgumentException if options do not fit together, naming what would, {@link
     *     #execution} and {@link #precision} included
     */
    public UNet build() {
      long start = seed == null ? new SecureRandom().nextLong() : seed;
      UNet unet =
          new UNet(
              config(), start, device, (owner, spec, index) -> initial(owner, spec, index, start));
      if (execution == null && precision == Precision.FLOAT32) {
        return unet;
      }
      try {
        return unet.runAs(execution == null ? unet.execution() : execution, precision);
      } catch (RuntimeException e) {
        unet.close();
        throw e;
      }
    }

    private static void requireAtLeast(String name, int least, int value) {
      if (value < least) {
        throw new IllegalArgumentException(
            name + " must be at least " + least + ", but was " + value);
      }
    }

    private static void requireLevels(String name, int[] values, int least) {
      if (values.length < 1 || values.length > MOST_LEVELS) {
        throw new IllegalArgumentException(
            name
                + " must be given for 1 to "
                + MOST_LEVELS
                + " levels, but were for "
                + values.length);
      }
      for (int value : values) {
        if (value < least) {
          throw new IllegalArgumentException(
              name + " must be at least " + least + ", but were " + Arrays.toString(values));
        }
      }
    }
  }
}
