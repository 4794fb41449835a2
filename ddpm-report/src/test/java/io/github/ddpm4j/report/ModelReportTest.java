package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ModelReportTest {

  private static final Pattern EXTERNAL = Pattern.compile("(src|href)=\"(?!data:)");

  @TempDir private Path folder;

  private static UNet network(int channels) {
    return UNet.builder()
        .image(channels, 8, 8)
        .baseChannels(4)
        .channelMultipliers(1)
        .residualBlocks(1)
        .groups(2)
        .seed(1)
        .build();
  }

  private void assertSize(String file, int columns, int rows, int side) throws IOException {
    BufferedImage picture = ImageIO.read(folder.resolve(file).toFile());
    assertThat(picture.getWidth()).as("width of %s", file).isEqualTo(columns * (side + 2) + 2);
    assertThat(picture.getHeight()).as("height of %s", file).isEqualTo(rows * (side + 2) + 2);
  }

  @Test
  void save_writesAllPictures_andAPageThatNeedsNoOtherFile() throws IOException {
    Judge.Verdict verdict = new Judge.Verdict(0.5, 1, 1, 0.5, 1, List.of(), 1);
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(1)) {
      DDPM model = DDPM.builder().schedule(Schedules.cosine(20)).denoiser(network).build();
      NDArray real = manager.arange(70 * 64f).sin().reshape(new Shape(70, 1, 8, 8));

      List<Path> files =
          new ModelReport(model, real.get(":16"), real)
              .title("A <title>", "What it is.")
              .seed(3)
              .losses(new double[] {1, 0.5})
              .verdict(verdict, verdict)
              .note("sampler", "ddim")
              .save(folder.resolve("."));

      assertThat(files.stream().map(file -> file.getFileName().toString()))
          .containsExactly(
              "index.html",
              "samples.png",
              "real.png",
              "denoising.png",
              "forward.png",
              "interpolation.png",
              "loss.png");
    }
    assertSize("samples.png", 8, 2, 80);
    assertSize("real.png", 8, 8, 80);
    assertSize("denoising.png", 11, 8, 56);
    assertSize("forward.png", 11, 4, 56);
    assertSize("interpolation.png", 11, 4, 56);
    String page = Files.readString(folder.resolve("index.html"));
    assertThat(EXTERNAL.matcher(page).find()).as("the page needs no other file").isFalse();
    assertThat(page.split("data:image/png;base64,", -1)).hasSize(7);
    assertThat(page)
        .contains("<h1>A &lt;title&gt;</h1>\n<p>What it is.</p>")
        .contains("to all 20 steps on the right")
        .contains("<td class=\"bad\">fails</td>")
        .contains("<th scope=\"row\">network: groups</th><td>2</td>")
        .contains("cosine")
        .contains("<th scope=\"row\">sampler</th><td>ddim</td>");
  }

  @Test
  void save_againWithTwoColourImages_leavesOutWhatIsNotKnown() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = network(3)) {
      DDPM model = DDPM.builder().timesteps(4).denoiser(network).build();
      NDArray real = manager.ones(new Shape(2, 3, 8, 8));
      ModelReport report = new ModelReport(model, real.get(":1"), real);
      List<Path> files = report.save(folder);
      assertThat(report.save(folder)).isEqualTo(files).hasSize(6);
    }
    assertSize("forward.png", 11, 2, 56);
    assertThat(Pictures.provenance(folder.resolve("forward.png")))
        .containsEntry("use", "report")
        .containsEntry("picture", "forward.png")
        .containsEntry("seed of the report", "0")
        .containsKeys("ddpm4j", "djl")
        .doesNotContainKey("sampler");
    assertThat(Files.readString(folder.resolve("index.html")))
        .contains("<h1>A diffusion model</h1>")
        .doesNotContain("Loss", "How good");
  }

  @Test
  void images_thatDoNotGoTogether_areRefused() {
    DDPM model = DDPM.builder().timesteps(4).build();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray one = manager.ones(new Shape(1, 3, 8, 8));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new ModelReport(model, one, one))
          .withMessage(
              "a report needs images of shapes (N, C, H, W), N ≥ 1, and (M, C, H, W), M ≥ 2, but had"
                  + " (1, 3, 8, 8) and (1, 3, 8, 8)");
    }
  }
}
