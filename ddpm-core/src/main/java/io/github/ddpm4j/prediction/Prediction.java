package io.github.ddpm4j.prediction;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.ops.PerImage;
import io.github.ddpm4j.schedule.Schedule;

/**
 * What the network predicts, and every conversion between the noise ε, the clean image x_0, the
 * velocity v and the posterior mean.
 *
 * <p>A noisy image is {@code x = signal · x_0 + noise · ε}. All conversions are linear, so each is
 * given as a {@link LinearForm} in {@code double}, for any level of signal and noise; the methods
 * that take arrays apply them at the levels of a schedule. Ho et al. 2020, section 3.2, compare
 * {@link #EPSILON} and {@link #PREVIOUS_MEAN}.
 *
 * <p>The forms throw {@link IllegalArgumentException} where a conversion does not exist, saying
 * what would do instead: {@link #EPSILON} without signal, ε from {@link #X0} without noise, {@link
 * #PREVIOUS_MEAN} off the schedule's own timesteps. They throw it too if {@code signal} or {@code
 * noise} is negative or not finite, or both are 0.
 */
public enum Prediction {
  /**
   * The noise ε: the paper's choice. Undefined where nothing of the image is left (signal 0), as in
   * the last step of a zero-terminal-SNR schedule.
   *
   * <pre>
   *   target = ε        x̂_0 = (x − noise · out) / signal        ε̂ = out
   * </pre>
   */
  EPSILON {
    @Override
    LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise) {
      requireSignal(timestep, signal);
      return new LinearForm(0, 1);
    }

