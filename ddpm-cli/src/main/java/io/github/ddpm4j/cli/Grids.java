package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samples;

/** Pictures in one file, large enough to be seen. */
final class Grids {

  /** Those of 8192x8192: their numbers take 0.8 GB in each of some steps. */
  private static final long MOST_PIXELS = 1L << 26;

  private Grids() {}

  /**
   * Refuses what would need more memory than there is, after all of it was drawn.
   *
   * @param count the number of pictures
   */
  static void requireModest(long count, long height, long width) {
    long most = Math.max(1, MOST_PIXELS / (height * width));
    if (count > most) {
      throw new IllegalArgumentException(
          "a grid takes at most "
              + most
              + " pictures of "
              + height
              + "x"
              + width
              + ", but "
              + count
              + " were asked for; name a folder, or give a smaller --count");
    }
  }

  /** In the range of the model's images. */
  static Pictures of(LoadedModel model, NDArray images) {
    return of(images).dataRange(model.ddpm().dataRange());
  }

  /** In [-1, 1]. */
  static Pictures of(NDArray images) {
    long side = Math.max(images.getShape().get(2), images.getShape().get(3));
    long factor = (Samples.LEAST_GRID_SIDE + side - 1) / side;
    return Pictures.of(images).enlarge((int) Math.max(1, factor));
  }
}
