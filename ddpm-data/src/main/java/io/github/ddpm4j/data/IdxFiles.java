package io.github.ddpm4j.data;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.zip.GZIPInputStream;

/**
 * Reads images and labels from IDX files, the format of MNIST and its drop-in replacements,
 * optionally gzipped.
 *
 * <pre>
 *   images: 0x00000803, count, height, width (big-endian ints), then one unsigned byte per pixel
 *   labels: 0x00000801, count, then one unsigned byte per label
 * </pre>
 *
 * <p>A pixel p becomes p / 127.5 − 1.
 */
public final class IdxFiles {

  private static final int IMAGES_MAGIC = 0x00000803;
  private static final int LABELS_MAGIC = 0x00000801;
  private static final int GZIP_MAGIC = 0x1F8B;
  private static final float HALF_RANGE = 127.5f;
  private static final String WAYS_OUT =
      "; Debian's package dataset-fashion-mnist has the files in /usr/share/datasets/fashion-mnist,"
          + " and DJL's basicdataset (FashMnist) downloads them where there is a network";

  private IdxFiles() {}

  /**
   * Reads the training set of a folder: {@code train-images-idx3-ubyte} and {@code
   * train-labels-idx1-ubyte}, each with or without {@code .gz}.
   *
   * @param folder the folder
   * @return the images with their labels
   * @throws IOException if the folder or a file is missing, or a file is invalid; the message says
   *     which
   */
  public static LabeledImages training(Path folder) throws IOException {
    return read(find(folder, "train-images-idx3-ubyte"), find(folder, "train-labels-idx1-ubyte"));
  }

  /**
   * Reads the test set of a folder: {@code t10k-images-idx3-ubyte} and {@code
   * t10k-labels-idx1-ubyte}, each with or without {@code .gz}.
   *
   * @param folder the folder
   * @return the images with their labels
   * @throws IOException if the folder or a file is missing, or a file is invalid; the message says
   *     which
   */
  public static LabeledImages test(Path folder) throws IOException {
    return read(find(folder, "t10k-images-idx3-ubyte"), find(folder, "t10k-labels-idx1-ubyte"));
  }

  /**
   * Reads an image file and a label file.
   *
   * @param images the image file
   * @param labels the label file
   * @return the images with their labels
   * @throws IOException if a file is missing or invalid, or the counts differ; the message says
   *     which
   */
  public static LabeledImages read(Path images, Path labels) throws IOException {
    int[] values = labels(labels);
    try (DataInputStream in = open(images)) {
      int count = header(in, images, IMAGES_MAGIC, "images");
      int height = size(in, images, "height");
      int width = size(in, images, "width");
      if (count != values.length) {
        throw new IOException(
            String.format(
                Locale.ROOT,
                "every image must have a label, but %s holds %d images and %s %d labels",
                images,
                count,
                labels,
                values.length));
      }
      byte[] pixels = bytes(in, images, (long) count * height * width);
      float[] scaled = new float[pixels.length];
      for (int i = 0; i < pixels.length; i++) {
        scaled[i] = (pixels[i] & 0xFF) / HALF_RANGE - 1;
      }
      return new LabeledImages(height, width, scaled, values);
    }
  }

  private static int[] labels(Path file) throws IOException {
    try (DataInputStream in = open(file)) {
      byte[] bytes = bytes(in, file, header(in, file, LABELS_MAGIC, "labels"));
      int[] labels = new int[bytes.length];
      for (int i = 0; i < bytes.length; i++) {
        labels[i] = bytes[i] & 0xFF;
      }
      return labels;
    }
  }

  private static Path find(Path folder, String name) throws IOException {
    if (!Files.exists(folder)) {
      throw new FileNotFoundException("the data folder " + folder + " does not exist" + WAYS_OUT);
    }
    if (!Files.isDirectory(folder)) {
      throw new IOException(folder + " must be a folder that holds " + name);
    }
    Path plain = folder.resolve(name);
    Path packed = folder.resolve(name + ".gz");
    if (Files.exists(plain)) {
      return plain;
    }
    if (Files.exists(packed)) {
      return packed;
    }
    throw new FileNotFoundException(
        "the data folder " + folder + " holds neither " + name + " nor " + name + ".gz" + WAYS_OUT);
  }

  private static DataInputStream open(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new FileNotFoundException(file + " does not exist");
    }
    InputStream in = new BufferedInputStream(Files.newInputStream(file));
    try {
      in.mark(2);
      boolean packed = (in.read() << 8 | in.read()) == GZIP_MAGIC;
      in.reset();
      return new DataInputStream(packed ? new BufferedInputStream(new GZIPInputStream(in)) : in);
    } catch (IOException e) {
      in.close();
      throw e;
    }
  }

  private static int header(DataInputStream in, Path file, int magic, String content)
      throws IOException {
    int found = number(in, file);
    if (found != magic) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "an IDX file of %s must start with 0x%08x, but %s starts with 0x%08x",
              content,
              magic,
              file,
              found));
    }
    return size(in, file, "number of " + content);
  }

  private static int size(DataInputStream in, Path file, String name) throws IOException {
    int size = number(in, file);
    if (size < 1) {
      throw new IOException(
          String.format(
              Locale.ROOT, "the %s must be at least 1, but %s says %d", name, file, size));
    }
    return size;
  }

  private static int number(DataInputStream in, Path file) throws IOException {
    try {
      return in.readInt();
    } catch (EOFException e) {
      throw new IOException(file + " ends within its header", e);
    }
  }

  private static byte[] bytes(DataInputStream in, Path file, long length) throws IOException {
    if (length > Integer.MAX_VALUE - 8) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "at most %d values can be read, but %s says %d",
              Integer.MAX_VALUE - 8,
              file,
              length));
    }
    byte[] bytes;
    try {
      bytes = in.readNBytes((int) length);
    } catch (EOFException e) {
      // What a packed file does that was cut off.
      throw new IOException(file + " must hold " + length + " values, but was cut off", e);
    }
    if (bytes.length < length) {
      throw new IOException(
          String.format(
              Locale.ROOT,
              "%s must hold %d values, but ends after %d",
              file,
              length,
              bytes.length));
    }
    return bytes;
  }
}
