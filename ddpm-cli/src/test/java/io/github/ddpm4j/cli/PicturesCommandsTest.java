package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** edit, noise and denoise. */
class PicturesCommandsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path one;
  private static Path two;

  @BeforeAll
  static void model() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    one = Tiny.picture(shared.resolve("one.png"), 8, 1);
    two = Tiny.picture(shared.resolve("two.png"), 8, 2);
  }

  /** It says by which model and version, and that it is not drawn again. */
  private static void assertMadeBy(String command, Path file) throws IOException {
    Map<String, String> words = Pictures.provenance(file);
    assertThat(words).containsEntry("command", command).containsEntry("seed", "0");
    assertThat(words.get("ddpm4j")).isNotBlank();
    if (!command.equals("noise")) {
      assertThat(words.get("model")).matches("[0-9a-f]{64}");
    }
    assertThat(Program.run("reproduce", "-m", model, file).refused())
        .isEqualTo(
            "reproduce: "
                + file
                + " was made by ddpm "
                + command
                + ", and only pictures of ddpm sample, text and edit are drawn again; name one of"
                + " those");
  }

  /** A picture of a grid of one row, which has it enlarged after a border. */
  private static int sample(BufferedImage grid, int count, int column, int x, int y) {
    int gap = Pictures.DEFAULT_GAP;
    int cell = (grid.getWidth() - gap) / count;
    int scale = (cell - gap) / 8;
    assertThat(cell).isEqualTo(8 * scale + gap);
    return grid.getRaster().getSample(gap + column * cell + x * scale, gap + y * scale, 0);
  }

  /** Each picture is 8 pixels wide and shown 64 wide. */
  private static void assertOneRow(Path file, int count) throws IOException {
    BufferedImage grid = ImageIO.read(file.toFile());
    assertThat(grid.getHeight()).isEqualTo(64 + 2 * Pictures.DEFAULT_GAP);
    assertThat(grid.getWidth()).isEqualTo(count * 64 + (count + 1) * Pictures.DEFAULT_GAP);
  }

  @Test
  void vary_drawsNewPicturesFromOne() throws IOException {
    Path out = folder.resolve("vary.png");
    assertThat(
            Program.run("edit", "vary", "-m", model, "-s", "ddim:4", "-n", "2", one, "-o", out)
                .good()
                .strip())
        .isEqualTo(out.toString());
    assertThat(Pictures.provenance(out))
        .containsEntry("sampler", "ddim:4")
        .containsEntry("image", "0 to 1")
        .containsEntry("edit", "vary")
        .containsEntry("pictures", "one.png")
        .containsEntry("pictures sha256", Sha256.of(one))
        .containsEntry("strength", "0.5");
    assertThat(Pictures.provenance(out).get("model")).matches("[0-9a-f]{64}");
  }

  @Test
  void inpaint_keepsWhatTheMaskHasBlack() throws IOException {
    BufferedImage mask = new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < 8; y++) {
      for (int x = 4; x < 8; x++) {
        mask.getRaster().setSample(x, y, 0, 255);
      }
    }
    Path masked = folder.resolve("mask.png");
    Pictures.write(mask, masked);
    Path out = folder.resolve("filled.png");
    Program.run(
            "edit", "inpaint", "-m", model, "-s", "ddim:4", "-n", "1", "--mask", masked, one, "-o",
            out)
        .good();
    BufferedImage before = ImageIO.read(one.toFile());
    BufferedImage after = ImageIO.read(out.toFile());
    int changed = 0;
    for (int y = 0; y < 8; y++) {
      for (int x = 0; x < 8; x++) {
        int same = before.getRaster().getSample(x, y, 0) - sample(after, 1, 0, x, y);
        if (x < 4) {
          assertThat(same).as("pixel %d, %d", x, y).isZero();
        } else {
          changed += same == 0 ? 0 : 1;
        }
      }
    }
    assertThat(changed).isGreaterThan(16);
  }

  @Test
  void interpolate_drawsBetweenTwo() throws IOException {
    Path out = folder.resolve("between.png");
    Program.run("edit", "interpolate", "-m", model, "-s", "ddim:4", "-n", "3", one, two, "-o", out)
        .good();
    assertOneRow(out, 3);
  }

  private static String edit(Object... more) {
    Object[] all = new Object[more.length + 3];
    all[0] = "edit";
    all[1] = "-m";
    all[2] = model;
    System.arraycopy(more, 0, all, 3, more.length);
    return Program.run(all).refused();
  }

  @Test
  void edits_thatMakeNoSense_areRefused() throws IOException {
    Path out = folder.resolve("out.png");
    assertThat(edit("interpolate", one, "-o", out))
        .isEqualTo("edit: interpolate takes 2 pictures, but 1 were given");
    assertThat(edit("vary", one, two, "-o", out))
        .isEqualTo("edit: vary takes 1 picture, but 2 were given");
    assertThat(edit("inpaint", one, "-o", out))
        .isEqualTo("edit: inpaint needs --mask, which says where to draw anew");
    assertThat(edit("vary", one, "--mask", two, "-o", out))
        .isEqualTo("edit: --mask is for inpaint alone");
    assertThat(edit("inpaint", one, "--mask", two, "--strength", "0.5", "-o", out))
        .isEqualTo("edit: --strength is for vary and interpolate alone");
    assertThat(edit("vary", one, "--strength", "0", "-o", out))
        .isEqualTo("edit: --strength must be in (0, 1], but was 0.0");
    assertThat(edit("interpolate", one, two, "-n", "1", "-o", out))
        .isEqualTo("edit: --count must be at least 2, but was 1");
    Path none = folder.resolve("none.png");
    assertThat(edit("vary", none, "-o", out)).isEqualTo("edit: " + none + " does not exist");
    assertThat(edit("inpaint", one, "--mask", none, "-o", out))
        .isEqualTo("edit: " + none + " does not exist");
    Path jpeg = folder.resolve("out.jpg");
    assertThat(edit("vary", one, "-o", jpeg))
        .isEqualTo("edit: -o must be a file that ends in .png, but was " + jpeg);
    Path large = Tiny.picture(folder.resolve("large.png"), 9, 1);
    assertThat(edit("vary", large, "-o", out))
        .isEqualTo(
            "edit: "
                + large
                + " is a picture of shape (1, 9, 9), but the model's are of (1, 8, 8); resize it");
    Path text = Files.writeString(folder.resolve("text.png"), "no picture");
    assertThat(edit("vary", text, "-o", out)).startsWith("edit: " + text);
    assertThat(Program.run("edit", "paint", "-m", model, one, "-o", out).misspelt())
        .isEqualTo(
            "Invalid value for positional parameter at index 0 (USE): must be of vary,"
                + " inpaint, interpolate, but was paint");
    assertThat(out).doesNotExist();
  }

  @Test
  void noise_beginsWithThePicture() throws IOException {
    Path out = folder.resolve("noised.png");
    assertThat(Program.run("noise", one, "--columns", "2", "-o", out).good())
        .isEqualToNormalizingNewlines(
            "     t  signal   noise\n   249  0.7239  0.6899\n   999  0.0064  1.0000\n"
                + out
                + "\n");
    assertOneRow(out, 3);
    BufferedImage strip = ImageIO.read(out.toFile());
    BufferedImage before = ImageIO.read(one.toFile());
    for (int x = 0; x < 8; x++) {
      assertThat(sample(strip, 3, 0, x, 5)).isEqualTo(before.getRaster().getSample(x, 5, 0));
    }
    assertThat(Pictures.provenance(out))
        .containsEntry("picture", "one.png")
        .containsEntry("schedule", "Schedule[linear, timesteps=1000]")
        .containsEntry("timesteps", "249, 999");
    assertMadeBy("noise", out);
    for (String name : new String[] {"linear", "scaled-linear", "cosine", "FLOW"}) {
      Program.run("noise", one, "--schedule", name, "-o", out).good();
      assertThat(Pictures.provenance(out).get("schedule"))
          .isEqualToIgnoringCase(
              "Schedule[" + name.replace("scaled-l", "scaledL") + ", timesteps=1000]");
    }
  }

  @Test
  void noise_ofNothing_isRefused() throws IOException {
    Path none = folder.resolve("none.png");
    assertThat(Program.run("noise", none, "-o", folder.resolve("x.png")).refused())
        .isEqualTo("noise: " + none + " does not exist");
    assertThat(Program.run("noise", one, "-o", folder.resolve("x.gif")).refused())
        .isEqualTo(
            "noise: -o must be a file that ends in .png, but was " + folder.resolve("x.gif"));
    assertThat(Program.run("noise", one, "--columns", "0", "-o", folder.resolve("x.png")).refused())
        .isEqualTo("noise: --columns must be at least 1, but was 0");
    assertThat(Program.run("noise", one, "-o", one.resolve("x.png")).refused())
        .isEqualTo(
            "noise: "
                + one.resolve("x.png")
                + " must lie in a folder, but "
                + one
                + " is none; choose another folder");
  }

  @Test
  void denoise_makesAStripOrAnAnimation() throws IOException {
    Path strip = folder.resolve("strip.png");
    Program.run(
            "denoise",
            "-m",
            model,
            "-s",
            "ddim:4",
            "-n",
            "2",
            "--columns",
            "3",
            "--estimates",
            "-o",
            strip)
        .good();
    BufferedImage picture = ImageIO.read(strip.toFile());
    assertThat(picture.getWidth()).isGreaterThan(picture.getHeight());
    assertThat(Pictures.provenance(strip))
        .containsEntry("sampler", "ddim:4")
        .containsEntry("image", "0 to 1")
        .containsEntry("shows", "estimates of x_0")
        .containsEntry("steps", "1, 2, 4 of 4");
    assertMadeBy("denoise", strip);
    Path gif = folder.resolve("strip.gif");
    Program.run("denoise", "-m", model, "-s", "ddim:4", "-n", "2", "-o", gif).good();
    try (ImageInputStream in = ImageIO.createImageInputStream(gif.toFile())) {
      ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
      reader.setInput(in);
      assertThat(reader.getNumImages(true)).isEqualTo(4);
      reader.dispose();
    }
  }

  @Test
  void denoise_ofTooManyOrOfNothing_isRefused() {
    Path out = folder.resolve("x.png");
    assertThat(Program.run("denoise", "-m", model, "-n", "65", "-o", out).refused())
        .isEqualTo("denoise: --count must be from 1 to 64, but was 65");
    assertThat(Program.run("denoise", "-m", model, "--columns", "0", "-o", out).refused())
        .isEqualTo("denoise: --columns must be at least 1, but was 0");
    assertThat(Program.run("denoise", "-m", "none", "-o", out).refused())
        .isEqualTo("denoise: none does not exist; the models in the box are faces and fashion");
    assertThat(Program.run("denoise", "-m", model, "-o", folder.resolve("x.txt")).refused())
        .isEqualTo(
            "denoise: -o must be a file that ends in .gif, or in .png for a strip, but was "
                + folder.resolve("x.txt"));
  }
}
