package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.Judge.Verdict;
import io.github.ddpm4j.evaluation.SamplerComparison.Row;
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

  /** One row for each sampler, with the verdicts of all its rows. */
  static List<Row> together(List<Row> rows) {
    return rows.stream()
        .map(row -> row.sampler().toString())
        .distinct()
        .map(text -> rows.stream().filter(row -> row.sampler().toString().equals(text)).toList())
        .map(
            same -> {
              var verdicts = same.stream().flatMap(row -> row.verdicts().stream()).toList();
              Row first = same.get(0);
              return new Row(first.sampler(), first.calls(), verdicts, List.of(), "");
            })
        .toList();
  }

  /** Cells of a table: means ± standard deviations of four figures over seeds. */
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
    double deviation = Math.sqrt(squares / Math.max(1, seeds.size() - 1));
    return String.format(Locale.ROOT, form + " ± " + form + " | ", mean, deviation);
  }
}
