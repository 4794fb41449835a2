package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.PictureFolder.Fit;
import io.github.ddpm4j.data.Resampling.Span;
import io.github.ddpm4j.internal.picture.PictureFiles;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Turns picture files of any kind and size into frames of one kind.
 *
 * @param channels 1, 3 or 4
 * @param height the height of an image
 * @param width the width of an image
 * @param fit what is done to other sizes
 * @param background what shows through transparent pixels, and beside pictures that are padded
 */
record Fitting(int channels, int height, int width, Fit fit, Color background) {

  /** Pictures of more pixels take more memory than they are worth. */
  static final long MOST_PIXELS = 1 << 26;

  private static final double[] LUMA = {0.299, 0.587, 0.114};

  static Fitting of(Shape image, Fit fit, Color background) {
    return new Fitting(
        Math.toIntExact(image.get(0)),
        Math.toIntExact(image.get(1)),
        Math.toIntExact(image.get(2)),
        fit,
        background);
  }

  Frame read(Path file) throws IOException {
    Seen seen = seen(file);
    return of(seen.planes, seen.height, seen.width);
  }

  /**
   * A picture as it is to be seen.
   *
   * @param planes grey or RGB, and perhaps the opacity, as shares of white, row-major
   * @param height in pixels
   * @param width in pixels
   * @param turned whether its file has it in another orientation
   */
  // The arrays are made for it alone.
  @SuppressWarnings("ArrayRecordComponent")
  record Seen(float[][] planes, int height, int width, boolean turned) {

    boolean hasOpacity() {
      return planes.length % 2 == 0;
    }
  }

  static Seen seen(Path file) throws IOException {
    PictureFiles.Picture picture = PictureFiles.readWithOpacity(file, MOST_PIXELS);
    Orientation orientation = Orientation.of(file);
    int plane = picture.width() * picture.height();
    float[][] planes = new float[picture.pixels().channels()][];
    for (int c = 0; c < planes.length; c++) {
      float[] values = Arrays.copyOfRange(picture.pixels().values(), c * plane, (c + 1) * plane);
      for (int i = 0; i < plane; i++) {
        values[i] = (float) ((values[i] + 1.0) / 2);
      }
      planes[c] = orientation.upright(values, picture.height(), picture.width());
    }
    boolean sideways = orientation.isTransposed();
    return new Seen(
        planes,
        sideways ? picture.width() : picture.height(),
        sideways ? picture.height() : picture.width(),
        orientation != Orientation.UPRIGHT);
  }

  /**
   * Makes a frame.
   *
   * @param planes grey or RGB, and perhaps the opacity, as shares of white, row-major
   */
  Frame of(float[][] planes, int ownHeight, int ownWidth) {
    boolean hasOpacity = planes.length % 2 == 0;
    float[] opacity = hasOpacity ? planes[planes.length - 1] : new float[0];
    float[][] colours = colours(planes, hasOpacity ? planes.length - 1 : planes.length);
    if (hasOpacity) {
      // Colours weigh as much as they are seen, so that hidden ones do not spread.
      for (int c = 0; c < colours.length; c++) {
        colours[c] = times(colours[c], opacity);
      }
    }
    Place place = place(ownHeight, ownWidth);
    for (int c = 0; c < colours.length; c++) {
      colours[c] = Resampling.of(colours[c], ownHeight, ownWidth, place.rows, place.columns);
    }
    if (hasOpacity) {
      opacity = Resampling.of(opacity, ownHeight, ownWidth, place.rows, place.columns);
    }
    return frame(colours, opacity, place);
  }

  /** Grey or RGB, as is wanted. */
  private float[][] colours(float[][] planes, int given) {
    int wanted = channels == 1 ? 1 : 3;
    float[][] colours = new float[wanted][];
    if (wanted == 1 && given == 3) {
      colours[0] = new float[planes[0].length];
      for (int i = 0; i < colours[0].length; i++) {
        double grey = 0;
        for (int c = 0; c < LUMA.length; c++) {
          grey += LUMA[c] * planes[c][i];
        }
        colours[0][i] = (float) grey;
      }
      return colours;
    }
    for (int c = 0; c < wanted; c++) {
      colours[c] = planes[given == 1 ? 0 : c];
    }
    return colours;
  }

  private static float[] times(float[] values, float[] shares) {
    float[] products = new float[values.length];
    for (int i = 0; i < products.length; i++) {
      products[i] = values[i] * shares[i];
    }
    return products;
  }

  /**
   * Where a picture lies in its frame.
   *
   * @param rows the rows of the picture that are seen, and how many they become
   * @param columns the same for its columns
   * @param top the rows of the frame above it
   * @param left the columns of the frame beside it
   * @param height the height of the frame
   * @param width the width of the frame
   */
  private record Place(Span rows, Span columns, int top, int left, int height, int width) {}

  private Place place(int ownHeight, int ownWidth) {
    double across = (double) ownWidth / width;
    double down = (double) ownHeight / height;
    Span allRows = new Span(0, ownHeight, height);
    Span allColumns = new Span(0, ownWidth, width);
    double least = Math.min(across, down);
    return switch (fit) {
      case STRETCH -> new Place(allRows, allColumns, 0, 0, height, width);
      case CENTRE_CROP ->
          new Place(
              new Span((ownHeight - height * least) / 2, height * least, height),
              new Span((ownWidth - width * least) / 2, width * least, width),
              0,
              0,
              height,
              width);
      case RANDOM_CROP -> {
        int rows = Math.max(height, (int) Math.round(ownHeight / least));
        int columns = Math.max(width, (int) Math.round(ownWidth / least));
        yield new Place(
            new Span(0, ownHeight, rows), new Span(0, ownWidth, columns), 0, 0, rows, columns);
      }
      case PAD -> {
        double most = Math.max(across, down);
        int rows = Math.max(1, (int) Math.round(ownHeight / most));
        int columns = Math.max(1, (int) Math.round(ownWidth / most));
        yield new Place(
            new Span(0, ownHeight, rows),
            new Span(0, ownWidth, columns),
            (height - rows) / 2,
            (width - columns) / 2,
            height,
            width);
      }
    };
  }

  private Frame frame(float[][] colours, float[] opacity, Place place) {
    int rows = place.rows.to();
    int columns = place.columns.to();
    int plane = place.height * place.width;
    short[] levels = new short[channels * plane];
    double[] behind = behind();
    for (int c = 0; c < colours.length; c++) {
      Arrays.fill(levels, c * plane, (c + 1) * plane, Frame.level(behind[c]));
      for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
          int from = y * columns + x;
          double share = opacity.length == 0 ? 1 : Math.max(0, Math.min(1, opacity[from]));
          double value = colours[c][from];
          double shown =
              channels < 4
                  ? value + (1 - share) * behind[c]
                  : Frame.level(share) != 0 ? value / share : behind[c];
          levels[c * plane + (y + place.top) * place.width + x + place.left] = Frame.level(shown);
        }
      }
    }
    if (channels == 4) {
      for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
          double share = opacity.length == 0 ? 1 : opacity[y * columns + x];
          levels[3 * plane + (y + place.top) * place.width + x + place.left] = Frame.level(share);
        }
      }
    }
    return new Frame(channels, place.height, place.width, levels);
  }

  private double[] behind() {
    double[] rgb = {
      background.getRed() / 255.0, background.getGreen() / 255.0, background.getBlue() / 255.0
    };
    return channels == 1
        ? new double[] {LUMA[0] * rgb[0] + LUMA[1] * rgb[1] + LUMA[2] * rgb[2]}
        : rgb;
  }
}
