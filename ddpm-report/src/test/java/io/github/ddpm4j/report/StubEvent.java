package io.github.ddpm4j.report;

import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import java.util.Map;
import java.util.Optional;

/** A step that nobody took, on one image in the middle of the levels. */
record StubEvent(long step, long steps, double loss, boolean isSkipped, double lossScale)
    implements TrainingStepListener.Event {

  private static final NoiseLevels LEVELS = NoiseLevels.of(new Level(10, 0.6, 0.8), 1);

  @Override
  public NoiseLevels levels() {
    return LEVELS;
  }

  @Override
  public double[] imageLosses() {
    return new double[] {loss};
  }

  @Override
  public double emaDecay() {
    return 0.99;
  }

  @Override
  public double learningRate() {
    return 1e-4;
  }

  @Override
  public double gradientNorm() {
    return 2 * loss;
  }

  @Override
  public Optional<Validation.Result> validation() {
    return Optional.empty();
  }

  @Override
  public Map<String, Object> provenance() {
    return Map.of("steps", step);
  }

  @Override
  public Denoiser averaged() {
    throw new UnsupportedOperationException("nothing was trained");
  }

  @Override
  public boolean isLossKnown() {
    return step % 50 == 0;
  }

  @Override
  public void stop() {}
}
