package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.DoubleStream;

/**
 * Where the steps of a sampler stand if nobody says so, and what is refused then. A spacing that is
 * set is obeyed, since published results use such lists; a run warns of it at most.
 */
final class UsualSpacing {

  /** With more signal than this, a level is far from the pure noise that a run starts with. */
  private static final double FAR_FROM_NOISE = 0.2;

  /** The greatest factor of a row that takes x from one level to the next by itself. */
  private static final double GREATEST_ALONE = 1000;

  /** The greatest factor of a row that takes the difference of estimates. */
  private static final double GREATEST_OF_DIFFERENCES = 25;

  private UsualSpacing() {}

  /**
   * LEADING, as in the papers' code. It begins below the last timestep, with few steps so far below
   * that the network would be asked about pure noise at a level of much signal; there, and where
   * only the last timestep is free of signal, TRAILING.
   *
   * @param usable how many timesteps, counted from 0, there are to visit
   */
  static TimestepSpacing of(Schedule schedule, int usable, int steps) {
    int first = TimestepSpacing.LEADING.timesteps(usable, steps)[0];
    boolean far = schedule.signal(first) > FAR_FROM_NOISE || schedule.signal(usable - 1) == 0;
    return first < usable - 1 && far ? TimestepSpacing.TRAILING : TimestepSpacing.LEADING;
  }

  /**
   * Refuses a plan of a spacing that is not set, if a row magnifies what the network gets wrong.
   */
  static void requireServes(Sampler sampler, SamplingPlan plan) {
    for (SamplingPlan.Step row : plan.steps()) {
      double factor = greatestFactor(row);
      if (factor > (row.past().isEmpty() ? GREATEST_ALONE : GREATEST_OF_DIFFERENCES)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "%s would multiply the network's errors by up to %.2g in the step from timestep"
                    + " %.4g, since the next level is far away; use dpmSolverPlusPlus, take more"
                    + " steps, or leave out levels of next to no signal by lambdaMin(-5.1); a"
                    + " spacing that is set is obeyed",
                sampler,
                factor,
                row.timestep()));
      }
    }
  }

  private static double greatestFactor(SamplingPlan.Step row) {
    return DoubleStream.concat(
            DoubleStream.of(row.cX(), row.cX0(), row.cEps()),
            row.past().stream().mapToDouble(Double::doubleValue))
        .map(Math::abs)
        .max()
        .orElse(0);
  }

  /**
   * What to tell the user of a plan that starts from pure noise, if its list begins far from it.
   */
  static Optional<String> warning(SamplingPlan plan, Schedule schedule) {
    SamplingPlan.Step first = plan.steps().get(0);
    if (first.signal() <= FAR_FROM_NOISE || first.timestep() >= schedule.timesteps() - 1) {
      return Optional.empty();
    }
    return Optional.of(
        String.format(
            Locale.ROOT,
            "the network is asked about pure noise at timestep %.4g, where images keep a signal of"
                + " %.2g; space the timesteps by trailing, or take more steps",
            first.timestep(),
            first.signal()));
  }
}
