package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Samples;

/** Pictures in one file, large enough to be seen. */
final class Grids {

  private Grids() {}

  static Pictures of(LoadedModel model, NDArray images) {
    return of(model.ddpm().dataRange(), images);
  }

  static Pictures of(DataRange range, NDArray images) {
    long side = Math.max(images.getShape().get(2), images.getShape().get(3));
    long factor = (Samples.LEAST_GRID_SIDE + side - 1) / side;
    return Pictures.of(images).dataRange(range).enlarge((int) Math.max(1, factor));
  }
}
