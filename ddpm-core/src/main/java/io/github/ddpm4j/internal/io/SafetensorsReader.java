package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.description.Quote;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file that is open: what its header says, which was found to fit the file, and its
 * tensors. It can be read to its end even if it is deleted meanwhile, or replaced by another of its
 * name.
 */
final class SafetensorsReader extends LocatedTensors {

  private static final int LENGTH_BYTES = Long.BYTES;
  private static final int PIECE_BYTES = 1 << 16;

  private final FileBytes bytes;
  private final SafetensorsHeader header;
  private final Map<String, SafetensorsHeader.Entry> entries = new LinkedHashMap<>();
  private final long dataStart;
  private final Map<String, TensorInfo> tensors;

  private SafetensorsReader(FileBytes bytes, SafetensorsHeader header, long dataStart) {
    this.bytes = bytes;
    this.header = header;
    this.dataStart = dataStart;
    Map<String, TensorInfo> infos = new LinkedHashMap<>();
    for (SafetensorsHeader.Entry entry : header.entries()) {
      infos.put(entry.name(), TensorInfo.of(entry.shape(), entry.type()));
      entries.put(entry.name(), entry);
    }
    this.tensors = Collections.unmodifiableMap(infos);
  }

  /**
   * Opens a file. What the header says is checked against the size of the file before any memory is
   * taken.
   *
   * @param file the file
   * @return its tensors; the caller closes it
   * @throws java.nio.file.NoSuchFileException if there is none
   * @throws IOException if reading fails, or the file is not what the format says, naming the file
   *     and what is wrong
   */
  static SafetensorsReader open(Path file) throws IOException {
    FileBytes bytes = FileBytes.open(file);
    boolean done = false;
    try {
      long size = bytes.size();
      long headerBytes = size < LENGTH_BYTES ? -1 : length(bytes);
      if (size < LENGTH_BYTES) {
        throw new IOException(file + " ends too early: it is cut off or no safetensors file");
      }
      if (headerBytes < 2 || headerBytes > size - LENGTH_BYTES) {
        throw new IOException(
            file
                + " is no safetensors file, or is cut off: its header would be "
                + Long.toUnsignedString(headerBytes)
                + " bytes long");
      }
      long dataStart = LENGTH_BYTES + headerBytes;
      InputStream in = bytes.stream(LENGTH_BYTES, headerBytes);
      SafetensorsHeader header = SafetensorsHeader.read(file, in, headerBytes, size - dataStart);
      done = true;
      return new SafetensorsReader(bytes, header, dataStart);
    } finally {
      if (!done) {
        bytes.close();
      }
    }
  }

  private static long length(FileBytes bytes) throws IOException {
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    bytes.read(0, length);
    return length.getLong(0);
  }

  Path file() {
    return bytes.file();
  }

  /** What the file says of its tensors. */
  SafetensorsHeader header() {
    return header;
  }

  /** How many single values the tensors hold, all together. */
  long values() {
    return header.entries().stream().mapToLong(entry -> entry.shape().size()).sum();
  }

  /**
   * Every tensor.
   *
   * @param manager owns the arrays that are returned
   * @return the tensors by name, in the order of the header
   * @throws IOException if reading fails
   */
  Map<String, NDArray> readAll(NDManager manager) throws IOException {
    for (String name : tensors.keySet()) {
      TensorSources.requireReadable(this, name);
    }
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    boolean done = false;
    try {
      for (String name : tensors.keySet()) {
        arrays.put(name, read(name, manager));
      }
      done = true;
      return arrays;
    } finally {
      if (!done) {
        arrays.values().forEach(NDArray::close);
      }
    }
  }

