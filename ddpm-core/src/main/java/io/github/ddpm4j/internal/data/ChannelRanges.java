package io.github.ddpm4j.internal.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.spi.Ops;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleBinaryOperator;
import java.util.stream.IntStream;

/**
 * Arithmetic with a data range, in each channel its own:
 *
 * <pre>
 *   u = (x − c) / h          c = (min + max) / 2          h = (max − min) / 2
 * </pre>
 *
 * <p>where u lies in [−1, 1]. Images are batches, whose second axis is the channel.
 */
public final class ChannelRanges {

  private ChannelRanges() {}

  /**
   * Cuts off what lies outside the range.
   *
   * @param images the batch; not closed
   * @param range the range
   * @return a new array in the manager of {@code images}
   */
  public static NDArray clip(NDArray images, DataRange range) {
    if (!range.isPerChannel()) {
      return images.clip(range.min(), range.max());
    }
    try (NDManager scope = images.getManager().newSubManager();
        NDArray above = images.maximum(column(scope, images, range.minima()))) {
      return above.minimum(column(scope, images, range.maxima()));
    }
  }

  /**
   * Images on the scale of [−1, 1].
   *
   * @param images the batch; not closed
   * @param range their range
   * @return u, a new array in the manager of {@code images}
   */
  public static NDArray toUnit(NDArray images, DataRange range) {
    if (!range.isPerChannel()) {
      return images.sub(centres(range).get(0)).divi(halves(range).get(0));
    }
    try (NDManager scope = images.getManager().newSubManager()) {
      NDArray unit = images.sub(column(scope, images, centres(range)));
      return unit.divi(column(scope, images, halves(range)));
    }
  }

  /**
   * The reverse of {@link #toUnit}.
   *
   * @param unit u; not closed
   * @param range the range of the images
   * @return x, a new array in the manager of {@code unit}
   */
  public static NDArray fromUnit(NDArray unit, DataRange range) {
    if (!range.isPerChannel()) {
      return unit.mul(halves(range).get(0)).addi(centres(range).get(0));
    }
    try (NDManager scope = unit.getManager().newSubManager()) {
      NDArray images = unit.mul(column(scope, unit, halves(range)));
      return images.addi(column(scope, unit, centres(range)));
    }
  }

  /**
   * As {@link #toUnit(NDArray, DataRange)}, against {@link Ops}.
   *
   * @param ops the operations
   * @param images shape (N, C, H, W)
   * @param column anything of shape (N, 1, 1, 1)
   * @param range their range, one per channel
   * @param <T> what the operations work on
   * @return u
   */
  public static <T> T toUnit(Ops<T> ops, T images, T column, DataRange range) {
    double[] factors = halves(range).stream().mapToDouble(half -> 1 / half).toArray();
    double[] offsets = new double[factors.length];
    Arrays.setAll(offsets, c -> -centres(range).get(c) * factors[c]);
    return map(ops, images, column, factors, offsets);
  }

  /**
   * The log variance of u, given that of x: ln σ² − 2 ln h.
   *
   * @param ops the operations
   * @param logVariance ln σ² of x, shape (N, C, H, W) or (N, 1, 1, 1)
   * @param images anything of shape (N, C, H, W)
   * @param column anything of shape (N, 1, 1, 1)
   * @param range the range of x, one per channel
   * @param <T> what the operations work on
   * @return that of u, shape (N, C, H, W)
   */
  public static <T> T logVarianceOfUnit(
      Ops<T> ops, T logVariance, T images, T column, DataRange range) {
    double[] factors = new double[range.minima().size()];
    Arrays.fill(factors, 1);
    double[] offsets = halves(range).stream().mapToDouble(half -> -2 * Math.log(half)).toArray();
    return map(ops, ops.add(ops.scale(images, 0), logVariance), column, factors, offsets);
  }

  /** Each channel times its factor plus its offset. */
  private static <T> T map(Ops<T> ops, T images, T column, double[] factors, double[] offsets) {
    T mapped = ops.shift(ops.scale(ops.firstChannels(images, column), factors[0]), offsets[0]);
    T rest = images;
    for (int c = 1; c < factors.length; c++) {
      rest = ops.channelsAfter(rest, column);
      T channel = ops.firstChannels(rest, column);
      mapped = ops.concatChannels(mapped, ops.shift(ops.scale(channel, factors[c]), offsets[c]));
    }
    return mapped;
  }

  private static List<Double> centres(DataRange range) {
    return each(range, (min, max) -> (min + max) / 2);
  }

  private static List<Double> halves(DataRange range) {
    return each(range, (min, max) -> (max - min) / 2);
  }

  private static List<Double> each(DataRange range, DoubleBinaryOperator of) {
    List<Double> minima = range.minima();
    return IntStream.range(0, minima.size())
        .mapToObj(c -> of.applyAsDouble(minima.get(c), range.maxima().get(c)))
        .toList();
  }

  /** One number per channel, or one for all, to calculate with a batch. */
  private static NDArray column(NDManager scope, NDArray like, List<Double> values) {
    long[] axes = new long[like.getShape().dimension()];
    Arrays.fill(axes, 1);
    axes[1] = values.size();
    double[] numbers = values.stream().mapToDouble(Double::doubleValue).toArray();
    NDArray column = Upload.doubles(scope, numbers, new Shape(axes), like.getDataType());
    return column.toDevice(like.getDevice(), false);
  }
}
