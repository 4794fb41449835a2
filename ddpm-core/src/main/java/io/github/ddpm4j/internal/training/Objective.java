package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.NetworkOutput;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.function.UnaryOperator;

/**
 * The loss of a batch (Ho et al. 2020, algorithm 1), written once over {@link Ops} and interpreted
 * twice: on arrays, and as a part of a program.
 */
class Objective {

  private final Diffusion diffusion;
  private final boolean predictsVariance;
  private final Loss loss;

  Objective(DenoisingModel model, Loss loss) {
    this.diffusion = model.diffusion();
    this.predictsVariance = model.denoiser().predictsVariance();
    this.loss = loss;
  }

  /** The objective of a run. */
  static Objective of(DenoisingModel model, TrainingSettings settings) {
    return settings.consistency() == null
        ? new Objective(model, settings.loss())
        : new ConsistencyObjective(model, settings.loss());
  }

  final Loss loss() {
    return loss;
  }

  /** Outputs for the variance that no gradient reaches would stay as they were drawn. */
  static void requireVarianceTrained(DenoisingModel model, Loss loss) {
    boolean learned = model.diffusion().variance().isLearned();
    if (!model.denoiser().predictsVariance() || (learned && loss.trainsVariance())) {
      return;
    }
    throw new IllegalArgumentException(
        learned
            ? "variance "
                + model.diffusion().variance()
                + " is not trained by loss "
                + loss
                + ", which looks at the prediction alone; use Losses.hybrid() or Losses.vlb(), or a"
                + " network without learnedVariance()"
            : "the network predicts the variance, but the model's is "
                + model.diffusion().variance()
                + ", so that nothing would train it; build DDPM with"
                + " variance(Variance.LEARNED_RANGE) and use Losses.hybrid(), or build the network"
                + " without learnedVariance()");
  }

  /**
   * Tries the loss on two images: one of another shape would broadcast, and train something else.
   *
   * @param image the shape of an image
   * @throws IllegalArgumentException if the loss does not give one number per image
   */
  void requireOnePerImage(Shape image, NDManager manager) {
    try (GradMode off = GradMode.off();
        NDManager probe = manager.newSubManager()) {
      NDArray zeros = probe.zeros(new Shape(2).addAll(image));
      NDArray output = predictsVariance ? zeros.concat(zeros, 1) : zeros;
      ImageNumbers numbers =
          new ImageNumbers(
              diffusion,
              Weighting.uniform(),
              (images, random) -> NoiseLevels.of(diffusion.schedule(), 0, 0),
              NoiseLevels.of(diffusion.schedule(), 0, 0));
      Loss.Input<NDArray> seen =
          input(
              split(EagerOps.inference(), output, zeros),
              zeros,
              zeros,
              zeros,
              zeros,
              new ArrayColumns(zeros, numbers));
      Shape shape =
          Given.returned(loss.perImage(EagerOps.inference(), seen), "loss " + loss).getShape();
      if (!shape.equals(new Shape(2))) {
        throw new IllegalArgumentException(
            "loss "
                + loss
                + " must give one number per image, shape (N), but gave "
                + shape
                + " for 2 images; end it with ops.meanPerImage(…)");
      }
    }
  }

  /** What the loss looks at. */
  <T> Loss.Input<T> input(
      NetworkOutput<T> said, T target, T x0, T xt, T networkInput, Columns<T> columns) {
    return new Seen<>(said, target, x0, xt, networkInput, columns, diffusion);
  }

  final Diffusion diffusion() {
    return diffusion;
  }

  final <T> NetworkOutput<T> split(Ops<T> ops, T output, T images) {
    return NetworkOutput.of(
        ops, output, images, predictsVariance, diffusion.variance().isLearned());
  }

  /**
   * What comes of it.
   *
   * @param each the loss of each image, weighted but without its importance weight, shape (N)
   * @param mean the mean of the losses with their importance weights, which gradients are taken of
   */
  record Result<T>(T each, T mean) {}

  /**
   * A batch as values of the operations.
   *
   * @param x0 the clean images
   * @param noise ε, which the target is made of
   * @param inputNoise ε with its perturbation, which x_t is made of
   * @param earlierX0 the images that x_r is made of; {@code x0} where there is none
   */
  record Batch<T>(T x0, T noise, T inputNoise, T earlierX0) {}

  /**
   * The loss of a batch.
   *
   * @param network what the network says of x_t as it sees it
   * @param still what it says of x_r in consistency tuning, with the same dropout masks and without
   *     gradients
   */
  <T> Result<T> of(
      Ops<T> ops,
      Columns<T> columns,
      Batch<T> batch,
      UnaryOperator<T> network,
      UnaryOperator<T> still) {
    return of(ops, columns, batch.x0, batch.noise, batch.inputNoise, network);
  }

  /**
   * The loss of a batch that is compared with nothing.
   *
   * @param x0 the clean images
   * @param noise ε, which the target is made of
   * @param inputNoise ε with its perturbation, which x_t is made of
   * @param network what the network says of x_t as it sees it
   */
  final <T> Result<T> of(
      Ops<T> ops, Columns<T> columns, T x0, T noise, T inputNoise, UnaryOperator<T> network) {
    // 1. x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε
    T xt =
        NoiseLevels.noised(
            ops, columns.of(Column.SIGNAL), columns.of(Column.NOISE), x0, inputNoise);
    // 2. what the network is to say: ε, or another such sum
    T target =
        LinearForm.apply(
            ops, columns.of(Column.TARGET_X0), x0, columns.of(Column.TARGET_NOISE), noise);
    // 3. what it says
    T seen = seen(ops, columns, Column.INPUT_SCALE, xt);
    NetworkOutput<T> output = split(ops, network.apply(seen), x0);
    // 4. ‖ε − ε_θ(x_t, t)‖²
    return weighted(
        ops,
        columns,
        Given.returned(
            loss.perImage(ops, input(output, target, x0, xt, seen, columns)), "loss " + loss));
  }

  /** x as the network sees it. */
  final <T> T seen(Ops<T> ops, Columns<T> columns, Column scale, T x) {
    return diffusion.prediction().scalesInput() ? ops.multiply(x, columns.of(scale)) : x;
  }

  final <T> Result<T> weighted(Ops<T> ops, Columns<T> columns, T losses) {
    T each = ops.multiply(losses, columns.each(Column.WEIGHT));
    return new Result<>(each, ops.mean(ops.multiply(each, columns.each(Column.IMPORTANCE))));
  }
}
