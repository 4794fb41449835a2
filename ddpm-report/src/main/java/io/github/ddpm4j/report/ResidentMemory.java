package io.github.ddpm4j.report;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/** How much of the machine's memory this process holds, native memory included. */
final class ResidentMemory {

  private static final Path STATUS = Path.of("/proc/self/status");
  private static final String FIELD = "VmRSS:";

  private ResidentMemory() {}

  /** In MiB; empty where the system does not say, which Linux alone does in a file. */
  static OptionalDouble mebibytes() {
    return Files.isReadable(STATUS) ? mebibytes(STATUS) : OptionalDouble.empty();
  }

  static OptionalDouble mebibytes(Path status) {
    try (Stream<String> lines = Files.lines(status)) {
      return lines
          .filter(line -> line.startsWith(FIELD))
          .mapToDouble(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024.0)
          .findFirst();
    } catch (IOException | NumberFormatException | UncheckedIOException e) {
      return OptionalDouble.empty();
    }
  }
}
