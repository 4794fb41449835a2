package io.github.ddpm4j.benchmark;

import java.io.File;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Starts a Java process of its own for each measurement, one after the other. */
final class Children {

  /** Variables that would tune the engine's libraries behind its back. */
  private static final List<String> REMOVED = List.of("OPENBLAS_", "GOTO_", "MKL_", "OMP_", "KMP_");

  private final Class<?> main;
  private final List<String> jvmOptions;

  /**
   * Sets up processes.
   *
   * @param main the class to run, from the class path of this process
   * @param jvmOptions what Java is started with
   */
  Children(Class<?> main, List<String> jvmOptions) {
    this.main = main;
    this.jvmOptions = List.copyOf(jvmOptions);
  }

  /**
   * The variables of this process that its children do not see.
   *
   * @return their names, sorted
   */
  static List<String> removedVariables() {
    return removed(System.getenv());
  }

  static List<String> removed(Map<String, String> environment) {
    return environment.keySet().stream()
        .filter(name -> REMOVED.stream().anyMatch(name::startsWith))
        .sorted()
        .toList();
  }

  /**
   * The class path of a class: of its class loader, if that is not Java's own, as under Maven.
   *
   * @param main the class
   * @return files and folders, as {@code java -cp} takes them
   */
  static String classPath(Class<?> main) {
    ClassLoader loader = main.getClassLoader();
    return loader instanceof URLClassLoader urls
        ? classPath(urls.getURLs())
        : System.getProperty("java.class.path");
  }

  static String classPath(URL... urls) {
    return Arrays.stream(urls)
        .map(url -> Path.of(URI.create(url.toString())).toString())
        .collect(Collectors.joining(File.pathSeparator));
  }

  /**
   * Starts the class in a process of its own, whose errors are shown.
   *
   * @param arguments what it is called with
   * @return the process
   * @throws IOException if it cannot be started
   */
  Process start(List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(jvmOptions);
    command.addAll(List.of("-cp", classPath(main), main.getName()));
    command.addAll(arguments);
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    removedVariables().forEach(builder.environment()::remove);
    return builder.start();
  }

  /**
   * Runs the class and waits for it.
   *
   * @param arguments what it is called with
   * @return the last line that it printed, which is to be {@link Measurements}
   * @throws IOException if it cannot be started, ends with another code than 0, or prints nothing
   */
  Measurements run(List<String> arguments) throws IOException {
    Process child = start(arguments);
    Thread last = new Thread(child::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(last);
    try {
      String printed = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      int code = child.waitFor();
      if (code != 0 || printed.isBlank()) {
        throw new IOException(
            "the process of \""
                + String.join(" ", arguments)
                + "\" ended with exit code "
                + code
                + " and without a result; what it said is above");
      }
      return Measurements.fromJson(printed.strip().lines().reduce((a, b) -> b).orElseThrow());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("the benchmark was interrupted");
    } finally {
      child.destroyForcibly();
      Runtime.getRuntime().removeShutdownHook(last);
    }
  }
}
