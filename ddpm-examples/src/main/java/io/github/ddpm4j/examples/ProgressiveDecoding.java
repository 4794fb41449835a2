package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.BitsPerDimResult.Step;
import io.github.ddpm4j.examples.report.RateDistortionPlot;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.NoiseLevels;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.ops.EagerOps;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.process.ForwardProcess;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * The quickstart's model as a lossy code (Ho et al. 2020, section 4.3): how many bits digits take
 * that it has not seen, and what a receiver makes of them when only a part of the bits has come.
 */
@Command(
    name = "ProgressiveDecoding",
    description = {
      "Measures how many bits held-out digits take under the quickstart's model, and shows what can"
          + " be told of them from the first bits on.",
      "Exit code 2: something to put right."
    },
    sortOptions = false)
public final class ProgressiveDecoding implements Callable<Integer> {

  /** Digits in the picture, a row each. */
  private static final int ROWS = 8;

  /** Stages in the picture, a column each. */
  private static final int STAGES = 10;

  private static final int ENLARGE = 7;

  /** Pixels of the digits are 0 to 16. */
  private static final int LEVELS = 17;

  /** As of the quickstart: such small images are best served by one thread. */
  private static final String THREADS = "1";

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--quickstart",
      paramLabel = "FOLDER",
      description =
          "Where the quickstart has put its model; it is run first if there is none (default:"
              + " ${DEFAULT-VALUE}).")
  private Path quickstart = Mains.target("quickstart");

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Training steps of the quickstart if it is run (default: ${DEFAULT-VALUE}).")
  private int steps = 600;

  @Option(
      names = "--images",
      paramLabel = "N",
      description = "Held-out digits to measure (default: ${DEFAULT-VALUE}).")
  private int images = 100;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description =
          "Network calls per digit: at most the model's timesteps, less for a quick estimate"
              + " (default: ${DEFAULT-VALUE}).")
  private int calls = 1000;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of the noise (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where the pictures go (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("progressive-decoding");

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", THREADS);
    Mains.exitWith(Mains.run(new ProgressiveDecoding(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.within("--images", 1, Digits.HELD_OUT, images);
    Mains.atLeast("--calls", 1, calls);
    PrintWriter out = spec.commandLine().getOut();
    Path model = quickstart.resolve("model");
    if (Files.notExists(model)) {
      out.printf("There is no model at %s yet: running the quickstart.%n%n", model);
      int code =
          Mains.commandLine(new Quickstart())
              .setOut(out)
              .setErr(spec.commandLine().getErr())
              .execute("--steps", Integer.toString(steps), "-o", quickstart.toString());
      out.println();
      if (code != 0 && code != Mains.RESULT_FALLS_SHORT) {
        return code;
      }
    }
    Files.createDirectories(output);
    Digits digits = Digits.load();
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      Mains.within("--calls", 1, ddpm.schedule().timesteps(), calls);
      NDArray heldOut = digits.heldOut().toArray(manager);
      out.printf(
          "Measuring the bits of %d held-out digits, %d network calls each.%n%n", images, calls);
      out.flush();
      BitsPerDimResult bits =
          ddpm.bitsPerDim()
              .levels(LEVELS)
              .timesteps(calls)
              .images(images)
              .batchSize(100)
              .seed(seed)
              .of(heldOut);
      out.println(bits);
      out.printf(
          Locale.ROOT,
          "Levels lie %.1f of 255 apart: a digit is known down to its levels well before the last"
              + " steps, whose bits the bound counts all the same.%n",
          255.0 / (LEVELS - 1));
      out.printf(
          Locale.ROOT,
          "Without a model a pixel takes log2(%d) = %.2f bits, or %.2f if the levels are coded by how"
              + " frequent they are.%n%n",
          LEVELS,
          Math.log(LEVELS) / Math.log(2),
          frequencyBits(digits));
      List<Step> stages = stages(bits.steps());
      out.printf("%10s %16s %22s%n", "timestep", "rate, bits/dim", "distortion, of 255");
      for (Step stage : stages) {
        out.printf(
            Locale.ROOT,
            "%10d %16.3f %22.1f%n",
            stage.lastTimestep(),
            stage.rate(),
            stage.distortion());
      }
      Pictures.of(decode(ddpm, heldOut.get(new NDIndex("{}:{}", 0, ROWS)), stages))
          .columns(stages.size() + 1)
          .columnLabels(labels(stages))
          .enlarge(ENLARGE)
          .save(output.resolve("decoding.png"));
      RateDistortionPlot.save(bits.steps(), output.resolve("rate-distortion.png"));
    }
    out.println();
    for (String file : new String[] {"decoding.png", "rate-distortion.png"}) {
      out.println(output.resolve(file).toAbsolutePath().normalize());
    }
    out.flush();
    return 0;
  }

  /** Steps whose distortions are as evenly spread as may be, from pure noise to the last step. */
  private static List<Step> stages(List<Step> steps) {
    double worst = steps.get(0).distortion();
    double best = steps.get(steps.size() - 1).distortion();
    List<Step> stages = new ArrayList<>();
    for (int i = 0; i < STAGES; i++) {
      double wanted = worst + (best - worst) * i / (STAGES - 1);
      Step nearest = steps.get(0);
      for (Step step : steps) {
        if (Math.abs(step.distortion() - wanted) < Math.abs(nearest.distortion() - wanted)) {
          nearest = step;
        }
      }
      stages.add(nearest);
    }
    // distortion is measured, and may rise from one step to the next
    return stages.stream()
        .distinct()
        .sorted(Comparator.comparingInt(Step::lastTimestep).reversed())
        .toList();
  }

  private static String[] labels(List<Step> stages) {
    return Stream.concat(
            stages.stream().map(stage -> String.format(Locale.ROOT, "%.2f bits", stage.rate())),
            Stream.of("real"))
        .toArray(String[]::new);
  }

  /**
   * The digits as a receiver sees them (algorithms 3 and 4): x_T is drawn from q(x_T | x_0), each
   * x_{t−1} from q(x_{t−1} | x_t, x_0), and x̂_0 is what the network takes the digit to be.
   *
   * @return a row of each digit: its stages, and the digit
   */
  private NDArray decode(DDPM ddpm, NDArray x0, List<Step> stages) {
    ForwardProcess process = ddpm.forwardProcess();
    int last = ddpm.schedule().timesteps() - 1;
    int count = Math.toIntExact(x0.getShape().get(0));
    NoiseSource noise = NoiseSource.seeded(seed);
    NDList columns = new NDList();
    NDArray x = process.sample(x0, each(count, last), normal(x0, noise, last + 1));
    for (int t = last; t >= 0; t--) {
      int now = t;
      if (stages.stream().anyMatch(stage -> stage.lastTimestep() == now)) {
        columns.add(estimate(ddpm, x, each(count, t)));
      }
      NDArray mean = process.posteriorMean(x0, x, each(count, t));
      x.close();
      try (NDArray z = normal(x0, noise, t)) {
        x = mean.addi(z.muli(Math.sqrt(process.posteriorVariance(t))));
      }
    }
    columns.add(x0);
    NDArray all = NDArrays.stack(columns, 1);
    return all.reshape(new Shape(-1).addAll(x0.getShape().slice(1)));
  }

  private static NDArray normal(NDArray like, NoiseSource noise, long draw) {
    return Upload.normal(like.getManager(), noise, 0, draw, like.getShape(), DataType.FLOAT32);
  }

  static NDArray estimate(DDPM ddpm, NDArray x, int[] t) {
    Diffusion diffusion =
        new Diffusion(ddpm.schedule(), ddpm.prediction(), ddpm.variance(), ddpm.dataRange());
    Denoiser asked = diffusion.asked(ddpm.denoiser().orElseThrow());
    NDArray output = asked.predict(x, NoiseLevels.of(ddpm.schedule(), t), Condition.none());
    NDArray says = EagerOps.inference().firstChannels(output, Math.toIntExact(x.getShape().get(1)));
    return ddpm.prediction()
        .x0(ddpm.schedule(), t, x, says)
        .clip(ddpm.dataRange().min(), ddpm.dataRange().max());
  }

  private static int[] each(int count, int t) {
    int[] all = new int[count];
    Arrays.fill(all, t);
    return all;
  }

  /** Bits per pixel of the held-out digits in a code made for the levels of the training digits. */
  private static double frequencyBits(Digits digits) {
    long[] known = histogram(digits.training());
    long[] seen = histogram(digits.heldOut());
    double ofKnown = Arrays.stream(known).sum() + known.length;
    double ofSeen = Arrays.stream(seen).sum();
    double bits = 0;
    for (int level = 0; level < LEVELS; level++) {
      bits -= seen[level] / ofSeen * Math.log((known[level] + 1) / ofKnown) / Math.log(2);
    }
    return bits;
  }

  private static long[] histogram(LabeledImages images) {
    long[] counts = new long[LEVELS];
    for (int i = 0; i < images.size(); i++) {
      for (float pixel : images.pixels(i)) {
        counts[Math.round((pixel + 1) * (LEVELS - 1) / 2)]++;
      }
    }
    return counts;
  }
}
