package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossPlotTest {

  private static final double[] LOSSES =
      IntStream.range(0, 5000).mapToDouble(i -> 1 / (1 + 0.01 * i) + 0.01 * (i % 7)).toArray();

  @Test
  void save_writesAPicture(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("plots/loss.png");

    LossPlot.save(LOSSES, file);

    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth()).isEqualTo(960);
    assertThat(picture.getHeight()).isEqualTo(480);
    assertThat(hasColour(picture, 0x1F4E9C)).isTrue();
  }

  @Test
  void drawWithoutText_hasBothLines() {
    BufferedImage picture = LossPlot.of(LOSSES).drawWithoutText();

    assertThat(hasColour(picture, 0x1F4E9C)).isTrue();
    assertThat(hasColour(picture, 0xB8CBE6)).isTrue();
  }

  @Test
  void save_oneStep_isDrawn(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("loss.png");

    LossPlot.save(new double[] {0.5}, file);

    assertThat(file).exists();
    assertThat(LossPlot.of(new double[] {0.5}).drawWithoutText().getWidth()).isEqualTo(960);
  }

  @Test
  void movingMean_isOfTheLastLosses() {
    assertThat(LossPlot.movingMean(new double[] {4, 2, 3, 7}, 2)).containsExactly(4, 3, 2.5, 5);
  }

  @Test
  void save_badLosses_areRefused(@TempDir Path folder) {
    Path file = folder.resolve("loss.png");

    assertThatIllegalArgumentException()
        .isThrownBy(() -> LossPlot.save(new double[] {1, Double.NaN}, file))
        .withMessage("losses must be finite, but that of step 2 was NaN");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> LossPlot.save(new double[] {0, 0}, file))
        .withMessage("a plot needs a loss above 0, but there is none in 2 steps");
  }

  /** The numbers of the axes have the same digits everywhere. */
  @Test
  void save_otherLocale_isTheSamePicture(@TempDir Path folder) throws IOException {
    Locale before = Locale.getDefault();
    try {
      for (String language : new String[] {"en-US", "ar-EG", "fa-IR", "de-DE"}) {
        Locale.setDefault(Locale.forLanguageTag(language));
        LossPlot.save(LOSSES, folder.resolve(language + ".png"));
        Plots.curves(
            "calls",
            new double[] {1, 2.5},
            Map.of("error", new double[] {0.25, 1234.5}),
            folder.resolve(language + "-curves.png"));
        assertThat(folder.resolve(language + ".png"))
            .hasSameBinaryContentAs(folder.resolve("en-US.png"));
        assertThat(folder.resolve(language + "-curves.png"))
            .hasSameBinaryContentAs(folder.resolve("en-US-curves.png"));
      }
    } finally {
      Locale.setDefault(before);
    }
  }

  private static boolean hasColour(BufferedImage picture, int rgb) {
    return IntStream.range(0, picture.getWidth() * picture.getHeight())
        .anyMatch(
            i ->
                (picture.getRGB(i % picture.getWidth(), i / picture.getWidth()) & 0xFFFFFF) == rgb);
  }
}
