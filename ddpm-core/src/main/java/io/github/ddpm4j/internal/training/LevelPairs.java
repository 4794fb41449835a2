package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.training.ConsistencyTuning;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The two levels of each image in consistency tuning: t as it was drawn, but at most the greatest,
 * and r as the stage has it. Below the first level of the schedule there is the clean image alone.
 */
final class LevelPairs {

  private final ConsistencyTuning tuning;
  private final Schedule schedule;

  /** Whether the prediction exists at the schedule's own timesteps alone. */
  private final boolean whole;

  LevelPairs(ConsistencyTuning tuning, Diffusion diffusion) {
    this.tuning = tuning;
    this.schedule = diffusion.schedule();
    this.whole = diffusion.prediction().equals(Prediction.PREVIOUS_MEAN);
  }

  /** The pairs of a run; null if it compares nothing. */
  static @Nullable LevelPairs of(TrainingSettings settings, Diffusion diffusion) {
    ConsistencyTuning tuning = settings.consistency();
    return tuning == null ? null : new LevelPairs(tuning, diffusion);
  }

  /**
   * A batch with both levels.
   *
   * @param step the number of steps done before
   */
  TrainingBatch paired(TrainingBatch batch, long step) {
    return paired(batch, tuning.stage(step));
  }

  /** A batch with both levels as the last stage has them, whose losses can be compared. */
  TrainingBatch pairedAtEnd(TrainingBatch batch) {
    return paired(batch, tuning.stages());
  }

  private TrainingBatch paired(TrainingBatch batch, int stage) {
    NoiseLevels levels = capped(batch.levels());
    return batch.withLevels(
        levels, new TrainingBatch.Earlier(earlier(levels, stage), batch.images()));
  }

  /** t of each image. */
  NoiseLevels capped(NoiseLevels drawn) {
    return each(
        drawn,
        level -> {
          Level capped =
              level.sigma() > tuning.sigmaMax()
                  ? Level.ofSigma(schedule, tuning.sigmaMax())
                  : level;
          return whole ? Level.of(schedule, (int) Math.rint(capped.timestep())) : capped;
        });
  }

  /**
   * r of each image, {@link Level#CLEAN} where it is 0.
   *
   * @param levels t of each image
   * @param stage the stage of the step
   */
  NoiseLevels earlier(NoiseLevels levels, int stage) {
    double first = Level.of(schedule, 0).sigma();
    return each(
        levels,
        level -> {
          double sigma = tuning.earlier(level.sigma(), stage);
          if (sigma < first) {
            return Level.CLEAN;
          }
          if (!whole) {
            return Level.ofSigma(schedule, sigma);
          }
          int below = (int) Math.min(Math.rint(schedule.timestepOf(sigma)), level.timestep() - 1);
          return below < 0 ? Level.CLEAN : Level.of(schedule, below);
        });
  }

  private static NoiseLevels each(NoiseLevels levels, UnaryOperator<Level> change) {
    return NoiseLevels.of(
        IntStream.range(0, levels.size()).mapToObj(levels::level).map(change).toList());
  }
}
