package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet.Precision;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuickstartTest {

  private static final List<String> PICTURES =
      List.of(
          "faces.png",
          "samples.png",
          "real.png",
          "denoising.png",
          "forward.png",
          "interpolation.png",
          "loss.png");

  @TempDir private Path folder;

  @Test
  void quickstart_short_writesEverythingAndSaysWhatFallsShort() throws Exception {
    boolean[] passes = {true};
    String out = Printed.by(() -> passes[0] = Quickstart.run(folder, 3, 2, Precision.FLOAT32));

    assertThat(passes[0]).isFalse();
    assertThat(out)
        .contains("Training a U-Net of 701345 parameters.")
        .contains("real against real")
        .contains("Falls short: precision (k=3) must be at least 0.600, but was ");
    assertSize("samples.png", 8, 8, 10);
    assertSize("real.png", 8, 8, 10);
    assertSize("denoising.png", 11, 8, 7);
    assertSize("forward.png", 11, 4, 7);
    assertSize("interpolation.png", 11, 4, 7);
    assertThat(ImageIO.read(folder.resolve("loss.png").toFile()).getWidth()).isGreaterThan(500);
    for (String file : new String[] {"index.html", "samples.png", "denoising.png", "loss.png"}) {
      assertThat(out).contains(folder.resolve(file).toString());
    }
    for (String file : PICTURES) {
      assertThat(Pictures.provenance(folder.resolve(file))).as(file).containsKeys("ddpm4j", "use");
    }
    // Only weights that were read from a file have a digest.
    assertThat(Pictures.provenance(folder.resolve("faces.png")))
        .containsEntry("image", "0 to 39")
        .containsEntry("sampler", "dpm++2m:2, linspace")
        .containsKey("model");
    assertThat(Files.readString(folder.resolve("index.html")))
        .contains("data:image/png;base64,")
        .contains("cosine")
        .contains("How good they are");

    try (DDPM model = DDPM.load(folder.resolve("model"));
        Samples samples = model.sampling().sampler(Samplers.ddim(2)).seed(1).generate(3)) {
      assertThat(samples.size()).isEqualTo(3);
      assertThat(model.provenance()).containsEntry("steps", 3L);
    }
  }

  private void assertSize(String file, int columns, int rows, int enlarge) throws IOException {
    BufferedImage picture = ImageIO.read(folder.resolve(file).toFile());
    int cell = 8 * enlarge + 2;
    assertThat(picture.getWidth()).as("width of %s", file).isEqualTo(columns * cell + 2);
    assertThat(picture.getHeight()).as("height of %s", file).isEqualTo(rows * cell + 2);
  }

  /** The main job as README's first command runs it, and the same in bfloat16. */
  @Test
  @Tag("slow")
  void quickstart_whole_passesItsJudgeInEitherPrecisionWithTheSameLoss() throws Exception {
    double full = loss(Precision.FLOAT32);
    double half = loss(Precision.BFLOAT16);
    System.out.printf(
        Locale.ROOT,
        "mean loss of the last 100 steps: float32 %.6f, bfloat16 %.6f (%+.2f %%)%n",
        full,
        half,
        100 * (half / full - 1));
    assertThat(full).isNotEqualTo(half);
    assertThat(half).isCloseTo(full, withinPercentage(3));
  }

  private double loss(Precision precision) throws IOException {
    Path output = folder.resolve(precision.toString());
    assertThat(Quickstart.run(output, 600, 50, precision)).as("passes in %s", precision).isTrue();
    try (DDPM model = DDPM.load(output.resolve("model"))) {
      return (double) model.provenance().get("meanLossOfLast100Steps");
    }
  }
}
