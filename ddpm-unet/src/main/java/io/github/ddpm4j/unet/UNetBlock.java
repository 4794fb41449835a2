package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Parameter;
import ai.djl.training.ParameterStore;
import ai.djl.training.initializer.Initializer;
import ai.djl.util.PairList;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.layers.Weights;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import io.github.ddpm4j.unet.internal.running.Held;
import io.github.ddpm4j.unet.internal.running.Holding;
import io.github.ddpm4j.unet.internal.running.RunMode;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * What makes the {@link UNet} a block of DJL: it holds the weights as parameters in a manager of
 * its own, from the beginning to {@link #close()}, and runs on what DJL's trainer hands over.
 */
abstract class UNetBlock extends AbstractBlock implements AutoCloseable {

  private static final byte VERSION = 1;

  final UNetConfig config;
  final Network network;
  final NDManager manager;
  final NetworkRunner runner;
  final BlockInputs inputs;
  final ConditionInputs conditionInputs;
  final Usage usage = new Usage();

  /** Of dropout in passes through DJL's trainer, and of weights that are drawn. */
  final long seed;

  /** Whether the weights were drawn from the seed, and not left blank to be overwritten. */
  private volatile boolean drawn;

  private final AtomicLong passes = new AtomicLong();
  private volatile boolean closed;

  UNetBlock(
      UNetConfig config, long seed, @Nullable Device device, FirstWeights first, boolean drawn) {
    super(VERSION);
    this.config = config;
    this.seed = seed;
    this.drawn = drawn;
    network = new Network(config);
    inputs = new BlockInputs(config);
    conditionInputs = new ConditionInputs(config);
    manager = Machine.newManager(device);
    manager.setName("UNet");
    try {
      addParameters(first);
    } catch (RuntimeException | Error e) {
      manager.close();
      throw e;
    }
    runner = new NetworkRunner(network, manager.getDevice(), RunMode.standard(manager));
    inputNames = inputs.names();
    inputShapes = inputs.shapes();
    outputDataTypes = new DataType[] {DataType.FLOAT32};
  }

  private void addParameters(FirstWeights first) {
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
                  .optInitializer((owner, shape, type) -> first.value(owner, spec, index))
                  .build());
      parameter.initialize(manager, DataType.FLOAT32);
      // Another call may initialise again after Block.clear().
      parameter.setInitializer(again(spec, i));
    }
  }

  /** What draws a weight after {@link #clear()}. */
  private Initializer again(ParameterSpec spec, int index) {
    FirstWeights drawn = FirstWeights.drawn(seed);
    return (owner, shape, type) -> drawn.value(owner, spec, index);
  }

  final void requireOpen() {
    if (closed || !parameters.values().iterator().next().isInitialized()) {
      throw new IllegalStateException(
          "the U-Net is closed and its weights are freed; build or load another one");
    }
  }

  /** What reads, changes or saves weights needs those of float32. */
  final void requireWide() {
    requireOpen();
    if (!runner.held().isWide()) {
      throw new IllegalStateException(
          "the weights of the U-Net are held in "
              + runner.held()
              + ", for predictions alone; call hold(Precision.FLOAT32) first");
    }
  }

  /** Converts every weight, one after the other; nobody else may be using the network. */
  final void hold(Holding wanted) {
    Held before = runner.held();
    if (before == Held.in(wanted)) {
      return;
    }
    try (GradMode off = GradMode.off();
        Holding.Converter from = before.inMemory().converter();
        Holding.Converter to = wanted.converter()) {
      List<ParameterSpec> specs = network.parameters();
      for (int i = 0; i < specs.size(); i++) {
        Parameter parameter = parameter(specs.get(i).name());
        if (before.isMapped(parameter.getName())) {
          from.own(parameter);
        } else {
          from.release(parameter);
        }
        to.hold(parameter);
        parameter.setInitializer(again(specs.get(i), i));
      }
    }
    runner.hold(Held.in(wanted));
  }

  /** Takes weights that are pages of a file in the place of its own. */
  final void map(Map<String, MappedTensor> weights) {
    try (Usage.Hold hold = usage.alone()) {
      requireWide();
      List<ParameterSpec> specs = network.parameters();
      for (int i = 0; i < specs.size(); i++) {
        MappedTensor weight = weights.get(specs.get(i).name());
        if (weight != null) {
          Parameter parameter = parameter(specs.get(i).name());
          Holding.replace(parameter, weight.array());
          parameter.setInitializer(again(specs.get(i), i));
        }
      }
      runner.hold(Held.mapped(weights));
    }
  }

  final boolean isDrawn() {
    return drawn;
  }

  final Parameter parameter(String name) {
    return Objects.requireNonNull(parameters.get(name), name);
  }

  final NDArray weight(String name) {
    return parameter(name).getArray();
  }

  /** Freezes what another network of this architecture has frozen, by either way of DJL's. */
  final void freezeAs(UNetBlock other) {
    for (Parameter parameter : parameters.values()) {
      Parameter like = other.parameter(parameter.getName());
      parameter.freeze(!like.requiresGradient());
      parameter.getArray().setRequiresGradient(like.getArray().hasGradient());
    }
  }

  /* ---------------- Running ---------------- */

  /** Dropout of passes through DJL's trainer follows the network's own seed, pass by pass. */
  @Override
  protected NDList forwardInternal(
      ParameterStore parameterStore,
      NDList arrays,
      boolean training,
      @Nullable PairList<String, Object> params) {
    try (Usage.Hold hold = usage.shared()) {
      requireOpen();
      return run(parameterStore, arrays, training);
    }
  }

  private NDList run(ParameterStore parameterStore, NDList arrays, boolean training) {
    inputs.requireCount(arrays.size());
    NDArray x = arrays.get(0);
    inputs.requireImages(x);
    BlockInputs.requireTimesteps(arrays.get(1).getShape(), x.getShape());
    double[] timesteps = BlockInputs.timesteps(arrays.get(1));
    Weights<NDArray> weights =
        name -> parameterStore.getValue(parameter(name), x.getDevice(), training);
    if (training) {
      requireWide();
    }
    try (NDList conditions = conditionInputs.of(inputs.condition(arrays), x)) {
      return new NDList(
          training
              ? runner.train(x, weights, timesteps, conditions, nextPass())
              : runner.infer(x, weights, timesteps, conditions));
    }
  }

  private TrainableDenoiser.Pass nextPass() {
    return new TrainableDenoiser.Pass(seed, passes.getAndIncrement());
  }

  /** The shape of the prediction, for the shapes of images, timesteps and conditions. */
  @Override
  public Shape[] getOutputShapes(Shape[] shapes) {
    inputs.requireShapes(shapes);
    Shape image = config.imageShape();
    return new Shape[] {
      new Shape(shapes[0].get(0), config.outputChannels()).addAll(image.slice(1))
    };
  }

  /* ---------------- Weights ---------------- */

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
    inputs.requireShapes(shapes);
    try (Usage.Hold hold = usage.alone()) {
      drawn |= !isInitialized();
      super.initialize(manager, dataType, shapes);
    }
  }

  /**
   * Writes the weights down, which nobody changes or frees meanwhile.
   *
   * @param os where to; not closed
   * @throws IOException if writing fails
   * @throws IllegalStateException if the network is closed, or another thread trains it
   */
  @Override
  public void saveParameters(DataOutputStream os) throws IOException {
    try (Usage.Hold hold = usage.shared()) {
      requireWide();
      super.saveParameters(os);
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
      requireWide();
      loadMetadata(is.readByte(), is);
      // All of them are read and checked before the first is written.
      Map<String, NDArray> read = new LinkedHashMap<>();
      for (Parameter parameter : parameters.values()) {
        read.put(parameter.getName(), saved(parameter, temporary, is));
      }
      read.forEach((name, value) -> weight(name).set(new NDIndex(":"), value));
    }
  }

  private static NDArray saved(Parameter parameter, NDManager temporary, DataInputStream is)
      throws IOException, MalformedModelException {
    Parameter saved =
        Parameter.builder().setName(parameter.getName()).setType(parameter.getType()).build();
    saved.load(temporary, is);
    Shape wanted = parameter.getArray().getShape();
    if (!saved.getArray().getShape().equals(wanted)) {
      throw new MalformedModelException(
          "weight "
              + parameter.getName()
              + " must have the shape "
              + wanted
              + ", but the saved one has "
              + saved.getArray().getShape());
    }
    return saved.getArray();
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
      runner.hold(Held.FLOAT32);
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
      runner.close();
      super.clear();
      manager.close();
    }
  }
}
