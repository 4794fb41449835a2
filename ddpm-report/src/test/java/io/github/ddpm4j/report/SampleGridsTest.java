package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.unet.UNet;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SampleGridsTest {

  @TempDir private Path folder;

  @Test
  void run_everySecondStepAndTheLast_aGridOfTheAverage() throws Exception {
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet =
            UNet.builder()
                .image(1, 8, 8)
                .baseChannels(4)
                .groups(2)
                .channelMultipliers(1)
                .residualBlocks(1)
                .seed(1)
                .build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(20)).denoiser(unet).build()) {
      NDArray images = manager.randomUniform(-1, 1, new Shape(4, 1, 8, 8));
      ArrayDataset data = new ArrayDataset.Builder().setData(images).setSampling(4, false).build();
      try (TrainedModel result = fit(ddpm, folder, data)) {
        try (Stream<Path> files = Files.list(folder)) {
          assertThat(files.map(file -> file.getFileName().toString()))
              .containsExactlyInAnyOrder(
                  "samples-000002.png", "samples-000004.png", "samples-000005.png");
        }
        Path expected = folder.resolve("expected.png");
        try (Samples drawn =
            result.ddpm().sampling().sampler(Samplers.ddim(2)).seed(1).generate(6)) {
          drawn.saveGrid(expected, 3);
        }
        assertThat(folder.resolve("samples-000005.png")).hasSameBinaryContentAs(expected);
        assertThat(Files.mismatch(folder.resolve("samples-000002.png"), expected)).isNotEqualTo(-1);
      }
      Path file = Files.writeString(folder.resolve("file"), "no folder");
      assertThatThrownBy(() -> fit(ddpm, file, data))
          .isInstanceOf(UncheckedIOException.class)
          .hasMessage(
              file.resolve("samples-000002.png")
                  + " must lie in a folder, but "
                  + file
                  + " is none; choose another folder");
    }
  }

  private static TrainedModel fit(DDPM ddpm, Path folder, ArrayDataset data) {
    TrainingStepListener grids =
        TrainingProgress.samples(ddpm, folder, 2, 3, 6, s -> s.sampler(Samplers.ddim(2)));
    return ddpm.training().batchSize(4).steps(5).seed(1).listener(grids).fit(data);
  }

  @Test
  void samples_numberBelowOne_isRefused() {
    DDPM ddpm = DDPM.builder().timesteps(10).build();
    assertThatThrownBy(() -> TrainingProgress.samples(ddpm, folder, 0, 3, 6, s -> s))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("every, columns and count must be at least 1, but were 0, 3 and 6");
  }
}
