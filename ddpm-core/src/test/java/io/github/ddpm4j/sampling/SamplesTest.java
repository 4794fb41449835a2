package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import javax.imageio.ImageIO;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SamplesTest {

  private static final DDPM MODEL =
      DDPM.builder().timesteps(10).denoiser(StandIns.modelG()).build();

  private static Samples draw(int side) {
    return MODEL.sampling().sampler(Samplers.ddim(2)).shape(1, side, side).seed(3).generate(4);
  }

  @Test
  void images_areDjlImages() {
    try (Samples samples = draw(8)) {
      List<Image> images = samples.images();
      assertThat(images).hasSize(4);
      assertThat(images).allMatch(image -> image.getWidth() == 8 && image.getHeight() == 8);
    }
  }

  @Test
  void toNDArray_isACopyOfTheCallers() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray copy;
      try (Samples samples = draw(8)) {
        copy = samples.toNDArray(manager);
        assertThat(samples.seed()).hasValue(3);
        assertThat(samples).hasToString("Samples[(4, 1, 8, 8), seed=3]");
      }
      assertThat(copy.getShape()).isEqualTo(new Shape(4, 1, 8, 8));
      assertThat(copy.toFloatArray()).hasSize(256);
      assertThat(copy.getManager()).isSameAs(manager);
    }
  }

  /** Memory that is freed under a reader would end the process. */
  @Test
  void close_whileAnotherThreadReads_waits() throws Exception {
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples = draw(8)) {
      NDManager slow =
          (NDManager)
              Proxy.newProxyInstance(
                  getClass().getClassLoader(),
                  new Class<?>[] {NDManager.class},
                  (proxy, method, arguments) -> {
                    reading.countDown();
                    go.await();
                    throw new IllegalStateException("read");
                  });
      Thread reader =
          new Thread(() -> assertThatThrownBy(() -> samples.toNDArray(slow)).hasMessage("read"));
      reader.start();
      reading.await();
      Thread closing = new Thread(samples::close);
      closing.start();
      while (closing.getState() != Thread.State.WAITING) {
        Thread.onSpinWait();
      }
      assertThat(samples).hasToString("Samples[(4, 1, 8, 8), seed=3]");
      go.countDown();
      closing.join();
      reader.join();
      assertThat(samples).hasToString("Samples[closed, seed=3]");
      assertThatThrownBy(() -> samples.toNDArray(manager))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "these samples are closed and their images are freed; copy them by"
                  + " toNDArray(manager) before closing");
    }
  }

  /** Images of 8x8 pixels are enlarged eight times, images of 100x100 not at all. */
  @Test
  void saveGrid_smallImages_areEnlarged(@TempDir Path folder) throws IOException {
    for (int side : new int[] {8, 100}) {
      Path file = folder.resolve(side + ".png");
      try (Samples samples = draw(side)) {
        samples.saveGrid(file);
      }
      BufferedImage grid = ImageIO.read(file.toFile());
      int shown = side == 8 ? Samples.LEAST_GRID_SIDE : 100;
      assertThat(grid.getWidth()).isBetween(2 * shown, 2 * shown + 10);
      assertThat(grid.getHeight()).isBetween(2 * shown, 2 * shown + 10);
    }
  }

  @Test
  void save_nameOfAnotherFormat_isRefused(@TempDir Path folder) {
    Path file = folder.resolve("a.jpg");
    try (Samples samples = draw(8)) {
      for (ThrowingCallable saving :
          List.<ThrowingCallable>of(
              () -> samples.saveGrid(file),
              () -> samples.saveGrid(file, 2),
              () -> samples.save(0, file))) {
        assertThatThrownBy(saving)
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                file
                    + " would be a PNG file under the name of another format; call it a.png, or"
                    + " write the picture of toGrid() by ImageIO.write(picture, \"jpg\", file)");
      }
    }
    assertThat(file).doesNotExist();
  }

  @Test
  void closedSamples_sayHowToKeepTheImages(@TempDir Path folder) {
    Samples samples = draw(8);
    samples.close();
    samples.close();
    try (NDManager manager = NDManager.newBaseManager()) {
      for (ThrowingCallable use :
          List.<ThrowingCallable>of(
              samples::size,
              samples::images,
              () -> samples.toNDArray(manager),
              () -> samples.saveGrid(folder.resolve("grid.png")))) {
        assertThatThrownBy(use)
            .isInstanceOf(IllegalStateException.class)
            .hasMessage(
                "these samples are closed and their images are freed; copy them by"
                    + " toNDArray(manager) before closing");
      }
    }
    assertThat(samples).hasToString("Samples[closed, seed=3]");
  }

  @Test
  void save_oneImage_isThePictureItself(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("one.png");
    try (Samples samples = draw(8)) {
      samples.save(2, file);
      BufferedImage saved = ImageIO.read(file.toFile());
      BufferedImage drawn = (BufferedImage) samples.images().get(2).getWrappedImage();
      assertThat(saved.getWidth()).isEqualTo(8);
      assertThat(saved.getHeight()).isEqualTo(8);
      for (int y = 0; y < 8; y++) {
        for (int x = 0; x < 8; x++) {
          assertThat(saved.getRGB(x, y)).isEqualTo(drawn.getRGB(x, y));
        }
      }
      assertThatThrownBy(() -> samples.save(4, file))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("image must lie in [0, 4), but was 4");
    }
  }

  @Test
  void saveGrid_columns_areAsManyAsWanted(@TempDir Path folder) throws IOException {
    try (Samples samples = draw(100)) {
      samples.saveGrid(folder.resolve("row.png"), 4);
      BufferedImage row = ImageIO.read(folder.resolve("row.png").toFile());
      assertThat(row.getWidth()).isGreaterThan(4 * row.getHeight() - 100);
      assertThatThrownBy(() -> samples.saveGrid(folder.resolve("none.png"), 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("columns must be at least 1, but was 0");
    }
  }
}
