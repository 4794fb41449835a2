package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PictureFolderTest {

  @TempDir private Path folder;

  private void write(String name, int width, int height, Color color) throws IOException {
    BufferedImage picture = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = picture.createGraphics();
    graphics.setColor(color);
    graphics.fillRect(0, 0, width, height);
    graphics.dispose();
    ImageIO.write(picture, "png", folder.resolve(name).toFile());
  }

  @Test
  void getData_givesPicturesByName_inBatchesWithoutLabels() throws Exception {
    write("b.png", 40, 30, Color.RED);
    write("a.png", 8, 50, Color.WHITE);
    Files.createDirectory(folder.resolve("folder"));
    PictureFolder pictures =
        PictureFolder.builder(folder, new Shape(3, 4, 6)).setSampling(2, false).build();
    List<float[]> red = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      pictures.prepare();
      for (Batch batch : pictures.getData(manager)) {
        NDArray images = batch.getData().singletonOrThrow();
        assertThat(images.getShape()).isEqualTo(new Shape(2, 3, 4, 6));
        assertThat(images.getDataType()).isEqualTo(DataType.FLOAT32);
        assertThat(batch.getLabels()).isEmpty();
        red.add(images.get(":, :, 1, 1").toFloatArray());
        batch.close();
      }
    }
    assertThat(pictures.size()).isEqualTo(2);
    assertThat(red).hasSize(1);
    assertThat(red.get(0)).containsExactly(1, 1, 1, 1, -1, -1);
  }

  @Test
  void first_beyondTheLast_beginsAgain() throws IOException {
    write("a.png", 3, 3, Color.BLACK);
    write("b.png", 3, 3, Color.WHITE);
    PictureFolder pictures =
        PictureFolder.builder(folder, new Shape(1, 1, 1)).setSampling(1, false).build();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray five = pictures.first(manager, 5);
      assertThat(five.getShape()).isEqualTo(new Shape(5, 1, 1, 1));
      assertThat(five.toFloatArray()).containsExactly(-1, 1, -1, 1, -1);
      assertThat(pictures.first(manager, 1).toFloatArray()).containsExactly(-1);
    }
  }

  @Test
  void build_whatIsNoFolderOfPictures_isRefused() {
    PictureFolder.Builder empty =
        PictureFolder.builder(folder, new Shape(1, 8, 8)).setSampling(1, false);
    assertThatThrownBy(empty::build)
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " holds no pictures; name a folder of PNG or JPEG files");
    Path nowhere = folder.resolve("nowhere");
    PictureFolder.Builder none =
        PictureFolder.builder(nowhere, new Shape(1, 8, 8)).setSampling(1, false);
    assertThatThrownBy(none::build)
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(nowhere.toString());
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PictureFolder.builder(folder, new Shape(2, 8, 8)))
        .withMessage("image must have shape (1, H, W) or (3, H, W), but was (2, 8, 8)");
  }

  /** The middle is kept, averaged over squares, in the colours that are asked for. */
  @Test
  void fitted_cutsAndScales() {
    try (NDManager manager = NDManager.newBaseManager()) {
      // columns -1 | 0 0 | 0.5 0.5 | -1: the outer ones are cut off
      float[] row = {-1, 0, 0, 0.5f, 0.5f, -1};
      float[] pixels = new float[24];
      for (int i = 0; i < pixels.length; i++) {
        pixels[i] = row[i % 6];
      }
      NDArray picture = manager.create(pixels, new Shape(1, 4, 6));
      NDArray grey = PictureFolder.fitted(picture, new Shape(1, 2, 2));
      assertThat(grey.getShape()).isEqualTo(new Shape(1, 2, 2));
      assertThat(grey.toFloatArray()).containsExactly(0, 0.5f, 0, 0.5f);
      NDArray colour = PictureFolder.fitted(picture, new Shape(3, 2, 2));
      assertThat(colour.getShape()).isEqualTo(new Shape(3, 2, 2));
      assertThat(PictureFolder.fitted(colour, new Shape(1, 2, 2)).toFloatArray())
          .containsExactly(0, 0.5f, 0, 0.5f);
    }
  }
}
