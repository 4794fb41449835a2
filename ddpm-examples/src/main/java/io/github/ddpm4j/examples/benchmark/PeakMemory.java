package io.github.ddpm4j.examples.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;

/** The most memory that this process ever had in the machine's, where Linux tells it. */
final class PeakMemory {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final String PEAK = "VmHWM:";
  private static final double KB_PER_MB = 1024;

  private PeakMemory() {}

  static OptionalDouble megabytes() {
    if (!Files.isReadable(STATUS)) {
      return OptionalDouble.empty();
    }
    try {
      return megabytes(Files.readString(STATUS));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Of a text in the form of /proc/self/status. */
  static OptionalDouble megabytes(String status) {
    return status
        .lines()
        .filter(line -> line.startsWith(PEAK))
        .mapToDouble(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) / KB_PER_MB)
        .findFirst();
  }
}
