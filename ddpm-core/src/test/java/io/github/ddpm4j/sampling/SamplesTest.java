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
import java.nio.file.Path;
import java.util.List;
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
}
