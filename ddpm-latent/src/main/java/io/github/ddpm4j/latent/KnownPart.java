package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import java.util.Objects;

/**
 * What is known of pictures, by a mask that is 1 there, cut at 0.5; among latents, what is known of
 * the first pixel of each, as nearest neighbours are in PyTorch.
 */
final class KnownPart {

  /** Per pixel of the masks, of which there is 1 or as many as pictures. */
  private final boolean[] known;

  private final int images;
  private final int pictures;
  private final int height;
  private final int width;
  private final int factor;

  private KnownPart(boolean[] known, int images, Shape pictures, int factor) {
    this.known = known;
    this.images = images;
    this.pictures = Math.toIntExact(pictures.get(0));
    height = Math.toIntExact(pictures.get(2));
    width = Math.toIntExact(pictures.get(3));
    this.factor = factor;
  }

  /**
   * Checks and cuts masks.
   *
   * @param factor the side of a picture by that of its latents
   */
  static KnownPart of(NDArray mask, NDArray pictures, int factor) {
    Shape of = pictures.getShape();
    Shape own = Objects.requireNonNull(mask, "mask").getShape();
    boolean fits =
        own.dimension() == 4
            && (own.get(0) == 1 || own.get(0) == of.get(0))
            && own.get(1) == 1
            && own.slice(2).equals(of.slice(2));
    if (!fits || mask.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException(
          "the mask must be float32 of shape (N, 1, H, W) or (1, 1, H, W) for pictures of "
              + of
              + ", but was "
              + mask.getDataType()
              + " of shape "
              + own);
    }
    float[] values = mask.toFloatArray();
    boolean[] known = new boolean[values.length];
    for (int i = 0; i < values.length; i++) {
      if (!(values[i] >= 0 && values[i] <= 1)) {
        throw new IllegalArgumentException(
            "the mask must hold 1 where a pixel is known and 0 where it is not, but holds "
                + values[i]);
      }
      known[i] = values[i] > 0.5;
    }
    return new KnownPart(known, Math.toIntExact(own.get(0)), of, factor);
  }

  /** The pictures, 0 where they are not known. */
  NDArray keptOf(NDManager scope, NDArray all) {
    double[] values = new double[known.length];
    for (int i = 0; i < known.length; i++) {
      values[i] = known[i] ? 1 : 0;
    }
    NDArray mask =
        Upload.doubles(scope, values, new Shape(images, 1, height, width), DataType.FLOAT32);
    NDArray kept = mask.mul(all);
    kept.attach(scope);
    return kept;
  }

  /** Per latent, 1 where it is known, for each picture. */
  NDArray known(NDManager scope) {
    return ofLatents(scope, 1, 0);
  }

  /** Per latent, 1 where it is not known, for each picture. */
  NDArray unknown(NDManager scope) {
    return ofLatents(scope, 0, 1);
  }

  private NDArray ofLatents(NDManager scope, double ifKnown, double otherwise) {
    int rows = height / factor;
    int columns = width / factor;
    double[] values = new double[pictures * rows * columns];
    for (int i = 0; i < values.length; i++) {
      int image = images == 1 ? 0 : i / (rows * columns);
      int row = i / columns % rows * factor;
      int column = i % columns * factor;
      values[i] = known[(image * height + row) * width + column] ? ifKnown : otherwise;
    }
    return Upload.doubles(scope, values, new Shape(pictures, 1, rows, columns), DataType.FLOAT32);
  }
}
