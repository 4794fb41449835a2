package io.github.ddpm4j.examples;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.util.NDImageUtils;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Digits of 4x4 pixels made into digits of 8x8: trains a U-Net that sees the small picture beside
 * the noisy one (Saharia et al. 2021, "Image Super-Resolution via Iterative Refinement"), and
 * compares what it draws with interpolation.
 */
@Command(
    name = "SuperResolution",
    description =
        "Trains on the bundled digits to make 4x4 pixels into 8x8, and draws held-out ones.",
    sortOptions = false)
public final class SuperResolution implements Callable<Integer> {

  private static final int TIMESTEPS = 1000;
  private static final int CALLS = 50;
  private static final int FACTOR = 2;

  /** Columns of the picture. */
  private static final int SHOWN = 12;

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
      names = "--count",
      paramLabel = "N",
      description = "Held-out digits that are made larger (default: ${DEFAULT-VALUE}).")
  private int count = 100;

  @Option(
      names = "--draws",
      paramLabel = "N",
      description = "How often each is drawn, for their mean (default: ${DEFAULT-VALUE}).")
  private int draws = 8;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of weights, training and sampling (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where picture and model go (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("super-resolution");

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", Quickstart.THREADS);
    Mains.exitWith(Mains.run(new SuperResolution(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.within("--count", 1, Digits.HELD_OUT, count);
    Mains.atLeast("--draws", 1, draws);
    Files.createDirectories(output);
    PrintWriter out = spec.commandLine().getOut();
    Digits digits = Digits.load();
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = Quickstart.network().imageCondition(1).seed(seed).build()) {
      out.printf(
          Locale.ROOT,
          "Training a U-Net of %,d parameters to make %,d digits of 4x4 pixels into 8x8.%n",
          unet.config().parameterCount(),
          digits.training().size());
      out.flush();
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(TIMESTEPS)).denoiser(unet).build();
      try (TrainingResult result =
          Quickstart.training(ddpm, steps, batchSize, seed)
              .condition((images, labels) -> Condition.images(repeated(small(images))))
              .fit(digits.training().toDataset(manager, batchSize))) {
        result.ddpm().save(output.resolve("model"));
        compare(result.ddpm(), digits.heldOut().slice(0, count).toArray(manager), out);
      }
    }
    for (String file : new String[] {"digits.png", "model"}) {
      out.println(output.resolve(file).toAbsolutePath().normalize());
    }
    out.flush();
    return 0;
  }

  /** Each value is the mean of a square of pixels. */
  private static NDArray small(NDArray images) {
    Shape square = new Shape(FACTOR, FACTOR);
    return Pool.avgPool2d(images, square, square, new Shape(0, 0), false, false);
  }

  /** The size of the digits, each value a square of pixels. */
  private static NDArray repeated(NDArray small) {
    return small.repeat(2, FACTOR).repeat(3, FACTOR);
  }

  private static NDArray bicubic(NDArray small) {
    return NDImageUtils.resize(
            small.transpose(0, 2, 3, 1), Digits.SIDE, Digits.SIDE, Image.Interpolation.BICUBIC)
        .transpose(0, 3, 1, 2);
  }

  private void compare(DDPM ddpm, NDArray real, PrintWriter out) throws IOException {
    NDArray small = small(real);
    NDArray first = draw(ddpm, small, 0);
    NDArray second = first;
    NDArray sum = first;
    for (int i = 1; i < draws; i++) {
      NDArray next = draw(ddpm, small, i);
      second = i == 1 ? next : second;
      sum = sum.add(next);
    }
    NDArray mean = sum.div(draws);
    NDArray smooth = bicubic(small);
    out.printf(
        Locale.ROOT,
        "%n%d held-out digits%19s  made small again, off by (root mean square)%n",
        count,
        "PSNR");
    report(out, "pixels repeated", repeated(small), real);
    report(out, "bicubic", smooth, real);
    report(out, "drawn", first, real);
    report(out, "mean of " + draws + " drawn", mean, real);
    out.println();
    String some = ":" + Math.min(count, SHOWN);
    new Figure(DataRange.DEFAULT)
        .row("4x4", repeated(small).get(some))
        .row("bicubic", smooth.get(some))
        .row("drawn", first.get(some))
        .row("again", second.get(some))
        .row("mean of " + draws, mean.get(some))
        .row("real", real.get(some))
        .save(output.resolve("digits.png"));
  }

  private NDArray draw(DDPM ddpm, NDArray small, int index) {
    try (Samples samples =
        ddpm.sampling()
            .condition(Condition.images(repeated(small)))
            .sampler(Samplers.ddim(CALLS).eta(0.5))
            .seed(seed + index)
            .generate(count)) {
      return samples.toNDArray(small.getManager());
    }
  }

  private static void report(PrintWriter out, String what, NDArray large, NDArray real) {
    // The peak is the width of the data range.
    double peak = DataRange.DEFAULT.max() - DataRange.DEFAULT.min();
    out.printf(
        Locale.ROOT,
        "%-20s  %12.2f dB  %.4f%n",
        what,
        20 * Math.log10(peak / ModelUse.rootMeanSquare(large, real)),
        ModelUse.rootMeanSquare(small(large), small(real)));
  }
}
