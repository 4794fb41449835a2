package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A batch on its way through a step: the images and all that was drawn for them.
 *
 * @param pass which pass of the run it is
 * @param images x_0, shape (N, C, H, W)
 * @param levels how noisy each image is made
 * @param noise ε, which the target is made of
 * @param inputNoise ε with its perturbation, which x_t is made of; {@code noise} without one
 * @param condition what the images are conditioned on
 * @param earlier what they are compared with in consistency tuning; null in other runs
 */
record TrainingBatch(
    TrainableDenoiser.Pass pass,
    NDArray images,
    NoiseLevels levels,
    NDArray noise,
    NDArray inputNoise,
    Condition condition,
    @Nullable Earlier earlier) {

  /** A batch that is compared with nothing. */
  TrainingBatch(
      TrainableDenoiser.Pass pass,
      NDArray images,
      NoiseLevels levels,
      NDArray noise,
      NDArray inputNoise,
      Condition condition) {
    this(pass, images, levels, noise, inputNoise, condition, null);
  }

  /**
   * The same images with less of the same noise.
   *
   * @param levels how noisy each image is, {@link io.github.ddpm4j.schedule.Level#CLEAN} for not
   * @param images x_0 as it is noised to these levels, shape (N, C, H, W)
   */
  record Earlier(NoiseLevels levels, NDArray images) {}

  TrainingBatch withCondition(Condition changed) {
    return new TrainingBatch(pass, images, levels, noise, inputNoise, changed, earlier);
  }

  TrainingBatch withLevels(NoiseLevels changed, Earlier compared) {
    return new TrainingBatch(pass, images, changed, noise, inputNoise, condition, compared);
  }

  /** The arrays as the objective takes them. */
  Objective.Batch<NDArray> values() {
    return new Objective.Batch<>(
        images, noise, inputNoise, earlier == null ? images : earlier.images);
  }

  /** The earlier levels as the network is told them: of a clean image the schedule's first. */
  NoiseLevels askedEarlier(DenoisingModel model) {
    Level first = Level.of(model.diffusion().schedule(), 0);
    NoiseLevels levels = Objects.requireNonNull(earlier, "earlier").levels;
    return model.told(
        NoiseLevels.of(
            IntStream.range(0, levels.size())
                .mapToObj(levels::level)
                .map(level -> level.noise() == 0 ? first : level)
                .toList()));
  }

  TrainingBatch withNoise(NDArray changed, NDArray changedInput) {
    return new TrainingBatch(pass, images, levels, changed, changedInput, condition, earlier);
  }

  /** x_t, in the manager of the images. */
  NDArray xt() {
    return levels.noised(images, inputNoise);
  }
}
