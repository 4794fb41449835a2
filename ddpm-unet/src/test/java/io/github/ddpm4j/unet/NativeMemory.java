package io.github.ddpm4j.unet;

import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** What of the engine's memory is in use. */
public final class NativeMemory {

  private static final Path STATUS = Path.of("/proc/self/status");

  private NativeMemory() {}

  public static boolean isKnown() {
    return Files.isReadable(STATUS);
  }

  /** The resident memory of this process. */
  public static long residentKb() {
    try {
      return Files.readAllLines(STATUS).stream()
          .filter(line -> line.startsWith("VmRSS:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
          .findFirst()
          .orElseThrow();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The number of arrays, managers and compiled programs that are open in this process. */
  public static int resources() {
    try (NDManager manager = NDManager.newBaseManager()) {
      return below(manager.getParentManager()) - 1;
    }
  }

  private static int below(NDManager manager) {
    try {
      Field resources = BaseNDManager.class.getDeclaredField("resources");
      resources.setAccessible(true);
      int count = 0;
      for (Object resource : ((Map<?, ?>) resources.get(manager)).values()) {
        count += resource instanceof NDManager child ? 1 + below(child) : 1;
      }
      return count;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
