package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.models.Models;
import java.nio.file.Path;
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

  /** The first number that follows a word, after a line. */
  private static double number(String printed, String line, String word) {
    Matcher found =
        Pattern.compile("(?ms)^" + Pattern.quote(line) + "$.*?" + word + "\\D*?(\\d+\\.?\\d*)")
            .matcher(printed);
    assertThat(found.find()).as(printed).isTrue();
    return Double.parseDouble(found.group(1));
  }
}
