package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;

/** A training step: some batches, then one update. In two forms that agree to rounding. */
sealed interface Step extends AutoCloseable permits CompiledStep, EagerStep {

  /**
   * A step that has begun.
   *
   * @param numbers what changes from step to step
   * @param host owns what the step uploads to the CPU
   * @param total where the losses of its batches are added up
   */
  record Begun(StepLayout.Numbers numbers, NDManager host, NDArray total) {}

  /**
   * Takes a batch in: its share of the gradient ∇_θ L is added to those of the batches before.
   *
   * @param step the step that it is a part of
   * @param batch the batch; what is made on the way goes to the manager of its images
   * @param numbers the numbers of its images
   * @return the loss of each image, shape (N), through which no gradient flows
   */
  NDArray take(Begun step, TrainingBatch batch, ImageNumbers numbers);

  /**
   * Ends a step: norm and clipping, Adam, the average; loss and norm go into the log.
   *
   * @param step the step
   */
  void end(Begun step);

  @Override
  void close();
}
