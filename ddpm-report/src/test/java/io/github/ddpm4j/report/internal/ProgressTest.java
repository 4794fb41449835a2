package io.github.ddpm4j.report.internal;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class ProgressTest {

  private static final String TIME = "\\d:\\d\\d:\\d\\d";
  private static final Duration LONG = Duration.ofMinutes(1);
  private static final Duration SHORT = Duration.ofMillis(20);

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  private Progress of(boolean terminal, Duration interval, String units) {
    return new Progress(new Progress.Display(out, terminal, interval), "training", units);
  }

  private String line(
      String units,
      double done,
      double total,
      double speed,
      String note,
      @Nullable Double took,
      int width) {
    return of(false, LONG, units).line(done, total, speed, note, took, width);
  }

  private String written() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void line_saysHowFarHowFastAndHowLong() {
    assertThat(line("steps", 135, 300, 13.24, "loss 0.1050", null, 90))
        .isEqualTo(
            "training  45% [===========>             ] 135/300, 13.2 steps/s, loss 0.1050,"
                + " 0:00:12 left")
        .hasSize(90);
    assertThat(line("steps", 300, 300, 13.24, "loss 0.1050", 22.7, 90))
        .isEqualTo(
            "training 100% [=========================] 300/300, 13.2 steps/s, loss 0.1050,"
                + " took 0:00:23")
        .hasSize(90);
    assertThat(line("steps", 200, 800_000, 0.05, "loss 0.0250", null, 70))
        .isEqualTo("training   0% 200/800000, 20.0 s/step, loss 0.0250, 4443:20:00 left");
  }

  @Test
  void line_ofOtherUnits_namesThem() {
    assertThat(line("pictures", 3.5, 14, 0.5, "", null, 70))
        .isEqualTo("training  25% [==>        ] 3/14 pictures, 2.0 s/picture, 0:00:21 left");
    Progress file = of(false, LONG, "MB").decimals(1);
    assertThat(file.line(0.25, 142.96, 12, "", null, 51))
        .isEqualTo("training   0% 0.3/143.0 MB, 12.0 MB/s, 0:00:12 left");
    // The speed is what is left out first.
    assertThat(file.line(0.25, 142.96, 12, "", null, 50))
        .isEqualTo("training   0% [>      ] 0.3/143.0 MB, 0:00:12 left");
    assertThat(file.line(0, 0, 0, "", 0.2, 50))
        .isEqualTo("training 100% [=========] 0.0/0.0 MB, took 0:00:00");
  }

  @Test
  void line_speedUnknown_leavesItOut() {
    for (double unknown : new double[] {0, Double.NaN, Double.POSITIVE_INFINITY}) {
      assertThat(line("steps", 1, 4, unknown, "loss 1.0000", null, 60))
          .isEqualTo("training  25% [======>                    ] 1/4, loss 1.0000");
    }
  }

  @Test
  void to_noTerminal_printsALineNowAndThen_andTheLast() throws Exception {
    try (Progress progress = of(false, SHORT, "pictures")) {
      for (int i = 1; i <= 10; i++) {
        progress.to(i, 10, "");
        Thread.sleep(10);
      }
    }
    List<String> lines = written().lines().toList();
    assertThat(lines).hasSizeBetween(2, 10).doesNotHaveDuplicates();
    assertThat(lines.subList(0, lines.size() - 1))
        .allSatisfy(line -> assertThat(line).doesNotContain("took").contains("/10 pictures"));
    assertThat(lines.get(lines.size() - 1))
        .matches("training 100% \\[=+] 10/10 pictures, [\\d.]+ pictures/s, took " + TIME);
    assertThat(written()).doesNotContain("\r");
  }

  @Test
  void to_shortWork_noTerminal_saysWhatItTook_orNothing() {
    try (Progress progress = of(false, LONG, "pictures")) {
      progress.to(1, 2, "");
      progress.to(2, 2, "");
    }
    assertThat(written()).hasLineCount(1).contains(" 2/2 pictures").contains(", took 0:00:00");
    bytes.reset();
    try (Progress progress = of(false, LONG, "pictures").silentIfShort()) {
      progress.to(1, 2, "");
      progress.to(2, 2, "");
    }
    assertThat(written()).isEmpty();
  }

  @Test
  void to_longWork_noTerminal_isNotSilent() throws Exception {
    try (Progress progress = of(false, SHORT, "pictures").silentIfShort()) {
      for (int i = 1; i < 1000 && written().isEmpty(); i++) {
        progress.to(i, 1000, "");
        Thread.sleep(5);
      }
    }
    assertThat(written()).startsWith("training ").contains("/1000 pictures", ", took ");
  }

  @Test
  void to_terminal_drawsABarInPlace() {
    try (Progress progress = of(true, LONG, "pictures").silentIfShort()) {
      progress.to(1, 20, "");
      progress.to(5, 20, "");
    }
    assertThat(written()).contains("\rtraining  25% ").contains("] 5/20 pictures, ", ", took ");
    assertThat(written()).endsWith(System.lineSeparator());
  }

  @Test
  void to_lessToDo_isOfLess() {
    try (Progress progress = of(false, LONG, "pictures")) {
      progress.to(1, 20, "");
      progress.to(2, 4, "");
    }
    assertThat(written()).startsWith("training  50%").contains(" 2/4 pictures");
  }

  @Test
  void close_ofNothing_printsNothing() {
    of(true, SHORT, "pictures").close();
    assertThat(written()).isEmpty();
  }
}
