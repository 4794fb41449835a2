package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SignalPlotTest {

  private static final Color FIRST = new Color(0x1F4E9C);
  private static final Color SECOND = new Color(0xC8642B);

  @TempDir private Path folder;

  /** In one scale, the curve of the lower signal is below that of the higher one. */
  @Test
  void save_twoRows_panelsInOneScale() throws IOException {
    Path file = folder.resolve("new/signals.png");
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray low = manager.zeros(new Shape(2, 1, 16));
      NDArray high = manager.ones(new Shape(2, 2, 16)).mul(0.9);
      new SignalPlot().row("low", low).row("high", high).save(file);
    }
    BufferedImage plot = ImageIO.read(file.toFile());
    assertThat(plot.getWidth()).isEqualTo(640);
    assertThat(plot.getHeight()).isEqualTo(400);
    assertThat(lowest(plot.getSubimage(0, 0, 320, 200), FIRST)).isGreaterThan(120);
    // The second channel covers the first.
    assertThat(lowest(plot.getSubimage(320, 200, 320, 200), SECOND)).isBetween(1, 80);
  }

  private static int lowest(BufferedImage panel, Color color) {
    for (int y = panel.getHeight() - 1; y >= 0; y--) {
      for (int x = 0; x < panel.getWidth(); x++) {
        if ((panel.getRGB(x, y) & 0xFFFFFF) == (color.getRGB() & 0xFFFFFF)) {
          return y;
        }
      }
    }
    return -1;
  }

  @Test
  void rows_thatDoNotFit_refused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray one = manager.ones(new Shape(1, 1, 4));
      NDArray two = manager.ones(new Shape(2, 1, 4));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new SignalPlot().row("a", manager.ones(new Shape(1, 1, 4, 4))))
          .withMessage(
              "signals must be float32 or float64 of shape (N, C, L), but were float32 of shape (1,"
                  + " 1, 4, 4)");
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new SignalPlot().save(folder.resolve("no.png")))
          .withMessage("a plot needs rows of as many signals each, but they were []");
      assertThatIllegalArgumentException()
          .isThrownBy(
              () -> new SignalPlot().row("a", one).row("b", two).save(folder.resolve("no.png")))
          .withMessage("a plot needs rows of as many signals each, but they were [1, 2]");
    }
  }
}
