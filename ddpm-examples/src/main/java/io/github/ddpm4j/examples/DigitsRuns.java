package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.Judge.Verdict;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/** What comparisons on the digits share: the quickstart's network, a rate, a judge, and means. */
final class DigitsRuns {

  private DigitsRuns() {}

  /** The quickstart's network, which has 32 channels, without dropout. */
  static UNetBuilder network(int channels) {
    var network = UNet.builder().image(1, 8, 8).baseChannels(channels).channelMultipliers(1, 2);
    return network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0);
  }

  /** A learning rate that falls to a fiftieth over the last three tenths of the steps. */
  static Tracker falling(double rate, int steps) {
    return s -> (float) (rate * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
  }

  /** A judge by held-out digits, which knows those that were trained on. */
  static Judge judge(NDManager manager, int images) {
    Digits digits = Digits.load();
    var real = digits.heldOut().slice(0, images).toArray(manager);
    return Judge.of(real, digits.training().toArray(manager), digits.training().labels());
  }

  /** What a sampler, after its number of calls, has drawn with a seed. */
  record Drawn(String sampler, Verdict verdict, double millis) {}

  /** A table of real digits and a row for each sampler: means over its seeds, median of times. */
  static String table(Verdict real, List<Drawn> drawn) {
    var table = new StringBuilder("| calls | sampler | MMD, share of noise's | like real |");
    table.append(" precision | recall | ms a picture |\n|--:|---|--:|--:|--:|--:|--:|\n");
    table.append("| - | real images | ").append(cells(List.of(real))).append("- |\n");
    for (String sampler : drawn.stream().map(Drawn::sampler).distinct().toList()) {
      List<Drawn> same = drawn.stream().filter(row -> row.sampler().equals(sampler)).toList();
      double[] times = same.stream().mapToDouble(Drawn::millis).sorted().toArray();
      String cells = cells(same.stream().map(Drawn::verdict).toList());
      double median = times[times.length / 2];
      table.append(String.format(Locale.ROOT, "| %s | %s%.1f |\n", sampler, cells, median));
    }
    return table.toString();
  }

  /** Cells of a table: means ± standard deviations of four figures over seeds, if several. */
  static String cells(List<Verdict> seeds) {
    return over(seeds, "%.4f", Verdict::mmd)
        + over(seeds, "%.3f", Verdict::likeReal)
        + over(seeds, "%.3f", Verdict::precision)
        + over(seeds, "%.3f", Verdict::recall);
  }

  private static String over(List<Verdict> seeds, String form, ToDoubleFunction<Verdict> figure) {
    double mean = seeds.stream().mapToDouble(figure).average().orElseThrow();
    double squares =
        seeds.stream().mapToDouble(figure).map(value -> (value - mean) * (value - mean)).sum();
    if (seeds.size() == 1) {
      return String.format(Locale.ROOT, form + " | ", mean);
    }
    double deviation = Math.sqrt(squares / (seeds.size() - 1));
    return String.format(Locale.ROOT, form + " ± " + form + " | ", mean, deviation);
  }
}
