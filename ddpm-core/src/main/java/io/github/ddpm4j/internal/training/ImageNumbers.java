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
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/** The numbers of each image of a batch, worked out in {@code double} from its level. */
final class ImageNumbers {

  private final Diffusion diffusion;
  private final Weighting weighting;
  private final TimestepSampler.Draws draws;
  private final NoiseLevels levels;

  /** What the levels are compared with; null if with nothing. */
  private final @Nullable NoiseLevels earlier;

  ImageNumbers(
      Diffusion diffusion, Weighting weighting, TimestepSampler.Draws draws, NoiseLevels levels) {
    this(diffusion, weighting, draws, levels, null);
  }

  ImageNumbers(
      Diffusion diffusion,
      Weighting weighting,
      TimestepSampler.Draws draws,
      NoiseLevels levels,
      @Nullable NoiseLevels earlier) {
    this.diffusion = diffusion;
    this.weighting = weighting;
    this.draws = draws;
    this.levels = levels;
    this.earlier = earlier;
  }

  double[] of(Column column) {
    Prediction prediction = diffusion.prediction();
    Schedule schedule = diffusion.schedule();
    return switch (column) {
      case SIGNAL -> levels.each(Level::signal);
      case NOISE -> levels.each(Level::noise);
      case TARGET_X0 -> levels.each(level -> prediction.target(schedule, level).first());
      case TARGET_NOISE -> levels.each(level -> prediction.target(schedule, level).second());
      case WEIGHT -> {
        double[] weights = new double[levels.size()];
        Arrays.setAll(
            weights,
            i -> require("weighting " + weighting, weight(levels.level(i), i), levels.level(i)));
        yield weights;
      }
      case IMPORTANCE -> {
        double[] weights = new double[levels.size()];
        Arrays.setAll(
            weights, i -> require("timestep sampler", draws.weight(levels, i), levels.level(i)));
        yield weights;
      }
      case INPUT_SCALE -> levels.each(prediction::inputScale);
      case EARLIER_SIGNAL -> earlier(Level::signal);
      case EARLIER_NOISE -> earlier(Level::noise);
      case EARLIER_OF_X ->
          earlier(level -> isClean(level) ? 1 : prediction.x0(schedule, level).first());
      case EARLIER_OF_OUTPUT ->
          earlier(level -> isClean(level) ? 0 : prediction.x0(schedule, level).second());
      case EARLIER_INPUT_SCALE ->
          earlier(level -> isClean(level) ? 1 : prediction.inputScale(level));
    };
  }

  /** f(x, 0) = x (Song et al. 2023, eq. 4), whatever the network says. */
  private static boolean isClean(Level level) {
    return level.noise() == 0;
  }

  private double[] earlier(ToDoubleFunction<Level> number) {
    return earlier == null ? new double[levels.size()] : earlier.each(number);
  }

  /** In consistency tuning 1 / (t − r). */
  private double weight(Level level, int image) {
    return earlier == null
        ? weighting.factor(diffusion.prediction(), diffusion.schedule(), level)
        : 1 / (level.sigma() - earlier.level(image).sigma());
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
