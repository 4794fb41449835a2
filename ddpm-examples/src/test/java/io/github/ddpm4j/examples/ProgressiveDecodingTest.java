package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.prediction.Prediction;
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

  /** A model of EDM is asked at images in its scale, by ln σ / 4. */
  @Test
  void estimate_preconditionedPrediction_isAskedAsItWasTrained() {
    double[] told = new double[1];
    float[] seen = new float[1];
    DDPM ddpm =
        DDPM.builder()
            .timesteps(10)
            .prediction(Prediction.edm(0.5))
            .denoiser(
                (x, levels, condition) -> {
                  told[0] = levels.timestep(0);
                  seen[0] = x.getFloat(0, 0, 0, 0);
                  return x.zerosLike();
                })
            .build();
    double signal = ddpm.schedule().signal(4);
    double noise = ddpm.schedule().noise(4);
    double variance = noise * noise + signal * signal * 0.25;
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x = manager.full(new Shape(1, 1, 1, 1), 0.5f);
      NDArray estimate = ProgressiveDecoding.estimate(ddpm, x, new int[] {4});

      assertThat(told[0]).isCloseTo(Math.log(noise / signal) / 4, within(1e-12));
      assertThat((double) seen[0]).isCloseTo(0.5 / Math.sqrt(variance), within(1e-6));
      assertThat((double) estimate.getFloat(0, 0, 0, 0))
          .isCloseTo(0.5 * signal * 0.25 / variance, within(1e-6));
    }
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

  @Test
  void progressiveDecoding_moreCallsThanTimesteps_failsBeforeItMeasures() throws IOException {
    try (UNet unet = Quickstart.network().seed(1).build()) {
      DDPM.builder()
          .schedule(Schedules.cosine(20))
          .denoiser(unet)
          .build()
          .save(folder.resolve("model"));
    }
    String quickstart = folder.toString();
    assertThat(run("--quickstart", quickstart, "--calls", "21", "-o", quickstart + "/out"))
        .isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("ProgressiveDecoding: --calls must be from 1 to 20, but was 21");
    assertThat(out.toString()).isEmpty();
  }
}
