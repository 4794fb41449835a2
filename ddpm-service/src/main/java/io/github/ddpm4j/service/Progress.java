package io.github.ddpm4j.service;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Optional;

/**
 * How far a request is.
 *
 * @param step the steps that are done
 * @param steps all steps
 * @param preview the denoised estimate x̂_0 of the images that are being made, where {@link
 *     SamplingRequest#previews} asks for it now
 */
public record Progress(int step, int steps, Optional<Preview> preview) {

  /**
   * Images outside the engine's memory, so that nobody has to free them.
   *
   * @param firstImage the index in the request of the first of them
   * @param shape (N, C, H, W)
   * @param values their values, row by row, in the range of the model's images
   */
  @SuppressWarnings("ArrayRecordComponent") // handed over once
  public record Preview(long firstImage, Shape shape, float[] values) {

    static Preview of(long firstImage, NDArray images) {
      try (NDArray floats = images.toType(DataType.FLOAT32, true)) {
        return new Preview(firstImage, images.getShape(), floats.toFloatArray());
      }
    }
  }
}
