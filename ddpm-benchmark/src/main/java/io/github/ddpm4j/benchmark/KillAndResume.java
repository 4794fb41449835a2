package io.github.ddpm4j.benchmark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Trains each kind of model twice: in one go, and in processes that are killed by SIGKILL, half of
 * them while they write a checkpoint and half at random. The name of a checkpoint holds the digest
 * of its bytes: weights, averages, moments, losses, norms and rates. Both runs end in the same.
 */
@Command(
    name = "kill-and-resume",
    description = "Kills training runs, resumes them and compares what they end in.")
public final class KillAndResume implements Callable<Integer> {

  /** The exit code if a run that was killed ends in other bits. */
  static final int DIFFERENT = 3;

  private static final int SIDE = 8;
  private static final int IMAGES = 50;
  private static final int EVERY = 5;

  /** The seed of held-out images, none of which is bright on the whole. */
  private static final long HELD_OUT = 24;

  private static final long PATIENCE_SECONDS = 120;

  /** What is trained. */
  enum Kind {
    PLAIN,
    ACCUMULATED,
    CONDITIONAL,
    SELF_CONDITIONED,
    IMPORTANCE_SAMPLED,
    EDM,
    /** Steps with a certain image are not finite and are skipped; held-out images are measured. */
    GUARDED;

    private UNetBuilder network() {
      UNetBuilder builder =
          UNet.builder()
              .image(1, SIDE, SIDE)
              .baseChannels(16)
              .groups(4)
              .channelMultipliers(1, 2)
              .residualBlocks(1)
              .attentionAtLevels(1)
              .dropout(0.1)
              .seed(1);
      return switch (this) {
        case CONDITIONAL -> builder.classes(2);
        case SELF_CONDITIONED -> builder.selfConditioning();
        default -> builder;
      };
    }

    private Training training(UNet network) {
      DDPM.Builder builder = DDPM.builder().timesteps(20).denoiser(network);
      Training training =
          (this == EDM ? builder.prediction(Prediction.edm(0.5)) : builder).build().training();
      training.batchSize(8).seed(1).ema(0.99).warmup(20);
      return switch (this) {
        case ACCUMULATED -> training.accumulation(3);
        case CONDITIONAL -> training.conditionDropout(0.2);
        case IMPORTANCE_SAMPLED ->
            training.timestepSampler(TimestepSampler.lossSecondMoment(3, 0.01));
        case GUARDED -> training.loss(new SpoiltLoss()).guard(Guard.skip());
        case EDM -> training.timestepSampler(TimestepSampler.logNormal(-1.2, 1.2));
        default -> training;
      };
    }

    private ArrayDataset data(NDManager manager, long seed) {
      Random random = new Random(seed);
      float[] values = new float[IMAGES * SIDE * SIDE];
      for (int i = 0; i < values.length; i++) {
        values[i] = 2 * random.nextFloat() - 1;
      }
      NDArray images = manager.create(values, new Shape(IMAGES, 1, SIDE, SIDE));
      ArrayDataset.Builder builder =
          new ArrayDataset.Builder().setData(images).setSampling(1, false);
      if (this == CONDITIONAL) {
        float[] labels = new float[IMAGES];
        for (int i = 0; i < IMAGES; i++) {
          labels[i] = i % 2;
        }
        builder.optLabels(manager.create(labels));
      }
      return builder.build();
    }
  }

  /** The square error, but NaN with its gradients for images that are bright on the whole. */
  private static final class SpoiltLoss implements Loss {

    private static final double BRIGHT = 0.125;

    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      return ops.meanPerImage(ops.square(ops.subtract(output, target)));
    }

    @Override
    public <T> T perImage(Ops<T> ops, Input<T> input) {
      // e^∞ · 0 where the mean is greater, and 0 elsewhere.
      T above = ops.shift(ops.meanPerImage(input.x0()), -BRIGHT);
      T spoilt = ops.scale(ops.exp(ops.scale(above, 1e6)), 0);
      return ops.multiply(perImage(ops, input.output(), input.target()), ops.shift(spoilt, 1));
    }

