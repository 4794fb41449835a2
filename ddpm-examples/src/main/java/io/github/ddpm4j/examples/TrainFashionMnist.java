package io.github.ddpm4j.examples;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.examples.report.LossPlot;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.training.Training;
import io.github.ddpm4j.training.TrainingListener;
import io.github.ddpm4j.unet.Execution;
import io.github.ddpm4j.unet.Precision;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Trains on Fashion-MNIST, or anything else in IDX files of 28x28 grey pictures, on CPU or GPU,
 * with a grid of samples as it goes.
 */
@Command(
    name = "TrainFashionMnist",
    description = {
      "Trains on 28x28 grey pictures in IDX files and writes samples as it goes.",
      "Samples begin to look like the data after a few thousand steps."
    },
    sortOptions = false)
public final class TrainFashionMnist implements Callable<Integer> {

  private static final int ENLARGE = 3;
  private static final int TIMESTEPS = 1000;
  private static final int MOST_SAMPLES = 10_000;

  /** Channels of the first level unless the user says otherwise. */
  static final int CHANNELS = 64;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--data",
      paramLabel = "FOLDER",
      required = true,
      description =
          "Where train-images-idx3-ubyte and train-labels-idx1-ubyte lie, gzipped or not.")
  private Path data = Path.of("");

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Training steps (default: ${DEFAULT-VALUE}).")
  private int steps = 20_000;

  @Option(
      names = "--batch",
      paramLabel = "N",
      description = "Pictures per training step (default: ${DEFAULT-VALUE}).")
  private int batchSize = 128;

  @Option(
      names = "--channels",
      paramLabel = "N",
      description =
          "Channels of the first level; the others have twice as many (default: ${DEFAULT-VALUE}).")
  private int channels = CHANNELS;

  @Option(
      names = "--start-from",
      paramLabel = "FOLDER",
      description = "A model folder to begin with in place of new weights.")
  private @Nullable Path start;

  @Option(
      names = "--learning-rate",
      paramLabel = "RATE",
      description = "What it stays at after the warm-up (default: ${DEFAULT-VALUE}).")
  private double learningRate = Training.DEFAULT_LEARNING_RATE;

  @Option(
      names = "--sample-every",
      paramLabel = "N",
      description = "Steps between two grids of samples (default: ${DEFAULT-VALUE}).")
  private int sampleEvery = 1000;

  @Option(
      names = "--samples",
      paramLabel = "N",
      description = "Pictures in a grid (default: ${DEFAULT-VALUE}).")
  private int samples = 36;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Network calls per sample (default: ${DEFAULT-VALUE}).")
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
      description = "Where grids and the model go (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("fashion-mnist");

  /**
   * Runs the training.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.exitWith(Mains.run(new TrainFashionMnist(), args));
  }

  /** A network for grey pictures of some 28x28 pixels. */
  static UNet.Builder network(int height, int width, int channels) {
    return UNet.builder()
        .image(1, height, width)
        .baseChannels(channels)
        .channelMultipliers(1, 2, 2)
        .attentionAtLevels(1);
  }

  @Override
  public Integer call() throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    Mains.atLeast("--sample-every", 1, sampleEvery);
    Mains.within("--samples", 1, MOST_SAMPLES, samples);
    Mains.within("--calls", 1, TIMESTEPS, calls);
    LabeledImages pictures = IdxFiles.training(data);
    Device chosen = Devices.of(device, out);
    Files.createDirectories(output);
    try (NDManager manager = NDManager.newBaseManager(Device.cpu());
        UNet unet = network(pictures, chosen)) {
      out.printf(
          Locale.ROOT,
          "Training a U-Net of %,d parameters on %,d pictures of %dx%d pixels, on %s, in"
              + " %s.%n",
          unet.config().parameterCount(),
          pictures.size(),
          pictures.width(),
          pictures.height(),
          chosen,
          unet.precision());
      out.flush();
      DDPM ddpm = DDPM.builder().timesteps(TIMESTEPS).denoiser(unet).build();
      try (TrainingResult result =
          ddpm.training()
              .device(chosen)
              .batchSize(batchSize)
              .steps(steps)
              .learningRate(learningRate)
              .warmup(Math.min(1000, steps / 10))
              .ema(0.999)
              .seed(seed)
              .listener(TrainingListener.progressBar())
              .listener(
                  event -> {
                    if (event.step() % sampleEvery == 0 || event.step() == event.steps()) {
                      grid(ddpm, event.averaged(), event.step());
                    }
                  })
              .fit(pictures.toDataset(manager, batchSize))) {
        result.ddpm().save(output.resolve("model"));
        LossPlot.save(result.losses().toArray(), output.resolve("loss.png"));
      }
    }
    out.println(output.toAbsolutePath().normalize());
    out.flush();
    return 0;
  }

  private UNet network(LabeledImages pictures, Device chosen) throws IOException {
    if (start == null) {
      return network(pictures.height(), pictures.width(), channels)
          .seed(seed)
          .device(chosen)
          .precision(precision)
          .build();
    }
    UNet unet = (UNet) DDPM.load(start, chosen).denoiser().orElseThrow();
    unet.runAs(Execution.COMPILED, precision);
    return unet;
  }

  private void grid(DDPM ddpm, Denoiser averaged, long step) {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu());
        Samples drawn =
            ddpm.withDenoiser(averaged)
                .sampling()
                .sampler(Samplers.ddim(calls))
                .seed(seed)
                .generate(samples)) {
      Pictures.of(drawn.toNDArray(manager))
          .enlarge(ENLARGE)
          .save(output.resolve(String.format(Locale.ROOT, "samples-%06d.png", step)));
    } catch (IOException e) {
      // A full disk must not cost the training.
      spec.commandLine().getErr().println("no samples of step " + step + ": " + e.getMessage());
    }
  }
}
