package io.github.ddpm4j.internal.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.DataRange;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * What images must be to be trained on, sampled from and evaluated. Messages name the images by
 * what the caller calls them.
 */
public final class Images {

  /** How far outside the range rounding may put a value, as a share of the width of the range. */
  private static final double RANGE_TOLERANCE = 1e-4;

  /** Dimensions of one image, with its channels. */
  private static final int SIGNAL = 2;

  private static final int IMAGE = 3;
  private static final int VOLUME = 4;

  private static final List<DataType> FLOATS = List.of(DataType.FLOAT32, DataType.FLOAT64);

  private Images() {}

  /**
   * The least and the greatest value of images.
   *
   * @param least the least; NaN or infinite if any value is so
   * @param greatest the greatest; NaN or infinite if any value is so
   */
  public record Extent(double least, double greatest) {

    /**
     * The extent of an array.
     *
     * @param array float32 or float64, not empty
     * @return its least and greatest value
     */
    public static Extent of(NDArray array) {
      try (NDArray least = array.min();
          NDArray greatest = array.max()) {
        return new Extent(number(least), number(greatest));
      }
    }

    private static double number(NDArray scalar) {
      return scalar.getDataType() == DataType.FLOAT64 ? scalar.getDouble() : scalar.getFloat();
    }

    /**
     * The extent of this and another together.
     *
     * @param other the other, not NaN
     * @return an extent that holds both
     */
    public Extent with(Extent other) {
      return new Extent(Math.min(least, other.least), Math.max(greatest, other.greatest));
    }

    /**
     * Whether all values are finite.
     *
     * @return false if one is NaN or infinite
     */
    public boolean isFinite() {
      return Double.isFinite(least) && Double.isFinite(greatest);
    }
  }

  /**
   * The extents of a batch, in each channel its own if the range is so.
   *
   * @param images float32 or float64, not empty, with the channel as second axis
   * @param range the range
   * @return an extent per channel of the range, or one of all
   * @throws IllegalArgumentException if there are more or fewer channels than ranges
   */
  public static List<Extent> extents(NDArray images, DataRange range) {
    if (!range.isPerChannel()) {
      return List.of(Extent.of(images));
    }
    int channels = range.minima().size();
    range.requireChannels("images of shape " + images.getShape(), images.getShape().get(1));
    return IntStream.range(0, channels)
        .mapToObj(
            c -> {
              try (NDArray channel = images.get(":, {}", c)) {
                return Extent.of(channel);
              }
            })
        .toList();
  }

  /**
   * The extent of all channels.
   *
   * @param extents that of each, at least one
   * @return an extent that holds them
   */
  public static Extent together(List<Extent> extents) {
    return extents.stream().reduce(Extent::with).orElseThrow();
  }

  /**
   * A copy of some images.
   *
   * @param manager owns the copy, and has its device
   * @param images the images; not closed
   * @param type the type of the copy
   * @return the copy
   */
  public static NDArray copy(NDManager manager, NDArray images, DataType type) {
    NDArray copy = images.duplicate();
    copy.attach(manager);
    return copy.toType(type, false).toDevice(manager.getDevice(), false);
  }

  /**
   * A copy of a part of some images.
   *
   * @param manager owns the copy, and has its device
   * @param images the images; not closed
   * @param first the first of the part, from 0
   * @param count how many are in the part
   * @param type the type of the copy
   * @return the copy
   */
  public static NDArray copy(
      NDManager manager, NDArray images, long first, int count, DataType type) {
    try (NDArray part = images.get(new NDIndex("{}:{}", first, first + count))) {
      return copy(manager, part, type);
    }
  }

  /**
   * The names of the axes of an image behind its channels.
   *
   * @param image its shape, (C, H, W), or (C, L) of a signal, or (C, D, H, W) of a volume
   * @return such as {@code H, W}
   */
  public static String axes(Shape image) {
    return switch (image.dimension()) {
      case SIGNAL -> "L";
      case VOLUME -> "D, H, W";
      default -> "H, W";
    };
  }

  /**
   * Refuses what is no batch of images.
   *
   * @param name what messages call the images
   * @param images the array
   * @param image the shape (C, H, W) that they must have, if one is known; (C, L) of signals and
   *     (C, D, H, W) of volumes
   * @throws IllegalArgumentException unless the shape is (N, C, H, W), or N and that of an image,
   *     with at least one image
   */
  public static void requireBatch(String name, NDArray images, Optional<Shape> image) {
    Shape shape = images.getShape();
    int dimensions = 1 + image.map(Shape::dimension).orElse(IMAGE);
    if (shape.dimension() != dimensions
        || image.filter(own -> !own.equals(shape.slice(1))).isPresent()) {
      String axes = "C, " + image.map(Images::axes).orElse("H, W");
      throw new IllegalArgumentException(
          name
              + " must have shape (N, "
              + axes
              + ")"
              + image.map(own -> " with (" + axes + ") = " + own).orElse("")
              + ", but had "
              + shape);
    }
    if (shape.size() == 0) {
      throw new IllegalArgumentException(
          name + " must hold at least one image, but had shape " + shape);
    }
  }

