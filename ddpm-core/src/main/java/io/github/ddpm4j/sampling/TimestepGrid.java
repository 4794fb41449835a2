package io.github.ddpm4j.sampling;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Which timesteps of a schedule a sampler visits, in descending order. */
@FunctionalInterface
interface TimestepGrid {

  /** The timesteps for a schedule, strictly descending. */
  int[] timesteps(Schedule schedule);

  /** Every timestep. */
  static TimestepGrid all() {
    return schedule -> {
      int trainingSteps = schedule.timesteps();
      return IntStream.range(0, trainingSteps).map(i -> trainingSteps - 1 - i).toArray();
    };
  }

  static TimestepGrid spaced(TimestepSpacing spacing, int steps) {
    return schedule -> spacing.timesteps(schedule.timesteps(), steps);
  }

  /** Where no spacing is set. */
  static TimestepGrid usual(int steps) {
    return schedule -> {
      int trainingSteps = schedule.timesteps();
      return UsualSpacing.of(schedule, trainingSteps, steps).timesteps(trainingSteps, steps);
    };
  }

  /** A list given outright. */
  static TimestepGrid of(int... descending) {
    int[] list = descending.clone();
    requireDescending(list);
    return schedule -> {
      requireWithin(list[0], schedule.timesteps());
      return list.clone();
    };
  }

  static void requireDescending(int... list) {
    if (list.length == 0) {
      throw new IllegalArgumentException("timesteps must not be empty; name at least one");
    }
    for (int i = 0; i < list.length; i++) {
      if (list[i] < 0 || (i > 0 && list[i] >= list[i - 1])) {
        throw new IllegalArgumentException(
            "timesteps must be strictly descending and at least 0, but entry "
                + i
                + " is "
                + list[i]
                + " in "
                + Quote.of(Arrays.toString(list)));
      }
    }
  }

  static void requireWithin(int first, int trainingSteps) {
    if (first >= trainingSteps) {
      throw new IllegalArgumentException(
          "timesteps must lie in [0, " + trainingSteps + "), but the first is " + first);
    }
  }

  /**
   * The timesteps to visit from a start on: the grid as it is from pure noise (start T), since
   * spacings need not begin at the last timestep; otherwise the start itself and what the grid
   * holds under it.
   */
  default int[] from(int start, Schedule schedule) {
    int trainingSteps = schedule.timesteps();
    requireStart(start, schedule);
    int[] grid = timesteps(schedule);
    if (start == trainingSteps) {
      requireNoisiest(grid[0], schedule);
      return grid;
    }
    return IntStream.concat(IntStream.of(start), Arrays.stream(grid).filter(t -> t < start))
        .toArray();
  }

  /** Pure noise stands at the last timestep; without signal there, no lower level is near it. */
  private static void requireNoisiest(int first, Schedule schedule) {
    int last = schedule.timesteps() - 1;
    if (schedule.signal(last) == 0 && first < last) {
      throw new IllegalArgumentException(
          "the timesteps begin at "
              + first
              + ", but with a schedule of zero terminal SNR pure noise stands at timestep "
              + last
              + " alone; use TimestepSpacing.TRAILING, or a list that begins there");
    }
  }

  static void requireStart(int start, Schedule schedule) {
    int trainingSteps = schedule.timesteps();
    if (start < 0 || start > trainingSteps) {
      throw new IllegalArgumentException(
          "start timestep must lie in [0, "
              + trainingSteps
              + "], where "
              + trainingSteps
              + " stands for pure noise, but was "
              + start
              + "; choose one of these, "
              + trainingSteps
              + " for a whole run");
    }
  }
}
