package io.github.ddpm4j.loss;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import org.apache.commons.rng.UniformRandomProvider;

/**
 * How training chooses how noisy each image is. Immutable; what a run learns of its losses lives in
 * its {@link Draws}.
 *
 * @see io.github.ddpm4j.Training#timestepSampler
 */
@FunctionalInterface
public interface TimestepSampler {

  /**
   * Begins a run.
   *
   * @param schedule the schedule
   * @return the draws of one run, which no other run shares
   */
  Draws begin(Schedule schedule);

  /** The draws of one run. Used by the thread of the run alone. */
  @FunctionalInterface
  interface Draws {

    /**
     * Draws how noisy the images of a batch are.
     *
     * @param images how many, at least 1
     * @param random where the numbers come from; a function of the run's seed and the batch
     * @return a level for each image
     */
    NoiseLevels draw(int images, UniformRandomProvider random);

    /**
     * How much the loss of an image counts so that the mean stays that of timesteps drawn evenly: 1
     * / (T p_t) where t is drawn with probability p_t.
     *
     * @param levels what was drawn in this step
     * @param image the index of the image
     * @return the factor, 1 unless a sampler says otherwise
     */
    default double weight(NoiseLevels levels, int image) {
      return 1;
    }

    /**
     * Whether it wants to be told the losses. That waits for the device after each step.
     *
     * @return false unless a sampler says otherwise
     */
    default boolean learns() {
      return false;
    }

    /**
     * Tells the losses of a batch, after the step that it was part of.
     *
     * @param levels what was drawn
     * @param losses the loss of each image, with its {@link Weighting} but without {@link #weight}
     */
    default void learn(NoiseLevels levels, double[] losses) {}
  }

  /**
   * Evenly from the timesteps of the schedule (Ho et al. 2020, algorithm 1).
   *
   * @return the sampler
   */
  static TimestepSampler uniform() {
    return new UniformTimesteps();
  }

  /**
   * Timesteps of great loss more often, with less weight each (Nichol and Dhariwal 2021, section
   * 3.3), as the bound {@link Losses#vlb()} needs it, whose terms differ widely:
   *
   * <pre>
   *   p_t ∝ √E[L_t²],    factor 1 / (T p_t)
   * </pre>
   *
   * <p>E is the mean of the last {@value LossSecondMoment#HISTORY} losses of t; {@value
   * LossSecondMoment#UNIFORM_PROBABILITY} of the probability is spread evenly. Until every timestep
   * has had that many losses, timesteps are drawn evenly.
   *
   * @return the sampler
   */
  static TimestepSampler lossSecondMoment() {
    return lossSecondMoment(LossSecondMoment.HISTORY, LossSecondMoment.UNIFORM_PROBABILITY);
  }

  /**
   * The same with other settings.
   *
   * @param history how many losses of each timestep are kept, at least 1
   * @param uniformProbability the share of the probability that is spread evenly, in (0, 1]
   * @return the sampler
   * @throws IllegalArgumentException if an argument is out of its range
   */
  static TimestepSampler lossSecondMoment(int history, double uniformProbability) {
    return new LossSecondMoment(history, uniformProbability);
  }

  /**
   * Levels between the timesteps, normal in ln σ, where σ = noise / signal (Karras et al. 2022,
   * table 1, which has mean −1.2 and deviation 1.2). Levels beyond those of the schedule are moved
   * to its ends. {@link io.github.ddpm4j.prediction.Prediction#PREVIOUS_MEAN} and the bounds do not
   * exist between the timesteps and are refused.
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
