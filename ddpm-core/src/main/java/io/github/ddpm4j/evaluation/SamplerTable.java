package io.github.ddpm4j.evaluation;

import io.github.ddpm4j.sampling.Sampler;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * What a {@link SamplerPlanner} measured.
 *
 * @param calls the budget of network calls
 * @param images the images drawn with each sampler
 * @param seed the seed of the noise that all started from
 * @param longChain the chain that errors are measured against
 * @param rows the candidates, the best first, those that were refused last
 * @param byDistance whether the best is the one nearest to real images, rather than to the long
 *     chain
 */
public record SamplerTable(
    int calls, int images, long seed, Row longChain, List<Row> rows, boolean byDistance) {

  /**
   * One sampler.
   *
   * @param sampler the sampler
   * @param calls its network calls, 0 if refused
   * @param error the root of the mean squared difference to the images of the long chain, per pixel
   *     and in the units of the data range; NaN for samplers with fresh noise and refused ones
   * @param distance the kernel distance to real images, NaN where none was measured
   * @param refusal why it was not tried, empty if it was
   */
  public record Row(Sampler sampler, int calls, double error, double distance, String refusal) {

    static Row refused(Sampler sampler, String reason) {
      return new Row(sampler, 0, Double.NaN, Double.NaN, reason);
    }

    /**
     * Whether the sampler was not tried.
     *
     * @return whether there is a reason
     */
    public boolean isRefused() {
      return !refusal.isEmpty();
    }
  }

  /**
   * Copies the list of rows.
   *
   * @param calls the budget of network calls
   * @param images the images drawn with each sampler
   * @param seed the seed of the noise
   * @param longChain the chain that errors are measured against
   * @param rows the candidates, the best first
   * @param byDistance whether the best is the one nearest to real images
   */
  public SamplerTable {
    rows = List.copyOf(rows);
  }

  static SamplerTable of(
      int calls, int images, long seed, Row longChain, List<Row> rows, boolean byDistance) {
    Comparator<Row> tried = Comparator.comparing(Row::isRefused);
    // NaN is greater than all numbers.
    List<Row> sorted =
        rows.stream()
            .sorted(tried.thenComparingDouble(byDistance ? Row::distance : Row::error))
            .toList();
    return new SamplerTable(calls, images, seed, longChain, sorted, byDistance);
  }

  /**
   * The sampler to take.
   *
   * @return the nearest to real images, or where none were given, to the long chain
   */
  public Sampler choice() {
    return rows.get(0).sampler();
  }

  /** The table as plain text, the choice on top. */
  @Override
  public String toString() {
    int width =
        Stream.concat(Stream.of(longChain), rows.stream())
            .mapToInt(row -> row.sampler().toString().length())
            .max()
            .orElse(0);
    StringBuilder text = new StringBuilder();
    text.append(
        "Samplers within %d network calls, %d images each from the noise of seed %d.\n"
            .formatted(calls, images, seed));
    text.append("Error: root mean square per pixel beside the long chain.");
    text.append(
        byDistance ? " Distance: kernel distance to real images, by which is chosen.\n" : "\n");
    text.append(line("", "sampler", width, "calls", "error", byDistance ? "distance" : ""));
    text.append(line(" ", longChain, width));
    for (int i = 0; i < rows.size(); i++) {
      text.append(line(i == 0 ? "*" : " ", rows.get(i), width));
    }
    return text.append("* ").append(choice()).toString();
  }

  private String line(String mark, Row row, int width) {
    return row.isRefused()
        ? line(mark, row.sampler().toString(), width, "–", row.refusal(), "")
        : line(
            mark,
            row.sampler().toString(),
            width,
            Integer.toString(row.calls()),
            number(row.error()),
            byDistance ? number(row.distance()) : "");
  }

  private static String line(
      String mark, String sampler, int width, String calls, String error, String distance) {
    return ("%-1s %-" + width + "s  %5s  %9s  %9s")
            .formatted(mark, sampler, calls, error, distance)
            .stripTrailing()
        + "\n";
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "–" : String.format(Locale.ROOT, "%.5f", value);
  }
}
