package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.DataRange;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PictureTableTest {

  private static final DataRange UNIT = new DataRange(0, 1);

  @TempDir private Path folder;

  @Test
  void save_putsPicturesAndBatchesSideBySide_enlarged() throws IOException {
    Path file = folder.resolve("new/table.png");
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray black = manager.zeros(new Shape(1, 8, 6));
      NDArray whites = manager.ones(new Shape(2, 1, 8, 6));
      new PictureTable(UNIT).row("", black, whites).row("", whites, black).save(file);
    }
    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth()).isEqualTo(3 * (36 + 2) + 2);
    assertThat(picture.getHeight()).isEqualTo(2 * (48 + 2) + 2);
    int[][] shades = new int[2][3];
    for (int row = 0; row < 2; row++) {
      for (int column = 0; column < 3; column++) {
        shades[row][column] = picture.getRaster().getSample(20 + 38 * column, 25 + 50 * row, 0);
      }
    }
    assertThat(shades).isDeepEqualTo(new int[][] {{0, 255, 255}, {255, 255, 0}});
  }

  @Test
  void save_words_takeRoom() throws IOException {
    Path file = folder.resolve("table.png");
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray two = manager.ones(new Shape(2, 1, 48, 48));
      new PictureTable(UNIT, "left", "right").row("a row", two).save(file);
    }
    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth()).isGreaterThan(2 * 50 + 2);
    assertThat(picture.getHeight()).isGreaterThan(50 + 2);
  }

  @Test
  void save_rowsOfDifferentLength_areRefused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray one = manager.ones(new Shape(1, 4, 4));
      PictureTable table = new PictureTable(UNIT).row("a", one).row("b", one, one);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> table.save(folder.resolve("table.png")))
          .withMessage("a table needs rows of as many pictures each, but 3 pictures are in 2 rows");
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new PictureTable(UNIT).save(folder.resolve("table.png")))
        .withMessage("a table needs rows of as many pictures each, but 0 pictures are in 0 rows");
  }
}
