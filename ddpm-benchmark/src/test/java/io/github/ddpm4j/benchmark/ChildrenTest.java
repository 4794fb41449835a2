package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChildrenTest {

  @TempDir private Path folder;

  /** Does what its arguments say. */
  static final class Child {

    private Child() {}

    public static void main(String[] args) throws InterruptedException {
      switch (args[0]) {
        case "result" -> {
          System.out.println("a line of somebody else's");
          System.out.println("{\"device\":\"cpu()\",\"parameters\":" + args[1] + "}");
        }
        case "environment" ->
            System.out.println("{\"parameters\":" + Children.removedVariables().size() + "}");
        case "sleep" -> Thread.sleep(60_000);
        case "silent" -> {}
        default -> System.exit(Integer.parseInt(args[0]));
      }
    }
  }

  private final Children children = new Children(Child.class, List.of("-Xint"));

  @Test
  void run_result_lastLine() throws IOException {
    Measurements measurements = children.run(List.of("result", "42"));
    assertThat(measurements.parameters()).isEqualTo(42);
    assertThat(measurements.device()).isEqualTo("cpu()");
    assertThat(measurements.measures()).isEmpty();
  }

  @Test
  void run_environment_withoutVariablesThatTune() throws IOException {
    assertThat(children.run(List.of("environment")).parameters()).isZero();
  }

  @Test
  void run_failing_saysWhich() {
    assertThatThrownBy(() -> children.run(List.of("7", "x")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "the process of \"7 x\" ended with exit code 7 and without a result; what it said is"
                + " above");
  }

  @Test
  void run_silent_refused() {
    assertThatThrownBy(() -> children.run(List.of("silent")))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "the process of \"silent\" ended with exit code 0 and without a result; what it said is"
                + " above");
  }

  @Test
  void run_interrupted_endsTheChild() {
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> children.run(List.of("silent")))
        .isInstanceOf(InterruptedIOException.class)
        .hasMessage("the benchmark was interrupted");
    assertThat(Thread.interrupted()).as("the flag stays set").isTrue();
  }

  @Test
  void removed_variables_ofTheEnginesLibrariesOnly() {
    assertThat(
            Children.removed(
                Map.of("OMP_NUM_THREADS", "1", "MKL_X", "1", "PATH", "x", "OPENBLAS_CORETYPE", "")))
        .containsExactly("MKL_X", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE");
  }

  @Test
  void classPath_loaderOfUrls_itsUrls() throws Exception {
    Path jar = folder.resolve("a b.jar");
    URL own = Child.class.getProtectionDomain().getCodeSource().getLocation();
    URL[] urls = {own, jar.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(urls, ClassLoader.getPlatformClassLoader())) {
      Class<?> other = loader.loadClass(Spread.class.getName().replace("Spread", "SpreadTest"));
      assertThat(Children.classPath(other))
          .isEqualTo(Path.of(own.toURI()) + File.pathSeparator + jar);
    }
    assertThat(Children.classPath(Child.class)).isEqualTo(System.getProperty("java.class.path"));
  }
}
