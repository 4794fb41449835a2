package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import picocli.CommandLine;

class KillAndResumeTest {

  @TempDir private Path temporary;

  /** Once while a checkpoint is being written, once at random: the short form of the main. */
  @Test
  void killedTwice_endsInTheSameBits() {
    StringWriter out = new StringWriter();
    int code =
        new CommandLine(new KillAndResume())
            .setOut(new PrintWriter(out))
            .execute("--kinds", "PLAIN", "--steps", "60", "--kills", "2");
    assertThat(out.toString())
        .containsPattern(
            "PLAIN +in one go (step-0000000060\\.[0-9a-f]{16}), killed [12] times \\1\\n");
    assertThat(code).isZero();
  }

  /** Maven's exec:java calls the main of public classes alone. */
  @Test
  void main_canBeCalledByMaven() {
    assertThat(KillAndResume.class).isPublic();
  }

  @ParameterizedTest
  @EnumSource(KillAndResume.Kind.class)
  void child_trains(KillAndResume.Kind kind) throws Exception {
    String[] arguments = {
      "--kinds", kind.name(), "--steps", "6", "--child", temporary.resolve("run").toString()
    };
    for (int i = 0; i < 2; i++) {
      assertThat(new CommandLine(new KillAndResume()).execute(arguments)).isZero();
    }
    try (Stream<Path> files = Files.list(temporary.resolve("run"))) {
      assertThat(files.map(file -> String.valueOf(file.getFileName())))
          .filteredOn(name -> name.startsWith("step-"))
          .hasSize(2)
          .anyMatch(name -> name.startsWith("step-0000000006."));
    }
  }
}
