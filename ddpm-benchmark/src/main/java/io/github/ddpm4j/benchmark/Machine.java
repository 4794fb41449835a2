package io.github.ddpm4j.benchmark;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Properties;

/** What a run is on, and of what. */
final class Machine {

  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");
  private static final long BYTES_PER_MB = 1 << 20;

  private Machine() {}

  static Map<String, String> describe() {
    Map<String, String> machine = new LinkedHashMap<>();
    machine.put("cpu", cpu());
    machine.put("cores", Integer.toString(Runtime.getRuntime().availableProcessors()));
    OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    machine.put("memoryMb", Long.toString(system.getTotalMemorySize() / BYTES_PER_MB));
    machine.put(
        "os",
        String.join(
            " ",
            System.getProperty("os.name"),
            System.getProperty("os.version"),
            System.getProperty("os.arch")));
    return machine;
  }

  /** Of the library and the JDK; those of the engine are known to whoever loads it. */
  static Map<String, String> versions() {
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("ddpm4j", own());
    versions.put(
        "java", System.getProperty("java.vm.name") + " " + System.getProperty("java.version"));
    return versions;
  }

  /** Unknown where the build did not put it there, such as in an editor. */
  private static String own() {
    Properties versions = new Properties();
    try (InputStream in = Machine.class.getResourceAsStream("versions.properties")) {
      if (in != null) {
        versions.load(in);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return versions.getProperty("ddpm4j", "unknown");
  }

  private static String cpu() {
    try {
      String info = Files.isReadable(CPU_INFO) ? Files.readString(CPU_INFO) : "";
      return cpu(info);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The model of a text in the form of /proc/cpuinfo. */
  static String cpu(String info) {
    return info.lines()
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst()
        .orElse("unknown");
  }
}
