package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.SamplerComparison;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Which sampler for how many network calls: draws the same images of a trained model with each,
 * judges them against images that it has not seen, and prints the table of docs/samplers.md.
 */
public final class CompareSamplers {

  private static final int[] CALLS = {10, 15, 20, 50};
  private static final int LONG_CHAIN = 200;
  private static final int IMAGES = 500;
  private static final int SEEDS = 3;

  private CompareSamplers() {}

  private static Stream<Sampler> samplers(int calls) {
    return Samplers.usual().stream().map(text -> Samplers.parse(text, calls));
  }

  /**
   * Runs the comparison.
   *
   * @param args the folder of a model, or nothing for the quickstart's; and the folder of the IDX
   *     files that it is judged by, or nothing for the bundled digits
   * @throws IOException if there is no model or data
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    Digits digits = Digits.load();
    LabeledImages heldOut = args.length > 1 ? IdxFiles.test(Path.of(args[1])) : digits.heldOut();
    LabeledImages known = args.length > 1 ? IdxFiles.training(Path.of(args[1])) : digits.training();
    LabeledImages some = known.slice(0, Math.min(known.size(), IMAGES + 2000));
    System.out.println(run(model, heldOut.slice(0, IMAGES), some, LONG_CHAIN, SEEDS, CALLS));
  }

  static SamplerComparison run(
      Path model, LabeledImages real, LabeledImages known, int longChain, int seeds, int... calls)
      throws IOException {
    List<Sampler> samplers = IntStream.of(calls).boxed().flatMap(n -> samplers(n)).toList();
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Judge judge = Judge.of(real.toArray(manager), known.toArray(manager), known.labels());
      var planner = ddpm.samplerPlanner().longChain(Samplers.ddim(longChain)).seed(1);
      return planner.compare(judge, samplers, seeds, System.err::println);
    }
  }
}
