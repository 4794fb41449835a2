package io.github.ddpm4j.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class TableTest {

  private static Report.Row row(String preset, String variant, Map<Measure, Spread> measures) {
    Map<String, Spread> byKey = new TreeMap<>();
    measures.forEach((measure, spread) -> byKey.put(measure.key, spread));
    return new Report.Row(preset, variant, "cpu()", 10, byKey);
  }

  private static Report report(Report.Row... rows) {
    return new Report(
        Map.of("cpu", "a fast one"),
        Map.of("java", "17"),
        Map.of("threads", 2),
        Map.of("copyGbPerSecond", Spread.of(10, 20, 30)),
        List.of(rows));
  }

  @Test
  void of_report_mediansRatiosAndQuartiles() {
    String text =
        Table.of(
            report(
                row(
                    "small",
                    "eager-float32",
                    Map.of(Measure.FORWARD, Spread.of(90, 100, 110), Measure.STEP, Spread.of(400))),
                row("small", "compiled-float32", Map.of(Measure.FORWARD, Spread.of(70, 75, 80))),
                row("large", "compiled-float32", Map.of(Measure.FORWARD, Spread.of(1, 2, 3)))));

    List<String> lines = text.lines().map(line -> line.replaceAll(" +", " ")).toList();
    assertThat(lines)
        .startsWith(
            "machine: cpu a fast one",
            "versions: java 17",
            "settings: threads 2",
            "",
            "What the machine can do (median, and the best):",
            " copyGbPerSecond 20.0, 30.0",
            "",
            "Medians, and in brackets their ratio to eager-float32:",
            "",
            // What nobody measured has no column.
            "| network | variant | forward ms | whole step ms |")
        .contains(
            "| small | eager-float32 | 100 (1.00) | 400 (1.00) |",
            "| small | compiled-float32 | 75.0 (0.75) | - |",
            "| large | compiled-float32 | 2.00 | - |",
            "Quartiles:",
            "| small | eager-float32 | 95.0..105 | 400 |",
            "| large | compiled-float32 | 1.50..2.50 | - |");
    assertThat(text.lines().filter(line -> line.startsWith("|")).mapToInt(String::length))
        .as("lengths of the lines of the first table")
        .startsWith(lengthOfTable(text), lengthOfTable(text), lengthOfTable(text));
  }

  private static int lengthOfTable(String text) {
    return text.lines().filter(line -> line.startsWith("|")).findFirst().orElseThrow().length();
  }

  @Test
  void of_noBounds_noneWritten() {
    Report bare = new Report(Map.of(), Map.of(), Map.of(), Map.of(), List.of());
    assertThat(Table.of(bare)).doesNotContain("What the machine can do");
  }

  @Test
  void json_thereAndBack_same() {
    Report report = report(row("small", "primitives", Map.of(Measure.EMA, Spread.of(1, 2))));
    Report back = Report.fromJson(report.toJson());
    assertThat(back.rows()).isEqualTo(report.rows());
    assertThat(back.bounds()).isEqualTo(report.bounds());
    assertThat(back.machine()).isEqualTo(report.machine());
    assertThat(back.versions()).isEqualTo(report.versions());
  }
}
