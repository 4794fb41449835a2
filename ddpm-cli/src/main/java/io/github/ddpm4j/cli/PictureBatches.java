package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.util.function.Consumer;
import picocli.CommandLine.Model.CommandSpec;

/** Pictures in [-1, 1] that are looked at a batch at a time. */
interface PictureBatches {

  /** The pictures of a batch; a multiple of those of the networks that give features. */
  int LENGTH = 64;

  /** The number of all. */
  long size();

  /**
   * Gives the pictures in batches, each of which is closed when it was taken, and shows how far it
   * is.
   */
  void forEachBatch(CommandSpec spec, NDManager manager, Consumer<NDArray> taker)
      throws IOException;
}
