package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.MadePictures.Pixel;
import io.github.ddpm4j.data.PictureFolder.Fit;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of all kinds, each read into grey, RGB and RGB with opacity. */
class PictureKindsTest {

  private static final int HEIGHT = 4;
  private static final int WIDTH = 6;

  @TempDir private Path folder;

  private static Frame read(Path file, int channels, int height, int width, Fit fit, Color behind)
      throws IOException {
    return Fitting.of(new Shape(channels, height, width), fit, behind).read(file);
  }

  private static Frame read(Path file, int channels) throws IOException {
    return read(file, channels, HEIGHT, WIDTH, Fit.CENTRE_CROP, Color.WHITE);
  }

  private static int level(Frame frame, int channel, int y, int x) {
    int at = (channel * frame.height() + y) * frame.width() + x;
    return Short.toUnsignedInt(frame.levels()[at]);
  }

  private static void assertLevels(Frame frame, Pixel pixel) {
    for (int y = 0; y < frame.height(); y++) {
      for (int x = 0; x < frame.width(); x++) {
        int[] expected = pixel.at(y, x);
        for (int c = 0; c < frame.channels(); c++) {
          assertThat(level(frame, c, y, x)).as("%d, %d, %d", c, y, x).isEqualTo(expected[c]);
        }
      }
    }
  }

  private static int[] in16(int... levels) {
    int[] wide = levels.clone();
    for (int i = 0; i < wide.length; i++) {
      wide[i] *= 257;
    }
    return wide;
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tif"})
  void rgbOf8Bits_isKept(String format) throws IOException {
    Pixel pixel = (y, x) -> new int[] {40 * x, 60 * y, 10 * x + y};
    Path file =
        MadePictures.write(
            MadePictures.picture(HEIGHT, WIDTH, 3, 8, pixel), folder.resolve("a." + format));
    assertLevels(read(file, 3), (y, x) -> in16(pixel.at(y, x)));
    assertLevels(read(file, 4), (y, x) -> in16(40 * x, 60 * y, 10 * x + y, 255));
    assertLevels(
        read(file, 1),
        (y, x) ->
            new int[] {
              (int) Math.round(257 * (0.299 * 40 * x + 0.587 * 60 * y + 0.114 * (10 * x + y)))
            });
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "tif"})
  void sixteenBits_areKept(String format) throws IOException {
    Pixel grey = (y, x) -> new int[] {1000 * y + 17 * x};
    Path file =
        MadePictures.write(
            MadePictures.picture(HEIGHT, WIDTH, 1, 16, grey), folder.resolve("a." + format));
    assertLevels(read(file, 1), grey);
    assertLevels(read(file, 3), (y, x) -> new int[] {g(y, x), g(y, x), g(y, x)});
    Pixel rgb = (y, x) -> new int[] {1000 * y + 17 * x, 65535 - x, 12345 + y};
    MadePictures.write(MadePictures.picture(HEIGHT, WIDTH, 3, 16, rgb), file);
    assertLevels(read(file, 3), rgb);
  }

  private static int g(int y, int x) {
    return 1000 * y + 17 * x;
  }

  @Test
  void opacity_isKeptOrShowsTheBackground() throws IOException {
    Pixel pixel = (y, x) -> new int[] {255, 0, 10 * y, 51 * x};
    Path file =
        MadePictures.write(
            MadePictures.picture(HEIGHT, WIDTH, 4, 8, pixel), folder.resolve("a.png"));
    Frame kept = read(file, 4);
    Frame onBlack = read(file, 3, HEIGHT, WIDTH, Fit.CENTRE_CROP, Color.BLACK);
    Frame onBlue = read(file, 3, HEIGHT, WIDTH, Fit.CENTRE_CROP, new Color(0, 0, 204));
    for (int x = 0; x < WIDTH; x++) {
      double share = x / 5.0;
      assertThat(level(kept, 3, 1, x)).isEqualTo(257 * 51 * x);
      // a colour that is not seen is the background's
      assertThat(level(kept, 1, 1, x)).isEqualTo(x == 0 ? 65535 : 0);
      assertThat(level(onBlack, 0, 1, x)).isEqualTo((int) Math.round(65535 * share));
      assertThat(level(onBlue, 2, 2, x))
          .isCloseTo((int) Math.round(257 * (20 * share + 204 * (1 - share))), within(1));
    }
  }

