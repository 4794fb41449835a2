package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What holds native memory can be closed while others use it, and the process lives. */
class CloseInUseTest {

  private static final String ROUNDS = "100";

  @TempDir private Path folder;

  @ParameterizedTest
  @Tag("slow")
  @ValueSource(strings = {"run", "samples", "features", "save", "parameters", "network"})
  void close_whileOthersUseIt_theProcessLives(String subject)
      throws IOException, InterruptedException {
    Path errors = folder.resolve("errors.txt");
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                "-Djava.awt.headless=true",
                "-Djava.io.tmpdir=" + folder,
                "-Dai.djl.pytorch.num_threads=1",
                CloseInUse.class.getName(),
                subject,
                ROUNDS)
            .directory(folder.toFile())
            .redirectError(Redirect.to(errors.toFile()))
            .start();
    try {
      String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(child.waitFor()).as("%s%s", said, Files.readString(errors)).isZero();
      assertThat(said.strip()).isEqualTo("refused");
    } finally {
      child.destroyForcibly();
    }
  }
}
