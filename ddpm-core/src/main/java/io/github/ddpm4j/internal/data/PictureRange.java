package io.github.ddpm4j.internal.data;

import io.github.ddpm4j.internal.data.Images.Extent;
import io.github.ddpm4j.model.DataRange;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What the values of pictures tell of the range that they were made in, and the line of code that
 * brings them into that of a model.
 *
 * @param min black
 * @param max white
 * @param least how high the greatest value must be for a guess: lower ones say too little
 */
public record PictureRange(double min, double max, double least) {

  /** So many images of a dataset say what its range is: {@value}. */
  public static final int IMAGES = 16;

  private static final PictureRange UNIT = new PictureRange(0, 1, 0);
  private static final PictureRange CENTRED = new PictureRange(-1, 1, 0);

  /** The usual ranges, the narrowest first. */
  private static final List<PictureRange> USUAL =
      List.of(UNIT, CENTRED, new PictureRange(0, 255, 16), new PictureRange(0, 65_535, 4096));

  /** More than float32 has. */
  private static final MathContext DIGITS = new MathContext(9);

  /** From this width on, a data range is one of whole numbers, of which [−1, 1] is next to none. */
  private static final double WIDE = 100;

  /**
   * The usual range that values were made in, if it is another than a model's.
   *
   * @param values the extent of the values
   * @param range the data range of the model
   * @return the narrowest usual range that holds the values; empty if none does, if the values say
   *     too little, or if it is the model's own
   */
  public static Optional<PictureRange> of(Extent values, DataRange range) {
    return USUAL.stream()
        .filter(usual -> values.least() >= usual.min && values.greatest() <= usual.max)
        .findFirst()
        .filter(usual -> values.greatest() >= usual.least)
        .filter(usual -> !range.equals(new DataRange(usual.min, usual.max)));
  }

  /**
   * Whether pictures reach so far out of a data range that they cannot be a model's: beyond twice
   * its width, about its middle. Estimates and edited pictures lie a little outside by right.
   *
   * @param values the extent of the pictures
   * @param range the data range
   * @return true if a value lies beyond
   */
  public static boolean isBeyond(Extent values, DataRange range) {
    double half = (range.max() - range.min()) / 2;
    return !(values.least() >= range.min() - half && values.greatest() <= range.max() + half);
  }

  /**
   * The usual range of pictures that were made in another than a data range and reach far out of
   * it: 0..255 where the model has [−1, 1]. Values that are merely far outside, as a network that
   * is not trained makes them, are of none.
   *
   * @param values the extent of the pictures
   * @param range the data range
   * @return the usual range, or empty
   */
  public static Optional<PictureRange> beyond(Extent values, DataRange range) {
    return isBeyond(values, range) ? of(values, range) : Optional.empty();
  }

  /**
   * Whether the range is one of whole numbers.
   *
   * @return true for 0..255 and its like
   */
  public boolean isWhole() {
    return max - min >= WIDE;
  }

  /**
   * Whether pictures lie wholly in a usual range that is but a part of a data range: in [0, 1]
   * where the model has [−1, 1], or in either where it has [0, 255]. Pictures of a single value say
   * nothing of it.
   *
   * @param values the extent of the pictures
   * @param range the data range
   * @return the usual range, or empty
   */
  public static Optional<PictureRange> within(Extent values, DataRange range) {
    boolean centred = range.min() < 0 && range.max() > 0;
    boolean wide = range.max() - range.min() >= WIDE;
    return of(values, range)
        .filter(usual -> values.least() < values.greatest())
        .filter(
            usual -> (usual.equals(UNIT) && (centred || wide)) || (usual.equals(CENTRED) && wide));
  }

  /**
   * The guess and the way out, as the end of a message that has named the values.
   *
   * @param values the extent of the values
   * @param range the data range of the model
   * @return {@code , which looks like 0..255; map them by images.div(127.5).sub(1)}, or {@code ;
   *     scale them to the range} where nothing is known
   */
  public static String advice(Extent values, DataRange range) {
    return of(values, range)
        .map(usual -> ", which looks like " + usual + "; map them by " + usual.mapping(range))
        .orElse("; scale them to the range");
  }

  /**
   * The line of code that maps this range to a model's.
   *
   * @param range the data range of the model
   * @return such as {@code images.div(127.5).sub(1)}, one per channel if the range is so
   */
  public String mapping(DataRange range) {
    if (range.isPerChannel()) {
      return IntStream.range(0, range.minima().size())
          .mapToObj(c -> mapping(range.channel(c)) + " in channel " + c)
          .collect(Collectors.joining(", "));
    }
    double factor = (range.max() - range.min()) / (max - min);
    double offset = range.min() - min * factor;
    String scaled =
        factor == 1
            ? "images"
            : factor > 1
                ? "images.mul(" + number(factor) + ")"
                : "images.div(" + number(1 / factor) + ")";
    return offset == 0
        ? scaled
        : scaled + (offset < 0 ? ".sub(" : ".add(") + number(Math.abs(offset)) + ")";
  }

  /**
   * Both ends, as arguments of a method.
   *
   * @return such as {@code 0, 1}
   */
  public String ends() {
    return number(min) + ", " + number(max);
  }

  private static String number(double value) {
    return BigDecimal.valueOf(value).round(DIGITS).stripTrailingZeros().toPlainString();
  }

  @Override
  public String toString() {
    return number(min) + ".." + number(max);
  }
}
