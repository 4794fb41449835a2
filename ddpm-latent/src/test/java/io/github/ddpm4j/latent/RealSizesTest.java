package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.DataType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The memory of drawing 512x512 with networks of the sizes of Stable Diffusion 1.5. */
class RealSizesTest {

  private static final Pattern PEAK = Pattern.compile("(?m)^peak (\\d+)$");

  @TempDir private Path temporary;

  /** The peak of a process of its own, in millions of bytes. */
  private static long peak(Path folder, String how) throws IOException, InterruptedException {
    Path output = folder.resolve("output.txt");
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-Xmx512m",
                    "-cp",
                    System.getProperty("java.class.path"),
                    RealSizes.class.getName(),
                    "draw",
                    folder.toString(),
                    how))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertThat(process.waitFor(30, TimeUnit.MINUTES)).isTrue();
    } finally {
      process.destroyForcibly();
    }
    String text = Files.readString(output, StandardCharsets.UTF_8);
    Matcher peak = PEAK.matcher(text);
    assertThat(peak.find()).as(text).isTrue();
    return Long.parseLong(peak.group(1));
  }

  @Test
  @Tag("slow")
  void draw_stableDiffusionSizes_withinItsMemory() throws IOException, InterruptedException {
    Path folder = temporary.resolve("stable-diffusion");
    RealSizes.write(folder, DataType.FLOAT32);
    assertThat(peak(folder, "FLOAT32")).isLessThanOrEqualTo(8000);
    assertThat(peak(folder, "BFLOAT16")).isLessThanOrEqualTo(5000);
  }
}
