package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MachineTest {

  @TempDir private Path folder;

  @Test
  void device_none_isTheDefault() {
    assertThat(Machine.device(null)).isEqualTo(Engine.getInstance().defaultDevice());
    assertThat(Machine.device(Device.cpu())).isEqualTo(Device.cpu());
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      assertThat(manager.getDevice()).isEqualTo(Device.cpu());
    }
  }

  @Test
  void device_gpuThatIsNotHere_isRefused() {
    String message =
        "device must be one that is here, but was gpu(99), and the engine sees "
            + Engine.getInstance().getGpuCount()
            + " GPUs; use Device.cpu(), or a libtorch built for the GPU (leave pytorch-native-cpu off"
            + " the class path)";
    assertThatThrownBy(() -> Machine.device(Device.gpu(99)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThatThrownBy(() -> DDPM.load(folder, Device.gpu(99)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  /** The first uses of the library, each in one line. */
  static final class Uses {

    private Uses() {}

    interface Use {
      void run() throws Exception;
    }

    public static void main(String[] args) {
      if (args.length > 0) {
        Thread.currentThread().setContextClassLoader(ClassLoader.getPlatformClassLoader());
        Thread.currentThread().interrupt();
      }
      double[][] rows = {{1, 2}, {3, 4}};
      List<Use> uses =
          List.of(
              () -> DDPM.load(Path.of("model")),
              () -> DDPM.load(Path.of("model"), Device.cpu()),
              () -> FeatureStatistics.of(rows).save(Path.of("statistics")),
              GradMode::off);
      for (Use use : uses) {
        try {
          use.run();
          System.out.println("done");
        } catch (Exception e) {
          System.out.println(e.getClass().getName() + ": " + e.getMessage());
        }
      }
    }
  }

  /** With class paths that lack something, and no network. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "pytorch|there is no engine of DJL on the class path; add ai.djl.pytorch:pytorch-engine,"
            + " pytorch-jni and the pytorch-native-… of this system, as README does",
        "pytorch-native|DJL's engine cannot be loaded (Failed to save pytorch index file); add"
            + " ai.djl.pytorch:pytorch-jni and the pytorch-native-… of this system to the class"
            + " path, or let DJL download them once with a network",
      })
  void engine_thatIsMissing_isSaidInOneSentence(String missing, String message) throws Exception {
    assertThat(uses(missing, "-DDJL_CACHE_DIR=" + folder))
        .isEqualTo(Collections.nCopies(4, "java.lang.IllegalStateException: " + message));
  }

  /** DJL would find none by that thread's class loader, and none ever after. */
  @Test
  void engine_firstOnAnInterruptedThreadOfAnotherLoader_isFound() throws Exception {
    String none =
        "java.nio.file.NoSuchFileException: model: no model folder: it has no ddpm.json; choose a"
            + " folder that DDPM.save wrote, with all of its files";
    assertThat(uses("nothing", "-Dai.djl.pytorch.num_threads=1", "another loader"))
        .containsExactly(none, none, "done", "done");
  }

  private List<String> uses(String missing, String option, String... arguments)
      throws IOException, InterruptedException {
    String path =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
            .filter(entry -> !Path.of(entry).getFileName().toString().startsWith(missing))
            .collect(Collectors.joining(File.pathSeparator));
    Path errors = folder.resolve("errors.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Dai.djl.offline=true", option));
    command.addAll(List.of("-Dstdout.encoding=UTF-8", "-Dfile.encoding=UTF-8"));
    command.addAll(List.of("-cp", path, Uses.class.getName()));
    command.addAll(List.of(arguments));
    Process child =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectError(Redirect.to(errors.toFile()))
            .start();
    try {
      String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(child.waitFor()).as("%s%s", said, Files.readString(errors)).isZero();
      return said.lines().toList();
    } finally {
      child.destroyForcibly();
    }
  }
}
