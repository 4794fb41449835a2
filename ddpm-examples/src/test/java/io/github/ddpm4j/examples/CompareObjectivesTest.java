package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CompareObjectivesTest {

  @Test
  @Tag("slow")
  void compareObjectives_short_printsARowPerObjectiveAndVariance() {
    StringWriter out = new StringWriter();
    int code =
        Mains.commandLine(new CompareObjectives())
            .setOut(new PrintWriter(out))
            .execute("--steps", "3", "--calls", "4", "--images", "3", "--timesteps", "4");
    assertThat(code).as(out.toString()).isZero();
    assertThat(out.toString().lines().filter(line -> line.startsWith("| ")).skip(1))
        .hasSize(7)
        .allMatch(line -> line.matches(".* \\| -?\\d+\\.\\d{3} ± \\d+\\.\\d{3} \\|"))
        .anyMatch(line -> line.contains("hybrid, ε, learned range") && line.contains("LEARNED"))
        .anyMatch(line -> line.startsWith("| EDM"));
  }

  /** Before anything is trained. */
  @ParameterizedTest
  @CsvSource({
    "--images, 1, 2, 500",
    "--images, 501, 2, 500",
    "--timesteps, 1, 2, 1000",
    "--timesteps, 1001, 2, 1000",
    "--calls, 1, 2, 1000",
    "--calls, 1001, 2, 1000"
  })
  void compareObjectives_wrongOption_endsInOneLine(
      String option, String value, int least, int most) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int code =
        Mains.commandLine(new CompareObjectives())
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err))
            .execute("--steps", "1", "--objective", "EDM", option, value);
    assertThat(code).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo(
            "CompareObjectives: %s must be from %d to %d, but was %s"
                .formatted(option, least, most, value));
    assertThat(out.toString()).isEmpty();
  }
}
