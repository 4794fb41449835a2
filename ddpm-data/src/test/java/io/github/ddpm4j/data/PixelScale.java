package io.github.ddpm4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A network with one weight per pixel: what it has learned depends on each batch that it saw. */
final class PixelScale implements ScriptedDenoiser {

  private final NDManager manager = NDManager.newBaseManager();
  private final Shape image;
  private final NDArray scale;

  PixelScale(Shape image) {
    this.image = image;
    scale = manager.ones(new Shape(1).addAll(image));
    scale.setRequiresGradient(true);
  }

  float[] learned() {
    return scale.toFloatArray();
  }

  @Override
  public <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions) {
    return ops.multiply(x, weights.get(0));
  }

  @Override
  public double[] levelFeatures(NoiseLevels levels) {
    return levels.each(level -> level.timestep());
  }

  @Override
  public Map<String, NDArray> weights() {
    return Map.of("scale", scale);
  }

  @Override
  public Optional<Shape> imageShape() {
    return Optional.of(image);
  }

  @Override
  public PixelScale copy() {
    PixelScale copy = new PixelScale(image);
    copy.scale.set(learned());
    return copy;
  }

  @Override
  public String type() {
    return "pixel-scale";
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
