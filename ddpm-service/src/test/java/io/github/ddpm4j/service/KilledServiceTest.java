package io.github.ddpm4j.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that is killed in the middle of its load, as by kill -9: files of results are whole or
 * not there, and a process that asks again for what is missing gets what the first would have
 * given.
 */
@Tag("slow")
class KilledServiceTest {

  private static final int REQUESTS = 400;
  private static final int STEPS = 20;

  @TempDir private Path folder;

  /** The service with its load: a file for each request that has none. */
  static final class Load {

    private Load() {}

    public static void main(String... folder) throws InterruptedException {
      Path pictures = Path.of(folder[0]);
      List<CompletableFuture<Void>> all = new ArrayList<>();
      try (SamplingService service =
          SamplingService.of(ddpm()).mostImages(4).queue(20).whenFull(WhenFull.WAIT).build()) {
        for (int seed = 0; seed < REQUESTS; seed++) {
          Path file = file(pictures, seed);
          if (!Files.exists(file)) {
            all.add(service.submit(request(seed)).result().thenAccept(drawn -> save(drawn, file)));
          }
        }
        all.forEach(CompletableFuture::join);
      }
    }
  }

  private static DDPM ddpm() {
    return DDPM.builder().timesteps(50).denoiser(Gate.open()).build();
  }

  private static SamplingRequest request(int seed) {
    return SamplingRequest.of(1, s -> s.sampler(Samplers.ddim(STEPS)).seed(seed)).alone();
  }

  private static Path file(Path folder, int seed) {
    return folder.resolve("seed-" + seed + ".png");
  }

  private static void save(Samples drawn, Path file) {
    try (drawn) {
      drawn.save(0, file);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private Process load() throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx256m",
            "-Dai.djl.pytorch.num_threads=1",
            "-Djava.awt.headless=true",
            "-cp",
            System.getProperty("java.class.path"),
            Load.class.getName(),
            folder.toString())
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private List<Path> pictures() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".png")).toList();
    }
  }

  @Test
  void kill_inTheMiddleOfALoad_whatIsThereIsWhole_andTheRestIsDrawnAgain() throws Exception {
    for (int atLeast : new int[] {REQUESTS / 8, REQUESTS / 3}) {
      Process process = load();
      while (pictures().size() < atLeast) {
        assertThat(process.isAlive()).as("under load").isTrue();
        Thread.sleep(1);
      }
      process.destroyForcibly().waitFor();
      List<Path> left = pictures();
      assertThat(left).hasSizeLessThan(REQUESTS);
      for (Path file : left) {
        assertWhole(file);
      }
    }
    Process process = load();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isZero();
    assertThat(pictures()).hasSize(REQUESTS);
    for (Path file : pictures()) {
      assertWhole(file);
    }
  }

  /** The file says how it was drawn, and is that, whichever process drew it. */
  private static void assertWhole(Path file) throws IOException {
    Map<String, String> words = Pictures.provenance(file);
    assertThat(file.getFileName()).hasToString("seed-" + words.get("seed") + ".png");
    ByteArrayOutputStream again = new ByteArrayOutputStream();
    try (Samples one = ddpm().sampling().reproduce(words)) {
      one.write(0, again);
    }
    assertThat(file).hasBinaryContent(again.toByteArray());
  }
}
