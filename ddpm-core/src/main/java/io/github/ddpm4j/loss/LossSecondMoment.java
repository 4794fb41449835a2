package io.github.ddpm4j.loss;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Arrays;
import java.util.Map;
import org.apache.commons.rng.UniformRandomProvider;

/** {@link TimestepSampler#lossSecondMoment()}. */
record LossSecondMoment(int history, double uniformProbability) implements TimestepSampler {

  /** Losses of each timestep that are kept, as in the paper: {@value}. */
  static final int HISTORY = 10;

  /** The share of the probability that is spread evenly, as in the authors' code: {@value}. */
  static final double UNIFORM_PROBABILITY = 0.001;

  LossSecondMoment {
    if (history < 1) {
      throw new IllegalArgumentException("history must be at least 1, but was " + history);
    }
    if (!(uniformProbability > 0 && uniformProbability <= 1)) {
      throw new IllegalArgumentException(
          "uniformProbability must be in (0, 1], but was "
              + uniformProbability
              + "; without it a timestep whose losses were 0 would never be drawn again");
    }
  }

  @Override
  public Draws begin(Schedule schedule) {
    return new History(schedule);
  }

  @Override
  public String toString() {
    return "lossSecondMoment(" + history + ", " + uniformProbability + ")";
  }

  /** The last losses of each timestep. */
  private final class History implements Draws {
    private static final String SQUARES = "squares";
    private static final String TOLD = "told";

    private final Schedule schedule;
    private final int timesteps;

    /** The square of each loss, row t for timestep t; the oldest is written over. */
    private final double[][] squares;

    private final long[] told;

    /** How many timesteps still lack losses. */
    private int lacking;

    /** p_t, and p_0 + … + p_t; even until every timestep has enough losses. */
    private final double[] probabilities;

    private final double[] cumulative;

    History(Schedule schedule) {
      this.schedule = schedule;
      timesteps = schedule.timesteps();
      squares = new double[timesteps][history];
      told = new long[timesteps];
      lacking = timesteps;
      probabilities = new double[timesteps];
      cumulative = new double[timesteps];
    }

    @Override
    public NoiseLevels draw(int images, UniformRandomProvider random) {
      int[] t = new int[images];
      for (int i = 0; i < images; i++) {
        t[i] = lacking > 0 ? random.nextInt(timesteps) : pick(random.nextDouble());
      }
      return NoiseLevels.of(schedule, t);
    }

    private int pick(double uniform) {
      int found = Arrays.binarySearch(cumulative, uniform * cumulative[timesteps - 1]);
      // Timestep t has the interval from the sum before it to its own, without its end.
      return Math.min(timesteps - 1, found >= 0 ? found + 1 : -found - 1);
    }

    @Override
    public double weight(NoiseLevels levels, int image) {
      return lacking > 0 ? 1 : 1 / (timesteps * probabilities[(int) levels.timestep(image)]);
    }

    @Override
    public boolean learns() {
      return true;
    }

    @Override
    public void learn(NoiseLevels levels, double[] losses) {
      for (int i = 0; i < losses.length; i++) {
        int t = (int) levels.timestep(i);
        squares[t][(int) (told[t] % history)] = losses[i] * losses[i];
        told[t]++;
        if (told[t] == history) {
          lacking--;
        }
      }
      if (lacking == 0) {
        update();
      }
    }

    @Override
    public Map<String, double[]> state() {
      return Map.of(
          SQUARES, Arrays.stream(squares).flatMapToDouble(Arrays::stream).toArray(),
          TOLD, Arrays.stream(told).asDoubleStream().toArray());
    }

    @Override
    public void restore(Map<String, double[]> state) {
      double[] rows = state.get(SQUARES);
      double[] counts = state.get(TOLD);
      if (rows == null
          || counts == null
          || rows.length != timesteps * history
          || counts.length != timesteps) {
        throw new IllegalArgumentException(
            "the state must hold "
                + history
                + " losses for each of "
                + timesteps
                + " timesteps, but is that of another sampler");
      }
      lacking = 0;
      for (int t = 0; t < timesteps; t++) {
        System.arraycopy(rows, t * history, squares[t], 0, history);
        told[t] = (long) counts[t];
        if (told[t] < history) {
          lacking++;
        }
      }
      if (lacking == 0) {
        update();
      }
    }

    private void update() {
      double all = 0;
      for (int t = 0; t < timesteps; t++) {
        probabilities[t] = Math.sqrt(Arrays.stream(squares[t]).sum() / history);
        all += probabilities[t];
      }
      double sum = 0;
      for (int t = 0; t < timesteps; t++) {
        double share = all == 0 ? 1.0 / timesteps : probabilities[t] / all;
        probabilities[t] = (1 - uniformProbability) * share + uniformProbability / timesteps;
        sum += probabilities[t];
        cumulative[t] = sum;
      }
    }
  }
}
