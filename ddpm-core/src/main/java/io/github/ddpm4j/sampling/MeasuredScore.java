package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.torch.Collecting;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.util.Arrays;

/**
 * What a measurement says of noisy images, through the network: x̂_0(x) is its estimate and J =
 * ∂x̂_0 / ∂x.
 *
 * <pre>
 *   Cov[x_0 | x] = V = σ² / α · J                                     (Tweedie, of second order)
 *   p(y | x) ≈ N(y; A x̂_0, σ_y² I + A V Aᵀ)                           (Rozet et al. 2024, eq. 10)
 *   ∇_x ln p(y | x) ≈ Jᵀ Aᵀ (σ_y² I + A V Aᵀ)⁻¹ (y − A x̂_0)
 * </pre>
 *
 * <p>The system is solved by conjugate gradients. Each iteration goes back through the network
 * once, for Jᵀ, which is J where x̂_0 is exact. A is linearised at x̂_0: what it makes of a
 * direction is a symmetric difference, which is exact for a linear one.
 */
final class MeasuredScore {

  /** The root mean square of what a symmetric difference moves x̂_0 by. */
  private static final double STEP = 0.02;

  private final Measurement measurement;
  private final Collecting collecting;
  private final NDArray x;
  private final NDArray x0;
  private final NDArray seen;

  private MeasuredScore(
      Measurement measurement, Collecting collecting, NDArray x, NDArray x0, NDArray seen) {
    this.measurement = measurement;
    this.collecting = collecting;
    this.x = x;
    this.x0 = x0;
    this.seen = seen;
  }

  /** What is made of the residual y − A x̂_0 before it goes back through A and the network. */
  private interface Weighting {
    NDArray of(MeasuredScore score, NDArray residual);
  }

  /**
   * ∇_x ln p(y | x) by moment matching.
   *
   * @param x images at one level; the result belongs to their manager
   * @param firstImage the index in the run of the first
   * @param iterations those of conjugate gradients, at least 1
   */
  static NDArray matched(
      Measurement measurement,
      DenoisingModel model,
      NDArray x,
      NoiseLevels levels,
      Condition condition,
      long firstImage,
      int iterations) {
    Level level = levels.level(0);
    double spread = level.noise() * level.noise() / level.signal();
    return pulled(
        measurement,
        model,
        x,
        levels,
        condition,
        firstImage,
        (score, residual) -> score.solved(residual, spread, iterations));
  }

  /** −∇_x ‖y − A(x̂_0)‖ of each image (Chung et al. 2023, algorithm 1). */
  static NDArray closer(
      Measurement measurement,
      DenoisingModel model,
      NDArray x,
      NoiseLevels levels,
      Condition condition,
      long firstImage) {
    return pulled(
        measurement,
        model,
        x,
        levels,
        condition,
        firstImage,
        (score, residual) -> {
          NDArray length = dot(residual, residual).sqrt();
          return residual.mul(share(length.onesLike(), length));
        });
  }

  private static NDArray pulled(
      Measurement measurement,
      DenoisingModel model,
      NDArray x,
      NoiseLevels levels,
      Condition condition,
      long firstImage,
      Weighting weighting) {
    NDManager owner = x.getManager();
    try (Collecting collecting = Collecting.begin(owner);
        GradMode recording = GradMode.on();
        NDManager scope = owner.newSubManager()) {
      NDArray leaf = x.duplicate();
      leaf.attach(scope);
      leaf.setRequiresGradient(true);
      NDArray x0 = model.askRecording(leaf, levels, condition).x0();
      NDArray seen = measurement.measured(x0);
      if (!GradMode.isRecorded(seen)) {
        throw new IllegalStateException(
            "the operator of a measurement must be computed by operations that are differentiated, but"
                + " nothing of it was recorded; leave out duplicate() and toType(type, true)");
      }
      try (GradMode off = GradMode.off()) {
        NDArray y = measurement.rows(scope, firstImage, levels.size(), x.getDataType());
        MeasuredScore score =
            new MeasuredScore(measurement, collecting, leaf, x0.stopGradient(), seen);
        NDArray residual = y.sub(seen.stopGradient());
        NDArray gradient = score.back(weighting.of(score, residual));
        gradient.attach(owner);
        return gradient;
      }
    }
  }

  /** Jᵀ Aᵀ v. */
  private NDArray back(NDArray v) {
    return collecting.pulledBack(seen, v, x);
  }

  /** (σ_y² I + A V Aᵀ)⁻¹ b, of each image. What is not positive definite ends an image's way. */
  private NDArray solved(NDArray b, double spread, int iterations) {
    double variance = measurement.deviation() * measurement.deviation();
    NDArray solution = b.zerosLike();
    NDArray residual = b;
    NDArray direction = b;
    NDArray square = dot(residual, residual);
    for (int i = 0; i < iterations; i++) {
      NDArray moved = forth(back(direction).mul(spread)).add(direction.mul(variance));
      NDArray curvature = dot(direction, moved);
      NDArray length = share(square, curvature);
      solution = solution.add(direction.mul(length));
      residual = residual.sub(moved.mul(length));
      NDArray next = dot(residual, residual);
      // where the length was 0, it stays so
      NDArray kept = curvature.gt(0).toType(b.getDataType(), false);
      direction = residual.add(direction.mul(share(next, square))).mul(kept);
      square = next;
    }
    return solution;
  }

  /** A w for a direction w of x̂_0. */
  private NDArray forth(NDArray w) {
    double pixels = (double) w.size() / w.getShape().get(0);
    NDArray size = dot(w, w).div(pixels).sqrt();
    NDArray step = share(size.onesLike().mul(STEP), size);
    NDArray move = w.mul(step);
    NDArray difference = measurement.measured(x0.add(move)).sub(measurement.measured(x0.sub(move)));
    NDArray back = column(share(size, size.onesLike().mul(2 * STEP)), difference.getShape());
    return difference.mul(back);
  }

  /** ⟨a, b⟩ of each image, (N, 1, …). */
  private static NDArray dot(NDArray a, NDArray b) {
    long images = a.getShape().get(0);
    return column(a.mul(b).reshape(images, -1).sum(new int[] {1}), a.getShape());
  }

  /** One number for each image, to be multiplied with arrays of a shape. */
  private static NDArray column(NDArray numbers, Shape like) {
    long[] shape = new long[like.dimension()];
    Arrays.fill(shape, 1);
    shape[0] = like.get(0);
    return numbers.reshape(shape);
  }

  /** a / b, or 0 where b is not above 0. */
  private static NDArray share(NDArray a, NDArray b) {
    NDArray positive = b.gt(0);
    return NDArrays.where(
        positive, a.div(NDArrays.where(positive, b, b.onesLike())), b.zerosLike());
  }
}
