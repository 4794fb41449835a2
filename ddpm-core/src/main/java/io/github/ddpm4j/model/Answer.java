package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.NetworkOutput;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/**
 * A network's output for noisy images, convertible to the denoised estimate x̂_0, the noise ε̂ or
 * the velocity v̂, whichever of them the network predicts.
 *
 * <pre>{@code
 * NDArray x0 = model.ask(xt, levels, condition).x0();
 * NDArray epsilon = Answer.of(Prediction.X0, schedule, xt, levels, x0).epsilon(); // and back
 * }</pre>
 *
 * <p>Borrows its arrays, which stay attached to their managers. Immutable.
 */
public final class Answer {

  private final Prediction kind;
  private final Schedule schedule;
  private final NDArray x;
  private final NoiseLevels levels;
  private final NetworkOutput<NDArray> output;

  private Answer(
      Prediction kind,
      Schedule schedule,
      NDArray x,
      NoiseLevels levels,
      NetworkOutput<NDArray> output) {
    this.kind = kind;
    this.schedule = schedule;
    this.x = x;
    this.levels = levels;
    this.output = output;
  }

  /**
   * Wraps a prediction for noisy images, so that it can be converted.
   *
   * @param kind the type of {@code prediction}: {@link Prediction#EPSILON} for ε̂, {@link
   *     Prediction#X0} for x̂_0
   * @param schedule the schedule, used only by {@link Prediction#PREVIOUS_MEAN}
   * @param x the noisy images, {@code float32} or {@code float64}, shape (N, C, H, W); borrowed
   * @param levels the noise level of each image, N entries
   * @param prediction the prediction, shape and dtype of {@code x}; borrowed
   * @return the answer, without a variance
   */
  public static Answer of(
      Prediction kind, Schedule schedule, NDArray x, NoiseLevels levels, NDArray prediction) {
    Given.open(x, "x");
    Given.open(prediction, "prediction");
    Objects.requireNonNull(kind, "kind");
    Objects.requireNonNull(schedule, "schedule");
    Objects.requireNonNull(levels, "levels");
    return new Answer(kind, schedule, x, levels, new NetworkOutput<>(prediction, Optional.empty()));
  }

  static Answer of(
      Diffusion diffusion,
      boolean predictsVariance,
      NDArray x,
      NoiseLevels levels,
      NDArray output) {
    return new Answer(
        diffusion.prediction(),
        diffusion.schedule(),
        x,
        levels,
        NetworkOutput.of(
            EagerOps.inference(), output, x, predictsVariance, diffusion.variance().isLearned()));
  }

  /**
   * The noisy images.
   *
   * @return x, shape (N, C, H, W); not to be closed
   */
  public NDArray x() {
    return x;
  }

  /**
   * The noise levels of the images.
   *
   * @return N levels
   */
  public NoiseLevels levels() {
    return levels;
  }

  /**
   * The network's prediction, without the variance channels.
   *
   * @return the prediction, shape of {@link #x()}; not to be closed
   */
  public NDArray prediction() {
    return output.prediction();
  }

  /**
   * The network's variance output, v.
   *
   * @return v, shape of {@link #x()}; empty if the model fixes the variance; not to be closed
   * @see io.github.ddpm4j.prediction.Variance
   */
  public Optional<NDArray> variance() {
    return output.variance();
  }

  /**
   * This answer with a different prediction, as used by guidance.
   *
   * @param prediction replaces {@link #prediction()}; borrowed
   * @return an answer with the same images and variance
   */
  public Answer withPrediction(NDArray prediction) {
    Given.open(prediction, "prediction");
    return new Answer(
        kind, schedule, x, levels, new NetworkOutput<>(prediction, output.variance()));
  }

  /**
   * The denoised estimate x̂_0, not clipped.
   *
   * @return x̂_0, shape of {@link #x()}: a new array attached to its manager, or the prediction
   *     itself if that is it
   * @throws IllegalArgumentException if the prediction does not determine x_0 at a level
   */
  public NDArray x0() {
    return apply(level -> kind.x0(schedule, level));
  }

  /**
   * The predicted noise ε̂.
   *
   * @return ε̂, shape of {@link #x()}: a new array attached to its manager, or the prediction
   *     itself if that is it
   * @throws IllegalArgumentException if the prediction does not determine ε at a level
   */
  public NDArray epsilon() {
    return apply(level -> kind.epsilon(schedule, level));
  }

  /**
   * The predicted velocity v̂ (Salimans and Ho 2022, section 4).
   *
   * <pre>
   *   v̂ = signal · ε̂ − noise · x̂_0
   * </pre>
   *
   * @return v̂, shape of {@link #x()}: a new array attached to its manager, or the prediction
   *     itself if that is it
   * @throws IllegalArgumentException if the prediction does not determine x_0 and ε at a level
   */
  public NDArray velocity() {
    return apply(level -> kind.velocity(schedule, level));
  }

  /**
   * Applies a linear form to (x, prediction); if it is just the prediction, no array is created.
   */
  private NDArray apply(Function<Level, LinearForm> form) {
    for (int i = 0; i < levels.size(); i++) {
      LinearForm own = form.apply(levels.level(i));
      if (own.first() != 0 || own.second() != 1) {
        return levels.combine(form, "x", x, "output", prediction());
      }
    }
    return prediction();
  }

  @Override
  public String toString() {
    return "Answer[" + kind + " of " + x.getShape() + "]";
  }
}
