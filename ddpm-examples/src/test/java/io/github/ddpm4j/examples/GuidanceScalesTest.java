package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class GuidanceScalesTest {

  @TempDir private Path folder;

  @Test
  void guidanceScales_printsARowPerScale_andPlots() throws IOException {
    try (UNet unet = Quickstart.network().classes(10).seed(1).build()) {
      DDPM.builder()
          .schedule(Schedules.cosine(10))
          .denoiser(unet)
          .build()
          .save(folder.resolve("model"));
    }
    StringWriter out = new StringWriter();
    Path plot = folder.resolve("plot.png");
    int code =
        Mains.commandLine(new GuidanceScales())
            .setOut(new PrintWriter(out))
            .execute(
                "--model", folder.resolve("model").toString(),
                "--scales", "0,1,4.5",
                "--per-class", "2",
                "--calls", "2",
                "-o", plot.toString());
    assertThat(code).as(out.toString()).isZero();
    assertThat(out.toString().lines().skip(2).limit(3).map(line -> line.substring(0, 12)))
        .containsExactly("|      0.0 |", "|      1.0 |", "|      4.5 |");
    assertThat(ImageIO.read(plot.toFile()).getWidth()).isEqualTo(720);
  }

  @Test
  void guidanceScales_whatCannotBe_failsBeforeTheTable() throws IOException {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine command =
        Mains.commandLine(new GuidanceScales())
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err));
    Path model = folder.resolve("model");
    assertThat(command.execute("--model", model.toString())).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo(
            "GuidanceScales: "
                + model
                + " does not exist; run ConditionalDigits first, which trains and saves a model");
    err.getBuffer().setLength(0);
    try (UNet unet = Quickstart.network().classes(10).seed(1).build()) {
      DDPM.builder().schedule(Schedules.cosine(10)).denoiser(unet).build().save(model);
    }
    assertThat(command.execute("--model", model.toString(), "--calls", "11"))
        .isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("GuidanceScales: --calls must be from 1 to 10, but was 11");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void meanDistance_isThatOfAllPairs() {
    List<float[]> images = List.of(new float[] {0, 0}, new float[] {3, 4}, new float[] {0, 2});
    // 5, 2 and √13
    assertThat(GuidanceScales.meanDistance(images))
        .isCloseTo((5 + 2 + Math.sqrt(13)) / 3, within(1e-12));
  }
}
