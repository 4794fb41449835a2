package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.data.Face.Attribute;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.models.Models;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluateFacesTest {

  private static final Shape SIZE = new Shape(8, 8);

  @TempDir private Path folder;

  /** Few calls are enough for most attributes to be those that were asked for. */
  @Test
  void evaluate_few_tellsRealFromNoise_andAskedFromOthers() throws Exception {
    // Means of blocks of 8x8, of which there are few.
    Features blocks =
        Features.function(
            images -> Pool.avgPool2d(images, SIZE, SIZE, new Shape(0, 0), false, true));
    String printed =
        Printed.by(
            () -> {
              try (DDPM model = Models.faces()) {
                EvaluateFaces.run(model, blocks, folder, 8, 50, 5);
              }
            });
    assertThat(number(printed, "other held-out faces", "Fréchet distance"))
        .isLessThan(number(printed, "noise", "Fréchet distance"));
    assertThat(number(printed, "other held-out faces, as they are read", "shows"))
        .isGreaterThan(0.9);
    assertThat(number(printed, "as asked at 2.0, as they are read", "shows")).isGreaterThan(0.6);
    assertThat(folder.resolve("glasses-under-hats-at-4.0.png")).isNotEmptyFile();
  }

  /** All of the same faces, and of one alone the share that it has of each attribute. */
  @Test
  void printCoverage_sharesOfValues() throws Exception {
    List<Face> faces = FaceSets.heldOut(20);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray all = FaceReading.pictures(manager, faces);
      assertThat(Printed.by(() -> FaceReading.printCoverage(all, faces)))
          .startsWith("  covers skin 1.000 hair ");
      Face one = faces.get(0);
      NDArray alone = FaceReading.pictures(manager, List.of(one));
      long same =
          faces.stream()
              .filter(f -> f.value(Attribute.SKIN).equals(one.value(Attribute.SKIN)))
              .count();
      assertThat(Printed.by(() -> FaceReading.printCoverage(alone, faces)))
          .startsWith(String.format(Locale.ROOT, "  covers skin %.3f ", same / 20.0))
          .endsWith("; 9 of 38 values appear" + System.lineSeparator());
    }
  }

  /** The first number that follows a word, after a line. */
  private static double number(String printed, String line, String word) {
    Matcher found =
        Pattern.compile("(?ms)^" + Pattern.quote(line) + "$.*?" + word + "\\D*?(\\d+\\.?\\d*)")
            .matcher(printed);
    assertThat(found.find()).as(printed).isTrue();
    return Double.parseDouble(found.group(1));
  }
}
