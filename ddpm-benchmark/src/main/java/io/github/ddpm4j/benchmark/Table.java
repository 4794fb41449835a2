package io.github.ddpm4j.benchmark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiFunction;

/** A report as text, its tables in Markdown. */
final class Table {

  private static final double TEN = 10;
  private static final double HUNDRED = 100;
  private static final String NOTHING = "-";

  private final Report report;
  private final StringBuilder text = new StringBuilder();

  private Table(Report report) {
    this.report = report;
  }

  /**
   * Writes a report down.
   *
   * @param report the report
   * @return lines of text
   */
  static String of(Report report) {
    return new Table(report).write();
  }

  private String write() {
    list("machine", report.machine());
    list("versions", report.versions());
    list("settings", report.settings());
    bounds();
    line("Medians, and in brackets their ratio to " + Variant.BASE + ":");
    line("");
    cells((row, measure) -> median(row, measure));
    line("");
    line("Quartiles:");
    line("");
    cells((row, measure) -> quartiles(row, measure));
    return text.toString();
  }

  private void list(String title, Map<String, ?> values) {
    List<String> parts = new ArrayList<>();
    values.forEach((name, value) -> parts.add(name + " " + value));
    line(title + ": " + String.join(", ", parts));
  }

  private void bounds() {
    if (!report.bounds().isEmpty()) {
      line("");
      line("What the machine can do (median, and the best):");
      report
          .bounds()
          .forEach(
              (name, spread) ->
                  line(
                      String.format(
                          Locale.ROOT,
                          "  %-22s %s, %s",
                          name,
                          number(spread.median()),
                          number(spread.max()))));
    }
    line("");
  }

  private void cells(BiFunction<Report.Row, Measure, String> cell) {
    List<List<String>> lines = new ArrayList<>();
    List<String> head = new ArrayList<>(List.of("network", "variant"));
    List<Measure> measured =
        Arrays.stream(Measure.values())
            .filter(
                measure ->
                    report.rows().stream().anyMatch(row -> row.measures().containsKey(measure.key)))
            .toList();
    measured.forEach(measure -> head.add(measure.title));
    lines.add(head);
    for (Report.Row row : report.rows()) {
      List<String> cells = new ArrayList<>(List.of(row.preset(), row.variant()));
      for (Measure measure : measured) {
        cells.add(cell.apply(row, measure));
      }
      lines.add(cells);
    }
    markdown(lines);
  }

  private void markdown(List<List<String>> lines) {
    int columns = lines.get(0).size();
    int[] widths = new int[columns];
    for (List<String> cells : lines) {
      for (int i = 0; i < columns; i++) {
        widths[i] = Math.max(widths[i], cells.get(i).length());
      }
    }
    for (int k = 0; k < lines.size(); k++) {
      StringBuilder line = new StringBuilder("|");
      StringBuilder rule = new StringBuilder("|");
      for (int i = 0; i < columns; i++) {
        boolean number = i > 1;
        String format = " %" + (number ? "" : "-") + widths[i] + "s |";
        line.append(String.format(Locale.ROOT, format, lines.get(k).get(i)));
        rule.append("-".repeat(widths[i] + 1)).append(number ? ":|" : "-|");
      }
      line(line.toString());
      if (k == 0) {
        line(rule.toString());
      }
    }
  }

  private String median(Report.Row row, Measure measure) {
    double median = row.median(measure);
    if (Double.isNaN(median)) {
      return NOTHING;
    }
    double base =
        report.rows().stream()
            .filter(other -> other.preset().equals(row.preset()))
            .filter(other -> other.variant().equals(Variant.BASE.toString()))
            .mapToDouble(other -> other.median(measure))
            .findFirst()
            .orElse(Double.NaN);
    return Double.isNaN(base)
        ? number(median)
        : number(median) + String.format(Locale.ROOT, " (%.2f)", median / base);
  }

  private static String quartiles(Report.Row row, Measure measure) {
    Spread spread = row.measures().get(measure.key);
    if (spread == null) {
      return NOTHING;
    }
    return spread.count() == 1
        ? number(spread.median())
        : number(spread.lower()) + ".." + number(spread.upper());
  }

  /** Three digits or more. */
  private static String number(double value) {
    double size = Math.abs(value);
    String format = size < TEN ? "%.2f" : size < HUNDRED ? "%.1f" : "%.0f";
    return String.format(Locale.ROOT, format, value);
  }

  private void line(String line) {
    text.append(line).append(System.lineSeparator());
  }
}