    @Override
    LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise) {
      requireSignal(timestep, signal);
      return new LinearForm(1 / signal, -noise / signal);
    }

    @Override
    LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise) {
      requireSignal(timestep, signal);
      return new LinearForm(0, 1);
    }
  },

  /**
   * The clean image x_0.
   *
   * <pre>
   *   target = x_0      x̂_0 = out      ε̂ = (x − signal · out) / noise
   * </pre>
   */
  X0 {
    @Override
    LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise) {
      return new LinearForm(1, 0);
    }

    @Override
    LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise) {
      return new LinearForm(0, 1);
    }

    @Override
    LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise) {
      requireNoise(timestep, noise);
      return new LinearForm(1 / noise, -signal / noise);
    }
  },

  /**
   * The velocity v = signal · ε − noise · x_0 (Salimans and Ho 2022, appendix D). Defined at every
   * level, so it suits zero-terminal-SNR schedules.
   *
   * <pre>
   *   target = v        x̂_0 = signal · x − noise · out      ε̂ = noise · x + signal · out
   * </pre>
   *
   * divided by signal² + noise² where that is not 1.
   */
  VELOCITY {
    @Override
    LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise) {
      return new LinearForm(-noise, signal);
    }

    @Override
    LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise) {
      double square = signal * signal + noise * noise;
      return new LinearForm(signal / square, -noise / square);
    }

    @Override
    LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise) {
      double square = signal * signal + noise * noise;
      return new LinearForm(noise / square, signal / square);
    }
  },

  /**
   * The posterior mean μ̃ of eq. 7, which the paper tried beside ε. With μ̃ = c_0 · x_0 + c_t · x,
   * the schedule's {@link Schedule#posteriorMeanX0} and {@link Schedule#posteriorMeanXt}:
   *
   * <pre>
   *   target = μ̃        x̂_0 = (out − c_t · x) / c_0        ε̂ = (x − signal · x̂_0) / noise
   * </pre>
   *
   * <p>The mean is that of one step of the schedule. Timesteps must be whole, and the levels those
   * of the schedule there, to {@value #LEVEL_TOLERANCE}.
   */
  PREVIOUS_MEAN {
    @Override
    LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise) {
      int t = requireOnSchedule(schedule, timestep, signal, noise);
      double ofX0 = schedule.posteriorMeanX0(t);
      double ofXt = schedule.posteriorMeanXt(t);
      return new LinearForm(ofX0 + ofXt * signal, ofXt * noise);
    }

    @Override
    LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise) {
      int t = requireOnSchedule(schedule, timestep, signal, noise);
      double ofX0 = schedule.posteriorMeanX0(t);
      return new LinearForm(-schedule.posteriorMeanXt(t) / ofX0, 1 / ofX0);
    }

    @Override
    LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise) {
      LinearForm x0 = x0Form(schedule, timestep, signal, noise);
      return new LinearForm((1 - signal * x0.first()) / noise, -signal * x0.second() / noise);
    }
  };

  /** How far from the schedule's level {@link #PREVIOUS_MEAN} may be asked: {@value}. */
  private static final double LEVEL_TOLERANCE = 1e-9;

  abstract LinearForm targetForm(Schedule schedule, double timestep, double signal, double noise);

  abstract LinearForm x0Form(Schedule schedule, double timestep, double signal, double noise);

  abstract LinearForm epsilonForm(Schedule schedule, double timestep, double signal, double noise);

  /**
   * What the network is trained to say: {@code first · x_0 + second · ε}.
   *
   * @param schedule the schedule
   * @param timestep the timestep of the image, 0-based
   * @param signal the factor of x_0 in the image
   * @param noise the factor of ε in the image
   * @return the target in terms of (x_0, ε)
   * @throws IllegalArgumentException if the target does not exist at this level
   */
  public LinearForm target(Schedule schedule, double timestep, double signal, double noise) {
    requireLevel(signal, noise);
    return targetForm(schedule, timestep, signal, noise);
  }

  /**
   * The clean image that the network's output means: {@code first · x + second · output}.
   *
   * @param schedule the schedule
   * @param timestep the timestep of the image, 0-based
   * @param signal the factor of x_0 in the image
   * @param noise the factor of ε in the image
   * @return x̂_0 in terms of (x, output)
   * @throws IllegalArgumentException if the output does not determine x_0 at this level
   */
  public LinearForm x0(Schedule schedule, double timestep, double signal, double noise) {
    requireLevel(signal, noise);
    return x0Form(schedule, timestep, signal, noise);
  }

  /**
   * The noise that the network's output means: {@code first · x + second · output}.
   *
   * @param schedule the schedule
   * @param timestep the timestep of the image, 0-based
   * @param signal the factor of x_0 in the image
   * @param noise the factor of ε in the image
   * @return ε̂ in terms of (x, output)
   * @throws IllegalArgumentException if the output does not determine ε at this level
   */
  public LinearForm epsilon(Schedule schedule, double timestep, double signal, double noise) {
    requireLevel(signal, noise);
    return epsilonForm(schedule, timestep, signal, noise);
  }

  /**
   * What the network is trained to say, for a batch.
   *
   * @param schedule the schedule
   * @param t the timestep per image
   * @param x0 the clean images, {@code float32} or {@code float64}, shape (N, …)
   * @param noise ε, of the shape, dtype and device of {@code x0}
   * @return the target, attached to the manager of {@code x0}
   * @throws IllegalArgumentException if the arrays do not fit each other or {@code t}, or the
   *     target does not exist at a timestep
   * @throws IndexOutOfBoundsException if a timestep is outside the schedule
   */
  public NDArray target(Schedule schedule, int[] t, NDArray x0, NDArray noise) {
    return apply(this::target, schedule, t, "x0", x0, "noise", noise);
  }

  /**
   * The clean images that the network's output means, for a batch.
   *
   * @param schedule the schedule
   * @param t the timestep per image
   * @param x the noisy images, {@code float32} or {@code float64}, shape (N, …)
   * @param output what the network said, of the shape, dtype and device of {@code x}
   * @return x̂_0, not clipped, attached to the manager of {@code x}
   * @throws IllegalArgumentException if the arrays do not fit each other or {@code t}, or the
   *     output does not determine x_0 at a timestep
   * @throws IndexOutOfBoundsException if a timestep is outside the schedule
   */
  public NDArray x0(Schedule schedule, int[] t, NDArray x, NDArray output) {
    return apply(this::x0, schedule, t, "x", x, "output", output);
  }

  /**
   * The noise that the network's output means, for a batch.
   *
   * @param schedule the schedule
   * @param t the timestep per image
   * @param x the noisy images, {@code float32} or {@code float64}, shape (N, …)
   * @param output what the network said, of the shape, dtype and device of {@code x}
   * @return ε̂, attached to the manager of {@code x}
   * @throws IllegalArgumentException if the arrays do not fit each other or {@code t}, or the
   *     output does not determine ε at a timestep
   * @throws IndexOutOfBoundsException if a timestep is outside the schedule
   */
  public NDArray epsilon(Schedule schedule, int[] t, NDArray x, NDArray output) {
    return apply(this::epsilon, schedule, t, "x", x, "output", output);
  }

  @FunctionalInterface
  private interface Conversion {
    LinearForm at(Schedule schedule, double timestep, double signal, double noise);
  }

  private static NDArray apply(
      Conversion conversion,
      Schedule schedule,
      int[] t,
      String firstName,
      NDArray first,
      String secondName,
      NDArray second) {
    PerImage.requireBatch(firstName, first);
    PerImage.requireLike(secondName, second, firstName, first);
    PerImage.requireOnePerImage("t", t.length, firstName, first);
    double[] firsts = new double[t.length];
    double[] seconds = new double[t.length];
    for (int i = 0; i < t.length; i++) {
      LinearForm form = conversion.at(schedule, t[i], schedule.signal(t[i]), schedule.noise(t[i]));
      firsts[i] = form.first();
      seconds[i] = form.second();
    }
    return PerImage.sum(firsts, first, seconds, second);
  }

  private static void requireLevel(double signal, double noise) {
    if (!(signal >= 0 && noise >= 0 && signal + noise > 0)
        || Double.isInfinite(signal)
        || Double.isInfinite(noise)) {
      throw new IllegalArgumentException(
          "signal and noise must be finite, at least 0 and not both 0, but were "
              + signal
              + " and "
              + noise);
    }
  }

  private static void requireSignal(double timestep, double signal) {
    if (signal == 0) {
      throw new IllegalArgumentException(
          "prediction EPSILON needs signal above 0, but at timestep "
              + timestep
              + " it was 0, where x is all noise and says nothing about x_0; use VELOCITY or X0"
              + " with a zero-terminal-SNR schedule");
    }
  }

  private static void requireNoise(double timestep, double noise) {
    if (noise == 0) {
      throw new IllegalArgumentException(
          "prediction X0 needs noise above 0 to give epsilon, but at timestep "
              + timestep
              + " it was 0, where x is x_0; use EPSILON or VELOCITY to start from clean images");
    }
  }

  private static int requireOnSchedule(
      Schedule schedule, double timestep, double signal, double noise) {
    if (timestep != Math.rint(timestep) || timestep < 0 || timestep >= schedule.timesteps()) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN needs a whole timestep of the schedule, from 0 to "
              + (schedule.timesteps() - 1)
              + ", but was asked at "
              + timestep
              + "; use EPSILON, X0 or VELOCITY with a sampler that asks in between");
    }
    int t = (int) timestep;
    if (Math.abs(signal - schedule.signal(t)) > LEVEL_TOLERANCE
        || Math.abs(noise - schedule.noise(t)) > LEVEL_TOLERANCE) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN needs the levels of the schedule at timestep "
              + t
              + ", signal "
              + schedule.signal(t)
              + " and noise "
              + schedule.noise(t)
              + ", but they were "
              + signal
              + " and "
              + noise
              + "; use EPSILON, X0 or VELOCITY with a sampler that leaves the schedule");
    }
    return t;
  }
}
