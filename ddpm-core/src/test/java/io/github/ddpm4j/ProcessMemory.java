package io.github.ddpm4j;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The resident memory of this process, where the system tells it. */
public final class ProcessMemory {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final long BYTES_PER_KB = 1024;

  private ProcessMemory() {}

  public static boolean isKnown() {
    return Files.isReadable(STATUS);
  }

  public static long residentBytes() {
    try {
      return Files.readAllLines(STATUS).stream()
          .filter(line -> line.startsWith("VmRSS:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * BYTES_PER_KB)
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
