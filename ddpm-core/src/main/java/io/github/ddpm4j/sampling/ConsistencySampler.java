package io.github.ddpm4j.sampling;

import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/**
 * Multistep consistency sampling (Song et al. 2023, algorithm 1): each call maps x to an image, to
 * which fresh noise is added for the next.
 *
 * <pre>
 *   x' = α' · x̂_0 + σ' · z,    z ~ N(0, I);    x' = x̂_0 after the last call
 * </pre>
 *
 * <p>The levels are given by their ratios of noise to signal s, from s_1 = {@link #sigmaMax} down,
 * evenly spaced in ln s about {@link #sigmaMiddle}, where the second of two calls is made:
 *
 * <pre>
 *   s_k = s_mid · (s_1 / s_mid)^(1 − 2 (k − 1) / n),    k = 1, …, n
 * </pre>
 *
 * <p>It is meant for models that map a noisy image to the end of its way in one call, as {@code
 * ddpm.consistencyTuning()} makes them. With an ordinary model, whose x̂_0 is the mean of all
 * images that x may come from, a single call gives that mean. A {@link Prediction#PREVIOUS_MEAN} is
 * asked at the nearest timesteps of the schedule. Immutable.
 */
public final class ConsistencySampler implements Sampler {

  /**
   * The s of the first call where neither sampler nor model tells it, the paper's: {@value}. A
   * schedule that ends below it starts there.
   */
  public static final double DEFAULT_SIGMA_MAX = 80;

  /** The s of the second of two calls, as Song and Dhariwal 2024 have it for CIFAR-10: {@value}. */
  public static final double DEFAULT_SIGMA_MIDDLE = 0.821;

  private static final String NAME = "consistency";

  /** {@link #max} where it is left to the model. */
  private static final double UNSET = 0;

  private final int calls;
  private final double max;
  private final double middle;

  /** The levels outright; empty where they follow from the other settings. */
  private final List<Double> sigmas;

  private ConsistencySampler(int calls, double max, double middle, List<Double> sigmas) {
    this.calls = calls;
    this.max = max;
    this.middle = middle;
    this.sigmas = sigmas;
  }

  /** Whether a sampler is of this kind, also with jumps back. */
  static boolean isIn(Sampler sampler) {
    return sampler instanceof ConsistencySampler
        || (sampler instanceof ResamplingSampler resampling && isIn(resampling.base()));
  }

  /**
   * The same sampler from a greatest level on, unless it has one of its own.
   *
   * @param sampler one that {@link #isIn} knows
   */
  static Sampler startingAt(Sampler sampler, double sigmaMax) {
    if (sampler instanceof ResamplingSampler resampling) {
      return resampling.over(startingAt(resampling.base(), sigmaMax));
    }
    ConsistencySampler own = (ConsistencySampler) sampler;
    return own.max == UNSET && own.sigmas.isEmpty() ? own.sigmaMax(sigmaMax) : own;
  }

  /**
   * The ratio of noise to signal of the first call from noise.
   *
   * @param sampler one that {@link #isIn} knows
   */
  static double first(Sampler sampler) {
    return sampler instanceof ResamplingSampler resampling
        ? first(resampling.base())
        : ((ConsistencySampler) sampler).first();
  }

  private double first() {
    return !sigmas.isEmpty() ? sigmas.get(0) : max == UNSET ? DEFAULT_SIGMA_MAX : max;
  }

  static ConsistencySampler of(int calls) {
    DdpmSampler.requireSteps(calls);
    return new ConsistencySampler(calls, UNSET, DEFAULT_SIGMA_MIDDLE, List.of());
  }

  /**
   * The ratio of noise to signal at which pure noise is taken to stand, s_1.
   *
   * @param sigma positive and finite; the default is what the model was tuned for, and {@value
   *     #DEFAULT_SIGMA_MAX} where it does not tell. A schedule that ends at less starts there
   * @return a sampler that starts there
   * @throws IllegalArgumentException if {@code sigma} is not positive and finite
   */
  public ConsistencySampler sigmaMax(double sigma) {
    return new ConsistencySampler(calls, requireSigma("sigmaMax", sigma), middle, List.of());
  }

