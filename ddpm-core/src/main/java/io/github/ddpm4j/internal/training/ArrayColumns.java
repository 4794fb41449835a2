package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.Loss.Input.Coefficient;

/**
 * The numbers per image as arrays, uploaded when they are asked for.
 *
 * @param images the images, whose manager gets the arrays
 * @param numbers the numbers
 */
record ArrayColumns(NDArray images, ImageNumbers numbers) implements Columns<NDArray> {

  @Override
  public NDArray of(Column column) {
    return PerImage.column(images, numbers.of(column));
  }

  @Override
  public NDArray of(Coefficient coefficient) {
    return PerImage.column(images, numbers.of(coefficient));
  }

  @Override
  public NDArray each(Column column) {
    double[] values = numbers.of(column);
    return Upload.doubles(
        images.getManager(), values, new Shape(values.length), images.getDataType());
  }
}
