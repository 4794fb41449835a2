package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Arrays;

/** The numbers of each image of a batch, worked out in {@code double} from its level. */
final class ImageNumbers {

  private final Diffusion diffusion;
  private final Weighting weighting;
  private final TimestepSampler.Draws draws;
  private final NoiseLevels levels;

  ImageNumbers(
      Diffusion diffusion, Weighting weighting, TimestepSampler.Draws draws, NoiseLevels levels) {
    this.diffusion = diffusion;
    this.weighting = weighting;
    this.draws = draws;
    this.levels = levels;
  }

  double[] of(Column column) {
    Prediction prediction = diffusion.prediction();
    Schedule schedule = diffusion.schedule();
    return switch (column) {
      case SIGNAL -> levels.each(Level::signal);
      case NOISE -> levels.each(Level::noise);
      case TARGET_X0 -> levels.each(level -> prediction.target(schedule, level).first());
      case TARGET_NOISE -> levels.each(level -> prediction.target(schedule, level).second());
      case WEIGHT ->
          levels.each(
              level ->
                  require(
                      "weighting " + weighting,
                      weighting.factor(prediction, schedule, level),
                      level));
      case IMPORTANCE -> {
        double[] weights = new double[levels.size()];
        Arrays.setAll(
            weights, i -> require("timestep sampler", draws.weight(levels, i), levels.level(i)));
        yield weights;
      }
      case INPUT_SCALE -> levels.each(prediction::inputScale);
    };
  }

  double[] of(Coefficient coefficient) {
    return levels.each(level -> coefficient.at(diffusion, level));
  }

  private static double require(String what, double factor, Level level) {
    if (!(factor >= 0) || Float.isInfinite((float) factor)) {
      throw new IllegalStateException(
          "the "
              + what
              + " must give factors that are at least 0 and finite in float32, but gave "
              + factor
              + " at timestep "
              + level.timestep());
    }
    return factor;
  }
}
