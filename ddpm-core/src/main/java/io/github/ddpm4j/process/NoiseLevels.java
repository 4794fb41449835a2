package io.github.ddpm4j.process;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.spi.Ops;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * The noise levels of a batch: one {@link Level} per image, so that a single network call can serve
 * images at different steps of different runs.
 *
 * <p>Timesteps may be fractional. They are only embedded by the network and never used in
 * arithmetic. Immutable.
 */
public final class NoiseLevels {

  private final List<Level> levels;

  private NoiseLevels(List<Level> levels) {
    this.levels = levels;
  }

  /**
   * Noise levels with one level per image.
   *
   * @param levels the levels, at least one
   * @return the levels; the list is copied
   * @throws IllegalArgumentException if the list is empty
   */
  public static NoiseLevels of(List<Level> levels) {
    if (levels.isEmpty()) {
      throw new IllegalArgumentException("noise levels need at least one image, but have none");
    }
    return new NoiseLevels(List.copyOf(levels));
  }

  /**
   * The same level for every image.
   *
   * @param level the level
   * @param images the number of images, at least 1
   * @return the levels
   * @throws IllegalArgumentException if {@code images} is less than 1
   */
  public static NoiseLevels of(Level level, int images) {
    Objects.requireNonNull(level, "level");
    return of(Collections.nCopies(Math.max(0, images), level));
  }

  /**
   * Noise levels from explicit values.
   *
   * @param timesteps the timestep per image, 0-based, possibly fractional
   * @param signals the factor of x_0 per image, at least 0
   * @param noises the factor of ε per image, at least 0
   * @return the levels; the arrays are copied
   * @throws IllegalArgumentException if the arrays are empty or differ in length, hold a non-finite
   *     value, or the values of an image are not a valid {@link Level}
   */
  public static NoiseLevels of(double[] timesteps, double[] signals, double[] noises) {
    if (timesteps.length == 0
        || timesteps.length != signals.length
        || timesteps.length != noises.length) {
      throw new IllegalArgumentException(
          "noise levels need one timestep, signal and noise per image, but there are "
              + timesteps.length
              + ", "
              + signals.length
              + " and "
              + noises.length);
    }
    requireFinite("timestep", timesteps);
    requireFinite("signal", signals);
    requireFinite("noise", noises);
    List<Level> levels = new ArrayList<>(timesteps.length);
    for (int i = 0; i < timesteps.length; i++) {
      levels.add(new Level(timesteps[i], signals[i], noises[i]));
    }
    return new NoiseLevels(levels);
  }

  /**
   * The levels of q(x_t | x_0) for one timestep per image.
   *
   * @param schedule the schedule
   * @param t the timestep per image, 0-based
   * @return the schedule's signal and noise per image
   * @throws IndexOutOfBoundsException if a timestep is outside the schedule
   * @throws IllegalArgumentException if {@code t} is empty
   */
  public static NoiseLevels of(Schedule schedule, int... t) {
    Objects.requireNonNull(t, "t");
    return of(Arrays.stream(t).mapToObj(one -> Level.of(schedule, one)).toList());
  }

  /**
   * Levels between the timesteps of a schedule, on its {@linkplain Schedule#path() path}.
   *
   * @param schedule the schedule
   * @param sigmas σ = noise / signal per image, at least 0; infinity for no signal
   * @return the levels, with the timesteps of {@link Schedule#timestepOf}
   * @throws IllegalArgumentException if there are no values, or one is negative or NaN
   */
  public static NoiseLevels ofSigmas(Schedule schedule, double... sigmas) {
    Objects.requireNonNull(sigmas, "sigmas");
    return of(Arrays.stream(sigmas).mapToObj(sigma -> Level.ofSigma(schedule, sigma)).toList());
  }

  /**
   * Concatenates the levels of several batches.
   *
   * @param batches the levels of each, at least one
   * @return the levels of all images
   * @throws IllegalArgumentException if there is no batch
   */
  public static NoiseLevels concat(List<NoiseLevels> batches) {
    return of(batches.stream().flatMap(batch -> batch.levels.stream()).toList());
  }

  /**
   * The number of images.
   *
   * @return the number of images, at least 1
   */
  public int size() {
    return levels.size();
  }

  /**
   * The level of one image.
   *
   * @param image the index in the batch
   * @return the level
   */
  public Level level(int image) {
    return levels.get(image);
  }

  /**
   * The network's timestep for one image.
   *
   * @param image the index in the batch
   * @return the timestep, possibly fractional
   */
  public double timestep(int image) {
    return level(image).timestep();
  }

  /**
   * The timestep of each image, which is all that most networks are told of the levels.
   *
   * @return one timestep an image; a new array
   */
  public double[] timesteps() {
    return each(Level::timestep);
  }

  /**
   * The factor of x_0 in one image.
   *
   * @param image the index in the batch
   * @return the signal level
   */
  public double signal(int image) {
    return level(image).signal();
  }

