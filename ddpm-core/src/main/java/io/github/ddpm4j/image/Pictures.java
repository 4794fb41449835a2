package io.github.ddpm4j.image;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.PictureRange;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.picture.PictureFiles;
import io.github.ddpm4j.internal.picture.Pixels;
import io.github.ddpm4j.model.DataRange;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * Converts image tensors to pictures for viewing, and picture files to tensors.
 *
 * <pre>{@code
 * Pictures.of(images).columns(8).enlarge(8).save(Path.of("samples.png"));
 * NDArray x0 = Pictures.read(manager, Path.of("cat.jpg"));    // (3, H, W) in [-1, 1]
 * }</pre>
 *
 * <p>A grid is filled row by row from left to right, with the same gap between and around the
 * images. Values outside the data range are clamped for display, except that those of 0 to 255 in a
 * range of [−1, 1] are refused; the tensors are not modified. Tensor values are treated as sRGB: no
 * gamma is applied in either direction. To convert a {@link BufferedImage} from this class to a DJL
 * {@code Image}, use {@code ImageFactory.getInstance().fromImage(picture)}.
 *
 * <p>Instances hold a copy of the values in Java memory: they are immutable and thread-safe, and
 * own no native memory.
 */
public final class Pictures {

  /** The default lower end of the data range: {@value}. */
  public static final double DEFAULT_MINIMUM = -1;

  /** The default upper end of the data range: {@value}. */
  public static final double DEFAULT_MAXIMUM = 1;

  /** The default gap between images in pixels: {@value}. */
  public static final int DEFAULT_GAP = 2;

  private static final Color DARK_GREY = new Color(0x2B2B2B);
  private static final int LEVELS = 255;

  private final float[] values;
  private final int count;
  private final int channels;
  private final int height;
  private final int width;
  private final Layout layout;
  private final Labels labels;

  private Pictures(
      float[] values,
      int count,
      int channels,
      int height,
      int width,
      Layout layout,
      Labels labels) {
    this.values = values;
    this.count = count;
    this.channels = channels;
    this.height = height;
    this.width = width;
    this.layout = layout;
    this.labels = labels;
  }

  /**
   * Creates pictures from a batch of images, or from a single image.
   *
   * @param images float32 or float64, shape (N, C, H, W) or (C, H, W) with 1 channel (greyscale) or
   *     3 (RGB); neither closed nor modified
   * @return the pictures, in a grid of ⌈√N⌉ columns, not enlarged, on a dark grey background
   * @throws IllegalArgumentException if the shape or data type is wrong, or a value is NaN
   */
  public static Pictures of(NDArray images) {
    Given.open(images, "images");
    DataType type = images.getDataType();
    if (type != DataType.FLOAT32 && type != DataType.FLOAT64) {
      throw new IllegalArgumentException(
          "images must be float32 or float64, but were "
              + type
              + "; call images.toType(DataType.FLOAT32, false)");
    }
    Shape shape = images.getShape();
    int axes = shape.dimension();
    if (axes != 3 && axes != 4) {
      throw new IllegalArgumentException(
          "images must have shape (N, C, H, W) or (C, H, W), but had " + shape);
    }
    if (shape.size() == 0) {
      throw new IllegalArgumentException(
          "images must hold at least one pixel, but had shape " + shape);
    }
    int channels = Math.toIntExact(shape.get(axes - 3));
    if (channels != 1 && channels != 3) {
      throw new IllegalArgumentException(
          "images must have 1 channel (grey) or 3 (RGB), but had "
              + channels
              + " in shape "
              + shape
              + "; choose channels with images.get(\":, 0:1\")");
    }
    return checked(
        type == DataType.FLOAT32 ? images.toFloatArray() : floats(images.toDoubleArray()),
        axes == 4 ? Math.toIntExact(shape.get(0)) : 1,
        channels,
        Math.toIntExact(shape.get(axes - 2)),
        Math.toIntExact(shape.get(axes - 1)));
  }

