package io.github.ddpm4j.prediction;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.ops.PerImage;
import io.github.ddpm4j.schedule.Schedule;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * What the network predicts, and every conversion between the noise ε, the clean image x_0, the
 * velocity v and the posterior mean.
 *
 * <p>A noisy image is {@code x = signal · x_0 + noise · ε}. All conversions are linear, so each is
 * given as a {@link LinearForm} in {@code double}, for any level of signal and noise; the methods
 * that take arrays apply them at the levels of a schedule. Ho et al. 2020, sections 3.2 and 4.2,
 * compare {@link #EPSILON} and {@link #PREVIOUS_MEAN}.
 *
 * <p>The forms throw {@link IllegalArgumentException} where a conversion does not exist, saying
 * what would do instead: {@link #EPSILON} without signal, ε from {@link #X0} without noise, {@link
 * #PREVIOUS_MEAN} off the schedule's own timesteps. They throw it too if {@code signal} or {@code
 * noise} is negative or not finite, or both are 0.
 *
 * <p>Immutable. Four predictions are constants, {@link #edm} has a setting.
 */
public abstract class Prediction {

  /**
   * The noise ε: the paper's choice. Undefined where nothing of the image is left (signal 0), as in
   * the last step of a zero-terminal-SNR schedule.
   *
   * <pre>
   *   target = ε        x̂_0 = (x − noise · out) / signal        ε̂ = out
   * </pre>
   */
  public static final Prediction EPSILON =
      new Prediction("EPSILON") {
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
      };

  /**
   * The clean image x_0.
   *
   * <pre>
   *   target = x_0      x̂_0 = out      ε̂ = (x − signal · out) / noise
   * </pre>
   */
  public static final Prediction X0 =
      new Prediction("X0") {
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
      };

  /**
   * The velocity v = signal · ε − noise · x_0 (Salimans and Ho 2022, section 4). Defined at every
   * level, so it suits zero-terminal-SNR schedules.
   *
   * <pre>
   *   target = v        x̂_0 = signal · x − noise · out      ε̂ = noise · x + signal · out
   * </pre>
   *
   * divided by signal² + noise² where that is not 1.
   */
  public static final Prediction VELOCITY =
      new Prediction("VELOCITY") {
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
      };

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
  public static final Prediction PREVIOUS_MEAN =
      new Prediction("PREVIOUS_MEAN") {
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

  private static final List<Prediction> PLAIN = List.of(EPSILON, X0, VELOCITY, PREVIOUS_MEAN);

  private final String name;

  Prediction(String name) {
    this.name = name;
  }

  /**
   * The predictions that have no settings.
   *
   * @return {@link #EPSILON}, {@link #X0}, {@link #VELOCITY} and {@link #PREVIOUS_MEAN}
   */
  public static List<Prediction> plain() {
    return PLAIN;
  }

  /**
   * The preconditioned prediction of Karras et al. 2022 ("EDM", table 1): the network sees images
   * of unit variance whatever the noise, and says what is left when the best linear guess at x_0 is
   * taken off, at unit variance too.
   *
   * <p>The paper's noisy image is {@code x_0 + σ ε}; here it is x / signal, with σ = noise /
   * signal. With d² = noise² + signal² σ_data² the paper's factors become
   *
   * <pre>
   *   network input    c_in · x / signal = x / d                   {@link #inputScale}
   *   network level    c_noise = ln(σ) / 4                         {@link #networkTimestep}
   *   x̂_0              c_skip · x / signal + c_out · out = (signal σ_data² / d²) · x + (noise σ_data / d) · out
   *   ε̂                (noise / d²) · x − (signal σ_data / d) · out
   *   target           (noise / (d σ_data)) · x_0 − (signal σ_data / d) · ε
   * </pre>
   *
   * <p>so that x stays that of the schedule, x = signal · x_0 + noise · ε, and every sampler goes
   * on working. The plain mean of squares of this target is the paper's loss with its weight λ(σ) =
   * (σ² + σ_data²) / (σ σ_data)². To train as the paper does, draw levels by {@code
   * TimestepSampler.logNormal(-1.2, 1.2)}; to sample so, use {@code Samplers.edm} with {@code
   * NoiseSpacing.karras()}. With σ_data = 1 it is {@link #VELOCITY} with the other sign.
   *
   * <p>Its level is infinite without noise or signal: schedules of zero terminal SNR are refused.
   *
   * @param sigmaData σ_data, the standard deviation of the data, positive and finite; 0.5 in the
   *     paper
   * @return the prediction
   * @throws IllegalArgumentException if {@code sigmaData} is not positive and finite
   */
  public static Prediction edm(double sigmaData) {
    if (!(sigmaData > 0) || Double.isInfinite(sigmaData)) {
      throw new IllegalArgumentException(
          "sigmaData must be positive and finite, but was "
              + sigmaData
              + "; it is the standard deviation of the data, 0.5 in the paper");
    }
    return new Preconditioned(sigmaData);
  }

  /**
   * The prediction that {@link #describe()} described.
   *
   * @param description the name of one of {@link #plain()}, or a map of the type and settings of
   *     {@link #edm}, whose numbers may be of any type
   * @return the prediction
   * @throws IllegalArgumentException if there is no such prediction, or a setting is missing, of
   *     another kind or out of its range
   */
  public static Prediction of(Object description) {
    if (description instanceof Map<?, ?> settings) {
      return Preconditioned.of(settings);
    }
    if (!(description instanceof String name)) {
      throw new IllegalArgumentException(
          "prediction must be a name or an object with type and settings, but was " + description);
    }
    return PLAIN.stream()
        .filter(prediction -> prediction.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "prediction must be one of " + PLAIN + ", but was " + name));
  }

  /**
   * What {@link #of} makes the same prediction from, as JSON can hold it.
   *
   * @return the name; for {@link #edm} a map of its type and settings
   */
  public Object describe() {
    return name;
  }

  /**
   * What the noisy image is multiplied by before the network sees it.
   *
   * @param signal the factor of x_0 in the image
   * @param noise the factor of ε in the image
   * @return 1, except for {@link #edm}
   */
  public double inputScale(double signal, double noise) {
    return 1;
  }

  /**
   * What the network is told of the level of an image in place of the timestep.
   *
   * @param timestep the timestep of the image, 0-based, possibly fractional
   * @param signal the factor of x_0 in the image
   * @param noise the factor of ε in the image
   * @return the timestep, except for {@link #edm}
   * @throws IllegalArgumentException if the network cannot be told of the level
   */
  public double networkTimestep(double timestep, double signal, double noise) {
    return timestep;
  }

  /**
   * The standard deviation of the data that the network is made for.
   *
   * @return σ_data of {@link #edm}, empty for the others
   */
  public OptionalDouble sigmaData() {
    return OptionalDouble.empty();
  }

  /**
   * The name.
   *
   * @return that of the constant, or {@code EDM}
   */
  public final String name() {
    return name;
  }

  @Override
  public String toString() {
    return name;
  }

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
