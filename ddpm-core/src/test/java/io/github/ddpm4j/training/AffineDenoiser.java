package io.github.ddpm4j.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * scale · x + shift, pixel by pixel, and slope · t / 1000 in every pixel: few enough to work the
 * gradients out by hand.
 */
final class AffineDenoiser implements ScriptedDenoiser {

  static final double TIME_UNIT = 1000;

  private final boolean compiled;
  private final DataType type;
  private final Shape shape;
  private final boolean variance;
  private final NDManager manager = NDManager.newBaseManager();
  private boolean tellsShape = true;
  private final Map<String, NDArray> weights = new LinkedHashMap<>();

  AffineDenoiser(boolean compiled, Shape image, float[] scale, float[] shift, float slope) {
    this(compiled, DataType.FLOAT32, image, scale, shift, slope);
  }

  AffineDenoiser(
      boolean compiled, DataType type, Shape image, float[] scale, float[] shift, float slope) {
    this(compiled, type, image, false, scale, shift, slope);
  }

  /**
   * @param variance whether half of the prediction is the output for the variance
   */
  AffineDenoiser(
      boolean compiled,
      DataType type,
      Shape image,
      boolean variance,
      float[] scale,
      float[] shift,
      float slope) {
    this.variance = variance;
    this.compiled = compiled;
    this.type = type;
    shape = image;
    Shape pixels = new Shape(1).addAll(image);
    weights.put("scale", Upload.floats(manager, scale, pixels));
    weights.put("shift", Upload.floats(manager, shift, pixels));
    weights.put("slope", Upload.floats(manager, new float[] {slope}, new Shape(1, 1)));
    weights.values().forEach(weight -> weight.setRequiresGradient(true));
  }

  /** From now on it keeps the shape of its images to itself. */
  AffineDenoiser withoutShape() {
    tellsShape = false;
    return this;
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
    T affine = ops.add(ops.multiply(x, weights.get(0)), weights.get(1));
    T prediction = ops.addPerChannel(affine, ops.multiply(levels, weights.get(2)));
    return variance ? ops.concatChannels(prediction, ops.scale(prediction, 0.5)) : prediction;
  }

  @Override
  public boolean predictsVariance() {
    return variance;
  }

  @Override
  public boolean isCompiled() {
    return compiled;
  }

  @Override
  public DataType computesIn() {
    return type;
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return IntStream.range(0, levels.size())
        .mapToDouble(i -> levels.timestep(i) / TIME_UNIT)
        .toArray();
  }

  @Override
  public Map<String, NDArray> weights() {
    return weights;
  }

  @Override
  public Optional<Shape> imageShape() {
    return tellsShape ? Optional.of(shape) : Optional.empty();
  }

  @Override
  public AffineDenoiser copy() {
    NDArray slope = weights.values().stream().skip(2).findFirst().orElseThrow();
    return new AffineDenoiser(
        compiled, type, shape, variance, values("scale"), values("shift"), slope.getFloat(0, 0));
  }

  float[] values(String name) {
    return Optional.ofNullable(weights.get(name)).orElseThrow().toFloatArray();
  }

  @Override
  public String type() {
    return "affine";
  }

  @Override
  public Map<String, Object> describe() {
    return Map.of();
  }

  @Override
  public void close() {
    manager.close();
  }
}
