package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/**
 * What loading a model costs beside reading its file, which the operating system has in memory: in
 * turn, and without the digest, which takes longer than either. The file is read into a buffer that
 * is there already, and into new memory of the engine, whose pages the system has to give first, as
 * it has for weights. Times are those of the processor: nothing here waits for a disk, and one
 * thread does it all.
 */
final class LoadTimes {

  private static final String CHECK = "ddpm4j.checkDigests";

  /** Writing 5 there sets the peak of the process to what it has now. */
  private static final Path RESET = Path.of("/proc/self/clear_refs");

  private static final double BYTES_PER_MB = 1 << 20;
  private static final double NANOS_PER_MILLI = 1e6;
  private static final ThreadMXBean threads = ManagementFactory.getThreadMXBean();

  private LoadTimes() {}

  /** Measures; returns the number of parameters. */
  static long measure(
      Preset preset, Variant variant, Device device, Effort effort, Measurements measurements) {
    String before = System.setProperty(CHECK, "false");
    try {
      Path folder = Files.createTempDirectory("ddpm4j-load");
      try (Subject subject = new Subject(preset, variant, device)) {
        DDPM.builder().denoiser(subject.unet()).build().save(folder);
        measure(folder, device, effort, measurements);
        return subject.unet().config().parameterCount();
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      if (before == null) {
        System.clearProperty(CHECK);
      } else {
        System.setProperty(CHECK, before);
      }
    }
  }

  private static void measure(Path folder, Device device, Effort effort, Measurements measurements)
      throws IOException {
    Path file = weights(folder);
    ByteBuffer memory = ByteBuffer.allocateDirect(Math.toIntExact(Files.size(file)));
    read(file, memory);
    load(folder, device);
    measurements.put(Measure.LOAD_PEAK, peak(folder, device, Files.size(file)));
    List<Double> reads = new ArrayList<>();
    List<Double> news = new ArrayList<>();
    List<Double> loads = new ArrayList<>();
    List<Double> ratios = new ArrayList<>();
    int rounds = effort.quick() ? 1 : 3 * effort.repeats();
    for (int i = 0; i < rounds; i++) {
      double read = read(file, memory);
      news.add(readNew(file));
      double load = load(folder, device);
      reads.add(read);
      loads.add(load);
      ratios.add(load / read);
    }
    measurements.put(Measure.READ_WEIGHTS, Spread.of(array(reads)));
    measurements.put(Measure.READ_NEW, Spread.of(array(news)));
    measurements.put(Measure.LOAD, Spread.of(array(loads)));
    measurements.put(Measure.LOAD_RATIO, Spread.of(array(ratios)));
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static Path weights(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(file -> file.toString().endsWith(".safetensors"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static double millisSince(long start) {
    return (threads.getCurrentThreadCpuTime() - start) / NANOS_PER_MILLI;
  }

  private static double read(Path file, ByteBuffer memory) throws IOException {
    long start = threads.getCurrentThreadCpuTime();
    fill(file, memory.clear());
    return millisSince(start);
  }

  private static double readNew(Path file) throws IOException {
    long start = threads.getCurrentThreadCpuTime();
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray array = manager.create(new Shape(Files.size(file)), DataType.INT8);
      fill(file, array.toByteBuffer(true).rewind());
      return millisSince(start);
    }
  }

  private static void fill(Path file, ByteBuffer memory) throws IOException {
    try (FileChannel channel = FileChannel.open(file)) {
      while (memory.hasRemaining()) {
        if (channel.read(memory) < 0) {
          throw new IOException(file + " was cut off while it was read");
        }
      }
    }
  }

  private static double load(Path folder, Device device) throws IOException {
    long start = threads.getCurrentThreadCpuTime();
    DDPM loaded = DDPM.load(folder, device);
    double millis = millisSince(start);
    loaded.close();
    return millis;
  }

  /** The most memory during a load above that before, in sizes of the file; on Linux alone. */
  private static OptionalDouble peak(Path folder, Device device, long size) throws IOException {
    if (!Files.isWritable(RESET)) {
      return OptionalDouble.empty();
    }
    System.gc();
    Files.writeString(RESET, "5");
    double before = Memory.megabytes().orElseThrow();
    load(folder, device);
    double most = Memory.peakMegabytes().orElseThrow();
    return OptionalDouble.of((most - before) / (size / BYTES_PER_MB));
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
