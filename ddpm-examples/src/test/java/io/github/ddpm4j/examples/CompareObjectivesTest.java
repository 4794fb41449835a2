package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

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

  @Test
  void compareObjectives_wrongOption_endsInOneLine() {
    StringWriter err = new StringWriter();
    int code =
        Mains.commandLine(new CompareObjectives())
            .setErr(new PrintWriter(err))
            .execute("--images", "1");
    assertThat(code).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("CompareObjectives: --images must be from 2 to 500, but was 1");
  }
}
