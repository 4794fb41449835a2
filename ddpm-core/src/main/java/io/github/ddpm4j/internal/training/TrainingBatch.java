package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;

/**
 * A batch on its way through a step: the images and all that was drawn for them.
 *
 * @param pass which pass of the run it is
 * @param images x_0, shape (N, C, H, W)
 * @param levels how noisy each image is made
 * @param noise ε, which the target is made of
 * @param inputNoise ε with its perturbation, which x_t is made of; {@code noise} without one
 * @param condition what the images are conditioned on
 */
record TrainingBatch(
    TrainableDenoiser.Pass pass,
    NDArray images,
    NoiseLevels levels,
    NDArray noise,
    NDArray inputNoise,
    Condition condition) {

  TrainingBatch withCondition(Condition changed) {
    return new TrainingBatch(pass, images, levels, noise, inputNoise, changed);
  }

  TrainingBatch withNoise(NDArray changed, NDArray changedInput) {
    return new TrainingBatch(pass, images, levels, changed, changedInput, condition);
  }

  /** x_t, in the manager of the images. */
  NDArray xt() {
    return levels.noised(images, inputNoise);
  }
}
