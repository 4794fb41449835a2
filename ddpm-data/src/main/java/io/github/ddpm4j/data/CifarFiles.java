package io.github.ddpm4j.data;

import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads CIFAR-10 and CIFAR-100 in their binary versions, from the folder or from the archive as it
 * is published ({@code cifar-10-binary.tar.gz}, {@code cifar-100-binary.tar.gz}).
 *
 * <pre>
 *   CIFAR-10:  label, then 3072 unsigned bytes: red, green, blue, each 32 rows of 32
 *   CIFAR-100: coarse label, fine label, then the same; the fine label is taken
 * </pre>
 *
 * <pre>{@code
 * PictureDataset cifar10 =
 *     CifarFiles.cifar10Training(Path.of("cifar-10-binary.tar.gz"))
 *         .setSampling(128, true)
 *         .horizontalFlips()
 *         .build();
 * }</pre>
 *
 * <p>Pictures are kept in Java's memory, in 8 bits: 154 MB for a training set.
 */
public final class CifarFiles {

  /** The shape of a picture, (3, 32, 32). */
  public static final Shape IMAGE = new Shape(3, 32, 32);

  private static final int PIXELS = 3 * 32 * 32;

  private CifarFiles() {}

  /**
   * The training set of CIFAR-10, {@code data_batch_1.bin} to {@code data_batch_5.bin}.
   *
   * @param data the folder of these files, or the archive
   * @return a builder of the dataset, which requires {@code setSampling}; 50,000 pictures of 10
   *     classes
   * @throws IOException if a file is missing or invalid; the message says which
   */
  public static PictureDataset.Builder<?> cifar10Training(Path data) throws IOException {
    List<String> files = new ArrayList<>();
    for (int i = 1; i <= 5; i++) {
      files.add("data_batch_" + i + ".bin");
    }
    return read(data, files, "batches.meta.txt", 1);
  }

  /**
   * The test set of CIFAR-10, {@code test_batch.bin}.
   *
   * @param data the folder of the file, or the archive
   * @return a builder of the dataset, which requires {@code setSampling}; 10,000 pictures of 10
   *     classes
   * @throws IOException if a file is missing or invalid; the message says which
   */
  public static PictureDataset.Builder<?> cifar10Test(Path data) throws IOException {
    return read(data, List.of("test_batch.bin"), "batches.meta.txt", 1);
  }

  /**
   * The training set of CIFAR-100, {@code train.bin}.
   *
   * @param data the folder of the file, or the archive
   * @return a builder of the dataset, which requires {@code setSampling}; 50,000 pictures of 100
   *     classes
   * @throws IOException if a file is missing or invalid; the message says which
   */
  public static PictureDataset.Builder<?> cifar100Training(Path data) throws IOException {
    return read(data, List.of("train.bin"), "fine_label_names.txt", 2);
  }

  /**
   * The test set of CIFAR-100, {@code test.bin}.
   *
   * @param data the folder of the file, or the archive
   * @return a builder of the dataset, which requires {@code setSampling}; 10,000 pictures of 100
   *     classes
   * @throws IOException if a file is missing or invalid; the message says which
   */
  public static PictureDataset.Builder<?> cifar100Test(Path data) throws IOException {
    return read(data, List.of("test.bin"), "fine_label_names.txt", 2);
  }

  private static PictureDataset.Builder<?> read(
      Path data, List<String> files, String nameFile, int labelBytes) throws IOException {
    Map<String, byte[]> found = new HashMap<>();
    if (!Files.exists(data)) {
      throw new NoSuchFileException(data.toString());
    }
    if (Files.isDirectory(data)) {
      for (String name : files) {
        if (Files.exists(data.resolve(name))) {
          found.put(name, Files.readAllBytes(data.resolve(name)));
        }
      }
      if (Files.exists(data.resolve(nameFile))) {
        found.put(nameFile, Files.readAllBytes(data.resolve(nameFile)));
      }
    } else {
      TarFile.visit(
          data,
          (name, size, content) -> {
            if (files.contains(name) || name.equals(nameFile)) {
              found.put(name, bytes(data, name, size, content));
            }
          });
    }
    List<String> names = names(found.get(nameFile), data, nameFile);
    List<byte[]> batches = new ArrayList<>();
    int count = 0;
    int bytes = labelBytes + PIXELS;
    for (String name : files) {
      byte[] batch = found.get(name);
      if (batch == null) {
        throw new IOException(
            data + " holds no " + name + "; it needs " + String.join(", ", files));
      }
      if (batch.length == 0 || batch.length % bytes != 0) {
        throw new IOException(
            name
                + " of "
                + data
                + " must hold pictures of "
                + bytes
                + " bytes each, but has "
                + batch.length
                + " bytes; copy it again");
      }
      batches.add(batch);
      count += batch.length / bytes;
    }
    byte[] pixels = new byte[Math.multiplyExact(count, PIXELS)];
    int[] labels = new int[count];
    int at = 0;
    for (byte[] batch : batches) {
      for (int from = 0; from < batch.length; from += bytes) {
        labels[at] = Byte.toUnsignedInt(batch[from + labelBytes - 1]);
        if (labels[at] >= names.size()) {
          throw new IOException(
              "labels must be less than the number of classes, "
                  + names.size()
                  + ", but that of picture "
                  + at
                  + " of "
                  + data
                  + " is "
                  + labels[at]);
        }
        System.arraycopy(batch, from + labelBytes, pixels, at * PIXELS, PIXELS);
        at++;
      }
    }
    String origin = data + (files.size() == 1 ? ", " + files.get(0) : "");
    return new PixelSource(IMAGE, pixels, labels, names, origin).dataset();
  }

  private static byte[] bytes(Path data, String name, long size, InputStream in)
      throws IOException {
    if (size > Integer.MAX_VALUE - 8) {
      throw new IOException(name + " of " + data + " is too large: " + size + " bytes");
    }
    return in.readAllBytes();
  }

  private static List<String> names(byte @Nullable [] file, Path data, String name)
      throws IOException {
    if (file == null) {
      throw new IOException(data + " holds no " + name + ", which has the names of the classes");
    }
    return new String(file, StandardCharsets.UTF_8)
        .lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty())
        .toList();
  }
}
