package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConditionalDigitsTest {

  @TempDir private Path folder;

  @Test
  void conditionalDigits_short_writesARowPerClassAndTheModel() throws IOException {
    StringWriter out = new StringWriter();
    int code =
        Mains.commandLine(new ConditionalDigits())
            .setOut(new PrintWriter(out))
            .execute("--steps", "3", "--per-class", "2", "-o", folder.toString());
    assertThat(code).as(out.toString()).isZero();
    assertThat(out.toString())
        .contains("on 1,297 digits of 10 classes.")
        .contains("% of 20 digits, drawn with guidance 2.0, are nearest to a training digit of the")
        .contains("; of held-out digits 99.0 %.");
    BufferedImage picture = ImageIO.read(folder.resolve("digits.png").toFile());
    assertThat(picture.getHeight()).isGreaterThan(4 * picture.getWidth());
    try (DDPM model = DDPM.load(folder.resolve("model"))) {
      assertThat(model.denoiser().orElseThrow().conditionKinds())
          .containsExactly(Condition.Kind.LABELS);
      assertThat(model.provenance()).containsEntry("conditionDropout", 0.1);
    }
  }

  @Test
  void conditionalDigits_wrongOption_endsInOneLine() {
    StringWriter err = new StringWriter();
    int code =
        Mains.commandLine(new ConditionalDigits())
            .setErr(new PrintWriter(err))
            .execute("--condition-dropout", "2", "-o", folder.toString());
    assertThat(code).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("ConditionalDigits: conditionDropout must be in [0, 1], but was 2.0");
  }
}
