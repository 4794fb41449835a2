package io.github.ddpm4j.prediction;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalDouble;

/**
 * The network's prediction type, with every conversion between the noise ε, the clean image x_0,
 * the velocity v and the posterior mean.
 *
 * <p>A noisy image is {@code x = signal · x_0 + noise · ε}. All conversions are linear, so each is
 * a {@link LinearForm} in {@code double}, for any level of signal and noise; the methods that take
 * arrays apply it at the level of each image. Ho et al. 2020, sections 3.2 and 4.2, compare {@link
 * #EPSILON} and {@link #PREVIOUS_MEAN}.
 *
 * <p>The forms throw {@link IllegalArgumentException} where a conversion is undefined, with an
 * alternative in the message: {@link #EPSILON} without signal, ε from {@link #X0} without noise,
 * {@link #PREVIOUS_MEAN} away from the schedule's own timesteps.
 *
 * <p>Immutable. Five prediction types are constants; {@link #edm} has a parameter.
 */
public abstract class Prediction {

  /**
   * The noise ε, the paper's choice. Undefined at zero signal, as in the last step of a
   * zero-terminal-SNR schedule.
   *
   * <pre>
   *   target = ε        x̂_0 = (x − noise · out) / signal        ε̂ = out
   * </pre>
   */
  public static final Prediction EPSILON =
      new Prediction("EPSILON") {
        @Override
        public LinearForm target(Schedule schedule, Level level) {
          requireSignal(level);
          return new LinearForm(0, 1);
        }

        @Override
        public LinearForm x0(Schedule schedule, Level level) {
          requireSignal(level);
          return new LinearForm(1 / level.signal(), -level.noise() / level.signal());
        }

        @Override
        public LinearForm epsilon(Schedule schedule, Level level) {
          requireSignal(level);
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
        public boolean needsSignal() {
          return false;
        }

        @Override
        public LinearForm target(Schedule schedule, Level level) {
          return new LinearForm(1, 0);
        }

        @Override
        public LinearForm x0(Schedule schedule, Level level) {
          return new LinearForm(0, 1);
        }

        @Override
        public LinearForm epsilon(Schedule schedule, Level level) {
          requireNoise(level);
          return new LinearForm(1 / level.noise(), -level.signal() / level.noise());
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
        public boolean needsSignal() {
          return false;
        }

        @Override
        public LinearForm target(Schedule schedule, Level level) {
          return new LinearForm(-level.noise(), level.signal());
        }

        @Override
        public LinearForm x0(Schedule schedule, Level level) {
          double square = level.signal() * level.signal() + level.noise() * level.noise();
          return new LinearForm(level.signal() / square, -level.noise() / square);
        }

        @Override
        public LinearForm epsilon(Schedule schedule, Level level) {
          double square = level.signal() * level.signal() + level.noise() * level.noise();
          return new LinearForm(level.noise() / square, level.signal() / square);
        }
      };

  /**
   * The posterior mean μ̃ of eq. 7, the paper's alternative to ε. With μ̃ = c_0 · x_0 + c_t · x,
   * the schedule's {@link Schedule#posteriorMeanX0} and {@link Schedule#posteriorMeanXt}:
   *
   * <pre>
   *   target = μ̃        x̂_0 = (out − c_t · x) / c_0        ε̂ = (x − signal · x̂_0) / noise
   * </pre>
   *
   * <p>The mean is that of one step of the schedule. Timesteps must be integers, and the levels
   * must match the schedule's to within {@value #LEVEL_TOLERANCE}.
   */
  public static final Prediction PREVIOUS_MEAN =
      new Prediction("PREVIOUS_MEAN") {
        @Override
        public LinearForm target(Schedule schedule, Level level) {
          int t = requireOnSchedule(schedule, level);
          double ofX0 = schedule.posteriorMeanX0(t);
          double ofXt = schedule.posteriorMeanXt(t);
          return new LinearForm(ofX0 + ofXt * level.signal(), ofXt * level.noise());
        }

        @Override
        public LinearForm x0(Schedule schedule, Level level) {
          int t = requireOnSchedule(schedule, level);
          double ofX0 = schedule.posteriorMeanX0(t);
          return new LinearForm(-schedule.posteriorMeanXt(t) / ofX0, 1 / ofX0);
        }

        @Override
        public LinearForm epsilon(Schedule schedule, Level level) {
          LinearForm x0 = x0(schedule, level);
          return new LinearForm(
              (1 - level.signal() * x0.first()) / level.noise(),
              -level.signal() * x0.second() / level.noise());
        }
      };

  /**
   * The velocity ε − x_0 of flow matching and rectified flow (Lipman et al. 2023, eq. 23; Liu et
   * al. 2023, eq. 1), for {@link io.github.ddpm4j.schedule.Schedules#flow}. Defined at every level.
   *
   * <pre>
   *   target = ε − x_0      x̂_0 = x − noise · out      ε̂ = x + signal · out
   * </pre>
   *
   * both divided by signal + noise where that is not 1, as on other schedules.
   *
   * <p>The network is told {@value #FLOW_TIME_SCALE} σ, with σ = noise / (signal + noise), and not
   * the number of a timestep (Esser et al. 2024; diffusers): the same σ is the same to it whatever
   * the number and shift of the timesteps.
   */
  public static final Prediction FLOW =
      new Prediction("FLOW") {
        @Override
        public boolean needsSignal() {
          return false;
        }

        @Override
        public boolean tellsTimesteps() {
          return false;
        }

        @Override
        public double networkTimestep(Level level) {
          return FLOW_TIME_SCALE * level.noise() / (level.signal() + level.noise());
        }

        @Override
        public LinearForm target(Schedule schedule, Level level) {
          return new LinearForm(-1, 1);
        }

        @Override
        public LinearForm x0(Schedule schedule, Level level) {
          double sum = level.signal() + level.noise();
          return new LinearForm(1 / sum, -level.noise() / sum);
        }

        @Override
        public LinearForm epsilon(Schedule schedule, Level level) {
          double sum = level.signal() + level.noise();
          return new LinearForm(1 / sum, level.signal() / sum);
        }
      };

  /** What {@link #FLOW} tells the network of pure noise: {@value}, in the range of timesteps. */
  public static final double FLOW_TIME_SCALE = 1000;

  /** The tolerance of {@link #PREVIOUS_MEAN} for deviations from the schedule's level: {@value}. */
  private static final double LEVEL_TOLERANCE = 1e-9;

  private static final List<Prediction> PLAIN = List.of(EPSILON, X0, VELOCITY, PREVIOUS_MEAN, FLOW);

  private final String name;

  Prediction(String name) {
    this.name = name;
  }

  /**
   * The prediction types without parameters.
   *
   * @return {@link #EPSILON}, {@link #X0}, {@link #VELOCITY}, {@link #PREVIOUS_MEAN} and {@link
   *     #FLOW}
   */
  public static List<Prediction> plain() {
    return PLAIN;
  }

  /**
   * The preconditioned prediction of Karras et al. 2022 ("EDM", table 1): the network's input has
   * unit variance at every noise level, and it predicts the residual of x_0 after subtracting the
   * best linear estimate, also scaled to unit variance.
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
   * <p>so x keeps the schedule's form, x = signal · x_0 + noise · ε, and every sampler still works.
   * The unweighted mean squared error of this target is the paper's loss with its weight λ(σ) = (σ²
   * + σ_data²) / (σ σ_data)². To train as in the paper, draw levels with {@code
   * TimestepSampler.logNormal(-1.2, 1.2)}; to sample as in the paper, use {@code Samplers.edm} with
   * {@code NoiseSpacing.karras()}. With σ_data = 1 it is {@link #VELOCITY} with the opposite sign.
   *
   * <p>The network level is infinite at zero noise or zero signal, so zero-terminal-SNR schedules
   * are rejected.
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
   * Recreates a prediction type from its {@linkplain #describe() description}.
   *
   * @param description the name of one of {@link #plain()}, or a map with the type and settings of
   *     {@link #edm}, with numbers of any type
   * @return the prediction
   * @throws IllegalArgumentException if there is no such prediction, or a setting is missing, of
   *     the wrong type or out of range
   */
  public static Prediction of(Object description) {
    Objects.requireNonNull(description, "description");
    if (description instanceof Map<?, ?> settings) {
      return Preconditioned.of(settings);
    }
    if (!(description instanceof String name)) {
      throw new IllegalArgumentException(
          "prediction must be a name or an object with type and settings, but was "
              + Quote.of(description));
    }
    return PLAIN.stream()
        .filter(prediction -> prediction.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "prediction must be one of " + PLAIN + ", but was " + Quote.of(name)));
  }

  /**
   * The description of this prediction type, representable in JSON, from which {@link #of}
   * recreates it.
   *
   * @return the name; for {@link #edm}, a map of its type and settings
   */
  public Object describe() {
    return name;
  }

  /**
   * Whether the network receives rescaled images.
   *
   * @return false, except for {@link #edm}
   * @see #inputScale
   */
  public boolean scalesInput() {
    return false;
  }

  /**
   * Whether the network receives the schedule's timesteps as the levels of images.
   *
   * @return true, except for {@link #edm} and {@link #FLOW}
   * @see #networkTimestep
   */
  public boolean tellsTimesteps() {
    return true;
  }

  /**
   * Whether the output determines x_0 only at nonzero signal, which rules out zero-terminal-SNR
   * schedules.
   *
   * @return false for {@link #X0}, {@link #VELOCITY} and {@link #FLOW}
   */
  public boolean needsSignal() {
    return true;
  }

  /**
   * The scale factor of the network's input.
   *
   * @param level the level of the image
   * @return 1, except for {@link #edm}
   */
  public double inputScale(Level level) {
    Objects.requireNonNull(level, "level");
    return 1;
  }

  /**
   * The value that the network receives as the timestep of an image.
   *
   * @param level the level of the image
   * @return the timestep, except for {@link #edm} and {@link #FLOW}
   * @throws IllegalArgumentException if the level has no such value
   */
  public double networkTimestep(Level level) {
    return level.timestep();
  }

  /**
   * The standard deviation of the data that the network assumes.
   *
   * @return σ_data of {@link #edm}, empty for the others
   */
  public OptionalDouble sigmaData() {
    return OptionalDouble.empty();
  }

  /**
   * The name of the prediction type.
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

  /**
   * The training target, {@code first · x_0 + second · ε}.
   *
   * @param schedule the schedule
   * @param level the level of the image
   * @return the target in terms of (x_0, ε)
   * @throws IllegalArgumentException if the target is undefined at this level
   */
  public abstract LinearForm target(Schedule schedule, Level level);

  /**
   * The denoised estimate x̂_0 from the network's output, {@code first · x + second · output}.
   *
   * @param schedule the schedule
   * @param level the level of the image
   * @return x̂_0 in terms of (x, output)
   * @throws IllegalArgumentException if the output does not determine x_0 at this level
   */
  public abstract LinearForm x0(Schedule schedule, Level level);

  /**
   * The predicted noise ε̂ from the network's output, {@code first · x + second · output}.
   *
   * @param schedule the schedule
   * @param level the level of the image
   * @return ε̂ in terms of (x, output)
   * @throws IllegalArgumentException if the output does not determine ε at this level
   */
  public abstract LinearForm epsilon(Schedule schedule, Level level);

  /**
   * The predicted velocity v̂ from the network's output, {@code first · x + second · output}, with
   * {@code v̂ = signal · ε̂ − noise · x̂_0} (Salimans and Ho 2022, section 4).
   *
   * @param schedule the schedule
   * @param level the level of the image
   * @return v̂ in terms of (x, output)
   * @throws IllegalArgumentException if the output does not determine x_0 and ε at this level
   */
  public final LinearForm velocity(Schedule schedule, Level level) {
    Objects.requireNonNull(schedule, "schedule");
    LinearForm epsilon = epsilon(schedule, level);
    LinearForm x0 = x0(schedule, level);
    return new LinearForm(
        level.signal() * epsilon.first() - level.noise() * x0.first(),
        level.signal() * epsilon.second() - level.noise() * x0.second());
  }

  /**
   * The training target of a batch.
   *
   * @param schedule the schedule
   * @param levels the level of each image
   * @param x0 the clean images, {@code float32} or {@code float64}, shape (N, …)
   * @param noise ε, of the shape, dtype and device of {@code x0}
   * @return the target, attached to the manager of {@code x0}
   * @throws IllegalArgumentException if the arrays do not match each other or {@code levels}, or
   *     the target is undefined at a level
   */
  public NDArray target(Schedule schedule, NoiseLevels levels, NDArray x0, NDArray noise) {
    Given.open(x0, "x0");
    Given.open(noise, "noise");
    Objects.requireNonNull(schedule, "schedule");
    return levels.combine(level -> target(schedule, level), "x0", x0, "noise", noise);
  }

  /**
   * The denoised estimates x̂_0 of a batch.
   *
   * @param schedule the schedule
   * @param levels the level of each image
   * @param x the noisy images, {@code float32} or {@code float64}, shape (N, …)
   * @param output the network's output, of the shape, dtype and device of {@code x}
   * @return x̂_0, not clipped, attached to the manager of {@code x}
   * @throws IllegalArgumentException if the arrays do not match each other or {@code levels}, or
   *     the output does not determine x_0 at a level
   */
  public NDArray x0(Schedule schedule, NoiseLevels levels, NDArray x, NDArray output) {
    Given.open(x, "x");
    Given.open(output, "output");
    Objects.requireNonNull(schedule, "schedule");
    return levels.combine(level -> x0(schedule, level), "x", x, "output", output);
  }

  /**
   * The predicted noise ε̂ of a batch.
   *
   * @param schedule the schedule
   * @param levels the level of each image
   * @param x the noisy images, {@code float32} or {@code float64}, shape (N, …)
   * @param output the network's output, of the shape, dtype and device of {@code x}
   * @return ε̂, attached to the manager of {@code x}
   * @throws IllegalArgumentException if the arrays do not match each other or {@code levels}, or
   *     the output does not determine ε at a level
   */
  public NDArray epsilon(Schedule schedule, NoiseLevels levels, NDArray x, NDArray output) {
    Given.open(x, "x");
    Given.open(output, "output");
    Objects.requireNonNull(schedule, "schedule");
    return levels.combine(level -> epsilon(schedule, level), "x", x, "output", output);
  }

  private static void requireSignal(Level level) {
    if (level.signal() == 0) {
      throw new IllegalArgumentException(
          "prediction EPSILON needs signal above 0, but at timestep "
              + level.timestep()
              + " it was 0, where x is all noise and says nothing about x_0; use VELOCITY or X0"
              + " with a zero-terminal-SNR schedule");
    }
  }

  private static void requireNoise(Level level) {
    if (level.noise() == 0) {
      throw new IllegalArgumentException(
          "prediction X0 needs noise above 0 to give epsilon, but at timestep "
              + level.timestep()
              + " it was 0, where x is x_0; use EPSILON or VELOCITY to start from clean images");
    }
  }

  private static int requireOnSchedule(Schedule schedule, Level level) {
    if (level.timestep() != Math.rint(level.timestep())
        || level.timestep() < 0
        || level.timestep() >= schedule.timesteps()) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN needs a whole timestep of the schedule, from 0 to "
              + (schedule.timesteps() - 1)
              + ", but was asked at "
              + level.timestep()
              + "; use EPSILON, X0 or VELOCITY with a sampler that asks in between");
    }
    int t = (int) level.timestep();
    if (Math.abs(level.signal() - schedule.signal(t)) > LEVEL_TOLERANCE
        || Math.abs(level.noise() - schedule.noise(t)) > LEVEL_TOLERANCE) {
      throw new IllegalArgumentException(
          "prediction PREVIOUS_MEAN needs the levels of the schedule at timestep "
              + t
              + ", signal "
              + schedule.signal(t)
              + " and noise "
              + schedule.noise(t)
              + ", but they were "
              + level.signal()
              + " and "
              + level.noise()
              + "; use EPSILON, X0 or VELOCITY with a sampler that leaves the schedule");
    }
    return t;
  }
}
