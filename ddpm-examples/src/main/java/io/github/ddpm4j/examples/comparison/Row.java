package io.github.ddpm4j.examples.comparison;

import io.github.ddpm4j.examples.judge.Judgement;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/**
 * What a sampler gave.
 *
 * @param sampler its name
 * @param calls the network calls that it made for an image
 * @param judgements one per seed
 * @param toLongChain the root mean square difference to the long chain, one per seed; none for
 *     samplers that add noise, and for the long chain itself
 */
public record Row(String sampler, int calls, List<Judgement> judgements, List<Double> toLongChain) {

  /** Copies the lists. */
  public Row {
    judgements = List.copyOf(judgements);
    toLongChain = List.copyOf(toLongChain);
  }

  /** A figure of the judge over the seeds. */
  MeanAndSpread of(ToDoubleFunction<Judgement> figure) {
    return MeanAndSpread.of(judgements.stream().mapToDouble(figure).toArray());
  }

  List<String> cells() {
    return List.of(
        Integer.toString(calls),
        sampler,
        of(Judgement::mmd).format("%.4f"),
        of(Judgement::digitLike).format("%.3f"),
        of(Judgement::precision).format("%.3f"),
        of(Judgement::recall).format("%.3f"),
        toLongChain.isEmpty()
            ? "-"
            : String.format(
                Locale.ROOT,
                "%.4f",
                toLongChain.stream().mapToDouble(Double::doubleValue).average().orElseThrow()));
  }

  @Override
  public String toString() {
    return String.join("  ", cells());
  }
}
