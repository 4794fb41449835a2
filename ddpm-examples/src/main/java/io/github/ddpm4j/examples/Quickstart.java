package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.examples.judge.Judge;
import io.github.ddpm4j.examples.judge.Judgement;
import io.github.ddpm4j.examples.report.LossPlot;
import io.github.ddpm4j.examples.report.ReportPage;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.Training;
import io.github.ddpm4j.training.TrainingListener;
import io.github.ddpm4j.unet.Precision;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * The main job: trains a small U-Net on the bundled digits, draws new ones, judges them against
 * digits that it has not seen, and writes pictures, a page and the model.
 */
@Command(
    name = "Quickstart",
    description = {
      "Trains on the bundled 8x8 digits, draws new ones and judges them.",
      "Exit code 0: the digits pass; 3: a figure falls short; 2: something to put right."
    },
    sortOptions = false)
public final class Quickstart implements Callable<Integer> {

  private static final int TIMESTEPS = 1000;

  /** How many digits are drawn and judged. */
  private static final int DRAWN = 500;

  /** The share of the run after which the learning rate falls, and where it ends. */
  private static final double CONSTANT_SHARE = 0.7;

  private static final double LAST_RATE_SHARE = 0.02;

  /**
   * Threads of libtorch: images of 8x8 pixels are so little work that several threads mostly wait
   * for each other.
   */
  static final String THREADS = "1";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Training steps (default: ${DEFAULT-VALUE}).")
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
      names = "--precision",
      paramLabel = "PRECISION",
      description =
          "What the network computes in: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Precision precision = Precision.FLOAT32;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of weights, training and sampling (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where pictures, page and model go (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("quickstart");

  /**
   * Runs the quickstart.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", THREADS);
    Mains.exitWith(Mains.run(new Quickstart(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.within("--calls", 1, TIMESTEPS, calls);
    Files.createDirectories(output);
    PrintWriter out = spec.commandLine().getOut();
    Judgement judgement = run(out);
    out.flush();
    return judgement.passes() ? 0 : Mains.RESULT_FALLS_SHORT;
  }

  /** A network that is large enough for digits of 8x8 pixels. */
  static UNet.Builder network() {
    return UNet.builder()
        .image(1, Digits.SIDE, Digits.SIDE)
        .baseChannels(32)
        .channelMultipliers(1, 2)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .groups(8)
        .dropout(0);
  }

