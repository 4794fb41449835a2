package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.PictureRange;
import io.github.ddpm4j.model.DataRange;

/** Whether pictures that are compared were made in one range. */
final class PictureChecks {

  private PictureChecks() {}

  /**
   * Refuses pictures that were made in another usual range and reach far out of one. Values that
   * are merely far outside, as a network that is not trained makes them, pass.
   *
   * @param name what messages call them
   * @param images the pictures
   * @param range the range that they should have
   */
  static void requireLike(String name, NDArray images, DataRange range) {
    if (!images.getDataType().isFloating() || images.isEmpty()) {
      return;
    }
    Images.Extent extent = Images.Extent.of(images);
    PictureRange.beyond(extent, range)
        .ifPresent(
            usual -> {
              throw new IllegalArgumentException(
                  name
                      + " must lie in the range "
                      + range
                      + ", but hold values from "
                      + extent.least()
                      + " to "
                      + extent.greatest()
                      + PictureRange.advice(extent, range)
                      + ", or clip them if they are meant");
            });
  }
}
