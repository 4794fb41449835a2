package io.github.ddpm4j.benchmark;

import java.util.Locale;

/** What one process measures: peak memory is that of the process, so inference has its own. */
enum Part {
  /** The first call, the forward pass, and sampling. */
  INFERENCE,
  /** The whole training step. */
  STEP,
  /** The pieces of a step: forward and backward, the optimizer, the average. */
  PIECES,
  /** What a checkpoint takes from a run, and the step of one that was resumed. */
  CHECKPOINT,
  /** Loading a model, beside reading its file. */
  LOAD,
  /** What the machine can do: products of matrices and copies of memory. */
  BOUNDS;

  /** What the user calls it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
