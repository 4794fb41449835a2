package io.github.ddpm4j.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Optional;
import java.util.Set;

/** A network that sees images in another scale, and other numbers for their levels. */
record ScaledDenoiser(Denoiser denoiser, Prediction prediction) implements Denoiser {

  static NoiseLevels told(NoiseLevels levels, Prediction prediction) {
    if (prediction.sigmaData().isEmpty()) {
      return levels;
    }
    int images = levels.size();
    double[] timesteps = new double[images];
    double[] signals = new double[images];
    double[] noises = new double[images];
    for (int i = 0; i < images; i++) {
      signals[i] = levels.signal(i);
      noises[i] = levels.noise(i);
      timesteps[i] = prediction.networkTimestep(levels.timestep(i), signals[i], noises[i]);
    }
    return NoiseLevels.of(timesteps, signals, noises);
  }

  @Override
  public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    double[] scales = new double[levels.size()];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = prediction.inputScale(levels.signal(i), levels.noise(i));
    }
    NDManager owner = x.getManager();
    try (NDManager scope = owner.newSubManager(x.getDevice())) {
      NDArray scaled = PerImage.column(scope, x, scales).mul(x);
      NDArray output = denoiser.predict(scaled, told(levels, prediction), condition);
      output.attach(owner);
      return output;
    }
  }

  @Override
  public Optional<Shape> imageShape() {
    return denoiser.imageShape();
  }

  @Override
  public Set<Condition.Kind> conditionKinds() {
    return denoiser.conditionKinds();
  }

  @Override
  public boolean predictsVariance() {
    return denoiser.predictsVariance();
  }

  @Override
  public Optional<Device> device() {
    return denoiser.device();
  }
}
