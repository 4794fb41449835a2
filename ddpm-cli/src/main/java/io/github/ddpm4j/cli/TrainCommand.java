package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Trains on a folder of pictures. */
@Command(
    name = "train",
    sortOptions = false,
    description = {
      "Trains on a folder of pictures, or of a folder of them for each class.",
      "OUT gets model, checkpoints and report.html. Ctrl-C ends the step that is being taken and"
          + " writes a checkpoint."
    },
    footer = {
      "",
      "  ddpm train photos -o photos-model --size 3x64x64 --steps 50000 --flips",
      "  ddpm train photos -o photos-model --size 3x64x64 --steps 50000 --flips --resume"
    })
final class TrainCommand implements Callable<Integer>, Interruptible {

  private static final double CONDITION_DROPOUT = 0.1;
  private static final int SHOWN = 16;

  /** Where a run that was ended says how far it came. */
  private static final Pattern STEP = Pattern.compile("after step \\d+ of \\d+");

  /** What the network learns. */
  private enum Target {
    EPSILON,
    VELOCITY,
    FLOW
  }

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(paramLabel = "FOLDER", description = "The pictures.")
  private Path folder = Path.of("");

  @Option(
      names = {"-o", "--output"},
      paramLabel = "OUT",
      required = true,
      description = "The folder for all that comes of it.")
  private Path output = Path.of("");

  @Option(
      names = "--resume",
      description = "Goes on from the newest checkpoint of OUT; --steps may differ.")
  private boolean resume;

  @Option(
      names = "--size",
      paramLabel = "CxHxW",
      converter = ImageSize.class,
      description = "Channels, height and width (default: 3x64x64).")
  private Shape size = new Shape(3, 64, 64);

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Training steps (default: ${DEFAULT-VALUE}).")
  private int steps = 50_000;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Pictures of a step (default: ${DEFAULT-VALUE}).")
  private int batch = 16;

  @Option(
      names = "--channels",
      paramLabel = "N",
      description = "Channels of the network's first level (default: ${DEFAULT-VALUE}).")
  private int channels = 64;

  @Option(
      names = "--multipliers",
      paramLabel = "N",
      split = ",",
      description = "Those of each level (default: 1,2,2,2).")
  private int[] multipliers = {1, 2, 2, 2};

  @Option(
      names = "--groups",
      paramLabel = "N",
      description = "Groups of the normalisation (default: ${DEFAULT-VALUE}).")
  private int groups = 8;

  @Option(
      names = "--prediction",
      paramLabel = "NAME",
      description =
          "epsilon, as the paper's, velocity, or flow for flow matching (default: epsilon).")
  private Target prediction = Target.EPSILON;

  @Option(
      names = "--rate",
      paramLabel = "RATE",
      description = "The learning rate (default: ${DEFAULT-VALUE}).")
  private double rate = 2e-4;

  @Option(
      names = "--ema",
      paramLabel = "DECAY",
      description = "That of the average of the weights (default: ${DEFAULT-VALUE}).")
  private double ema = 0.999;

  @Option(names = "--flips", description = "Mirrors half of the pictures.")
  private boolean flips;

