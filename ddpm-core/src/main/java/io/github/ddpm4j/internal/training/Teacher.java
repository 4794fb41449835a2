package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.ConsistencyTuning;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The network as it was before the run, which says where guidance leads to.
 *
 * <pre>
 *   x_0' = x_0 + (1 − r/t) (w − 1) (x̂_0(x_t | c) − x̂_0(x_t))
 * </pre>
 *
 * <p>With x_r = x_0' + r ε, x_t leads to x_r by Euler's step along the guided flow, in which the
 * part of the condition itself is that of the data, x_0 in place of x̂_0(x_t | c).
 */
final class Teacher implements AutoCloseable {

  private final DenoisingModel model;
  private final TrainableDenoiser network;
  private final double scale;

  /**
   * Copies the network.
   *
   * @param scale w
   */
  Teacher(DenoisingModel model, TrainableDenoiser network, double scale) {
    this.network = network.copy();
    this.model = DenoisingModel.of(model.diffusion(), this.network);
    this.scale = scale;
  }

  /** The teacher of a run; null if it has no guidance. */
  static @Nullable Teacher of(
      DenoisingModel model, TrainableDenoiser network, TrainingSettings settings) {
    ConsistencyTuning tuning = settings.consistency();
    return tuning == null || tuning.guidance() == 1
        ? null
        : new Teacher(model, network, tuning.guidance());
  }

  /** The batch with the images that x_r is made of, in the manager of its images. */
  TrainingBatch guided(TrainingBatch batch) {
    TrainingBatch.Earlier earlier = Objects.requireNonNull(batch.earlier(), "earlier");
    NoiseLevels levels = batch.levels();
    double[] steps = new double[levels.size()];
    Arrays.setAll(
        steps,
        i -> (scale - 1) * (1 - earlier.levels().level(i).sigma() / levels.level(i).sigma()));
    NDManager owner = batch.images().getManager();
    try (GradMode off = GradMode.off();
        NDManager scope = owner.newSubManager()) {
      NDArray xt = batch.xt();
      xt.attach(scope);
      NDArray towards = estimate(xt, levels, batch.condition());
      NDArray from = estimate(xt, levels, batch.condition().dropped());
      NDArray moved = towards.sub(from).mul(PerImage.column(scope, xt, steps)).add(batch.images());
      moved.attach(owner);
      return batch.withLevels(levels, new TrainingBatch.Earlier(earlier.levels(), moved));
    }
  }

  private NDArray estimate(NDArray xt, NoiseLevels levels, Condition condition) {
    NDArray x0 = model.ask(xt, levels, condition).x0();
    return ChannelRanges.clip(x0, model.diffusion().dataRange());
  }

  @Override
  public void close() {
    network.close();
  }
}