  /**
   * Refuses images of another type than floats.
   *
   * @param name what messages call the images
   * @param images the array
   * @param range the range of clean images, for the message
   * @throws IllegalArgumentException unless they are float32 or float64
   */
  public static void requireFloats(String name, NDArray images, DataRange range) {
    requireType(name, images, FLOATS, "float32 or float64", range);
  }

  /**
   * Refuses images of another type than float32, which networks are trained in.
   *
   * @param name what messages call the images
   * @param images the array
   * @param range the range of clean images, for the message
   * @throws IllegalArgumentException unless they are float32
   */
  public static void requireFloat32(String name, NDArray images, DataRange range) {
    requireType(name, images, List.of(DataType.FLOAT32), "float32", range);
  }

  private static void requireType(
      String name, NDArray images, List<DataType> types, String wanted, DataRange range) {
    if (!types.contains(images.getDataType())) {
      throw new IllegalArgumentException(
          name
              + " must be "
              + wanted
              + ", but was "
              + images.getDataType()
              + "; convert it and scale it to "
              + range);
    }
  }

  /**
   * Refuses images with broken values.
   *
   * @param name what messages call the images
   * @param images float32 or float64, not empty
   * @return their extent
   * @throws IllegalArgumentException if a value is NaN or infinite
   */
  public static Extent requireFinite(String name, NDArray images) {
    return requireFinite(name, Extent.of(images));
  }

  private static Extent requireFinite(String name, Extent extent) {
    if (!extent.isFinite()) {
      throw new IllegalArgumentException(
          name + " must be finite, but holds NaN or infinity; look for broken images");
    }
    return extent;
  }

  /**
   * Refuses images outside the range of clean images, up to rounding.
   *
   * @param name what messages call the images
   * @param images a batch, float32 or float64, not empty
   * @param range the range
   * @return their extent
   * @throws IllegalArgumentException if a value is NaN, infinite or outside the range
   */
  public static Extent requireInRange(String name, NDArray images, DataRange range) {
    List<Extent> extents = extents(images, range);
    Extent all = requireFinite(name, together(extents));
    for (int c = 0; c < extents.size(); c++) {
      Extent extent = extents.get(c);
      DataRange own = range.channel(c);
      double tolerance = RANGE_TOLERANCE * (own.max() - own.min());
      if (extent.least() < own.min() - tolerance || extent.greatest() > own.max() + tolerance) {
        throw new IllegalArgumentException(
            name
                + " must lie in the data range "
                + own
                + ofChannel(range, c)
                + ", but holds values from "
                + extent.least()
                + " to "
                + extent.greatest()
                + PictureRange.advice(all, range)
                + ", or set dataRange(min, max) when building DDPM");
      }
    }
    return all;
  }

  private static String ofChannel(DataRange range, int channel) {
    return range.isPerChannel() ? " of channel " + channel : "";
  }

  /**
   * Refuses pictures that cannot be a model's, as {@link PictureRange#isBeyond} has it; for arrays
   * that are given by hand, where estimates may lie a little outside.
   *
   * @param name what messages call the pictures
   * @param images a batch, float32 or float64, not empty
   * @param range the range
   * @param insist how to have them taken all the same, the end of the message
   * @throws IllegalArgumentException if a value is NaN, infinite or beyond
   */
  public static void requireNearRange(String name, NDArray images, DataRange range, String insist) {
    List<Extent> extents = extents(images, range);
    requireFinite(name, together(extents));
    requireNearRange(name, extents, range, insist);
  }

  /**
   * As {@link #requireNearRange(String, NDArray, DataRange, String)}, of finite values.
   *
   * @param name what messages call the pictures
   * @param extents what {@link #extents} returned
   * @param range the range
   * @param insist how to have them taken all the same, the end of the message
   * @throws IllegalArgumentException if a value is beyond
   */
  public static void requireNearRange(
      String name, List<Extent> extents, DataRange range, String insist) {
    for (int c = 0; c < extents.size(); c++) {
      Extent extent = extents.get(c);
      DataRange own = range.channel(c);
      if (PictureRange.isBeyond(extent, own)) {
        throw new IllegalArgumentException(
            name
                + " must lie in the data range "
                + own
                + ofChannel(range, c)
                + " or near it, but hold values from "
                + extent.least()
                + " to "
                + extent.greatest()
                + PictureRange.advice(together(extents), range)
                + ", or "
                + insist);
      }
    }
  }
}
