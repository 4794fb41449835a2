package io.github.ddpm4j.examples.comparison;

import io.github.ddpm4j.examples.judge.Judgement;
import java.util.ArrayList;
import java.util.List;

/** A comparison as a table in Markdown. */
public final class ComparisonTable {

  private static final List<String> HEAD =
      List.of(
          "calls",
          "sampler",
          "MMD, share of noise's",
          "like real",
          "precision",
          "recall",
          "RMSE to the long chain");

  private ComparisonTable() {}

  /**
   * Writes a comparison down.
   *
   * @param real the judgement of real images against real ones
   * @param rows what samplers gave
   * @return lines of text: mean ± standard deviation over the seeds
   */
  public static String of(Judgement real, List<Row> rows) {
    List<List<String>> lines = new ArrayList<>();
    lines.add(HEAD);
    List<String> first =
        new ArrayList<>(new Row("real images", 0, List.of(real), List.of()).cells());
    first.set(0, "-");
    lines.add(first);
    rows.forEach(row -> lines.add(row.cells()));
    int[] widths = new int[HEAD.size()];
    lines.forEach(
        cells -> {
          for (int i = 0; i < widths.length; i++) {
            widths[i] = Math.max(widths[i], cells.get(i).length());
          }
        });
    StringBuilder table = new StringBuilder();
    for (List<String> cells : lines) {
      StringBuilder line = new StringBuilder("|");
      StringBuilder rule = new StringBuilder("|");
      for (int i = 0; i < widths.length; i++) {
        boolean number = i != 1;
        String format = " %" + (number ? "" : "-") + widths[i] + "s |";
        line.append(format.formatted(cells.get(i)));
        rule.append("-".repeat(widths[i] + 1)).append(number ? ":|" : "-|");
      }
      table.append(line).append('\n');
      if (cells == HEAD) {
        table.append(rule).append('\n');
      }
    }
    return table.toString();
  }
}
