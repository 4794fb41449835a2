package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The mains that use a model, with tiny networks that were never trained. */
class ModelUseTest {

  @TempDir private static Path models;
  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeAll
  static void saveModels() throws IOException {
    saveModel("grey", 1, 8, 8);
    saveModel("colour", 3, 8, 16);
  }

  private static void saveModel(String name, int channels, int height, int width)
      throws IOException {
    try (UNet unet =
        UNet.builder()
            .image(channels, height, width)
            .baseChannels(8)
            .channelMultipliers(1, 1)
            .residualBlocks(1)
            .groups(4)
            .seed(3)
            .build()) {
      DDPM.builder().timesteps(100).denoiser(unet).build().save(models.resolve(name));
    }
  }

  private int run(ModelUse main, String model, String... args) {
    String[] all = new String[args.length + 4];
    System.arraycopy(args, 0, all, 4, args.length);
    all[0] = "--model";
    all[1] = models.resolve(model).toString();
    all[2] = "-o";
    all[3] = folder.toString();
    return Mains.commandLine(main)
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(all);
  }

  /** A grid whose cells have this size, beside labels. */
  private void assertPicture(String file, int columns, int width, int rows, int height)
      throws IOException {
    BufferedImage picture = ImageIO.read(folder.resolve(file).toFile());
    assertThat(picture.getWidth())
        .as("width of %s", file)
        .isBetween(columns * (width + 2), columns * (width + 2) + 140);
    assertThat(picture.getHeight())
        .as("height of %s", file)
        .isBetween(rows * (height + 2), rows * (height + 2) + 30);
    assertThat(out.toString()).contains(folder.resolve(file).toString());
  }

  @Test
  void interpolate_writesAPairPerRowAndADepthPerRow() throws IOException {
    int code = run(new Interpolate(), "grey", "--calls", "3", "--between", "3", "--pairs", "2");
    assertThat(code).as(err.toString()).isZero();
    assertPicture("latents.png", 5, 48, 2, 48);
    assertPicture("depths.png", 5, 48, 5, 48);
    assertThat(out.toString()).contains("pair 2: neighbours differ by ");
  }

  @Test
  void inpaint_keepsWhatIsKnown_andCountsItsCalls() throws IOException {
    for (Inpaint.Hole hole : Inpaint.Hole.values()) {
      out.getBuffer().setLength(0);
      int code =
          run(
              new Inpaint(),
              "grey",
              "--calls",
              "6",
              "--jump",
              "2",
              "--times",
              "2",
              "--count",
              "2",
              "--hole",
              hole.name().toLowerCase(Locale.ROOT));
      assertThat(code).as(err.toString()).isZero();
      assertPicture("inpainted.png", 2, 48, 5, 48);
      assertThat(out.toString())
          .contains("replaced   6 network calls", "resampled  10 network calls");
      assertThat(out.toString().split("known pixels differ by 0.0 at most;", -1)).hasSize(5);
    }
  }

  @Test
  void imageToImage_inColour_readsAFolder() throws IOException {
    Path pictures = folder.resolve("pictures");
    ImageIO.write(
        new BufferedImage(40, 30, BufferedImage.TYPE_INT_RGB),
        "png",
        Files.createDirectories(pictures).resolve("a.png").toFile());
    int code =
        run(
            new ImageToImage(),
            "colour",
            "--calls",
            "4",
            "--strengths",
            "0.2,0.9",
            "--count",
            "2",
            "--images",
            pictures.toString());
    assertThat(code).as(err.toString()).isZero();
    assertPicture("variations.png", 4, 48, 3, 24);
    assertThat(out.toString()).contains("strength 0.9: differs by ");
  }

  @Test
  void sharedLatent_writesARowPerT() throws IOException {
    assertThat(run(new SharedLatent(), "colour", "--calls", "20", "--count", "3")).isZero();
    assertPicture("shared.png", 3, 48, 5, 24);
    assertThat(out.toString()).contains("part at t = 100: ", "part at t = 10: ");
  }