    @Override
    public String toString() {
      return "spoilt";
    }
  }

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--kinds",
      paramLabel = "NAME",
      split = ",",
      description = "What to train: ${COMPLETION-CANDIDATES} (default: all).")
  private List<Kind> kinds = Arrays.asList(Kind.values());

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Steps of a run (default: ${DEFAULT-VALUE}).")
  private int steps = 500;

  @Option(
      names = "--kills",
      paramLabel = "N",
      description = "How often a run is killed (default: ${DEFAULT-VALUE}).")
  private int kills = 20;

  /** Trains in this process, and writes checkpoints here. */
  @Option(names = "--child", hidden = true)
  private @Nullable Path child;

  KillAndResume() {}

  /**
   * Runs the comparison.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Cli.exitWith(Cli.run(new KillAndResume(), args));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Cli.atLeast("--steps", 1, steps);
    Cli.atLeast("--kills", 0, kills);
    if (child != null) {
      train(kinds.get(0), steps, child);
      return 0;
    }
    PrintWriter out = spec.commandLine().getOut();
    Path folder = Files.createTempDirectory("kill-and-resume");
    Children children = new Children(KillAndResume.class, List.of("-Xmx512m"));
    boolean same = true;
    for (Kind kind : kinds) {
      Path whole = folder.resolve(kind + "-whole");
      finish(children.start(arguments(kind, whole)));
      Path killed = folder.resolve(kind + "-killed");
      int count = kill(children, kind, killed);
      finish(children.start(arguments(kind, killed)));
      String one = last(whole);
      String other = last(killed);
      same &= one.equals(other);
      out.printf(
          Locale.ROOT,
          "%-18s in one go %s, killed %d times %s%s%n",
          kind,
          one,
          count,
          other,
          one.equals(other) ? "" : ": DIFFERENT");
      out.flush();
    }
    return same ? 0 : DIFFERENT;
  }

  private List<String> arguments(Kind kind, Path folder) {
    return List.of("--kinds", kind.name(), "--steps", "" + steps, "--child", folder.toString());
  }

  private static void train(Kind kind, int steps, Path folder) {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    try (NDManager manager = NDManager.newBaseManager();
        UNet network = kind.network().build()) {
      Training training = kind.training(network);
      if (kind == Kind.GUARDED) {
        training.validation(
            Validation.of(kind.data(manager, HELD_OUT)).images(20).every(EVERY + 2).keepBest());
      }
      training
          .steps(steps)
          .checkpoints(Checkpoints.in(folder).everySteps(EVERY))
          .resume()
          .fit(kind.data(manager, 1))
          .close();
    }
  }

  /** Kills a run again and again, each time after it has got a little further. */
  private int kill(Children children, Kind kind, Path folder)
      throws IOException, InterruptedException {
    Random random = new Random(1);
    int count = 0;
    while (count < kills && last(folder).compareTo(name(steps)) < 0) {
      Process process = children.start(arguments(kind, folder));
      String before = last(folder);
      while (process.isAlive() && last(folder).equals(before)) {
        TimeUnit.MILLISECONDS.sleep(1);
      }
      if (count % 2 == 0) {
        while (process.isAlive() && names(folder, ".step-").isEmpty()) {
          Thread.onSpinWait();
        }
      } else {
        process.waitFor(random.nextInt(200), TimeUnit.MILLISECONDS);
      }
      if (process.isAlive()) {
        count++;
      }
      process.destroyForcibly().waitFor();
    }
    return count;
  }

  private static void finish(Process process) throws IOException, InterruptedException {
    if (!process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("a run did not end within " + PATIENCE_SECONDS + " s");
    }
    if (process.exitValue() != 0) {
      throw new IOException("a run failed; what it said is above");
    }
  }

  /** The name of the newest checkpoint, without its suffix; empty if there is none. */
  private static String last(Path folder) throws IOException {
    List<String> names = names(folder, "step-");
    return names.isEmpty() ? "" : names.get(names.size() - 1).replace(".safetensors", "");
  }

  private static String name(int step) {
    return String.format(Locale.ROOT, "step-%010d", step);
  }

  private static List<String> names(Path folder, String start) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(file -> String.valueOf(file.getFileName()))
          .filter(name -> name.startsWith(start))
          .sorted()
          .toList();
    }
  }
}