  private static Pictures checked(float[] values, int count, int channels, int height, int width) {
    for (int i = 0; i < values.length; i++) {
      if (Float.isNaN(values[i])) {
        int x = i % width;
        int y = i / width % height;
        int channel = i / (width * height) % channels;
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "images must hold numbers, but the one at [%d, %d, %d, %d] (image, channel, row, column) is NaN",
                i / (width * height * channels),
                channel,
                y,
                x));
      }
    }
    return new Pictures(
        values, count, channels, height, width, Layout.standard(count), Labels.NONE);
  }

  /** Refuses values of 0 to 255 in a range of [−1, 1]: all of them would be white. */
  private void requireRange() {
    double least = Double.POSITIVE_INFINITY;
    double greatest = Double.NEGATIVE_INFINITY;
    for (float value : values) {
      least = Math.min(least, value);
      greatest = Math.max(greatest, value);
    }
    Images.Extent extent = new Images.Extent(least, greatest);
    DataRange range = layout.range;
    if (PictureRange.beyond(extent, range).filter(PictureRange::isWhole).isPresent()) {
      throw new IllegalArgumentException(
          "images must lie in "
              + range
              + " or near it, but hold values from "
              + least
              + " to "
              + greatest
              + PictureRange.advice(extent, range)
              + ", or tell their range by dataRange(min, max)");
    }
  }

  private static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  /**
   * The values shown as black and as white (or as zero and full intensity). By default {@value
   * #DEFAULT_MINIMUM} and {@value #DEFAULT_MAXIMUM}.
   *
   * @param minimum the value shown as black
   * @param maximum the value shown as white
   * @return pictures with that range
   * @throws IllegalArgumentException if the range is empty or not finite
   */
  public Pictures dataRange(double minimum, double maximum) {
    if (!(minimum < maximum) || Double.isInfinite(minimum) || Double.isInfinite(maximum)) {
      throw new IllegalArgumentException(
          "dataRange must be finite with minimum < maximum, but was ["
              + minimum
              + ", "
              + maximum
              + "]");
    }
    return dataRange(new DataRange(minimum, maximum));
  }

  /**
   * The values shown as black and as white, as a model has them: {@code ddpm.dataRange()}.
   *
   * @param range the range, of all channels or of each
   * @return pictures with that range
   * @throws IllegalArgumentException if it has ranges for another number of channels
   */
  public Pictures dataRange(DataRange range) {
    Objects.requireNonNull(range, "range");
    range.requireChannels("the images", channels);
    return with(new Layout(range, layout.columns, layout.gap, layout.enlarge, layout.background));
  }

  /**
   * The number of images per row of the grid. By default ⌈√N⌉.
   *
   * @param columns the number of images per row
   * @return pictures in that many columns
   * @throws IllegalArgumentException if it is less than 1
   */
  public Pictures columns(int columns) {
    requireAtLeast(1, "columns", columns);
    return with(new Layout(layout.range, columns, layout.gap, layout.enlarge, layout.background));
  }

  /**
   * Arranges all images in one row.
   *
   * @return pictures in one row
   */
  public Pictures strip() {
    return columns(count);
  }

  /**
   * The gap between and around the images of a grid, in pixels. By default {@value #DEFAULT_GAP}.
   * Enlarging does not affect the gap.
   *
   * @param gap the gap in pixels of the grid
   * @return pictures with that gap
   * @throws IllegalArgumentException if it is negative
   */
  public Pictures gap(int gap) {
    requireAtLeast(0, "gap", gap);
    return with(new Layout(layout.range, layout.columns, gap, layout.enlarge, layout.background));
  }

  /**
   * The enlargement factor: the width and height in pixels at which each value is shown. By default
   * 1; an 8x8 digit needs about 8.
   *
   * @param enlarge the factor
   * @return pictures enlarged by that factor
   * @throws IllegalArgumentException if it is less than 1
   */
  public Pictures enlarge(int enlarge) {
    requireAtLeast(1, "enlarge", enlarge);
    return with(new Layout(layout.range, layout.columns, layout.gap, enlarge, layout.background));
  }

  /**
   * The colour of the gaps and of unused cells. Dark grey by default. Greyscale images on a
   * non-grey background give an RGB grid.
   *
   * @param background the colour; its alpha is ignored
   * @return pictures on that background
   */
  public Pictures background(Color background) {
    Objects.requireNonNull(background, "background");
    return with(new Layout(layout.range, layout.columns, layout.gap, layout.enlarge, background));
  }

  /**
   * Labels above the columns of the grid. None by default. Columns are widened if a label is wider
   * than the images.
   *
   * @param words the labels from left to right; further columns have none
   * @return pictures with those labels
   */
  public Pictures columnLabels(String... words) {
    Objects.requireNonNull(words, "words");
    return with(new Labels(List.of(words), labels.rows()));
  }

  /**
   * Labels to the left of the rows of the grid. None by default.
   *
   * @param words the labels from top to bottom; further rows have none
   * @return pictures with those labels
   */
  public Pictures rowLabels(String... words) {
    Objects.requireNonNull(words, "words");
    return with(new Labels(labels.columns(), List.of(words)));
  }

  private Pictures with(Labels changed) {
    return new Pictures(values, count, channels, height, width, layout, changed);
  }

  /**
   * The number of images.
   *
   * @return at least 1
   */
  public int size() {
    return count;
  }

  /**
   * Each image as a separate picture, enlarged, without gaps.
   *
   * @return one picture per image, {@link BufferedImage#TYPE_BYTE_GRAY} or {@link
   *     BufferedImage#TYPE_3BYTE_BGR}; the caller may modify them
   * @throws IllegalArgumentException if the values are of 0 to 255 and {@link #dataRange} is not
   */
  public List<BufferedImage> toImages() {
    requireRange();
    return IntStream.range(0, count)
        .mapToObj(
            i -> {
              BufferedImage picture = canvas(width * layout.enlarge, height * layout.enlarge, true);
              draw(i, picture, 0, 0);
              return picture;
            })
        .toList();
  }

  /**
   * All images in one picture.
   *
   * @return the grid, {@link BufferedImage#TYPE_BYTE_GRAY} or {@link BufferedImage#TYPE_3BYTE_BGR};
   *     the caller may modify it
   * @throws IllegalArgumentException if there are more labels than columns, or than rows, or the
   *     values are of 0 to 255 and {@link #dataRange} is not
   */
  public BufferedImage toGrid() {
    requireRange();
    int columns = Math.min(layout.columns, count);
    int rows = (count + columns - 1) / columns;
    requireAtMost(columns, "column", labels.columns());
    requireAtMost(rows, "row", labels.rows());
    int cellWidth = Math.max(width * layout.enlarge, Labels.width(labels.columns()));
    int cellHeight = Math.max(height * layout.enlarge, Labels.height(labels.rows()));
    int left = Labels.width(labels.rows()) + layout.gap;
    int top = Labels.height(labels.columns()) + layout.gap;
    int right = cellWidth + layout.gap;
    int down = cellHeight + layout.gap;
    Color background = layout.background;
    boolean grey =
        background.getRed() == background.getGreen() && background.getRed() == background.getBlue();
    BufferedImage grid = canvas(left + columns * right, top + rows * down, grey);
    fill(grid, background);
    for (int i = 0; i < count; i++) {
      draw(
          i,
          grid,
          left + i % columns * right + (cellWidth - width * layout.enlarge) / 2,
          top + i / columns * down + (cellHeight - height * layout.enlarge) / 2);
    }
    for (int i = 0; i < labels.columns().size(); i++) {
      Labels.write(labels.columns().get(i), grid, left + i * right, 0, cellWidth, top, background);
    }
    for (int i = 0; i < labels.rows().size(); i++) {
      Labels.write(labels.rows().get(i), grid, 0, top + i * down, left, cellHeight, background);
    }
    return grid;
  }

  private static void requireAtMost(int most, String what, List<String> words) {
    if (words.size() > most) {
      throw new IllegalArgumentException(
          what
              + "Labels must be at most one per "
              + what
              + ", but are "
              + words.size()
              + " for "
              + most
              + ": "
              + words);
    }
  }

  /**
   * Writes {@link #toGrid} to a PNG file. The write is atomic: a temporary file next to the target
   * is written and then renamed.
   *
   * @param file the file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails
   * @throws IllegalArgumentException as {@link #toGrid}, or if the name ends as that of another
   *     format
   */
  public void save(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    PictureFiles.requireSuffix(PictureFiles.PNG, file);
    write(toGrid(), file);
  }

  /**
   * Writes a picture to a PNG file, by writing a temporary file next to the target and renaming it.
   *
   * @param picture the picture, of grey or sRGB in at most 16 bits, with transparency or not
   * @param file the file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a PNG file cannot hold the picture; an existing file is
   *     left as it is
   */
  public static void write(BufferedImage picture, Path file) throws IOException {
    write(picture, file, Map.of());
  }

  /**
   * Writes a picture to a PNG file with its provenance, as {@link #write(BufferedImage, Path)} does
   * without.
   *
   * @param picture the picture, of grey or sRGB in at most 16 bits, with transparency or not
   * @param file the file; missing folders are created, an existing file is replaced
   * @param provenance texts by name, which {@link #provenance} reads; those of {@link
   *     io.github.ddpm4j.sampling.Samples#provenance} for a sample
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a PNG file cannot hold the picture; an existing file is
   *     left as it is
   */
  public static void write(BufferedImage picture, Path file, Map<String, String> provenance)
      throws IOException {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(provenance, "provenance");
    PictureFiles.write(picture, file, provenance);
  }

  /**
   * Writes a picture as a PNG file with its provenance to a stream.
   *
   * @param picture the picture, of grey or sRGB in at most 16 bits, with transparency or not
   * @param out where to write; flushed, not closed
   * @param provenance texts by name; may be empty
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if a PNG file cannot hold the picture; nothing is written
   */
  public static void write(BufferedImage picture, OutputStream out, Map<String, String> provenance)
      throws IOException {
    Objects.requireNonNull(out, "out");
    Objects.requireNonNull(provenance, "provenance");
    PictureFiles.write(picture, out, provenance);
  }

  /**
   * What a PNG file says of how its picture was drawn.
   *
   * @param file a file that this library wrote
   * @return texts by name, in the order in which they were written; unmodifiable, and empty for
   *     other files
   * @throws IOException if it is missing or damaged; the message names it
   */
  public static Map<String, String> provenance(Path file) throws IOException {
    return PictureFiles.words(Objects.requireNonNull(file, "file"));
  }

  /**
   * Checks that a picture can be written to a file, as far as that can be told without writing it.
   * Call it before pictures are drawn that take long.
   *
   * @param file the file; nothing is created or changed
   * @throws IOException if it is a folder, lies in something that is none, or its folder may not be
   *     written by this user
   */
  public static void requireSavable(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    WholeFile.requirePlace(file);
  }

  /**
   * Writes pictures as the frames of a looping animated GIF. Frames with more than 256 colours are
   * approximated.
   *
   * @param frames the pictures, all of the same size; at least one. Other types than the standard
   *     ones of 8 bits are converted as by {@link #toArray}
   * @param millisPerFrame the duration of each frame, at least 10 ms, rounded down to hundredths of
   *     a second
   * @param file the file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if there are no pictures, their sizes differ, or the duration
   *     is too short, or {@link #toArray} refuses a picture
   */
  public static void animate(List<BufferedImage> frames, int millisPerFrame, Path file)
      throws IOException {
    Objects.requireNonNull(file, "file");
    requireAtLeast(1, "the number of frames", frames.size());
    requireAtLeast(10, "millisPerFrame", millisPerFrame);
    for (BufferedImage frame : frames) {
      requireSize(frames.get(0), frame);
    }
    Animation.write(frames, millisPerFrame, file);
  }

  private static void requireSize(BufferedImage first, BufferedImage other) {
    if (other.getWidth() != first.getWidth() || other.getHeight() != first.getHeight()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "frames must have one size, but one is %d x %d and another %d x %d",
              first.getWidth(),
              first.getHeight(),
              other.getWidth(),
              other.getHeight()));
    }
  }

  /**
   * Reads a picture file of any size in a format supported by Java's ImageIO (PNG, JPEG, GIF, BMP,
   * TIFF, WBMP), as {@link #toArray} does. Camera (EXIF) rotation is not applied. A truncated JPEG
   * file is read as far as possible.
   *
   * @param manager owns the result
   * @param file the picture
   * @return float32, shape (1, H, W) for greyscale pictures and (3, H, W) for others, in [-1, 1]
   * @throws IOException if the file is missing, is not a picture, is damaged, or has samples that
   *     Java would misread, such as signed integers or 12 bits in TIFF; the message says which
   */
  public static NDArray read(NDManager manager, Path file) throws IOException {
    Objects.requireNonNull(manager, "manager");
    Objects.requireNonNull(file, "file");
    PictureFiles.Picture picture = PictureFiles.read(file);
    return array(manager, picture.pixels(), picture.width(), picture.height());
  }

  /**
   * Converts a picture to a tensor. Samples of up to 16 bits and floats from 0 (black) to 1 are
   * taken as they are. Colours other than grey and sRGB are converted to sRGB; CMYK without a
   * profile is taken as (1 − C) (1 − K) and so on. Transparent pixels are composited onto white.
   *
   * @param manager owns the result
   * @param picture the picture
   * @return float32, shape (1, H, W) for greyscale pictures and (3, H, W) for others, in [-1, 1]
   * @throws IllegalArgumentException if the samples are signed or have 32 bits, are outside [0, 1]
   *     after division by their maximum, or have no known colour
   */
  public static NDArray toArray(NDManager manager, BufferedImage picture) {
    return array(manager, Pixels.of(picture), picture.getWidth(), picture.getHeight());
  }

  private static NDArray array(NDManager manager, Pixels pixels, int width, int height) {
    return manager.create(pixels.values(), new Shape(pixels.channels(), height, width));
  }

  private BufferedImage canvas(int width, int height, boolean greyBackground) {
    return new BufferedImage(
        width,
        height,
        channels == 1 && greyBackground
            ? BufferedImage.TYPE_BYTE_GRAY
            : BufferedImage.TYPE_3BYTE_BGR);
  }

  // Bands are written directly: Graphics2D would convert between grey and RGB, with a gamma.
  private static void fill(BufferedImage canvas, Color background) {
    int[] levels = {background.getRed(), background.getGreen(), background.getBlue()};
    int[] row = new int[canvas.getWidth()];
    for (int band = 0; band < canvas.getRaster().getNumBands(); band++) {
      Arrays.fill(row, levels[band]);
      for (int y = 0; y < canvas.getHeight(); y++) {
        canvas.getRaster().setSamples(0, y, row.length, 1, band, row);
      }
    }
  }

  private void draw(int image, BufferedImage canvas, int left, int top) {
    int enlarge = layout.enlarge;
    int[] row = new int[width * enlarge];
    for (int band = 0; band < canvas.getRaster().getNumBands(); band++) {
      int channel = Math.min(band, channels - 1);
      DataRange range = layout.range.channel(channel);
      double black = range.min();
      double white = range.max();
      int start = (image * channels + channel) * height * width;
      for (int y = 0; y < height * enlarge; y++) {
        if (y % enlarge == 0) {
          for (int x = 0; x < row.length; x++) {
            row[x] = level(values[start + y / enlarge * width + x / enlarge], black, white);
          }
        }
        canvas.getRaster().setSamples(left, top + y, row.length, 1, band, row);
      }
    }
  }

  private static int level(float value, double black, double white) {
    double share = (value - black) / (white - black);
    return (int) Math.round(LEVELS * Math.max(0, Math.min(1, share)));
  }

  private Pictures with(Layout changed) {
    return new Pictures(values, count, channels, height, width, changed, labels);
  }

  private static void requireAtLeast(int least, String name, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          name + " must be at least " + least + ", but was " + value);
    }
  }

  private record Layout(DataRange range, int columns, int gap, int enlarge, Color background) {

    static Layout standard(int count) {
      int columns = (int) Math.ceil(Math.sqrt(count));
      DataRange range = new DataRange(DEFAULT_MINIMUM, DEFAULT_MAXIMUM);
      return new Layout(range, columns, DEFAULT_GAP, 1, DARK_GREY);
    }
  }
}
