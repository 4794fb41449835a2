package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.ddpm4j.evaluation.BitsPerDimResult.Mean;
import io.github.ddpm4j.evaluation.BitsPerDimResult.Step;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RateDistortionPlotTest {

  private static final List<Step> STEPS =
      IntStream.range(0, 100)
          .mapToObj(
              i ->
                  new Step(
                      99 - i, 99 - i, new Mean(0.02, 0.001), 0.02 * i, 80 * Math.exp(-0.05 * i)))
          .toList();

  @Test
  void save_writesThreePlots(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("plots/rate.png");

    RateDistortionPlot.save(STEPS, file);

    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getHeight()).isEqualTo(400);
    requireLines(picture);
  }

  @Test
  void drawWithoutText_hasAllLines() {
    requireLines(RateDistortionPlot.of(STEPS).drawWithoutText());
  }

  @Test
  void save_oneStep_isRefused(@TempDir Path folder) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> RateDistortionPlot.save(STEPS.subList(0, 1), folder.resolve("x.png")))
        .withMessage("a plot of rate and distortion needs at least 2 steps, but had 1");
  }

  private static void requireLines(BufferedImage picture) {
    assertThat(picture.getWidth()).isEqualTo(1440);
    for (int panel = 0; panel < 3; panel++) {
      int left = panel * 480;
      assertThat(
              IntStream.range(0, 480 * picture.getHeight())
                  .filter(i -> (picture.getRGB(left + i % 480, i / 480) & 0xFFFFFF) == 0x1F4E9C)
                  .count())
          .as("pixels of the line of plot %d", panel)
          .isGreaterThan(100);
    }
  }
}
