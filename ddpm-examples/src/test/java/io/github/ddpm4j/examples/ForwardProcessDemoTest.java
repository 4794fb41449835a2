package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class ForwardProcessDemoTest {

  private final Path folder;
  private final Path picture;
  private final Path strip;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  ForwardProcessDemoTest(@TempDir Path folder) {
    this.folder = folder;
    picture = folder.resolve("picture.png");
    strip = folder.resolve("strip.png");
  }

  @Test
  void run_smallPicture_isEnlarged() throws IOException {
    write(new Shape(1, 8, 8));

    assertThat(run("-o", strip.toString(), picture.toString())).isZero();

    BufferedImage written = ImageIO.read(strip.toFile());
    assertThat(written.getType()).isEqualTo(BufferedImage.TYPE_BYTE_GRAY);
    assertThat(written.getWidth()).isEqualTo(10 * (8 * 16 + 2) + 2);
    assertThat(written.getHeight()).isEqualTo(8 * 16 + 4);
    assertThat(err).hasToString("");
  }

  @Test
  void run_bigPicture_isMadeSmallerToFit() throws IOException {
    write(new Shape(3, 300, 701));

    assertThat(run("-o", strip.toString(), "--max-width", "1000", picture.toString())).isZero();

    // 7,010 pixels fit into 1,000 when divided by 8.
    BufferedImage written = ImageIO.read(strip.toFile());
    assertThat(written.getWidth()).isEqualTo(10 * (87 + 2) + 2);
    assertThat(written.getHeight()).isEqualTo(37 + 4);
    assertThat(out.toString())
        .startsWith(picture + ": 701 x 300 pixels, RGB, made smaller to 87 x 37" + LINE);
  }

  @Test
  void run_maxWidthZero_keepsTheSize() throws IOException {
    write(new Shape(1, 10, 900));

    assertThat(run("-o", strip.toString(), "--max-width", "0", picture.toString())).isZero();

    assertThat(ImageIO.read(strip.toFile()).getWidth()).isEqualTo(10 * (900 + 2) + 2);
  }

  @Test
  void run_chosenSteps_arePrinted() throws IOException {
    write(new Shape(1, 8, 8));

    assertThat(run("-o", strip.toString(), "--at", "1,1000", picture.toString())).isZero();

    assertThat(out.toString().lines())
        .containsExactly(
            picture + ": 8 x 8 pixels, grey",
            "x_t = signal * x_0 + noise * epsilon",
            "",
            " noising steps  signal   noise",
            "             0   1.000   0.000",
            "             1   1.000   0.010",
            "          1000   0.006   1.000",
            "",
            "The strip: " + strip);
  }

  @Test
  void run_sameSeed_givesTheSameStrip() throws IOException {
    write(new Shape(3, 20, 20));
    Path other = folder.resolve("other.png");
    Path another = folder.resolve("another.png");

    run("-o", strip.toString(), picture.toString());
    run("-o", other.toString(), picture.toString());
    run("-o", another.toString(), "--seed", "1", picture.toString());

    assertThat(strip).hasSameBinaryContentAs(other);
    assertThat(Files.mismatch(strip, another)).isNotNegative();
  }

  @Test
  void run_missingPicture_endsInOneLine() {
    assertThat(run(picture.toString())).isEqualTo(2);
    assertThat(err).hasToString("ForwardProcessDemo: " + picture + ": does not exist" + LINE);
  }

  @Test
  void run_text_endsInOneLine() throws IOException {
    Files.writeString(picture, "no picture");

    assertThat(run(picture.toString())).isEqualTo(2);
    assertThat(err)
        .hasToString(
            "ForwardProcessDemo: "
                + picture
                + " is not a picture that Java can read; the formats are BMP, GIF, JPEG, JPG, PNG,"
                + " TIF, TIFF, WBMP"
                + LINE);
  }

  @Test
  void run_badOptions_endInOneLine() {
    assertThat(run("--columns", "0", picture.toString())).isEqualTo(2);
    assertThat(run("--at", "0,5", picture.toString())).isEqualTo(2);
    assertThat(run("--timesteps", "0", picture.toString())).isEqualTo(2);
    assertThat(err.toString().lines())
        .containsExactly(
            "ForwardProcessDemo: --columns must be at least 1, but was 0",
            "ForwardProcessDemo: --at must be from 1 to 1000 noising steps, but was 0",
            "ForwardProcessDemo: timesteps must be at least 1, but was 0");
  }

  @Test
  void run_noPicture_showsUsage() {
    assertThat(run()).isEqualTo(2);
    assertThat(err.toString())
        .startsWith("Missing required parameter: 'IMAGE'" + LINE + "Usage: ForwardProcessDemo");
  }

  private static final String LINE = System.lineSeparator();

  private int run(String... args) {
    CommandLine command = Mains.commandLine(new ForwardProcessDemo());
    command.setOut(new PrintWriter(out));
    command.setErr(new PrintWriter(err));
    return command.execute(args);
  }

  private void write(Shape shape) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray image = manager.randomUniform(-1, 1, shape);
      Pictures.of(image).gap(0).save(picture);
    }
  }
}
