package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.PictureRange;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.schedule.Level;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the values that a run is given can be its model's: pictures by the data range, noisy
 * images by their spread.
 *
 * @param range the data range of the model
 * @param any whether values of any range are taken
 */
record GivenImages(DataRange range, boolean any) {

  private static final Logger logger = LoggerFactory.getLogger(Sampling.class);

  /** The spread of noisy images may be so many times that of the level. */
  private static final double GREATEST_SPREAD = 2;

  /** The spread of n values is taken to be known up to this number divided by √n. */
  private static final double DEVIATIONS = 5;

  private static final String INSIST = "call anyRange() if they are meant";

  /**
   * Refuses pictures that are not float32 or float64, finite, and in the range or near it.
   *
   * @param pictures (N, C, H, W)
   */
  void requirePictures(String name, NDArray pictures) {
    requireFinite(name, pictures);
    requirePictures(name, Images.extents(pictures, range));
  }

  /** As {@link #requirePictures}, of one picture of (C, H, W). */
  void requirePicture(String name, NDArray picture) {
    try (NDArray batch = picture.expandDims(0)) {
      requirePictures(name, batch);
    }
  }

  /**
   * As {@link #requirePictures}, of the pixels that inpainting looks at; the others may have any
   * finite value.
   *
   * @param mask above 0 where a pixel is looked at, (N, 1, H, W) or (1, 1, H, W)
   */
  void requireKnown(String name, NDArray images, NDArray mask) {
    requireFinite(name, images);
    try (NDManager scope = images.getManager().newSubManager()) {
      NDArray looked = mask.toDevice(images.getDevice(), true);
      looked.attach(scope);
      NDArray known = looked.gt(0);
      if (known.any().getBoolean()) {
        requirePictures("the known pixels of " + name, extents(scope, images, known));
      }
    }
  }

  /** Of the pixels that are known, in each channel if the range is so. */
  private List<Images.Extent> extents(NDManager scope, NDArray images, NDArray known) {
    if (!range.isPerChannel()) {
      return List.of(extent(scope, images, known));
    }
    return IntStream.range(0, range.minima().size())
        .mapToObj(
            c -> {
              try (NDArray channel = images.get(":, {}:{}", c, c + 1)) {
                return extent(scope, channel, known);
              }
            })
        .toList();
  }

  private static Images.Extent extent(NDManager scope, NDArray images, NDArray known) {
    NDArray some = images.get(known.broadcast(images.getShape()));
    some.attach(scope);
    return Images.Extent.of(some);
  }

  private void requirePictures(String name, List<Images.Extent> extents) {
    if (any) {
      return;
    }
    Images.requireNearRange(name, extents, range, INSIST);
    Images.Extent extent = Images.together(extents);
    PictureRange.within(extent, range)
        .ifPresent(
            usual ->
                logger.warn(
                    "{} lie in [{}, {}], which looks like {} while the data range is {}; unless they"
                        + " are meant to be bright, map them by {}",
                    name,
                    extent.least(),
                    extent.greatest(),
                    usual,
                    range,
                    usual.mapping(range)));
  }

  /**
   * Refuses noisy images that are farther from 0 than x_t of any pictures in the range. Per image,
   *
   * <pre>
   *   x_t = signal · x_0 + noise · ε:    E[x_t²] ≤ signal² · max x_0² + noise²
   *
   *   with the mean over the channels of each one's max x_0²
   * </pre>
   *
   * @param images finite, (N, C, H, W)
   * @param level how noisy they are said to be
   */
  void requireSpread(String name, NDArray images, Level level) {
    requireFinite(name, images);
    if (any) {
      return;
    }
    double spread = Math.hypot(level.signal() * farthest(), level.noise());
    int count = Math.toIntExact(images.getShape().get(0));
    double values = (double) images.getShape().size() / count;
    double most = (GREATEST_SPREAD + DEVIATIONS / Math.sqrt(values)) * spread;
    double[] spreads = spreads(images, count);
    for (int i = 0; i < count; i++) {
      if (spreads[i] > most) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "%s must have the spread of x_t = %.4g x_0 + %.4g ε at timestep %.4g, a root mean"
                    + " square of at most %.4g, but that of image %d is %.4g; pictures must be noised"
                    + " to that timestep, x_0 + σ ε divided by √(1 + σ²), or call anyRange() if it is"
                    + " meant",
                name,
                level.signal(),
                level.noise(),
                level.timestep(),
                spread,
                i,
                spreads[i]));
      }
    }
  }

  /** As {@link #requireSpread}, of one image of (C, H, W). */
  void requireSpreadOfOne(String name, NDArray image, Level level) {
    try (NDArray batch = image.expandDims(0)) {
      requireSpread(name, batch, level);
    }
  }

  /** The greatest root mean square of clean images. */
  private double farthest() {
    double squares = 0;
    int channels = range.minima().size();
    for (int c = 0; c < channels; c++) {
      squares +=
          Math.pow(Math.max(Math.abs(range.minima().get(c)), Math.abs(range.maxima().get(c))), 2);
    }
    return Math.sqrt(squares / channels);
  }

  private static double[] spreads(NDArray images, int count) {
    try (NDManager scope = images.getManager().newSubManager();
        NDArray doubles = images.toType(DataType.FLOAT64, true)) {
      doubles.attach(scope);
      NDArray squares = doubles.square().reshape(count, -1).mean(new int[] {1});
      return squares.sqrt().toDoubleArray();
    }
  }

  private Images.Extent requireFinite(String name, NDArray images) {
    Images.requireFloats(name, images, range);
    return Images.requireFinite(name, images);
  }
}
