package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the main of {@link MixedPictures} does with 300 pictures, in short. */
class MixedPicturesTest {

  @TempDir private Path folder;

  @Test
  void folderOfAllKinds_trainsIsStoppedGoesOnAndDrawsByClass() throws Exception {
    Path pictures = folder.resolve("pictures");
    Path out = Files.createDirectory(folder.resolve("out"));
    List<Path> broken = MixedPictures.make(pictures, 40);
    AtomicInteger steps = new AtomicInteger();
    Runnable stop =
        () -> {
          if (steps.incrementAndGet() == 8) {
            Thread.currentThread().interrupt();
          }
        };
    assertThatThrownBy(() -> MixedPictures.train(pictures, out, 2, 12, stop))
        .isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(out.resolve("model")).doesNotExist();

    List<Path> listed = MixedPictures.train(pictures, out, 2, 12, steps::incrementAndGet);

    assertThat(listed).hasSize(5).containsExactlyInAnyOrderElementsOf(broken);
    // From the checkpoint on: not all over again.
    assertThat(steps.get()).isBetween(12, 8 + 12 - 5);
    assertThat(ImageIO.read(out.resolve("samples.png").toFile()).getWidth()).isEqualTo(200);
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.classNames()).containsExactly("discs", "squares");
      assertThat(model.provenance())
          .containsEntry("steps", 12L)
          .containsEntry("data", "35 records, seed 0: crops, flips");
    }
  }
}
