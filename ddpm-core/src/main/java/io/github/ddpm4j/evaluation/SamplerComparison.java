package io.github.ddpm4j.evaluation;

import io.github.ddpm4j.sampling.Sampler;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/**
 * A comparison of samplers on one model with the same noise, from {@link SamplerPlanner#compare}.
 *
 * @param real the verdict on real images
 * @param rows the long chain, then one row per sampler in the given order
 */
public record SamplerComparison(Judge.Verdict real, List<Row> rows) {

  private static final List<String> HEAD =
      List.of(
          "calls",
          "sampler",
          "MMD, share of noise's",
          "like real",
          "precision",
          "recall",
          "RMSE to the long chain");

  /** Means from here on are written with an exponent. */
  private static final double LARGE = 1000;

  /**
   * The result of one sampler.
   *
   * @param sampler the sampler
   * @param calls the network calls per image, 0 if it was refused
   * @param verdicts one per seed
   * @param errors the root mean squared difference per pixel from the images of the long chain, one
   *     per seed; none for samplers with fresh noise and for the long chain itself
   * @param refusal the reason why it was not run, empty if it was
   */
  public record Row(
      Sampler sampler,
      int calls,
      List<Judge.Verdict> verdicts,
      List<Double> errors,
      String refusal) {

    /**
     * Copies the lists.
     *
     * @param sampler see the record
     * @param calls see the record
     * @param verdicts see the record
     * @param errors see the record
     * @param refusal see the record
     */
    public Row {
      verdicts = List.copyOf(verdicts);
      errors = List.copyOf(errors);
    }

    /** The metrics on one line, or the reason why there are none. */
    @Override
    public String toString() {
      return refusal.isEmpty() ? String.join("  ", cells()) : sampler + " left out: " + refusal;
    }

    private List<String> cells() {
      return SamplerComparison.cells(Integer.toString(calls), sampler.toString(), verdicts, errors);
    }
  }

  /**
   * Copies the list.
   *
   * @param real see the record
   * @param rows see the record
   */
  public SamplerComparison {
    rows = List.copyOf(rows);
  }

  /**
   * A Markdown table of mean ± standard deviation over the seeds, real images first, followed by
   * the samplers that were left out.
   */
  @Override
  public String toString() {
    List<List<String>> lines = new ArrayList<>();
    lines.add(HEAD);
    lines.add(cells("-", "real images", List.of(real), List.of()));
    StringBuilder refused = new StringBuilder();
    for (Row row : rows) {
      if (row.refusal().isEmpty()) {
        lines.add(row.cells());
      } else {
        refused.append('\n').append(row);
      }
    }
    return markdown(lines) + refused;
  }

  private static List<String> cells(
      String calls, String sampler, List<Judge.Verdict> verdicts, List<Double> errors) {
    return List.of(
        calls,
        sampler,
        over(verdicts, Judge.Verdict::mmd, "%.4f"),
        over(verdicts, Judge.Verdict::likeReal, "%.3f"),
        over(verdicts, Judge.Verdict::precision, "%.3f"),
        over(verdicts, Judge.Verdict::recall, "%.3f"),
        errors.isEmpty()
            ? "-"
            : String.format(
                Locale.ROOT,
                "%.4f",
                errors.stream().mapToDouble(Double::doubleValue).average().orElseThrow()));
  }

  private static String over(
      List<Judge.Verdict> verdicts, ToDoubleFunction<Judge.Verdict> figure, String format) {
    return meanAndSpread(format, verdicts.stream().mapToDouble(figure).toArray());
  }

  /** Mean ± standard deviation with n − 1; the mean alone of a single value. */
  static String meanAndSpread(String format, double... values) {
    double mean = Arrays.stream(values).average().orElseThrow();
    String fitting = Math.abs(mean) < LARGE ? format : "%.1e";
    String text = String.format(Locale.ROOT, fitting, mean);
    if (values.length == 1) {
      return text;
    }
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    double deviation = Math.sqrt(squares / (values.length - 1));
    return text + " ± " + String.format(Locale.ROOT, fitting, deviation);
  }

  private static String markdown(List<List<String>> lines) {
    int[] widths = new int[HEAD.size()];
    for (List<String> cells : lines) {
      for (int i = 0; i < widths.length; i++) {
        widths[i] = Math.max(widths[i], cells.get(i).length());
      }
    }
    StringBuilder table = new StringBuilder();
    for (int k = 0; k < lines.size(); k++) {
      StringBuilder line = new StringBuilder("|");
      StringBuilder rule = new StringBuilder("|");
      for (int i = 0; i < widths.length; i++) {
        boolean number = i != 1;
        String format = " %" + (number ? "" : "-") + widths[i] + "s |";
        line.append(String.format(Locale.ROOT, format, lines.get(k).get(i)));
        rule.append("-".repeat(widths[i] + 1)).append(number ? ":|" : "-|");
      }
      table.append(k == 0 ? "" : "\n").append(line);
      if (k == 0) {
        table.append('\n').append(rule);
      }
    }
    return table.toString();
  }
}
