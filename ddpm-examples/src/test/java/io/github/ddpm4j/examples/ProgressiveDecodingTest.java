package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProgressiveDecodingTest {

  @TempDir private Path folder;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... args) {
    return Mains.commandLine(new ProgressiveDecoding())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(args);
  }

  @Test
  void progressiveDecoding_modelThere_writesPicturesAndTable() throws IOException {
    try (UNet unet = Quickstart.network().seed(1).build()) {
      DDPM.builder()
          .schedule(Schedules.cosine(20))
          .denoiser(unet)
          .build()
          .save(folder.resolve("model"));
    }

    int code =
        run(
            "--quickstart",
            folder.toString(),
            "--images",
            "3",
            "--calls",
            "20",
            "-o",
            folder.resolve("out").toString());

    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString())
        .contains("Measuring the bits of 3 held-out digits, 20 network calls each.")
        .contains(" bits/dim over 3 images (rate ")
        .contains("Without a model a pixel takes log2(17) = 4.09 bits, or 2.9");
    List<double[]> table =
        out.toString()
            .lines()
            .filter(line -> line.matches("\\s+\\d+\\s+[0-9.]+\\s+[0-9.]+"))
            .map(
                line ->
                    Arrays.stream(line.strip().split("\\s+", -1))
                        .mapToDouble(Double::parseDouble)
                        .toArray())
            .toList();
    assertThat(table).hasSizeBetween(2, 10);
    assertThat(table.get(0)[0]).isEqualTo(19);
    for (int i = 1; i < table.size(); i++) {
      assertThat(table.get(i)[1]).as("rate").isGreaterThan(table.get(i - 1)[1]);
    }
    BufferedImage picture = ImageIO.read(folder.resolve("out/decoding.png").toFile());
    assertThat(picture.getWidth()).isGreaterThan((table.size() + 1) * 8 * 7);
    assertThat(picture.getHeight()).isGreaterThan(8 * 8 * 7);
    BufferedImage plot = ImageIO.read(folder.resolve("out/rate-distortion.png").toFile());
    assertThat(plot.getWidth()).isEqualTo(1440);
  }

  @Test
  void progressiveDecoding_noModel_runsTheQuickstart() {
    int code =
        run(
            "--quickstart",
            folder.resolve("new").toString(),
            "--steps",
            "1",
            "--images",
            "2",
            "--calls",
            "5",
            "-o",
            folder.resolve("out").toString());
    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString())
        .startsWith("There is no model at " + folder.resolve("new/model") + " yet")
        .contains("Training a U-Net of 701,345 parameters")
        .contains(" bits/dim over 2 images (rate ");
    assertThat(folder.resolve("out/decoding.png")).exists();
  }

  @Test
  void progressiveDecoding_wrongOption_endsInOneLine() {
    assertThat(run("--images", "501", "-o", folder.toString())).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("ProgressiveDecoding: --images must be from 1 to 500, but was 501");
  }
}