  /**
   * The ratio of noise to signal that the levels lie about, s_mid: that of the second of two calls.
   *
   * @param sigma positive and finite; the default is {@value #DEFAULT_SIGMA_MIDDLE}
   * @return a sampler with this middle
   * @throws IllegalArgumentException if {@code sigma} is not positive and finite
   */
  public ConsistencySampler sigmaMiddle(double sigma) {
    return new ConsistencySampler(calls, max, requireSigma("sigmaMiddle", sigma), List.of());
  }

  /**
   * Calls the network at the given levels.
   *
   * @param descending their ratios of noise to signal, strictly descending, positive and finite
   * @return a sampler over these levels, whatever its number of calls was
   * @throws IllegalArgumentException if there are none, or they are not positive, finite and
   *     descending
   */
  public ConsistencySampler sigmas(double... descending) {
    if (descending.length == 0) {
      throw new IllegalArgumentException("sigmas must name at least 1 level, but there were none");
    }
    for (int i = 0; i < descending.length; i++) {
      requireSigma("sigmas", descending[i]);
      if (i > 0 && !(descending[i] < descending[i - 1])) {
        throw new IllegalArgumentException(
            "sigmas must be strictly descending, but were " + Arrays.toString(descending));
      }
    }
    return new ConsistencySampler(
        descending.length, max, middle, Arrays.stream(descending).boxed().toList());
  }

  private static double requireSigma(String name, double sigma) {
    if (!(sigma > 0) || Double.isInfinite(sigma)) {
      throw new IllegalArgumentException(name + " must be positive and finite, but was " + sigma);
    }
    return sigma;
  }

  /**
   * Works out the calls from {@code start} down to the image. A run from a lower timestep makes the
   * first call there, and then those at the levels under it.
   *
   * @throws IllegalArgumentException if the schedule ends at less noise than the middle of several
   *     levels
   */
  @Override
  public SamplingPlan plan(Diffusion diffusion, int start) {
    Objects.requireNonNull(diffusion, "diffusion");
    Schedule schedule = diffusion.schedule();
    TimestepGrid.requireStart(start, schedule);
    List<Level> levels = levels(diffusion, start);
    List<SamplingPlan.Step> rows = new ArrayList<>();
    for (int i = 0; i < levels.size(); i++) {
      Level next = i + 1 < levels.size() ? levels.get(i + 1) : Level.CLEAN;
      rows.add(new SamplingPlan.Step(levels.get(i), 0, next.signal(), 0, List.of(), next.noise()));
    }
    return new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, Level.CLEAN);
  }

  private List<Level> levels(Diffusion diffusion, int start) {
    Schedule schedule = diffusion.schedule();
    boolean fromNoise = start == schedule.timesteps();
    Level last = Level.last(schedule);
    List<Level> levels = new ArrayList<>();
    if (!fromNoise) {
      levels.add(Level.of(schedule, start));
    }
    for (double sigma : sigmas(last.sigma())) {
      Level level = sigma == last.sigma() ? last : Level.ofSigma(schedule, sigma);
      if (diffusion.prediction() == Prediction.PREVIOUS_MEAN) {
        level = Level.of(schedule, (int) Math.rint(level.timestep()));
      }
      if (levels.isEmpty() || level.sigma() < levels.get(levels.size() - 1).sigma()) {
        levels.add(level);
      }
    }
    return levels;
  }

  /** From pure noise. */
  private double[] sigmas(double greatest) {
    if (!sigmas.isEmpty()) {
      return sigmas.stream().mapToDouble(sigma -> Math.min(sigma, greatest)).toArray();
    }
    double first = Math.min(first(), greatest);
    if (calls > 1 && first <= middle) {
      throw new IllegalArgumentException(
          this
              + " calls the network at noise / signal from "
              + first
              + " down to less than "
              + middle
              + ", its sigmaMiddle; set a smaller sigmaMiddle, or the levels by sigmas(...)");
    }
    double[] all = new double[calls];
    Arrays.setAll(all, k -> middle * Math.pow(first / middle, 1 - 2.0 * k / calls));
    all[0] = first;
    return all;
  }

  @Override
  public String toString() {
    if (!sigmas.isEmpty()) {
      return SamplerText.of(NAME)
          .option(
              "sigmas=" + sigmas.stream().map(SamplerText::number).collect(Collectors.joining(" ")))
          .toString();
    }
    return SamplerText.of(NAME, calls)
        .number("sigmaMax", max, UNSET)
        .number("sigmaMiddle", middle, DEFAULT_SIGMA_MIDDLE)
        .toString();
  }
}