  private Judgement run(PrintWriter out) throws IOException {
    long start = System.nanoTime();
    Digits digits = Digits.load();
    Sampler sampler = Samplers.ddim(calls).eta(0.5);
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = network().seed(seed).precision(precision).build()) {
      out.printf(
          Locale.ROOT,
          "Training a U-Net of %,d parameters on %,d hand-written %dx%d digits.%n",
          unet.config().parameterCount(),
          digits.training().size(),
          Digits.SIDE,
          Digits.SIDE);
      if (precision != Precision.FLOAT32) {
        out.printf("It computes in %s.%n", unet.precision());
      }
      out.flush();

      // 1. train
      // The cosine schedule leaves more steps for small images than the paper's linear one.
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(TIMESTEPS)).denoiser(unet).build();
      try (TrainingResult result =
          training(ddpm, steps, batchSize, seed)
              .fit(digits.training().toDataset(manager, batchSize))) {
        double trained = secondsSince(start);

        // 2. draw
        out.printf("Drawing %d digits, %d network calls each.%n", DRAWN, calls);
        out.flush();
        DDPM averaged = result.ddpm();
        QuickstartPictures pictures =
            new QuickstartPictures(averaged, digits.heldOut(), seed, output);
        Judge judge = Judge.of(digits);
        Judgement judgement;
        try (Samples samples = averaged.sampling().sampler(sampler).seed(seed).generate(DRAWN)) {
          NDArray drawn = samples.toNDArray(manager);
          pictures.samples(drawn);
          pictures.real(manager);
          // 3. judge
          judgement = judge.judge(drawn);
        }
        Judgement real = judge.realAgainstReal();
        out.printf(
            "%n%d generated digits against %d held-out ones, beside real digits against them:%n%n",
            DRAWN, Digits.HELD_OUT);
        out.print(judgement.table(real));

        // 4. keep
        pictures.denoising(manager);
        pictures.forward(manager);
        pictures.interpolation(manager);
        LossPlot.save(result.losses().toArray(), output.resolve("loss.png"));
        averaged.save(output.resolve("model"));
        page(judgement, real, settings(unet, averaged, sampler, trained));
        out.println();
        for (String file :
            new String[] {
              "index.html",
              "samples.png",
              "real.png",
              "denoising.png",
              "forward.png",
              "interpolation.png",
              "loss.png",
              "model"
            }) {
          out.println(output.resolve(file).toAbsolutePath().normalize());
        }
        if (!judgement.passes()) {
          out.println();
          judgement.failures().forEach(failure -> out.println("Falls short: " + failure));
        }
        return judgement;
      }
    }
  }

  /** How small networks for digits are trained. */
  static Training<TrainingResult> training(DDPM ddpm, int steps, int batchSize, long seed) {
    return ddpm.training()
        .batchSize(batchSize)
        .steps(steps)
        .learningRate(fallingRate(2e-3, steps))
        .warmup(50)
        .ema(0.99)
        .seed(seed)
        .listener(TrainingListener.progressBar());
  }

  /** Constant for most of the run, then linearly down. */
  private static Tracker fallingRate(double rate, int steps) {
    return done -> {
      double left = (1 - (double) done / steps) / (1 - CONSTANT_SHARE);
      return (float) (rate * Math.max(LAST_RATE_SHARE, Math.min(1, left)));
    };
  }

  private Map<String, Object> settings(UNet unet, DDPM ddpm, Sampler sampler, double seconds) {
    Map<String, Object> settings = new LinkedHashMap<>();
    ddpm.schedule().describe().forEach((name, value) -> settings.put("schedule: " + name, value));
    settings.put("prediction", ddpm.prediction());
    settings.put("precision", unet.precision());
    unet.describe().forEach((name, value) -> settings.put("network: " + name, value));
    ddpm.provenance().forEach((name, value) -> settings.put("training: " + name, value));
    settings.put("training time", String.format(Locale.ROOT, "%.0f s", seconds));
    settings.put("sampler", sampler);
    return settings;
  }

  private void page(Judgement judgement, Judgement real, Map<String, Object> settings)
      throws IOException {
    new ReportPage(
            "ddpm4j quickstart",
            "A denoising diffusion model trained on 1,297 hand-written digits of 8x8 pixels.")
        .picture(
            "Generated digits",
            "64 digits drawn from pure noise; none of them was written by anybody.",
            output.resolve("samples.png"))
        .picture(
            "Real digits",
            "64 of the held-out digits, for comparison: at 8x8 pixels some are hard to read too.",
            output.resolve("real.png"))
        .judgement(
            "How good they are",
            DRAWN
                + " generated digits against 500 held-out ones, and as a yardstick real digits"
                + " against the same. MMD is a distance between the two sets, 0 for the same"
                + " distribution (a little below by chance) and 1 for noise; precision is the share"
                + " of generated digits among the real ones, recall the share of real ones among the"
                + " generated; the two-sample accuracy is how often a nearest neighbour tells real"
                + " from generated, 0.5 if it cannot; digit-like is the share as near to a real digit"
                + " as real ones are; copying compares the distance to the training digits with that"
                + " of held-out ones, 1 if alike and 0 for copies.",
            judgement,
            real)
        .picture(
            "Denoising",
            "For each digit: x_t on its way from noise to picture, and under it what the network"
                + " takes the picture to be at that point, the estimate of x_0. The first estimates,"
                + " from pure noise, are clipped to black and white and mean little.",
            output.resolve("denoising.png"))
        .picture(
            "The forward process",
            "Real digits being noised, from the clean one on the left to all "
                + TIMESTEPS
                + " steps on the right.",
            output.resolve("forward.png"))
        .picture(
            "Interpolation",
            "Between two real digits (the outer columns): both are noised to a depth, mixed and"
                + " denoised. The depths, from the top row: 100, 250, 500 and 750 of the 1,000"
                + " noising steps.",
            output.resolve("interpolation.png"))
        .plot("Loss", "The loss of every training step.", output.resolve("loss.png"))
        .table("Settings", settings)
        .save(output.resolve("index.html"));
  }

  private static double secondsSince(long start) {
    return (System.nanoTime() - start) / 1e9;
  }
}
