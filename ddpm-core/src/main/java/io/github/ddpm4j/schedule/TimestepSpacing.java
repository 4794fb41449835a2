package io.github.ddpm4j.schedule;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The selection of timesteps when sampling uses fewer steps than the schedule has (Lin et al. 2024,
 * table 2; names as in diffusers). Halves are rounded to even, as in numpy.
 *
 * <p>For T = 1000 and 10 steps:
 *
 * <pre>
 *   LEADING   900 800 700 600 500 400 300 200 100   0
 *   LINSPACE  999 888 777 666 555 444 333 222 111   0
 *   TRAILING  999 899 799 699 599 499 399 299 199  99
 * </pre>
 *
 * All visit every timestep when steps = T. A single step is timestep 0 with {@code LEADING} and
 * {@code LINSPACE}, and T − 1 with {@code TRAILING}: prefer {@code TRAILING} for few steps.
 * Samplers with {@code LEADING} as the default do so by themselves.
 */
public enum TimestepSpacing {
  /** Multiples of ⌊T / steps⌋ from 0: ends at 0, does not start at T − 1. */
  LEADING {
    @Override
    double[] ascending(int trainingSteps, int steps) {
      int stride = trainingSteps / steps;
      return IntStream.range(0, steps).mapToDouble(i -> (double) i * stride).toArray();
    }
  },
  /** Evenly spaced from 0 to T − 1, inclusive. */
  LINSPACE {
    @Override
    double[] ascending(int trainingSteps, int steps) {
      return Schedules.linspace(0, trainingSteps - 1, steps);
    }
  },
  /** Every T / steps backwards from T − 1: starts at T − 1 and does not end at 0. */
  TRAILING {
    @Override
    double[] ascending(int trainingSteps, int steps) {
      // As numpy.arange(T, 0, -T / steps) - 1, which multiplies the difference of its first two.
      double stride = trainingSteps - (trainingSteps - (double) trainingSteps / steps);
      return IntStream.range(0, steps)
          .mapToDouble(i -> Math.rint(trainingSteps - (steps - 1 - i) * stride) - 1)
          .toArray();
    }
  };

  /**
   * The timesteps of improved-diffusion's comma-separated lists ({@code space_timesteps}). The
   * schedule is split into as many contiguous sections as there are counts, from clean to noisy,
   * equal in length to within one timestep. Each section contributes its count of timesteps, evenly
   * spaced from its first to its last.
   *
   * <p>{@code sections(300, 10, 15, 20)} visits 10 of the 100 least noisy timesteps and 20 of the
   * 100 noisiest. A single count is {@link #LINSPACE}. What improved-diffusion calls {@code ddimN}
   * is {@link #LEADING}, for the N that it allows.
   *
   * @param trainingSteps the number of timesteps of the schedule, T, at least 1
   * @param counts the number of timesteps per section, each at least 1 and at most the section's
   *     length
   * @return the distinct timesteps in [0, T), strictly descending
   * @throws IllegalArgumentException if {@code trainingSteps} is less than 1, there are no counts,
   *     or a count exceeds its section
   */
  public static int[] sections(int trainingSteps, int... counts) {
    requireTrainingSteps(trainingSteps);
    if (counts.length == 0) {
      throw new IllegalArgumentException(
          "sections need at least one count; sections(" + trainingSteps + ", 50) is one of 50");
    }
    int[] ascending = new int[Arrays.stream(counts).map(count -> Math.max(0, count)).sum()];
    int first = 0;
    int filled = 0;
    for (int i = 0; i < counts.length; i++) {
      int length = trainingSteps / counts.length + (i < trainingSteps % counts.length ? 1 : 0);
      if (counts[i] < 1 || counts[i] > length) {
        throw new IllegalArgumentException(
            "the count of a section must be at least 1 and at most its length, but section "
                + (i + 1)
                + " of "
                + counts.length
                + " has "
                + length
                + " of the "
                + trainingSteps
                + " timesteps, and its count was "
                + counts[i]);
      }
      // Added up rather than multiplied, as the reference does: halves would round otherwise.
      double stride = counts[i] == 1 ? 1 : (length - 1.0) / (counts[i] - 1);
      double place = 0;
      for (int k = 0; k < counts[i]; k++) {
        ascending[filled++] = first + (int) Math.rint(place);
        place += stride;
      }
      first += length;
    }
    int[] descending = new int[filled];
    Arrays.setAll(descending, i -> ascending[ascending.length - 1 - i]);
    return descending;
  }

  /** The timesteps in rising order, before rounding. */
  abstract double[] ascending(int trainingSteps, int steps);

  /**
   * The timesteps to visit, from noisy to clean.
   *
   * @param trainingSteps the number of timesteps of the schedule, T, at least 1
   * @param steps the number of timesteps to visit, from 1 to T
   * @return {@code steps} distinct timesteps in [0, T), strictly descending
   * @throws IllegalArgumentException if {@code trainingSteps} is less than 1, or {@code steps} less
   *     than 1 or more than {@code trainingSteps}
   */
  public int[] timesteps(int trainingSteps, int steps) {
    requireTrainingSteps(trainingSteps);
    if (steps < 1 || steps > trainingSteps) {
      throw new IllegalArgumentException(
          "steps must be at least 1 and at most the schedule's "
              + trainingSteps
              + " timesteps, but was "
              + steps);
    }
    double[] ascending = ascending(trainingSteps, steps);
    return IntStream.range(0, steps).map(i -> (int) Math.rint(ascending[steps - 1 - i])).toArray();
  }

  private static void requireTrainingSteps(int trainingSteps) {
    if (trainingSteps < 1) {
      throw new IllegalArgumentException(
          "trainingSteps must be at least 1, but was " + trainingSteps);
    }
  }
}
