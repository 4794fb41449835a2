package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Four dense layers over vectors, which are images of one pixel: a 1x1 convolution is dense. */
final class DenseNetwork implements ScriptedDenoiser {
  private static final int FEATURES = 8;
  private static final int LAYERS = 4;

  private final NDManager manager = NDManager.newBaseManager();
  private final Map<String, NDArray> weights = new LinkedHashMap<>();
  private final int values;

  DenseNetwork(int values, int width) {
    this.values = values;
    for (int layer = 0; layer < LAYERS; layer++) {
      int in = layer == 0 ? values : width;
      int out = layer == LAYERS - 1 ? values : width;
      random("layer" + layer + ".weight", in, new Shape(out, in, 1, 1));
      random("layer" + layer + ".bias", in, new Shape(out));
      random("time" + layer + ".weight", FEATURES, new Shape(out, FEATURES));
      random("time" + layer + ".bias", FEATURES, new Shape(out));
    }
  }

  private DenseNetwork(DenseNetwork other) {
    values = other.values;
    other.weights.forEach((name, weight) -> keep(name, weight.stopGradient().duplicate()));
  }

  private void random(String name, int in, Shape shape) {
    NoiseSource random = NoiseSource.seeded(1);
    Shape one = new Shape(1).addAll(shape);
    NDArray start = random.array(manager, weights.size(), 0, one, DataType.FLOAT32);
    keep(name, start.mul((float) Math.sqrt(1.0 / in)).reshape(shape));
  }

  private void keep(String name, NDArray weight) {
    weight.attach(manager);
    weight.setRequiresGradient(true);
    weights.put(name, weight);
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> w, T x, T levels, List<T> conditions) {
    T told = ops.enterFeatures(levels);
    T hidden = ops.enter(x);
    for (int i = 0; i < w.size(); i += 4) {
      T dense = ops.conv(hidden, w.get(i), w.get(i + 1), 1, 0);
      T moved = ops.addPerChannel(dense, ops.linear(told, w.get(i + 2), w.get(i + 3)));
      hidden = i + 4 < w.size() ? ops.silu(moved) : moved;
    }
    return ops.leave(hidden);
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    double[] features = new double[FEATURES * levels.size()];
    for (int i = 0; i < features.length; i++) {
      double angle = levels.noise(i / FEATURES) * (1 << (i % FEATURES / 2));
      features[i] = i % 2 == 0 ? Math.sin(angle) : Math.cos(angle);
    }
    return features;
  }

  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(new Shape(values, 1, 1));
  }

  @Override
  public Map<String, NDArray> weights() {
    return weights;
  }

  @Override
  public DenseNetwork copy() {
    return new DenseNetwork(this);
  }

  @Override
  public String type() {
    return "dense";
  }

  @Override
  public Map<String, Object> describe() {
    return Map.of("values", values);
  }

  @Override
  public void close() {
    manager.close();
  }
}
