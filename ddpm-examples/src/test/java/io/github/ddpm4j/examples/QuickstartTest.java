package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class QuickstartTest {

  private static final Pattern EXTERNAL = Pattern.compile("(src|href)=\"(?!data:)");

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();

  private int run(String... args) {
    return Mains.commandLine(new Quickstart()).setOut(new PrintWriter(out)).execute(args);
  }

  @Test
  void quickstart_short_writesEverythingAndSaysWhatFallsShort() throws IOException {
    int code = run("--steps", "3", "--calls", "2", "-o", folder.toString());

    assertThat(code).isEqualTo(Mains.RESULT_FALLS_SHORT);
    assertThat(out.toString())
        .contains("Training a U-Net of 701,345 parameters on 1,297 hand-written 8x8 digits.")
        .contains("real against real")
        .contains("Falls short: precision (k=3) must be at least 0.600, but was ");
    assertSize("samples.png", 8, 8, 10);
    assertSize("real.png", 8, 8, 10);
    assertSize("denoising.png", 11, 8, 7);
    assertSize("forward.png", 11, 4, 7);
    assertSize("interpolation.png", 11, 4, 7);
    assertThat(ImageIO.read(folder.resolve("loss.png").toFile()).getWidth()).isGreaterThan(500);
    for (String file :
        new String[] {"index.html", "samples.png", "denoising.png", "loss.png", "model"}) {
      assertThat(out.toString()).contains(folder.resolve(file).toString());
    }
    String page = Files.readString(folder.resolve("index.html"));
    assertThat(EXTERNAL.matcher(page).find()).as("the page needs no other file").isFalse();
    assertThat(page).contains("data:image/png;base64,").contains("cosine");

    try (DDPM model = DDPM.load(folder.resolve("model"));
        Samples samples = model.sampling().sampler(Samplers.ddim(2)).seed(1).generate(3)) {
      assertThat(samples.size()).isEqualTo(3);
      assertThat(model.provenance()).containsEntry("steps", 3L);
    }
  }

  private void assertSize(String file, int columns, int rows, int enlarge) throws IOException {
    BufferedImage picture = ImageIO.read(folder.resolve(file).toFile());
    int cell = 8 * enlarge + 2;
    assertThat(picture.getWidth())
        .as("width of %s", file)
        .isBetween(columns * cell - 2, columns * cell + 2);
    assertThat(picture.getHeight())
        .as("height of %s", file)
        .isBetween(rows * cell - 2, rows * cell + 2);
  }

  @Test
  void quickstart_wrongOption_endsInOneLine() {
    StringWriter err = new StringWriter();
    int code =
        Mains.commandLine(new Quickstart())
            .setErr(new PrintWriter(err))
            .execute("--steps", "0", "-o", folder.toString());
    assertThat(code).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip()).isEqualTo("Quickstart: steps must be at least 1, but was 0");
  }

  @Test
  void quickstart_unknownPrecision_saysWhichThereAre() {
    StringWriter err = new StringWriter();
    int code =
        Mains.commandLine(new Quickstart())
            .setErr(new PrintWriter(err))
            .execute("--precision", "half");
    assertThat(code).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString())
        .startsWith(
            "Invalid value for option '--precision': expected one of [FLOAT32, BFLOAT16, AUTO]"
                + " (case-insensitive) but was 'half'");
  }

  /** The main job as README's first command runs it, and the same in bfloat16. */
  @Test
  @Tag("slow")
  void quickstart_whole_passesItsJudgeInEitherPrecisionWithTheSameLoss() throws IOException {
    double full = loss("float32");
    assertThat(out.toString()).doesNotContain("It computes in");
    double half = loss("bfloat16");
    assertThat(out.toString()).contains("It computes in BFLOAT16.");
    System.out.printf(
        "mean loss of the last 100 steps: float32 %.6f, bfloat16 %.6f (%+.2f %%)%n%s",
        full, half, 100 * (half / full - 1), out);
    assertThat(full).isNotEqualTo(half);
    assertThat(half).isCloseTo(full, withinPercentage(3));
  }

  private double loss(String precision) throws IOException {
    Path output = folder.resolve(precision);
    int code = run("--precision", precision, "-o", output.toString());
    assertThat(code).as(out.toString()).isZero();
    try (DDPM model = DDPM.load(output.resolve("model"))) {
      return (double) model.provenance().get("meanLossOfLast100Steps");
    }
  }
}
