package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;

/**
 * Inpainting: after each row, the known pixels of x are replaced by those of the known image, at
 * the noise level that the row led to (Lugmayr et al. 2022, eq. 8). After the last they are exact,
 * wherever the sampler ends.
 */
final class KnownPixels implements Chain.Hook {

  /** Draws of the noise of known pixels, apart from those of the chain. */
  private static final long FIRST_DRAW = 1L << 32;

  private final NDArray images;
  private final NDArray mask;

  /**
   * @param images the known images, (N, C, H, W); borrowed
   * @param mask 1 where a pixel is known, (N, 1, H, W) or (1, 1, H, W); borrowed
   */
  KnownPixels(NDArray images, NDArray mask) {
    this.images = images;
    this.mask = mask;
  }

  /** Refuses a mask that does not fit the images or does not lie in [0, 1]. */
  static void requireMask(NDArray mask, NDArray images) {
    Shape of = images.getShape();
    Shape own = mask.getShape();
    boolean fits =
        own.dimension() == of.dimension()
            && (own.get(0) == 1 || own.get(0) == of.get(0))
            && own.get(1) == 1
            && own.slice(2).equals(of.slice(2));
    DataType type = mask.getDataType();
    if (!fits || (type != DataType.FLOAT32 && type != DataType.FLOAT64)) {
      String axes = Images.axes(of.slice(1));
      throw new IllegalArgumentException(
          "the mask must be float32 or float64 of shape (N, 1, "
              + axes
              + ") or (1, 1, "
              + axes
              + ") for images of "
              + of
              + ", but was "
              + type
              + " of shape "
              + own);
    }
    Images.Extent extent = Images.Extent.of(mask);
    if (!(extent.least() >= 0 && extent.greatest() <= 1)) {
      throw new IllegalArgumentException(
          "the mask must hold 1 where a pixel is known and 0 where it is not, but lies in ["
              + extent.least()
              + ", "
              + extent.greatest()
              + "]");
    }
  }

  @Override
  public NDArray apply(Chain chain, NDArray x, NDArray x0) {
    NDManager manager = x.getManager();
    long first = chain.firstImage();
    NDArray known = rows(images, first, chain.images(), x, manager);
    NDArray keep = rows(mask, first, chain.images(), x, manager);
    boolean last = chain.row() + 1 == chain.rows();
    Level at = last ? Level.CLEAN : chain.plan().levelAfter(chain.row());
    NDArray level = known;
    if (!at.equals(Level.CLEAN)) {
      NDArray z =
          chain
              .noise()
              .array(manager, first, FIRST_DRAW + chain.row(), x.getShape(), x.getDataType());
      level = NoiseLevels.of(at, chain.images()).noised(known, z);
    }
    // not x + keep (level − x), which would round the known pixels
    return level.mul(keep).add(x.mul(keep.neg().add(1)));
  }

  private static NDArray rows(NDArray all, long first, int count, NDArray like, NDManager manager) {
    return all.getShape().get(0) == 1
        ? Images.copy(manager, all, like.getDataType())
        : Images.copy(manager, all, first, count, like.getDataType());
  }
}