  /**
   * Reads the tensors into arrays that are there, without a second copy of them in memory; float16
   * and bfloat16 into float32 too. Nothing is written before all of the header is known to fit.
   *
   * @param weights the arrays by name, exactly those of the file; no gradients may be recorded
   *     meanwhile
   * @param digest takes in every byte of the file, in order; null if nobody wants to know
   * @throws IOException if reading fails, or the file holds other tensors, naming it and what is
   *     wrong
   */
  void readInto(Map<String, NDArray> weights, @Nullable MessageDigest digest) throws IOException {
    requireFit(weights);
    if (digest != null) {
      addHeader(digest);
    }
    // There are neither gaps nor overlaps, so this is the order of the bytes.
    List<SafetensorsHeader.Entry> inOrder =
        header.entries().stream()
            .sorted(
                Comparator.comparingLong(SafetensorsHeader.Entry::start)
                    .thenComparingLong(SafetensorsHeader.Entry::end))
            .toList();
    for (SafetensorsHeader.Entry entry : inOrder) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      EngineMemory.Bytes raw = raw(entry);
      EngineMemory.Bytes digested =
          (first, target) -> {
            int start = target.position();
            raw.read(first, target);
            if (digest != null) {
              digest.update(target.duplicate().flip().position(start));
            }
          };
      EngineMemory.fill(weight, entry.type().widened(digested, weight.getDataType()));
    }
  }

  private void addHeader(MessageDigest digest) throws IOException {
    byte[] piece = new byte[PIECE_BYTES];
    try (InputStream in = bytes.stream(0, dataStart)) {
      for (int count = in.read(piece); count >= 0; count = in.read(piece)) {
        digest.update(piece, 0, count);
      }
    }
  }

  private void requireFit(Map<String, NDArray> weights) throws IOException {
    TreeSet<String> missing = new TreeSet<>(weights.keySet());
    TreeSet<String> unused = new TreeSet<>();
    for (SafetensorsHeader.Entry entry : header.entries()) {
      if (!missing.remove(entry.name())) {
        unused.add(entry.name());
      }
    }
    if (!missing.isEmpty() || !unused.isEmpty()) {
      throw new IOException(
          file()
              + " does not fit the network: missing "
              + Quote.of(missing)
              + ", unused "
              + Quote.of(unused));
    }
    for (SafetensorsHeader.Entry entry : header.entries()) {
      NDArray weight = Objects.requireNonNull(weights.get(entry.name()), entry.name());
      if (!entry.shape().equals(weight.getShape()) || !entry.type().fits(weight.getDataType())) {
        throw new IOException(
            about(entry.name())
                + " must be "
                + weight.getShape()
                + " of "
                + weight.getDataType()
                + ", but is "
                + entry.shape()
                + " of "
                + entry.type().inFile());
      }
    }
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  @Override
  public Map<String, Object> metadata() {
    return Collections.unmodifiableMap(header.words());
  }

  @Override
  public Map<String, MappedTensor> map(Map<String, Shape> shapes, NDManager manager)
      throws IOException {
    if (manager.getDevice().isGpu()) {
      throw new IllegalArgumentException(
          "tensors are mapped on the CPU alone, but the device is " + manager.getDevice());
    }
    List<FileMapping.Place> places = new ArrayList<>();
    for (Map.Entry<String, Shape> wanted : shapes.entrySet()) {
      SafetensorsHeader.Entry entry = entry(wanted.getKey());
      if (entry.shape().size() != wanted.getValue().size()) {
        throw new IllegalArgumentException(
            about(entry.name())
                + " has the shape "
                + entry.shape()
                + ", which cannot be mapped as "
                + wanted.getValue());
      }
      long start = dataStart + entry.start();
      FileMapping.Place place =
          new FileMapping.Place(entry.name(), entry.type(), start, wanted.getValue());
      if (place.isMappable()) {
        places.add(place);
      }
    }
    long size = bytes.size();
    boolean done = false;
    Map<String, MappedTensor> mapped = FileMapping.map(file(), size, places, manager);
    try {
      // What was mapped is what lay there by that name.
      bytes.requireSame();
      done = true;
      return mapped;
    } finally {
      if (!done) {
        mapped.values().forEach(tensor -> tensor.array().close());
      }
    }
  }

  private SafetensorsHeader.Entry entry(String name) {
    SafetensorsHeader.Entry entry = entries.get(name);
    if (entry == null) {
      throw TensorSources.unknown(this, name);
    }
    return entry;
  }

  @Override
  EngineMemory.Bytes values(String name) {
    SafetensorsHeader.Entry entry = entry(name);
    return entry.type().widened(raw(entry));
  }

  /** The values as the file has them. */
  private EngineMemory.Bytes raw(SafetensorsHeader.Entry entry) {
    long start = dataStart + entry.start();
    return (first, target) -> bytes.read(start + first, target);
  }

  @Override
  public String about(String name) {
    return SafetensorsHeader.about(file(), name);
  }

  @Override
  public void close() throws IOException {
    bytes.close();
  }
}
