package io.github.ddpm4j.examples;

import static java.util.stream.Collectors.toSet;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.evaluation.Features;
import java.awt.image.BufferedImage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TunePicturesTest {

  private static final String INTERVAL =
      " -?\\d+\\.\\d+ \\(-?\\d+\\.\\d+\\.\\.-?\\d+\\.\\d+\\) \\|";

  private static final Shape SIZE = new Shape(8, 8);

  @TempDir private Path folder;

  @Test
  void faces_shortly_printsARowPerSampler_andGoesOn() throws Exception {
    List<String> lines = tuned();

    assertThat(lines.get(0))
        .matches(
            "A step of tuning takes \\d+\\.\\d\\d s, one of training \\d+\\.\\d\\d s\\. Tuning"
                + " takes 0\\.00 of the time of training\\.");
    List<String> samplers =
        List.of(
            "- \\| real images",
            "2 \\| ddim:2",
            "3 \\| ddim:3",
            "1 \\| consistency:1",
            "2 \\| consistency:2",
            "4 \\| consistency:4");
    assertThat(lines).hasSize(3 + samplers.size());
    for (int i = 0; i < samplers.size(); i++) {
      assertThat(lines.get(3 + i))
          .matches(
              "\\| "
                  + samplers.get(i)
                  + " \\|("
                  + INTERVAL
                  + "){4} \\d\\.\\d{3} ± \\d\\.\\d{3} \\| "
                  + (i == 0 ? "-" : "\\d+\\.\\d")
                  + " \\|");
    }
    BufferedImage grid = ImageIO.read(folder.resolve("pictures.png").toFile());
    assertThat(grid.getWidth()).isEqualTo(12 * (2 * Face.SIDE + 2) + 2);
    assertThat(grid.getHeight()).isEqualTo(5 * (2 * Face.SIDE + 2) + 2);
    try (DDPM model = DDPM.load(folder.resolve("model"))) {
      assertThat(model.metadata()).containsEntry("ddpm4j.tunedFor", "consistency:2, sigmaMax=80");
      assertThat(model.attributes()).isPresent();
      assertThat(model.provenance()).containsEntry("steps", 2L);
    }

    Set<Path> checkpoints = checkpoints();
    FileTime written = Files.getLastModifiedTime(checkpoints.iterator().next());
    List<String> again = tuned();
    assertThat(checkpoints()).hasSize(1).isEqualTo(checkpoints);
    assertThat(Files.getLastModifiedTime(checkpoints.iterator().next())).isEqualTo(written);
    assertThat(again.get(8).replaceAll("[^|]*\\|$", ""))
        .isEqualTo(lines.get(8).replaceAll("[^|]*\\|$", ""));
  }

  private Set<Path> checkpoints() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("checkpoints"))) {
      return files.filter(file -> file.toString().endsWith(".safetensors")).collect(toSet());
    }
  }

  private List<String> tuned() throws Exception {
    // Means of blocks of 8x8, of which there are few.
    Features blocks =
        Features.function(
            images -> Pool.avgPool2d(images, SIZE, SIZE, new Shape(0, 0), false, true));
    return Printed.by(
            () -> {
              try (NDManager manager = NDManager.newBaseManager();
                  TuningTask task = TuningTask.faces(manager, 12, 2)) {
                TunePictures.run(task, blocks, folder, 2, 2, 2, 3);
              }
            })
        .lines()
        .toList();
  }

  @Test
  void anotherName_saysWhichThereAre() {
    assertThatThrownBy(() -> TunePictures.main(new String[] {"digits"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the model to tune must be faces or fashion, but was digits");
  }

  @Test
  void fashion_withoutItsData_saysWhatIsMissing() {
    String nowhere = folder.resolve("nowhere").toString();
    assertThatThrownBy(() -> TunePictures.main(new String[] {"fashion", "2", "10", nowhere}))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessageContaining(nowhere);
  }
}
