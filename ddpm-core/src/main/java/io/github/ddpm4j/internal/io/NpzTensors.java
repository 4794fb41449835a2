package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * The arrays that {@code numpy.savez} and {@code numpy.savez_compressed} write: a zip file with one
 * {@link NumpyFile} for each.
 */
public final class NpzTensors implements TensorSource {

  private static final String SUFFIX = ".npy";

  private final Path file;
  private final ZipFile zip;
  private final Map<String, ZipEntry> entries = new LinkedHashMap<>();
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();

  private NpzTensors(Path file, ZipFile zip) {
    this.file = file;
    this.zip = zip;
  }

  /** Whether a zip file is one of NumPy: all of its entries are arrays. */
  static boolean areArrays(List<ZipEntry> all) {
    return !all.isEmpty() && all.stream().allMatch(entry -> entry.getName().endsWith(SUFFIX));
  }

  /**
   * Reads what arrays there are, and none of their values.
   *
   * @param file the file, for messages
   * @param zip the same, opened; closed with the source
   * @param all its entries
   * @return its arrays
   * @throws IOException if reading fails, or an entry is no array
   */
  static TensorSource open(Path file, ZipFile zip, List<ZipEntry> all) throws IOException {
    NpzTensors opened = new NpzTensors(file, zip);
    for (ZipEntry entry : all) {
      String name = entry.getName();
      String plain = name.substring(0, name.length() - SUFFIX.length());
      if (opened.entries.put(plain, entry) != null) {
        throw new IOException(file + " has the entry " + Quote.of(name) + " twice");
      }
      try (InputStream in = opened.stream(entry)) {
        opened.tensors.put(plain, NumpyFile.info(in, opened.about(plain)));
      }
    }
    return opened;
  }

  private InputStream stream(ZipEntry entry) throws IOException {
    InputStream in;
    try {
      in = zip.getInputStream(entry);
    } catch (IllegalStateException e) {
      throw new IllegalStateException(file + " was closed; read from it before", e);
    }
    if (in == null) {
      throw new IOException(file + " lacks its part " + Quote.of(entry.getName()));
    }
    return new BufferedInputStream(in);
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(tensors);
  }

  /** {@inheritDoc} Such files hold nothing else. */
  @Override
  public Map<String, Object> metadata() {
    return Map.of();
  }

  @Override
  public NDArray read(String name, NDManager manager) throws IOException {
    TensorSources.requireReadable(this, name);
    ZipEntry entry = entries.get(name);
    if (entry == null) {
      throw TensorSources.unknown(this, name);
    }
    try (InputStream in = stream(entry)) {
      return NumpyFile.read(in, about(name), manager);
    } catch (IOException e) {
      throw TorchZip.named(file, e);
    }
  }

  @Override
  public void readInto(String name, NDArray target) throws IOException {
    TensorSources.requireReadable(this, name);
    TensorSources.requireShape(this, name, target);
    TensorSources.convertInto(this, name, target);
  }

  @Override
  public String about(String name) {
    return "array " + Quote.of(name) + " of " + file;
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }

  /**
   * Writes arrays as {@code numpy.savez} does, whole or not at all.
   *
   * @param file the file; missing folders are made, an existing file is replaced
   * @param arrays float32 arrays by name; not closed
   * @throws IllegalArgumentException if an array has another type; nothing is written then
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(Path file, Map<String, NDArray> arrays) throws IOException {
    arrays.forEach(
        (name, array) -> {
          if (array.getDataType() != DataType.FLOAT32) {
            throw new IllegalArgumentException(
                "array "
                    + Quote.of(name)
                    + " must be float32, but is "
                    + array.getDataType()
                    + "; convert it by toType");
          }
        });
    WholeFile.write(
        file,
        out -> {
          ZipOutputStream zip = new ZipOutputStream(out);
          // Random numbers do not get smaller.
          zip.setLevel(Deflater.NO_COMPRESSION);
          for (Map.Entry<String, NDArray> array : arrays.entrySet()) {
            ZipEntry entry = new ZipEntry(array.getKey() + SUFFIX);
            // The same model, the same bytes.
            entry.setTime(0);
            zip.putNextEntry(entry);
            NumpyFile.write(zip, array.getValue());
            zip.closeEntry();
          }
          zip.finish();
        });
  }
}