  @Test
  void encodeDecode_ofAModelOfAnotherSize_drawsPicturesItself() throws IOException {
    assertThat(run(new EncodeDecode(), "colour", "--calls", "2,5", "--count", "2")).isZero();
    assertPicture("decoded.png", 2, 48, 4, 24);
    assertThat(out.toString())
        .startsWith(
            "The pictures that are worked on are drawn by the model; --images names others.")
        .contains("   5 calls each way: error ");
  }

  @Test
  void steering_watchesCancelsSavesAndShares() throws IOException {
    int code = run(new Steering(), "grey", "--calls", "10", "--count", "2");
    assertThat(code).as(err.toString()).isZero();
    assertPicture("previews.png", 10, 48, 2, 48);
    ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
    try (ImageInputStream gif =
        ImageIO.createImageInputStream(folder.resolve("previews.gif").toFile())) {
      reader.setInput(gif);
      assertThat(reader.getNumImages(true)).isEqualTo(25);
    }
    assertThat(out.toString())
        .contains(
            "Cancelled: sampling was cancelled before step 1 of 10 of the images from 0; no image"
                + " was kept.")
        .contains(
            "Saved after step 5 and gone on with from the file: the pictures differ by 0.0 at most.")
        .contains("Two requests, 4 pictures, in 10 network calls in place of 16: ");
  }

  @Test
  void superResolution_short_writesPictureModelAndTable() throws IOException {
    int code =
        Mains.commandLine(new SuperResolution())
            .setOut(new PrintWriter(out))
            .execute("--steps", "3", "--count", "4", "--draws", "2", "-o", folder.toString());
    assertThat(code).isZero();
    assertPicture("digits.png", 4, 48, 6, 48);
    assertThat(out.toString())
        .contains("to make 1,297 digits of 4x4 pixels into 8x8.")
        .containsPattern("pixels repeated +\\d+\\.\\d\\d dB +0\\.0000")
        .containsPattern("bicubic +\\d+\\.\\d\\d dB")
        .containsPattern("mean of 2 drawn +\\d+\\.\\d\\d dB");
    DDPM.load(folder.resolve("model")).close();
  }

  @Test
  void quickstart_runsWhereThereIsNoModel_andNotWhereThereIsOne() throws IOException {
    PrintWriter writer = new PrintWriter(out);
    Path model = folder.resolve("model");
    assertThatThrownBy(() -> ModelUse.quickstart(folder, writer, "--calls", "0"))
        .isInstanceOf(IOException.class)
        .hasMessage(model + " was not made: the quickstart failed, see above");
    assertThat(out.toString())
        .startsWith("There is no model in " + model + " yet: the quickstart trains one.");
    out.getBuffer().setLength(0);
    Files.createDirectory(model);
    assertThat(ModelUse.quickstart(folder, writer)).isEqualTo(model);
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void missingModelOrPictures_endInOneLine() throws IOException {
    assertThat(run(new Inpaint(), "none")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString()).startsWith("Inpaint: ").hasLineCount(1);
    err.getBuffer().setLength(0);
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertThat(run(new Inpaint(), "grey", "--images", empty.toString()))
        .isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("Inpaint: " + empty + " holds no pictures; name a folder of PNG or JPEG files");
  }

  @Test
  void inpaint_whatCannotBe_failsBeforeItsFirstLine() {
    String[][] wrong = {
      {"--calls", "101", "--calls must be from 1 to 100, but was 101"},
      {"--jump", "0", "--jump must be at least 1, but was 0"},
      {"--times", "0", "--times must be at least 1, but was 0"},
      {
        "--jump",
        "100",
        "--jump must be less than --calls, here 100, or nothing is resampled, but was 100"
      },
      {"--images", folder + "/nope", folder + "/nope does not exist"},
    };
    for (String[] one : wrong) {
      err.getBuffer().setLength(0);
      assertThat(run(new Inpaint(), "grey", one[0], one[1])).isEqualTo(Mains.USER_ERROR);
      assertThat(err.toString().strip()).isEqualTo("Inpaint: " + one[2]);
    }
    assertThat(out.toString()).isEmpty();
  }
}
