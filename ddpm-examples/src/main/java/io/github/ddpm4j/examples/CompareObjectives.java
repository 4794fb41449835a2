package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.util.List;

/**
 * Trains the quickstart's network by several objectives, all else alike: how good the digits are
 * that it draws, and how many bits held-out ones take. The first four are those of table 2 of Ho et
 * al. 2020: L_simple and the bound, the larger variance and the smaller.
 */
public final class CompareObjectives {
  private static final List<String> ALL =
      List.of("simple", "simple-small", "bound", "bound-small", "min-SNR-5", "hybrid", "EDM");

  private CompareObjectives() {}

  /**
   * Runs the comparison.
   *
   * @param args the objectives, or nothing for all
   */
  public static void main(String[] args) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    List<String> chosen = args.length > 0 ? List.of(args) : ALL;
    if (!ALL.containsAll(chosen)) {
      throw new IllegalArgumentException("objectives must be of " + ALL + ", but were " + chosen);
    }
    chosen.forEach(objective -> System.out.println(run(objective, 600, 50, 500)));
  }

  static String run(String objective, int steps, int calls, int images) {
    var digits = Digits.load();
    var network = UNet.builder().image(1, 8, 8).baseChannels(32).channelMultipliers(1, 2);
    network.residualBlocks(1).attentionAtLevels(1).groups(8).dropout(0).seed(1);
    boolean hybrid = objective.equals("hybrid");
    Tracker rate = s -> (float) (2e-3 * Math.max(0.02, Math.min(1, (steps - s) / (0.3 * steps))));
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = (hybrid ? network.learnedVariance() : network).build()) {
      NDArray known = digits.training().toArray(manager);
      NDArray real = digits.heldOut().toArray(manager);
      DDPM.Builder model = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(unet);
      Variance fixed = objective.endsWith("small") ? Variance.FIXED_SMALL : Variance.FIXED_LARGE;
      model.variance(hybrid ? Variance.LEARNED_RANGE : fixed);
      double deviation = known.sub(known.mean()).square().mean().sqrt().getFloat();
      model.prediction(objective.equals("EDM") ? Prediction.edm(deviation) : Prediction.EPSILON);
      var training = model.build().training().batchSize(64).steps(steps).learningRate(rate);
      training.warmup(50).ema(0.99).seed(1);
      switch (objective) {
        case "min-SNR-5" -> training.weighting(Weighting.minSnr(5));
        case "hybrid" -> training.loss(Losses.hybrid());
        case "bound", "bound-small" -> training.loss(Losses.vlb());
        case "EDM" -> training.timestepSampler(TimestepSampler.logNormal(-1.2, 1.2));
        default -> {}
      }
      var sampler = Samplers.ddim(calls).eta(0.5);
      try (TrainedModel run = training.fit(digits.training().toDataset(manager, 64));
          var drawn = run.ddpm().sampling().sampler(sampler).seed(1).generate(Digits.HELD_OUT)) {
        Judge judge = Judge.of(real, known, digits.training().labels());
        var bits = run.ddpm().bitsPerDim().levels(17).timesteps(calls).images(images).seed(1);
        String table = judge.judge(drawn.toNDArray(manager)).table(judge.realAgainstReal());
        return objective + "\n" + table + bits.of(real);
      }
    }
  }
}
