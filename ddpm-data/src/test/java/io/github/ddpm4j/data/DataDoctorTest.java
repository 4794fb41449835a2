package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.MadePictures.Pixel;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataDoctorTest {

  private static final Shape IMAGE = new Shape(3, 16, 16);

  @TempDir private Path folder;

  /** Something that looks like no other: smooth waves of colour from a seed. */
  private static BufferedImage scene(int seed, int height, int width, int bands) {
    RandomGenerator random = new Random(seed);
    double[] waves = random.doubles(12, -9, 9).toArray();
    Pixel pixel =
        (y, x) -> {
          int[] levels = new int[bands];
          for (int c = 0; c < bands; c++) {
            double down = waves[4 * (c % 3)] * y / height;
            double across = waves[4 * (c % 3) + 1] * x / width;
            double both = Math.sin(down + across + waves[4 * (c % 3) + 2]);
            levels[c] = (int) Math.round(127.5 + 127 * both);
          }
          return levels;
        };
    return MadePictures.picture(height, width, bands, 8, pixel);
  }

  private void write(BufferedImage picture, String name) throws IOException {
    MadePictures.write(picture, folder.resolve(name));
  }

  @Test
  void report_ofAFolderWithEveryFault() throws IOException {
    for (int i = 0; i < 9; i++) {
      write(scene(i, 32, 24, 3), "cats/" + i + ".png");
    }
    write(scene(0, 32, 24, 3), "cats/again.bmp");
    write(scene(1, 32, 24, 3), "dogs/1.png");
    write(scene(2, 64, 48, 3), "cats/large.png");
    write(scene(20, 10, 24, 3), "cats/low.png");
    write(scene(21, 20, 90, 3), "cats/long.png");
    MadePictures.flat(folder.resolve("cats/grey.png"), 16, 16, 77);
    write(
        MadePictures.picture(16, 16, 3, 16, (y, x) -> new int[] {200 * y, 255 * x, 4095}),
        "cats/dark.png");
    write(
        MadePictures.picture(
            16, 16, 4, 8, (y, x) -> new int[] {15 * x, 255 - 15 * y, 99, 255 - 9 * y}),
        "cats/clear.png");
    Files.write(folder.resolve("dogs/broken.png"), new byte[0]);
    Files.writeString(folder.resolve("cats/labels.txt"), "no picture");

    DataDoctor doctor = DataDoctor.examine(folder, IMAGE);
    assertThat(doctor.brokenFiles()).hasSize(1);
    assertThat(doctor.duplicates())
        .containsExactly(
            List.of("cats/0.png", "cats/again.bmp"), List.of("cats/1.png", "dogs/1.png"));
    assertThat(doctor.nearDuplicates()).containsExactly(List.of("cats/2.png", "cats/large.png"));
    String reason = doctor.brokenFiles().get(0).reason();
    assertThat(reason).startsWith(folder.resolve("dogs/broken.png") + " is not a picture");
    assertThat(doctor.toString().lines().filter(line -> !line.startsWith("levels")))
        .containsExactly(
            folder + ": 17 pictures, 1 file broken, 1 file of other kinds",
            "sizes    width 16 to 90, median 24; height 10 to 64, median 32",
            "kinds    16 in colour, 1 grey; 1 with transparent pixels",
            "classes  cats 16, dogs 1",
            "",
            "What would hurt training on images of (3, 16, 16):",
            "- 1 file cannot be read and would be left out: dogs/broken.png",
            "- 17 pictures are few: under 1000 a network learns them by heart; flips and crops help a"
                + " little",
            "- 2 pictures are there again, with the same pixels, and would weigh double: cats/0.png ="
                + " cats/again.bmp, cats/1.png = dogs/1.png",
            "- the same picture lies in several classes: cats/1.png = dogs/1.png",
            "- some pictures look the same without being so in each pixel, as copies of another size"
                + " or quality do: cats/2.png = cats/large.png",
            "- classes are unbalanced: cats has 16 pictures, and dogs 1; the small ones will be drawn"
                + " worse",
            "- 1 picture is smaller than 16 x 16 and would be blurred by enlarging: cats/low.png",
            "- 2 pictures are so long that a crop would show less than half; choose Fit.PAD, or take"
                + " them away: cats/long.png, cats/low.png",
            "- 1 picture is grey among coloured ones, so that grey would be drawn too: cats/grey.png",
            "- 1 picture is partly transparent and would be shown on the background: cats/clear.png",
            "- 1 picture is of one colour alone: cats/grey.png",
            "- 1 picture is dark, with no pixel above 25 % of white; 12 bits in files of 16 look so:"
                + " cats/dark.png",
            "  " + reason);
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    doctor.print(new PrintStream(printed, true, StandardCharsets.UTF_8));
    assertThat(printed.toString(StandardCharsets.UTF_8))
        .isEqualToNormalizingNewlines(doctor + "\n");
  }

  /** Levels by hand: half of the pictures are black, half are (255, 51, 0). */
  @Test
  void levels_areMeanAndDeviationOfAllPixels() throws IOException {
    for (int i = 0; i < 2; i++) {
      MadePictures.flat(folder.resolve("black" + i + ".png"), 4, 4, 0, 0, 0);
      MadePictures.flat(folder.resolve("red" + i + ".png"), 20, 20, 255, 51, 0);
    }
    assertThat(DataDoctor.examine(folder, IMAGE).toString())
        .contains("levels   mean of R, G, B 0.500 0.100 0.000, deviation 0.500 0.100 0.000");
  }

  @Test
  void manyGoodPictures_haveNoFindings() throws IOException {
    for (int i = 0; i < DataDoctor.FEW; i++) {
      write(scene(i, 8, 8, 3), i + ".bmp");
    }
    List<String> heard = new ArrayList<>();
    DataDoctor doctor =
        DataDoctor.examine(
            folder, new Shape(3, 8, 8), (seen, all) -> heard.add(seen + " of " + all));
    int all = heard.size();
    assertThat(heard).isNotEmpty().allMatch(one -> one.endsWith(" of " + all));
    assertThat(heard.get(0)).startsWith("1 of ");
    assertThat(heard.get(all - 1)).startsWith(all + " of ");
    assertThat(doctor.findings()).isEmpty();
    assertThat(doctor.toString())
        .endsWith("Nothing was found that would hurt training on images of (3, 8, 8).");
  }

  /** Flips and other scenes are other pictures; copies of lower quality are not. */
  @Test
  void nearDuplicates_areThoseThatLookTheSame() throws IOException {
    BufferedImage scene = scene(5, 40, 60, 3);
    write(scene, "a.png");
    write(scene, "b.jpg");
    write(scene(5, 20, 30, 3), "c.png");
    BufferedImage mirrored = scene(5, 40, 60, 3);
    for (int y = 0; y < 40; y++) {
      for (int x = 0; x < 60; x++) {
        mirrored.getRaster().setPixel(x, y, scene.getRaster().getPixel(59 - x, y, (int[]) null));
      }
    }
    write(mirrored, "d.png");
    assertThat(DataDoctor.examine(folder, IMAGE).nearDuplicates())
        .containsExactly(List.of("a.png", "b.jpg", "c.png"));
  }

  @Test
  void examine_aShapeOfNoImages_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> DataDoctor.examine(folder, new Shape(8, 8)))
        .withMessage("image must have shape (1, H, W), (3, H, W) or (4, H, W), but was (8, 8)");
  }
}
