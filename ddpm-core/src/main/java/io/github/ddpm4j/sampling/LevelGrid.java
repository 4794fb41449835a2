package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which levels of noise a sampler visits, from the noisiest to where it ends.
 *
 * @param steps how many levels are visited from pure noise
 * @param timestepSpacing how timesteps are spread, where {@code noiseSpacing} is null; null for
 *     what {@link UsualSpacing} says
 * @param noiseSpacing how levels are spread
 * @param timesteps the timesteps outright; null where a spacing says them
 * @param isSet whether the user chose the spacing, which is then obeyed
 * @param skipsFirstTimestep whether {@code LEADING} and {@code LINSPACE} leave timestep 0 out, as
 *     multistep solvers want: from there to the image is hardly a step
 * @param lambdaMin levels below this λ are not visited
 * @param endAtFirstTimestep whether to end at the level of timestep 0, not at the image
 */
record LevelGrid(
    int steps,
    @Nullable TimestepSpacing timestepSpacing,
    @Nullable NoiseSpacing noiseSpacing,
    @Nullable List<Integer> timesteps,
    boolean isSet,
    boolean skipsFirstTimestep,
    double lambdaMin,
    boolean endAtFirstTimestep) {

  /** Two levels nearly coincide if they are nearer than this share of the step that follows. */
  private static final double NEARLY = 0.5;

  /** ln(signal / noise) at the end of the paper's linear schedule. */
  private static final double LEAST_LAMBDA = -5.1;

  /** A grid whose spacing is not set. */
  static LevelGrid of(
      int steps,
      @Nullable TimestepSpacing timestepSpacing,
      @Nullable NoiseSpacing noiseSpacing,
      boolean skipsFirstTimestep) {
    DdpmSampler.requireSteps(steps);
    return new LevelGrid(
        steps,
        timestepSpacing,
        noiseSpacing,
        null,
        false,
        skipsFirstTimestep,
        Double.NEGATIVE_INFINITY,
        false);
  }

  LevelGrid spacing(TimestepSpacing spacing) {
    return new LevelGrid(
        steps, spacing, null, null, true, skipsFirstTimestep, lambdaMin, endAtFirstTimestep);
  }

  LevelGrid spacing(NoiseSpacing spacing) {
    return new LevelGrid(
        steps,
        timestepSpacing,
        spacing,
        null,
        true,
        skipsFirstTimestep,
        lambdaMin,
        endAtFirstTimestep);
  }

  /** A list given outright, checked as {@link TimestepGrid} does. */
  LevelGrid timesteps(int... descending) {
    TimestepGrid.requireDescending(descending);
    return new LevelGrid(
        descending.length,
        timestepSpacing,
        null,
        Arrays.stream(descending).boxed().toList(),
        true,
        skipsFirstTimestep,
        lambdaMin,
        endAtFirstTimestep);
  }

  LevelGrid lambdaMin(double lambda) {
    if (Double.isNaN(lambda) || lambda == Double.POSITIVE_INFINITY) {
      throw new IllegalArgumentException(
          "lambdaMin must be a number or -Infinity, but was " + lambda);
    }
    return new LevelGrid(
        steps,
        timestepSpacing,
        noiseSpacing,
        timesteps,
        isSet,
        skipsFirstTimestep,
        lambda,
        endAtFirstTimestep);
  }

  LevelGrid endAtFirstTimestep(boolean end) {
    return new LevelGrid(
        steps, timestepSpacing, noiseSpacing, timesteps, isSet, skipsFirstTimestep, lambdaMin, end);
  }

  /**
   * The levels, strictly descending in noise: the one that each step begins at, and the one that
   * the last step ends at. From pure noise (start T) the grid as it is, otherwise the start and
   * what the grid holds under it.
   */
  List<Level> levels(Diffusion diffusion, int start) {
    Schedule schedule = diffusion.schedule();
    TimestepGrid.requireStart(start, schedule);
    requireServes(diffusion);
    Level end = endAtFirstTimestep ? Level.of(schedule, 0) : Level.CLEAN;
    boolean fromNoise = start == schedule.timesteps();
    boolean hasSignal = !fromNoise && schedule.signal(start) > 0;
    List<Level> grid = spread(schedule, fromNoise, hasSignal);
    List<Level> levels = new ArrayList<>();
    if (fromNoise) {
      requireNoisiest(schedule, grid.get(0));
      levels.add(grid.get(0));
    } else {
      levels.add(Level.of(schedule, start));
    }
    for (Level level : grid) {
      if (level.noise() < levels.get(levels.size() - 1).noise() && level.noise() > end.noise()) {
        levels.add(level);
      }
    }
    if (levels.get(0).noise() <= end.noise()) {
      throw new IllegalArgumentException(
          "there is nothing to do from timestep "
              + (int) levels.get(0).timestep()
              + " with endAtFirstTimestep, which ends there; start higher, or end at the image");
    }
    levels.add(end);
    return levels;
  }

  /**
   * The steps of a whole run from pure noise, of which a run from a lower level takes some.
   *
   * @param diffusion the schedule to plan for
   * @return at least 1
   */
  int stepsFromNoise(Diffusion diffusion) {
    Schedule schedule = diffusion.schedule();
    double end = endAtFirstTimestep ? schedule.noise(0) : 0;
    List<Level> grid = spread(schedule, true, true);
    return (int) Math.max(1, grid.stream().filter(level -> level.noise() > end).count());
  }

  /**
   * The levels of the grid.
   *
   * @param hasSignal whether the run starts where some signal is left. Levels of a schedule that
   *     ends without any are then spaced from where the paper's linear schedule ends
   */
  private List<Level> spread(Schedule schedule, boolean fromNoise, boolean hasSignal) {
    int usable = usableTimesteps(schedule);
    List<Integer> given = timesteps;
    if (given != null) {
      TimestepGrid.requireWithin(given.get(0), schedule.timesteps());
      List<Level> levels =
          given.stream().filter(t -> t < usable).map(t -> Level.of(schedule, t)).toList();
      if (levels.isEmpty()) {
        throw new IllegalArgumentException(
            "lambdaMin " + lambdaMin + " leaves none of the timesteps " + given);
      }
      return levels;
    }
    if (noiseSpacing != null) {
      int last = usable - 1;
      if (hasSignal && schedule.signal(last) == 0) {
        while (last > 0 && Level.of(schedule, last).lambda() < LEAST_LAMBDA) {
          last--;
        }
      }
      return noiseSpacing.levels(schedule, last, endAtFirstTimestep ? steps + 1 : steps);
    }
    TimestepSpacing spacing = timestepSpacing(schedule, usable, fromNoise);
    boolean skips = skipsFirstTimestep && spacing != TimestepSpacing.TRAILING;
    if (skips && steps == usable) {
      throw new IllegalArgumentException(
          "steps must be less than the "
              + usable
              + " timesteps with "
              + spacing
              + " spacing, which leaves timestep 0 out, but was "
              + steps
              + "; use fewer steps or TimestepSpacing.TRAILING");
    }
    int[] timesteps =
        skips && steps < usable
            ? Arrays.copyOf(spacing.timesteps(usable, steps + 1), steps)
            : spacing.timesteps(usable, steps);
    return Arrays.stream(timesteps).mapToObj(t -> Level.of(schedule, t)).toList();
  }

  /**
   * Below pure noise LEADING has no advantage, and ends at timestep 0, from where to the image is
   * hardly a step: where none is set, it is TRAILING.
   */
  private TimestepSpacing timestepSpacing(Schedule schedule, int usable, boolean fromNoise) {
    if (timestepSpacing != null) {
      return timestepSpacing;
    }
    return fromNoise ? UsualSpacing.of(schedule, usable, steps) : TimestepSpacing.TRAILING;
  }

  /** How many timesteps, counted from 0, have at least the least λ. */
  private int usableTimesteps(Schedule schedule) {
    int usable = schedule.timesteps();
    while (usable > 0 && Level.of(schedule, usable - 1).lambda() < lambdaMin) {
      usable--;
    }
    if (usable == 0) {
      throw new IllegalArgumentException(
          "lambdaMin "
              + lambdaMin
              + " leaves no timestep: the greatest of the schedule is "
              + Level.of(schedule, 0).lambda());
    }
    return usable;
  }

  private void requireServes(Diffusion diffusion) {
    if (noiseSpacing != null && diffusion.prediction() == Prediction.PREVIOUS_MEAN) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN cannot be used with "
              + noiseSpacing
              + " spacing, which asks the network off the schedule's timesteps; use a"
              + " TimestepSpacing");
    }
  }

  /** Pure noise stands at the last timestep; without signal there, no lower level is near it. */
  private void requireNoisiest(Schedule schedule, Level first) {
    int last = schedule.timesteps() - 1;
    if (schedule.signal(last) == 0 && first.signal() > 0 && lambdaMin == Double.NEGATIVE_INFINITY) {
      throw new IllegalArgumentException(
          (timesteps != null ? "the list" : timestepSpacing + " spacing")
              + " begins at timestep "
              + (int) first.timestep()
              + ", but with a schedule of zero terminal SNR pure noise stands at timestep "
              + last
              + " alone; use TimestepSpacing.TRAILING");
    }
  }

  /**
   * How many of the levels before this one a multistep method may look back at: not at the first
   * where it has no signal, or is a start that nearly coincides with the next level. From the
   * estimates there it would extrapolate over many times their distance.
   */
  static int history(List<Level> levels, int index, boolean fromNoise) {
    boolean forgets =
        levels.get(0).signal() == 0 || (!fromNoise && levels.size() > 2 && nearlyCoincide(levels));
    return forgets ? Math.max(0, index - 1) : index;
  }

  private static boolean nearlyCoincide(List<Level> levels) {
    double next = levels.get(1).lambda();
    return next - levels.get(0).lambda() < NEARLY * (levels.get(2).lambda() - next);
  }

  /** The grid as text, after the name of its sampler. */
  SamplerText text(String name) {
    List<Integer> given = timesteps;
    SamplerText text =
        given != null
            ? SamplerText.of(
                name + SamplerText.grid(given.stream().mapToInt(Integer::intValue).toArray()))
            : SamplerText.of(name, steps);
    if (given != null) {
      return common(text);
    }
    if (noiseSpacing != null) {
      noiseSpacing.writeTo(text);
    } else if (timestepSpacing != null) {
      text.option(SamplerText.name(timestepSpacing));
    }
    return common(text);
  }

  private SamplerText common(SamplerText text) {
    return text.number("lambdaMin", lambdaMin, Double.NEGATIVE_INFINITY)
        .flag("endAtFirstTimestep", endAtFirstTimestep, false);
  }
}
