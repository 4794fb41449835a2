package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.DataRange;
import java.util.function.UnaryOperator;

/**
 * What is done to x̂_0 before a row uses it. Results lie in the manager of what comes in.
 *
 * @param name says it all: limits of one name do the same
 * @param change does it
 */
record X0Limit(String name, UnaryOperator<NDArray> change) {

  NDArray apply(NDArray x0) {
    return change.apply(x0);
  }

  /** x̂_0 as the network means it. */
  static X0Limit none() {
    return new X0Limit("none", x0 -> x0);
  }

  /** x̂_0 within the range of clean images. */
  static X0Limit clip(DataRange range) {
    return new X0Limit("clip to " + range, x0 -> ChannelRanges.clip(x0, range));
  }

  /**
   * Dynamic thresholding (Saharia et al. 2022, section 2.3): s is the quantile {@code ratio} of
   * |x̂_0| in an image, but at least 1 and at most {@code greatest}; then {@code clip(x̂_0, −s, s)
   * / s}. All of it as if the data range were [−1, 1] in each channel.
   */
  static X0Limit dynamic(DataRange range, double ratio, double greatest) {
    String name = "dynamic in " + range + ", " + ratio + ", " + greatest;
    return new X0Limit(
        name,
        x0 -> {
          NDArray unit = ChannelRanges.toUnit(x0, range);
          int images = Math.toIntExact(x0.getShape().get(0));
          NDArray sizes = unit.abs().reshape(images, -1).sort(1);
          // the quantile between two neighbours, by linear interpolation
          double place = ratio * (sizes.getShape().get(1) - 1);
          long below = (long) Math.floor(place);
          long above = (long) Math.ceil(place);
          NDArray low = sizes.get(":, {}", below);
          NDArray high = sizes.get(":, {}", above);
          NDArray s =
              low.add(high.sub(low).mul(place - below))
                  .clip(1, greatest)
                  .reshape(PerImage.column(x0, new double[images]).getShape());
          return ChannelRanges.fromUnit(unit.minimum(s).maximum(s.neg()).div(s), range);
        });
  }
}
