package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** download of a pipeline, in processes of their own, whose environment names hub and cache. */
@EnabledOnOs(OS.LINUX)
class DownloadCommandTest {

  private static final Path SD1 = Tiny.PIPELINES.resolve("sd1");

  @TempDir private Path folder;

  /** What a command of its own process wrote, once it has gone well. */
  private String run(FolderHub hub, String... args) throws Exception {
    ProcessBuilder program = ProcessTest.java(List.of(), Ddpm.class, List.of(args));
    hub.announce(program.environment(), folder.resolve("cache"));
    Path errors = folder.resolve("errors.txt");
    Process process = program.redirectError(errors.toFile()).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(() -> ProcessTest.read(errors)).isZero();
    return said.strip();
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(Files::isRegularFile)
          .map(file -> folder.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  private static float[] drawn(Path pipeline) throws IOException {
    try (TextToImage model = TextToImage.load(pipeline);
        NDManager manager = NDManager.newBaseManager();
        Samples pictures = model.prompt("a red dog").steps(2).seed(1).generate(1)) {
      return pictures.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void download_ofAPipeline_fetchesAllOfItsParts() throws Exception {
    Path converted = folder.resolve("converted");
    try (FolderHub hub = new FolderHub(SD1)) {
      Path snapshot = Path.of(run(hub, "download", "tiny/sd1"));
      assertThat(files(snapshot))
          .isEqualTo(
              files(SD1).stream()
                  .filter(name -> name.contains("/") || name.equals("model_index.json"))
                  .toList());
      assertThat(
              run(hub, "convert", "-m", "tiny/sd1", "-f", "diffusers", "-o", converted.toString()))
          .isEqualTo(converted.toString());
      Path picture = folder.resolve("drawn.png");
      assertThat(
              run(hub, "text", "-m", "tiny/sd1", "a red dog", "--steps", "2", "-o", "" + picture))
          .isEqualTo(picture + ": 1 of 1 pictures drawn now");
      assertThat(Pictures.provenance(picture)).containsEntry("model", "tiny/sd1");
    }
    assertThat(drawn(converted)).isEqualTo(drawn(SD1));
  }
}
