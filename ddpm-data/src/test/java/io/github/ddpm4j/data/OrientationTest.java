package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.Shape;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class OrientationTest {

  @TempDir private Path folder;

  static Stream<Integer> numbers() {
    return IntStream.rangeClosed(1, 8).boxed();
  }

  /** EXIF 2.32, tag 274: where the stored row 0 and column 0 are to be seen. */
  @ParameterizedTest
  @MethodSource("numbers")
  void read_png_isTurnedAsTheTagSays(int number) throws IOException {
    Frame frame = read("orientation-" + number + ".png", 1);
    int height = TestFiles.HEIGHT;
    int width = TestFiles.WIDTH;
    boolean turned = number > 4;
    assertThat(frame.height()).isEqualTo(turned ? width : height);
    assertThat(frame.width()).isEqualTo(turned ? height : width);
    for (int row = 0; row < height; row++) {
      for (int column = 0; column < width; column++) {
        int fromTop =
            switch (number) {
              case 1, 2 -> row;
              case 3, 4 -> height - 1 - row;
              case 5, 6 -> column;
              default -> width - 1 - column;
            };
        int fromLeft =
            switch (number) {
              case 1, 4 -> column;
              case 2, 3 -> width - 1 - column;
              case 5, 8 -> row;
              default -> height - 1 - row;
            };
        assertThat(Short.toUnsignedInt(frame.levels()[fromTop * frame.width() + fromLeft]))
            .as("row %d, column %d", row, column)
            .isEqualTo(257 * TestFiles.level(row, column, 0));
      }
    }
  }

  @Test
  void read_webpAndTiff_areTurnedToo() throws IOException {
    for (String name : new String[] {"orientation-6.webp", "orientation-6.tif"}) {
      Frame frame = read(name, name.endsWith("webp") ? 3 : 1);
      assertThat(frame.width()).as(name).isEqualTo(TestFiles.HEIGHT);
      // the lowest row of the file is seen on the left
      assertThat(Short.toUnsignedInt(frame.levels()[0]))
          .as(name)
          .isEqualTo(257 * TestFiles.level(TestFiles.HEIGHT - 1, 0, 0));
    }
  }

  /** White on the left, turned clockwise: white above. */
  @Test
  void read_jpeg_isTurned() throws IOException {
    Frame frame = read("orientation-6.jpg", 1);
    assertThat(frame.height()).isEqualTo(16);
    assertThat(frame.width()).isEqualTo(8);
    assertThat(Frame.share(frame.levels()[0])).isGreaterThan(0.95);
    assertThat(Frame.share(frame.levels()[127])).isLessThan(0.05);
  }

  @Test
  void of_filesThatSayNothing_isUpright() throws IOException {
    assertThat(Orientation.of(TestFiles.copy("rgb.webp", folder.resolve("a.webp"))))
        .isEqualTo(Orientation.UPRIGHT);
    assertThat(Orientation.of(TestFiles.copy("cmyk.jpg", folder.resolve("a.jpg"))))
        .isEqualTo(Orientation.UPRIGHT);
    assertThat(Orientation.of(Files.write(folder.resolve("short"), new byte[3])))
        .isEqualTo(Orientation.UPRIGHT);
  }

  private Frame read(String name, int channels) throws IOException {
    Path file = TestFiles.copy(name, folder.resolve(name));
    boolean jpeg = name.endsWith("jpg");
    boolean turned = !name.matches("orientation-[1-4].*");
    int height = jpeg ? 16 : turned ? TestFiles.WIDTH : TestFiles.HEIGHT;
    int width = jpeg ? 8 : turned ? TestFiles.HEIGHT : TestFiles.WIDTH;
    return Fitting.of(new Shape(channels, height, width), PictureFolder.Fit.STRETCH, Color.WHITE)
        .read(file);
  }
}
