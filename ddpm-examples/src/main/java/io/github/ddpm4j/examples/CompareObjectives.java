package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.examples.judge.Judge;
import io.github.ddpm4j.examples.judge.Judgement;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.NoiseSpacing;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.Training;
import io.github.ddpm4j.unet.UNet;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.UnaryOperator;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Trains the quickstart's network on the bundled digits by several objectives, with the same
 * weights to begin with, batches and steps, and prints what becomes of each: the judge's figures of
 * what it draws, and the bits per dimension of held-out digits.
 */
@Command(
    name = "CompareObjectives",
    description = {
      "Trains on the bundled 8x8 digits by several objectives and compares what they draw and the"
          + " bits per dimension of held-out digits.",
      "Exit code 2: something to put right."
    },
    sortOptions = false)
public final class CompareObjectives implements Callable<Integer> {

  private static final int TIMESTEPS = 1000;

  /** The digits have 17 shades. */
  private static final int LEVELS = 17;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--objective",
      paramLabel = "NAME",
      description = "One of ${COMPLETION-CANDIDATES}; may be given again (default: all).")
  private List<Objective> objectives = List.of(Objective.values());

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Training steps of each (default: ${DEFAULT-VALUE}).")
  private int steps = 600;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Digits per training step (default: ${DEFAULT-VALUE}).")
  private int batchSize = 64;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Network calls per drawn digit (default: ${DEFAULT-VALUE}).")
  private int calls = 50;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Held-out digits for the bits per dimension (default: ${DEFAULT-VALUE}).")
  private int images = 500;

  @Option(
      names = "--timesteps",
      paramLabel = "N",
      description = "Timesteps of each of them that are tried (default: ${DEFAULT-VALUE}).")
  private int timesteps = 50;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of weights, training, sampling and bits (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  /** What is compared. */
  enum Objective {
    SIMPLE("simple, ε"),
    MIN_SNR("min-SNR-5, ε"),
    HYBRID("hybrid, ε, learned range"),
    EDM("EDM, ln σ ~ N(−1.2, 1.2²)");

    private final String title;

    Objective(String title) {
      this.title = title;
    }

    /** What its likelihood is worked out with; it is trained with the first. */
    List<Variance> variances() {
      return this == HYBRID
          ? List.of(Variance.LEARNED_RANGE)
          : List.of(Variance.FIXED_LARGE, Variance.FIXED_SMALL);
    }

    UnaryOperator<Training<TrainingResult>> settings() {
      return switch (this) {
        case SIMPLE -> training -> training;
        case MIN_SNR -> training -> training.weighting(Weighting.minSnr(5));
        case HYBRID -> training -> training.loss(Losses.hybrid());
        case EDM -> training -> training.timestepSampler(TimestepSampler.logNormal(-1.2, 1.2));
      };
    }
  }

  /**
   * Runs the comparison.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", Quickstart.THREADS);
    Mains.exitWith(Mains.run(new CompareObjectives(), args));
  }

  @Override
  public Integer call() {
    Mains.within("--images", 2, Digits.HELD_OUT, images);
    Mains.within("--timesteps", 2, TIMESTEPS, timesteps);
    Mains.within("--calls", 2, TIMESTEPS, calls);
    PrintWriter out = spec.commandLine().getOut();
    Digits digits = Digits.load();
    Judge judge = Judge.of(digits);
    out.printf(
        Locale.ROOT,
        "%d steps of %d digits each, seed %d; %d digits drawn with %d network calls each; bits per"
            + " dimension of %d held-out digits at %d timesteps each.%n%n",
        steps,
        batchSize,
        seed,
        Digits.HELD_OUT,
        calls,
        images,
        timesteps);
    out.println(
        "| objective | sampler | MMD | precision | recall | two-sample accuracy | judge | variance |"
            + " bits per dimension |");
    out.println("|---|---|---|---|---|---|---|---|---|");
    out.flush();
    for (Objective objective : objectives) {
      compare(objective, digits, judge, out);
    }
    return 0;
  }

  private void compare(Objective objective, Digits digits, Judge judge, PrintWriter out) {
    UNet.Builder network = Quickstart.network().seed(seed);
    if (objective == Objective.HYBRID) {
      network = network.learnedVariance();
    }
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = network.build();
        TrainingResult result =
            objective
                .settings()
                .apply(
                    Quickstart.training(
                        ddpm(objective, objective.variances().get(0), unet, digits),
                        steps,
                        batchSize,
                        seed))
                .fit(digits.training().toDataset(manager, batchSize))) {
      Map<Sampler, Judgement> judgements = new LinkedHashMap<>();
      for (Sampler sampler : samplers(objective)) {
        try (Samples samples =
                result.ddpm().sampling().sampler(sampler).seed(seed).generate(Digits.HELD_OUT);
            NDArray drawn = samples.toNDArray(manager)) {
          judgements.put(sampler, judge.judge(drawn));
        }
      }
      Iterator<Map.Entry<Sampler, Judgement>> next = judgements.entrySet().iterator();
      Map.Entry<Sampler, Judgement> row = next.next();
      NDArray heldOut = digits.heldOut().toArray(manager).get("0:" + images);
      for (Variance variance : objective.variances()) {
        BitsPerDimResult bits =
            ddpm(objective, variance, result.ddpm().denoiser().orElseThrow(), digits)
                .bitsPerDim()
                .levels(LEVELS)
                .timesteps(timesteps)
                .seed(seed)
                .of(heldOut);
        out.printf(
            Locale.ROOT,
            "| %s | %s | %.4f | %.3f | %.3f | %.3f | %s | %s | %.3f ± %.3f |%n",
            objective.title,
            row.getKey(),
            row.getValue().mmd(),
            row.getValue().precision(),
            row.getValue().recall(),
            row.getValue().twoSampleAccuracy(),
            row.getValue().passes() ? "passes" : "falls short",
            variance,
            bits.total().value(),
            bits.total().standardError());
        out.flush();
        row = next.hasNext() ? next.next() : row;
      }
    }
  }

  private static DDPM ddpm(
      Objective objective, Variance variance, Denoiser network, Digits digits) {
    return DDPM.builder()
        .schedule(Schedules.cosine(TIMESTEPS))
        .prediction(
            objective == Objective.EDM ? Prediction.edm(deviation(digits)) : Prediction.EPSILON)
        .variance(variance)
        .denoiser(network)
        .build();
  }

  /** σ_data: the standard deviation of the pixels that are trained on. */
  private static double deviation(Digits digits) {
    try (NDManager manager = NDManager.newBaseManager();
        NDArray pixels = digits.training().toArray(manager)) {
      float[] values = pixels.toFloatArray();
      double[] all = new double[values.length];
      Arrays.setAll(all, i -> values[i]);
      double mean = Arrays.stream(all).average().orElseThrow();
      double variance =
          Arrays.stream(all).map(x -> (x - mean) * (x - mean)).average().orElseThrow();
      return Math.sqrt(variance);
    }
  }

  /**
   * The quickstart's for all, which is the first; EDM has its own besides, which calls the network
   * 2 n − 1 times in n steps.
   */
  private List<Sampler> samplers(Objective objective) {
    Sampler common = Samplers.ddim(calls).eta(0.5);
    return objective == Objective.EDM
        ? List.of(common, Samplers.edm((calls + 1) / 2).spacing(NoiseSpacing.karras()))
        : List.of(common);
  }
}
