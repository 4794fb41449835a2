package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.internal.running.RunMode;
import java.io.File;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a machine lacks reads like advice: in one line, with the way out. */
@EnabledOnOs(OS.LINUX)
class EnvironmentTest {

  private static final int SECONDS = 60;

  @TempDir private Path folder;

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
  void engine_thatIsMissing_isSaidInOneLine(String missing, String message) throws Exception {
    String path =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
            .filter(entry -> !Path.of(entry).getFileName().toString().startsWith(missing))
            .collect(Collectors.joining(File.pathSeparator));
    ProcessBuilder program =
        ProcessTest.java(
            List.of("-Dai.djl.offline=true", "-DDJL_CACHE_DIR=" + folder, "-Dfile.encoding=UTF-8"),
            Ddpm.class,
            List.of(
                "sample", "-m", "fashion", "-n", "1", "-o", folder.resolve("x.png").toString()));
    program.command().set(program.command().indexOf("-cp") + 1, path);
    assertThat(end(program)).isEqualTo(2);
    assertThat(ProcessTest.read(folder.resolve("err.txt"))).isEqualTo("sample: " + message + "\n");
    assertThat(ProcessTest.read(folder.resolve("out.txt"))).isEmpty();
  }

  /** A program that warns as a network does on a processor without the instructions. */
  static final class Warner {

    private Warner() {}

    public static void main(String[] args) {
      Cli.setDefaults();
      for (int i = 0; i < 2; i++) {
        RunMode.warnIfSlow(UNet.Precision.BFLOAT16, false, Device.cpu());
      }
    }
  }

  @Test
  void precision_thatTheProcessorLacks_isWarnedOfOnce_inOneLine() throws Exception {
    assertThat(end(ProcessTest.java(List.of(), Warner.class, List.of()))).isZero();
    assertThat(ProcessTest.read(folder.resolve("err.txt")))
        .isEqualTo(
            "WARN precision BFLOAT16 is slower than FLOAT32 on cpu(), which is not known to have"
                + " instructions for it; precision AUTO takes what is faster\n");
  }

  private int end(ProcessBuilder program) throws IOException, InterruptedException {
    Process process =
        program
            .redirectOutput(Redirect.to(folder.resolve("out.txt").toFile()))
            .redirectError(Redirect.to(folder.resolve("err.txt").toFile()))
            .start();
    try {
      assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }
}