  /** The transparent half is blue, which nobody has seen. */
  @Test
  void hiddenColours_doNotSpread() throws IOException {
    Pixel pixel = (y, x) -> x < 4 ? new int[] {255, 0, 0, 255} : new int[] {0, 0, 255, 0};
    Path file =
        MadePictures.write(MadePictures.picture(8, 8, 4, 8, pixel), folder.resolve("a.png"));
    Frame small = read(file, 4, 3, 3, Fit.CENTRE_CROP, Color.RED);
    for (int x = 0; x < 3; x++) {
      assertThat(level(small, 2, 1, x)).as("blue of column %d", x).isLessThan(300);
    }
    assertThat(level(small, 3, 1, 1)).isCloseTo(32768, within(500));
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "gif"})
  void palettes_areColours(String format) throws IOException {
    Path file =
        MadePictures.write(MadePictures.palette(HEIGHT, WIDTH), folder.resolve("a." + format));
    Frame frame = read(file, 3);
    assertThat(level(frame, 0, 0, 3)).isEqualTo(65535);
    assertThat(level(frame, 1, 0, 3)).isEqualTo(0);
    if (format.equals("png")) {
      assertThat(level(frame, 0, 0, 1)).isEqualTo(257 * 127);
      assertThat(level(read(file, 4), 3, 0, 1)).isEqualTo(257 * 128);
    }
  }

  @Test
  void webp_losslessWithAndWithoutOpacity_andLossy() throws IOException {
    assertLevels(
        read(TestFiles.copy("rgb.webp", folder.resolve("a.webp")), 3),
        (y, x) ->
            in16(TestFiles.level(y, x, 0), TestFiles.level(y, x, 1), TestFiles.level(y, x, 2)));
    Frame opacity = read(TestFiles.copy("rgba.webp", folder.resolve("b.webp")), 4);
    assertThat(level(opacity, 3, 2, 3)).isEqualTo(257 * TestFiles.level(2, 3, 3));
    Frame lossy =
        read(
            TestFiles.copy("lossy.webp", folder.resolve("c.webp")),
            3,
            16,
            16,
            Fit.STRETCH,
            Color.WHITE);
    int[] levels = {200, 100, 50};
    for (int c = 0; c < 3; c++) {
      assertThat(level(lossy, c, 8, 8) / 257).isCloseTo(levels[c], within(4));
    }
  }

  @Test
  void jpeg_rgbGreyAndCmyk() throws IOException {
    Path grey = MadePictures.flat(folder.resolve("grey.jpg"), 8, 8, 90);
    assertThat(level(read(grey, 3, 8, 8, Fit.STRETCH, Color.WHITE), 2, 3, 3) / 257).isEqualTo(90);
    Path rgb = MadePictures.flat(folder.resolve("rgb.jpg"), 8, 8, 200, 100, 50);
    Path inks = TestFiles.copy("cmyk.jpg", folder.resolve("inks.jpg"));
    int[] levels = {200, 100, 50};
    for (int c = 0; c < 3; c++) {
      assertThat(level(read(rgb, 3, 8, 8, Fit.STRETCH, Color.WHITE), c, 3, 3) / 257)
          .isCloseTo(levels[c], within(3));
      assertThat(level(read(inks, 3, 8, 8, Fit.STRETCH, Color.WHITE), c, 3, 3) / 257)
          .isCloseTo(levels[c], within(3));
    }
  }

  /* --- other sizes --- */

  /** Columns by their level: black, then ever brighter. */
  private Path ramp(int height, int width) throws IOException {
    return MadePictures.write(
        MadePictures.picture(height, width, 1, 16, (y, x) -> new int[] {65535 * x / (width - 1)}),
        folder.resolve("ramp.png"));
  }

  @Test
  void centreCrop_keepsTheMiddle() throws IOException {
    Frame frame = read(ramp(8, 24), 1, 4, 4, Fit.CENTRE_CROP, Color.WHITE);
    assertThat(frame.width()).isEqualTo(4);
    // of the columns 8 to 15 the means of two
    for (int x = 0; x < 4; x++) {
      assertThat(level(frame, 0, 2, x) / 65535.0).isCloseTo((8.5 + 2 * x) / 23, within(0.002));
    }
  }

  @Test
  void randomCrop_keepsAllThatMayBeSeen() throws IOException {
    Frame frame = read(ramp(8, 24), 1, 4, 4, Fit.RANDOM_CROP, Color.WHITE);
    assertThat(frame.height()).isEqualTo(4);
    assertThat(frame.width()).isEqualTo(12);
  }

  @Test
  void pad_showsAllOfIt() throws IOException {
    Frame frame = read(ramp(8, 24), 1, 6, 6, Fit.PAD, Color.WHITE);
    assertThat(level(frame, 0, 0, 0)).isEqualTo(65535);
    assertThat(level(frame, 0, 1, 5)).isEqualTo(65535);
    assertThat(level(frame, 0, 2, 0)).isLessThan(8000);
    assertThat(level(frame, 0, 3, 5)).isGreaterThan(57000);
    assertThat(level(frame, 0, 4, 0)).isEqualTo(65535);
    Frame clear = read(ramp(8, 24), 4, 6, 6, Fit.PAD, Color.BLACK);
    assertThat(level(clear, 3, 0, 0)).isZero();
    assertThat(level(clear, 0, 0, 0)).isZero();
    assertThat(level(clear, 3, 2, 0)).isEqualTo(65535);
  }

  @ParameterizedTest
  @CsvSource({"17, 31", "900, 7", "1, 1", "64, 64"})
  void anySize_fits(int height, int width) throws IOException {
    Path file = MadePictures.flat(folder.resolve("a.png"), height, width, 10, 20, 30);
    for (Fit fit : Fit.values()) {
      Frame frame = read(file, 3, 8, 12, fit, new Color(10, 20, 30));
      assertThat(frame.height()).isGreaterThanOrEqualTo(8);
      assertThat(frame.width()).isGreaterThanOrEqualTo(12);
      assertThat(fit == Fit.RANDOM_CROP || frame.levels().length == 3 * 8 * 12).isTrue();
      assertLevels(frame, (y, x) -> in16(10, 20, 30));
    }
  }
}
