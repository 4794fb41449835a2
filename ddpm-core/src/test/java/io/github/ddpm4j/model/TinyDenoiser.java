package io.github.ddpm4j.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.commons.rng.UniformRandomProvider;

/** Two convolutions with dropout between them: the smallest network that training is about. */
public final class TinyDenoiser implements TrainableDenoiser {

  public static final String TYPE = "tiny";
  private static final int HIDDEN = 4;

  private final int size;
  private final boolean variance;
  private final double dropout;
  private final NDManager manager = NDManager.newBaseManager();
  private final Map<String, NDArray> weights = new LinkedHashMap<>();
  private boolean closed;

  public TinyDenoiser(int size, double dropout, long seed) {
    this(size, dropout, seed, false);
  }

  private TinyDenoiser(int size, double dropout, long seed, boolean variance) {
    this.variance = variance;
    this.size = size;
    this.dropout = dropout;
    add("first.weight", new Shape(HIDDEN, 1, 3, 3), seed, 0.3);
    add("first.bias", new Shape(HIDDEN), seed, 0.1);
    add("second.weight", new Shape(1, HIDDEN, 3, 3), seed, 0.3);
    add("second.bias", new Shape(1), seed, 0.1);
  }

  /** One that predicts the variance too: the same as the prediction. */
  public static TinyDenoiser withVariance(int size) {
    return new TinyDenoiser(size, 0, 1, true);
  }

  private void add(String name, Shape shape, long seed, double scale) {
    UniformRandomProvider random =
        CounterRandom.of(seed, CounterRandom.Stream.INITIALIZATION).at(weights.size(), 0);
    float[] values = new float[(int) shape.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (scale * (2 * random.nextDouble() - 1));
    }
    NDArray weight = manager.create(values, shape).duplicate();
    weight.setRequiresGradient(true);
    weights.put(name, weight);
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (GradMode off = GradMode.off()) {
      return run(EagerOps.inference(), x);
    }
  }

  @Override
  public NDArray predictRecording(NDArray x, NoiseLevels levels, Condition condition) {
    return run(EagerOps.inference(), x);
  }

  @Override
  public NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    return run(EagerOps.training(pass.seed(), pass.index()), x);
  }

  private NDArray run(EagerOps ops, NDArray x) {
    NDArray hidden = ops.silu(ops.conv(x, weight("first.weight"), weight("first.bias"), 1, 1));
    NDArray said =
        ops.conv(
            ops.dropout(hidden, dropout, 0), weight("second.weight"), weight("second.bias"), 1, 1);
    return variance ? ops.concatChannels(said, said) : said;
  }

  private NDArray weight(String name) {
    NDArray weight = weights.get(name);
    if (weight == null) {
      throw new IllegalArgumentException(name);
    }
    return weight;
  }

  @Override
  public Map<String, NDArray> weights() {
    return Collections.unmodifiableMap(weights);
  }

  /** The number of arrays that the network's manager holds. */
  public int managedArrays() {
    return manager.getManagedArrays().size();
  }

  public boolean isClosed() {
    return closed;
  }

  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(new Shape(1, size, size));
  }

  @Override
  public boolean predictsVariance() {
    return variance;
  }

  @Override
  public TinyDenoiser copy() {
    TinyDenoiser copy = new TinyDenoiser(size, dropout, 0, variance);
    try (GradMode off = GradMode.off()) {
      weights.forEach((name, weight) -> copy.weight(name).set(new NDIndex("..."), weight));
    }
    return copy;
  }

  @Override
  public String type() {
    return TYPE;
  }

  @Override
  public Map<String, Object> describe() {
    Map<String, Object> description = new LinkedHashMap<>();
    description.put("size", size);
    description.put("dropout", dropout);
    if (variance) {
      description.put("variance", true);
    }
    return description;
  }

  @Override
  public void close() {
    closed = true;
    manager.close();
  }

  /** Rebuilds it from a model folder. */
  public static final class Provider implements DenoiserProvider {

    private static final ThreadLocal<Runnable> next = new ThreadLocal<>();

    /** What happens when this thread makes a network the next time. */
    public static void beforeNext(Runnable happening) {
      next.set(happening);
    }

    @Override
    public String type() {
      return TYPE;
    }

    @Override
    public TrainableDenoiser create(Map<String, Object> description, Device device) {
      Runnable happening = next.get();
      if (happening != null) {
        next.remove();
        happening.run();
      }
      if (description.get("size") instanceof Number size
          && description.get("dropout") instanceof Number dropout) {
        return new TinyDenoiser(
            size.intValue(), dropout.doubleValue(), 0, description.containsKey("variance"));
      }
      throw new IllegalArgumentException("size and dropout must be numbers in " + description);
    }
  }
}
