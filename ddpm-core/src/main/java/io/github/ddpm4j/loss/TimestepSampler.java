package io.github.ddpm4j.loss;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Map;
import org.apache.commons.rng.UniformRandomProvider;

/**
 * The distribution from which training draws the noise level of each image. Immutable; state that
 * adapts to a run's losses is kept in its {@link Draws}.
 *
 * @see io.github.ddpm4j.Training#timestepSampler
 */
@FunctionalInterface
public interface TimestepSampler {

  /**
   * Begins a run.
   *
   * @param schedule the schedule
   * @return the draws of one run, not shared with other runs
   */
  Draws begin(Schedule schedule);

  /** The draws of one run. Used only by the thread of the run. */
  @FunctionalInterface
  interface Draws {

    /**
     * Draws the noise levels of a batch.
     *
     * @param images the number of images, at least 1
     * @param random the source of random numbers, a function of the run's seed and the batch
     * @return a level for each image
     */
    NoiseLevels draw(int images, UniformRandomProvider random);

    /**
     * The importance weight of an image's loss, which keeps the mean that of uniformly drawn
     * timesteps: 1 / (T p_t) if t is drawn with probability p_t.
     *
     * @param levels the levels drawn in this step
     * @param image the index of the image
     * @return the weight, 1 by default
     */
    default double weight(NoiseLevels levels, int image) {
      return 1;
    }

    /**
     * Whether the sampler adapts to the losses. This waits for the device after each step.
     *
     * @return false by default
     */
    default boolean learns() {
      return false;
    }

    /**
     * Receives the losses of a batch, after its step.
     *
     * @param levels the levels that were drawn
     * @param losses the loss of each image, with its {@link Weighting} but without {@link #weight}
     */
    default void learn(NoiseLevels levels, double[] losses) {}

    /**
     * What the sampler has learned, for a checkpoint: all that later draws depend on, beside their
     * arguments.
     *
     * @return numbers by name, copied; empty by default, for samplers that learn nothing
     */
    default Map<String, double[]> state() {
      return Map.of();
    }

    /**
     * Continues from a state.
     *
     * @param state what {@link #state} of the same sampler and schedule returned
     * @throws IllegalArgumentException if it is not such a state
     */
    default void restore(Map<String, double[]> state) {
      if (!state.isEmpty()) {
        throw new IllegalArgumentException(
            "the timestep sampler has no state, but was to be restored from " + state.keySet());
      }
    }
  }

  /**
   * Draws timesteps uniformly from the schedule (Ho et al. 2020, algorithm 1).
   *
   * @return the sampler
   */
  static TimestepSampler uniform() {
    return new UniformTimesteps();
  }

  /**
   * Importance sampling by the second moment of the loss: timesteps with a high loss are drawn more
   * often, with a lower weight (Nichol and Dhariwal 2021, section 3.3). Intended for the bound
   * {@link Losses#vlb()}, whose terms vary widely:
   *
   * <pre>
   *   p_t ∝ √E[L_t²],    factor 1 / (T p_t)
   * </pre>
   *
   * <p>E is the mean over the last {@value LossSecondMoment#HISTORY} losses at t; {@value
   * LossSecondMoment#UNIFORM_PROBABILITY} of the probability is distributed uniformly. Until every
   * timestep has that many losses, timesteps are drawn uniformly.
   *
   * @return the sampler
   */
  static TimestepSampler lossSecondMoment() {
    return lossSecondMoment(LossSecondMoment.HISTORY, LossSecondMoment.UNIFORM_PROBABILITY);
  }

  /**
   * Importance sampling by the second moment of the loss, with given settings.
   *
   * @param history the number of losses kept per timestep, at least 1
   * @param uniformProbability the share of the probability that is distributed uniformly, in (0, 1]
   * @return the sampler
   * @throws IllegalArgumentException if an argument is out of range
   */
  static TimestepSampler lossSecondMoment(int history, double uniformProbability) {
    return new LossSecondMoment(history, uniformProbability);
  }

  /**
   * Draws continuous noise levels with ln σ normally distributed, where σ = noise / signal (Karras
   * et al. 2022, table 1, with mean −1.2 and standard deviation 1.2). Levels beyond the schedule
   * are clamped to its ends. On {@link io.github.ddpm4j.schedule.Schedules#flow} σ is t / (1 − t),
   * so that these are continuous logit-normal times, of mean − ln(shift) for {@link #logitNormal}.
   * {@link io.github.ddpm4j.prediction.Prediction#PREVIOUS_MEAN} and the bounds are undefined
   * between timesteps and are rejected.
   *
   * @param mean the mean of ln σ
   * @param deviation its standard deviation, positive
   * @return the sampler
   * @throws IllegalArgumentException if {@code mean} is not finite, or {@code deviation} not
   *     positive and finite
   */
  static TimestepSampler logNormal(double mean, double deviation) {
    return new LogNormalLevels(mean, deviation);
  }

  /**
   * Draws timesteps from the middle of the schedule more often than from its ends, as for rectified
   * flow (Esser et al. 2024, "Scaling rectified flow transformers", section 3.1, where mean 0 and
   * deviation 1 do best):
   *
   * <pre>
   *   t = ⌊T u⌋,    ln(u / (1 − u)) ~ N(mean, deviation²)
   * </pre>
   *
   * <p>The shift of {@link io.github.ddpm4j.schedule.Schedules#flow(int, double)} comes on top, as
   * it does where timesteps are drawn uniformly.
   *
   * @param mean the mean of the logit; above 0 for more noise
   * @param deviation its standard deviation, positive; 1 in the paper
   * @return the sampler
   * @throws IllegalArgumentException if {@code mean} is not finite, or {@code deviation} not
   *     positive and finite
   */
  static TimestepSampler logitNormal(double mean, double deviation) {
    return new LogitNormalTimesteps(mean, deviation);
  }

  /** The default. */
  record UniformTimesteps() implements TimestepSampler {
    @Override
    public Draws begin(Schedule schedule) {
      return (images, random) -> {
        int[] t = new int[images];
        for (int i = 0; i < images; i++) {
          t[i] = random.nextInt(schedule.timesteps());
        }
        return NoiseLevels.of(schedule, t);
      };
    }

    @Override
    public String toString() {
      return "uniform";
    }
  }
}
