package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Processes that are told to end in the middle of a step end cleanly, with what they had saved. */
class ShutdownTest {

  /** 128 and the number of SIGTERM, as Java exits by it. */
  private static final int TERMINATED = 143;

  @TempDir private Path folder;

  private final Random random = new Random(1);

  private record Child(Process process, BufferedReader output, Path target) {}

  private Child start(String what, int number) throws IOException {
    Path own = Files.createDirectories(folder.resolve(what + number));
    Path target = own.resolve("saved");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Dai.djl.pytorch.num_threads=1",
                "-cp",
                System.getProperty("java.class.path"),
                ShutdownMain.class.getName(),
                what,
                target.toString())
            .directory(own.toFile())
            .redirectError(Redirect.to(own.resolve("errors.txt").toFile()))
            .start();
    return new Child(process, process.inputReader(StandardCharsets.UTF_8), target);
  }

  /** Tells a child to end while it computes, and looks at how it went. */
  private void end(Child child, String expected, boolean saves) throws Exception {
    try {
      String line = child.output.readLine();
      Path errors = child.target.resolveSibling("errors.txt");
      assertThat(line).as(() -> read(errors)).isEqualTo("going");

      TimeUnit.MILLISECONDS.sleep(random.nextInt(300));
      child.process.toHandle().destroy();
      List<String> rest = child.output.lines().toList();
      assertThat(child.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(child.process.exitValue()).as(() -> read(errors)).isEqualTo(TERMINATED);
      assertThat(rest).singleElement().asString().matches(expected);
      assertThat(Files.exists(child.target)).isEqualTo(saves);
      try (Stream<Path> files = Files.list(child.target.getParent())) {
        assertThat(files.map(Path::getFileName).map(Path::toString))
            .noneMatch(name -> name.startsWith("hs_err") || name.startsWith("core"));
      }
    } finally {
      child.process.destroyForcibly();
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static final String TRAINING =
      "training was ended by the shutdown of the virtual machine after step [0-9]+ of 2147483647;"
          + " the network holds the weights of that step, and TrainedModel.soFar\\(exception\\) the"
          + " averaged ones";

  private static final String ASKING =
      "the network was not asked, since the virtual machine is shutting down";

  @Test
  void terminated_whileTrainingSamplingAndJudging_savesAndEndsCleanly() throws Exception {
    Child training = start("train", 0);
    Child sampling = start("sample", 0);
    Child judging = start("features", 0);
    end(training, TRAINING, true);
    end(sampling, ASKING, true);
    end(judging, ASKING, false);
  }

  @ParameterizedTest
  @Tag("slow")
  @ValueSource(strings = {"train", "sample", "features", "evaluate"})
  void terminated_20Times_20TimesClean(String what) throws Exception {
    List<Integer> ended = new ArrayList<>();
    for (int i = 1; i <= 20; i++) {
      boolean trains = what.equals("train");
      end(start(what, i), trains ? TRAINING : ASKING, trains || what.equals("sample"));
      ended.add(i);
    }
    assertThat(ended).hasSize(20);
  }
}