  /**
   * The factor of ε in one image.
   *
   * @param image the index in the batch
   * @return the noise level
   */
  public double noise(int image) {
    return level(image).noise();
  }

  /**
   * Maps each level to a number.
   *
   * @param value the function of a level
   * @return one number per image
   */
  public double[] each(ToDoubleFunction<Level> value) {
    Objects.requireNonNull(value, "value");
    return levels.stream().mapToDouble(value).toArray();
  }

  /**
   * Samples q(x_t | x_0), with each image at its own level.
   *
   * <pre>
   *   x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · ε                                   (Ho et al. 2020, eq. 4)
   * </pre>
   *
   * @param x0 the clean images, {@code float32} or {@code float64}, shape (N, …)
   * @param epsilon ε, a draw of N(0, 1) of the shape, dtype and device of {@code x0}
   * @return x_t, attached to the manager of {@code x0}; temporaries are freed
   * @throws IllegalArgumentException if the arrays do not match each other or these levels
   */
  public NDArray noised(NDArray x0, NDArray epsilon) {
    Given.open(x0, "x0");
    Given.open(epsilon, "epsilon");
    require("x0", x0, "noise", epsilon);
    return inScope(
        x0,
        scope ->
            noised(
                EagerOps.inference(),
                PerImage.column(scope, x0, each(Level::signal)),
                PerImage.column(scope, x0, each(Level::noise)),
                x0,
                epsilon));
  }

  /**
   * The noisy images, for any implementation of the operations; {@link #noised(NDArray, NDArray)}
   * does the same for arrays.
   *
   * <pre>
   *   x = signal · x_0 + noise · ε                                        (Ho et al. 2020, eq. 4)
   * </pre>
   *
   * @param ops the operations
   * @param signal the signal of each image, shape (N, 1, …, 1)
   * @param noise the noise of each image, shape (N, 1, …, 1)
   * @param x0 the clean images, shape (N, …)
   * @param epsilon ε, shape of {@code x0}
   * @param <T> the operand type
   * @return the noisy images, shape of {@code x0}
   */
  public static <T> T noised(Ops<T> ops, T signal, T noise, T x0, T epsilon) {
    Objects.requireNonNull(signal, "signal");
    Objects.requireNonNull(noise, "noise");
    Objects.requireNonNull(x0, "x0");
    Objects.requireNonNull(epsilon, "epsilon");
    return LinearForm.apply(ops, signal, x0, noise, epsilon);
  }

  /**
   * Combines two batches by a linear form of each image's level.
   *
   * @param form the linear form for a level
   * @param firstName the name of the first batch in messages
   * @param first the first batch, {@code float32} or {@code float64}, shape (N, …)
   * @param secondName the name of the second batch in messages
   * @param second the second batch, of the shape, dtype and device of {@code first}
   * @return {@code form.first() · first + form.second() · second}, attached to the manager of
   *     {@code first}; temporaries are freed
   * @throws IllegalArgumentException if the arrays do not match each other or these levels
   */
  public NDArray combine(
      Function<Level, LinearForm> form,
      String firstName,
      NDArray first,
      String secondName,
      NDArray second) {
    Given.open(first, "first");
    Given.open(second, "second");
    Objects.requireNonNull(form, "form");
    Objects.requireNonNull(firstName, "firstName");
    Objects.requireNonNull(secondName, "secondName");
    require(firstName, first, secondName, second);
    List<LinearForm> forms = levels.stream().map(form).toList();
    return inScope(
        first,
        scope ->
            LinearForm.apply(
                EagerOps.inference(),
                column(scope, first, forms, LinearForm::first),
                first,
                column(scope, first, forms, LinearForm::second),
                second));
  }

  private static NDArray column(
      NDManager scope, NDArray like, List<LinearForm> forms, ToDoubleFunction<LinearForm> factor) {
    return PerImage.column(scope, like, forms.stream().mapToDouble(factor).toArray());
  }

  /** Only the result outlives the scope; it goes to the manager of {@code like}. */
  private static NDArray inScope(NDArray like, Function<NDManager, NDArray> body) {
    NDManager owner = like.getManager();
    try (NDManager scope = owner.newSubManager(like.getDevice())) {
      NDArray result = body.apply(scope);
      result.attach(owner);
      return result;
    }
  }

  private void require(String firstName, NDArray first, String secondName, NDArray second) {
    PerImage.requireBatch(firstName, first);
    PerImage.requireLike(secondName, second, firstName, first);
    PerImage.requireOnePerImage("t", size(), firstName, first);
  }

  @Override
  public String toString() {
    return "NoiseLevels[timesteps=" + Arrays.toString(timesteps()) + "]";
  }

  private static void requireFinite(String name, double[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Double.isFinite(values[i])) {
        throw new IllegalArgumentException(
            name + " of image " + i + " must be finite, but was " + values[i]);
      }
    }
  }
}
