package io.github.ddpm4j.benchmark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;

/** How much of the machine's memory this process has, where Linux tells it. */
final class Memory {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final double KB_PER_MB = 1024;

  private Memory() {}

  /** The most that it ever had. */
  static OptionalDouble peakMegabytes() {
    return megabytes("VmHWM");
  }

  /** What it has now. */
  static OptionalDouble megabytes() {
    return megabytes("VmRSS");
  }

  private static OptionalDouble megabytes(String name) {
    if (!Files.isReadable(STATUS)) {
      return OptionalDouble.empty();
    }
    try {
      return megabytes(name, Files.readString(STATUS));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A line of a text in the form of /proc/self/status. */
  static OptionalDouble megabytes(String name, String status) {
    return status
        .lines()
        .filter(line -> line.startsWith(name + ":"))
        .mapToDouble(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) / KB_PER_MB)
        .findFirst();
  }
}
