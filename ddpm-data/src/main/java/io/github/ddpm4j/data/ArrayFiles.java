package io.github.ddpm4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.internal.io.NumpyFile;
import io.github.ddpm4j.internal.io.Safetensors;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Reads arrays that were saved by Python: {@code .npy} and {@code .npz} of NumPy, and {@code
 * .safetensors}.
 *
 * <pre>{@code
 * ArrayDataset images =
 *     ArrayFiles.dataset(Path.of("images.npz"), manager).setSampling(128, true).build();
 * }</pre>
 */
public final class ArrayFiles {

  /** The name of the array of a file that has but one: {@value}. */
  public static final String SINGLE = "array";

  private static final String NPY = ".npy";
  private static final String IMAGES = "images";
  private static final String LABELS = "labels";
  private static final double HALF_RANGE = 127.5;

  private ArrayFiles() {}

  /**
   * Reads all arrays of a file, by its ending.
   *
   * @param file a file of NumPy in version 1, 2 or 3, in C or Fortran order and either byte order,
   *     of bool, integers or floats; an archive of such; or safetensors of F32, F64, I64, I32, U8
   *     and BOOL
   * @param manager owns the arrays
   * @return the arrays by name, in the order of the file; {@value #SINGLE} is that of {@code .npy}.
   *     16-bit integers become int32, uint32 becomes int64
   * @throws IOException if the file is missing, damaged, or holds something else, such as Python
   *     objects; the message says what
   */
  public static Map<String, NDArray> read(Path file, NDManager manager) throws IOException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(file.toString());
    }
    String name = PictureList.nameOf(file).toLowerCase(Locale.ROOT);
    if (name.endsWith(".safetensors")) {
      return Safetensors.read(file, manager);
    }
    if (!name.endsWith(NPY) && !name.endsWith(".npz")) {
      throw new IOException(
          file + " must end in .npy, .npz or .safetensors, which tells what it is");
    }
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    boolean done = false;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      if (name.endsWith(NPY)) {
        arrays.put(SINGLE, NumpyFile.read(in, file.toString(), manager));
      } else {
        readArchive(in, file, manager, arrays);
      }
      done = true;
      return arrays;
    } finally {
      if (!done) {
        arrays.values().forEach(NDArray::close);
      }
    }
  }

  private static void readArchive(
      InputStream in, Path file, NDManager manager, Map<String, NDArray> arrays)
      throws IOException {
    ZipInputStream zip = new ZipInputStream(in);
    for (ZipEntry entry = next(zip, file); entry != null; entry = next(zip, file)) {
      String name = entry.getName();
      String plain = name.endsWith(NPY) ? name.substring(0, name.length() - NPY.length()) : name;
      arrays.put(plain, NumpyFile.read(zip, name + " of " + file, manager));
    }
    if (arrays.isEmpty()) {
      throw new IOException(file + " is no archive of NumPy, or holds no arrays");
    }
  }

  private static @Nullable ZipEntry next(ZipInputStream zip, Path file) throws IOException {
    try {
      return zip.getNextEntry();
    } catch (IllegalArgumentException e) {
      // So the JDK says that a name is no UTF-8.
      throw new IOException(file + " is a damaged archive: a name in it is no UTF-8", e);
    }
  }

  /**
   * The images of a file as a dataset, with their labels if it has any.
   *
   * @param file the only array of a file, or the one with the name {@code images}: uint8, of which
   *     level p becomes p / 127.5 − 1, or floats, which are taken as they are. The shape is (N, C,
   *     H, W), (N, H, W, C) or (N, H, W), with 1, 3 or 4 channels. {@code labels}, if it is there,
   *     holds N integers
   * @param manager owns the arrays of the dataset and must live as long as it
   * @return a builder of the dataset, which requires {@code setSampling}
   * @throws IOException if the file cannot be read, or its arrays are others; the message says
   *     which
   */
  public static ArrayDataset.Builder dataset(Path file, NDManager manager) throws IOException {
    try (NDManager reading = manager.newSubManager()) {
      Map<String, NDArray> arrays = read(file, reading);
      NDArray found = arrays.size() == 1 ? arrays.values().iterator().next() : arrays.get(IMAGES);
      if (found == null) {
        throw new IOException(
            file + " must hold an array with the name images, but holds " + arrays.keySet());
      }
      NDArray images = images(found, file);
      images.attach(manager);
      ArrayDataset.Builder builder = new ArrayDataset.Builder().setData(images);
      NDArray labels = arrays.get(LABELS);
      if (labels != null && labels != found) {
        Shape expected = new Shape(images.getShape().get(0));
        if (!labels.getDataType().isInteger() || !labels.getShape().equals(expected)) {
          throw new IOException(
              "labels of "
                  + file
                  + " must be integers of shape "
                  + expected
                  + ", but are "
                  + labels.getDataType()
                  + " of "
                  + labels.getShape());
        }
        NDArray whole = labels.toType(DataType.INT64, true);
        whole.attach(manager);
        builder.optLabels(whole);
      }
      return builder;
    }
  }

  private static NDArray images(NDArray found, Path file) throws IOException {
    Shape shape = found.getShape();
    DataType type = found.getDataType();
    NDArray ordered;
    if (shape.dimension() == 3) {
      ordered = found.expandDims(1);
    } else if (shape.dimension() != 4) {
      throw new IOException(
          "images of "
              + file
              + " must have shape (N, C, H, W), (N, H, W, C) or (N, H, W), but have "
              + shape);
    } else {
      boolean first = isChannels(shape.get(1));
      boolean last = isChannels(shape.get(3));
      if (first == last) {
        throw new IOException(
            "one axis of images, the second or the last, must be that of 1, 3 or 4 channels, but"
                + " those of "
                + file
                + " have shape "
                + shape
                + "; read them by ArrayFiles.read and bring them to (N, C, H, W)");
      }
      ordered = first ? found : found.transpose(0, 3, 1, 2);
    }
    if (type == DataType.UINT8) {
      return ordered.toType(DataType.FLOAT32, true).div(HALF_RANGE).sub(1);
    }
    if (!type.isFloating()) {
      throw new IOException("images of " + file + " must be uint8 or floats, but are " + type);
    }
    return ordered.toType(DataType.FLOAT32, true);
  }

  private static boolean isChannels(long size) {
    return size == 1 || size == 3 || size == 4;
  }
}