  @Option(
      names = "--precision",
      paramLabel = "NAME",
      description = "auto, float32, bfloat16 or float16 (default: auto).")
  private UNet.Precision precision = UNet.Precision.AUTO;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(names = "--seed", paramLabel = "SEED", description = "That of the run (default: 0).")
  private long seed;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      description = "Between checkpoints (default: every 10 minutes).")
  private @Nullable Integer checkpointEvery;

  @Option(
      names = "--samples-every",
      paramLabel = "STEPS",
      description = "Between the pictures of the report (default: ${DEFAULT-VALUE}).")
  private int samplesEvery = 1000;

  @Override
  public Integer call() throws IOException {
    check();
    requireFreshOrResumed();
    DDPM.endStepsOnShutdown();
    PictureFolder data = data();
    List<String> classes = data.classNames();
    PrintWriter out = spec.commandLine().getOut();
    try (DDPM ddpm = model(classes)) {
      requireEnough(data);
      ddpm.requireSavable(output.resolve("model"));
      var training = ddpm.training().steps(steps).learningRate(rate);
      training.ema(ema).gradientClip(1).seed(seed).listener(TrainingProgress.bar());
      if (!classes.isEmpty()) {
        training.conditionDropout(CONDITION_DROPOUT);
      }
      Checkpoints kept = Checkpoints.in(checkpoints());
      training.checkpoints(checkpointEvery == null ? kept : kept.everySteps(checkpointEvery));
      if (resume) {
        training.resume(Checkpoints.Change.STEPS);
      }
      var report = TrainingReport.of(ddpm, output.resolve("report.html")).data(data);
      report.samples(
          samplesEvery, 4, SHOWN, sampling -> sampling.sampler(Samplers.dpmSolverPlusPlus(20)));
      training.listener(report);
      try (TrainedModel result = training.fit(data)) {
        result.ddpm().save(output.resolve("model"));
      }
    }
    data.brokenFiles().forEach(broken -> out.println(broken.file() + ": " + broken.reason()));
    out.println(output);
    out.flush();
    return 0;
  }

  @Override
  public String ended(CancellationException problem) {
    Matcher step = STEP.matcher(String.valueOf(problem.getMessage()));
    return (step.find() ? " " + step.group() : "")
        + (hasCheckpoints() ? "; --resume goes on from its checkpoint in " + checkpoints() : "");
  }

  private void check() throws IOException {
    Cli.atLeast("--steps", 1, steps);
    Cli.atLeast("--batch", 1, batch);
    Cli.atLeast("--samples-every", 1, samplesEvery);
    if (checkpointEvery != null) {
      Cli.atLeast("--checkpoint-every", 1, checkpointEvery);
    }
    Cli.device(device);
    Inputs.require(List.of(folder));
    Inputs.requireFolder(output);
  }

  private void requireFreshOrResumed() {
    if (!resume && hasCheckpoints()) {
      throw new IllegalArgumentException(
          output
              + " holds checkpoints of a run; go on with it by --resume, or choose another folder");
    }
  }

  private Path checkpoints() {
    return output.resolve("checkpoints");
  }

  private boolean hasCheckpoints() {
    if (!Files.isDirectory(checkpoints())) {
      return false;
    }
    try (Stream<Path> files = Files.list(checkpoints())) {
      return files.anyMatch(file -> file.toString().endsWith(".safetensors"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Before a folder is made for it. */
  private void requireEnough(PictureFolder data) throws IOException {
    data.prepare(null);
    if (data.size() < batch) {
      throw new IllegalArgumentException(
          "--batch must be at most the number of pictures, " + data.size() + ", but was " + batch);
    }
  }

  private PictureFolder data() throws IOException {
    var builder = PictureFolder.builder(folder, size).setSampling(batch, true);
    return (flips ? builder.horizontalFlips() : builder).build();
  }

  private DDPM model(List<String> classes) {
    UNetBuilder network =
        UNet.builder()
            .image(
                Math.toIntExact(size.get(0)),
                Math.toIntExact(size.get(1)),
                Math.toIntExact(size.get(2)))
            .baseChannels(channels)
            .channelMultipliers(multipliers)
            .groups(groups)
            .attentionAtLevels(multipliers.length - 1)
            .residualBlocks(1)
            .precision(precision)
            .device(Cli.device(device))
            .seed(seed);
    if (!classes.isEmpty()) {
      network.classes(classes.size());
    }
    UNet unet = network.build();
    boolean done = false;
    try {
      DDPM ddpm =
          DDPM.builder()
              .schedule(prediction == Target.FLOW ? Schedules.flow(1000) : Schedules.cosine(1000))
              .prediction(
                  switch (prediction) {
                    case EPSILON -> Prediction.EPSILON;
                    case VELOCITY -> Prediction.VELOCITY;
                    case FLOW -> Prediction.FLOW;
                  })
              .classNames(classes)
              .denoiser(unet)
              .build();
      done = true;
      return ddpm;
    } finally {
      if (!done) {
        unet.close();
      }
    }
  }
}
