package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainingResult;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Digits on demand: trains a U-Net that is conditioned on the class, draws a row of each digit, and
 * counts how many of them are what was asked for.
 */
@Command(
    name = "ConditionalDigits",
    description = {
      "Trains on the bundled 8x8 digits and their classes, and draws a row of each digit.",
      "Exit code 2: something to put right."
    },
    sortOptions = false)
public final class ConditionalDigits implements Callable<Integer> {

  private static final int CLASSES = 10;
  private static final int TIMESTEPS = 1000;
  private static final int CALLS = 50;
  private static final int ENLARGE = 6;

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
      names = "--condition-dropout",
      paramLabel = "P",
      description =
          "How often a digit is trained on without its class (default: ${DEFAULT-VALUE}).")
  private double conditionDropout = 0.1;

  @Option(
      names = "--guidance",
      paramLabel = "W",
      description =
          "How far drawing is led towards the class: 1 as trained, more goes beyond (default:"
              + " ${DEFAULT-VALUE}).")
  private double guidance = 2;

  @Option(
      names = "--per-class",
      paramLabel = "N",
      description = "Digits drawn of each class (default: ${DEFAULT-VALUE}).")
  private int perClass = 16;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of weights, training and sampling (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where picture and model go (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("conditional-digits");

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", Quickstart.THREADS);
    Mains.exitWith(Mains.run(new ConditionalDigits(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.atLeast("--per-class", 1, perClass);
    Files.createDirectories(output);
    PrintWriter out = spec.commandLine().getOut();
    Digits digits = Digits.load();
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet = Quickstart.network().classes(CLASSES).seed(seed).build()) {
      out.printf(
          Locale.ROOT,
          "Training a U-Net of %,d parameters on %,d digits of %d classes.%n",
          unet.config().parameterCount(),
          digits.training().size(),
          CLASSES);
      out.flush();
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(TIMESTEPS)).denoiser(unet).build();
      // The labels of the data are the classes.
      try (TrainingResult result =
          Quickstart.training(ddpm, steps, batchSize, seed)
              .conditionDropout(conditionDropout)
              .fit(digits.training().toDataset(manager, batchSize))) {
        NDArray drawn = draw(result.ddpm(), manager);
        Pictures.of(drawn).columns(perClass).enlarge(ENLARGE).save(output.resolve("digits.png"));
        result.ddpm().save(output.resolve("model"));
        out.printf(
            Locale.ROOT,
            "%n%.1f %% of %d digits, drawn with guidance %s, are nearest to a training digit of the"
                + " class that was asked for; of held-out digits %.1f %%.%n%n",
            100 * hits(drawn, digits.training()),
            CLASSES * perClass,
            guidance,
            100 * hits(digits.heldOut(), digits.training()));
      }
    }
    for (String file : new String[] {"digits.png", "model"}) {
      out.println(output.resolve(file).toAbsolutePath().normalize());
    }
    out.flush();
    return 0;
  }

  /** A row of each digit. */
  private NDArray draw(DDPM ddpm, NDManager manager) {
    int[] labels = new int[CLASSES * perClass];
    Arrays.setAll(labels, i -> i / perClass);
    try (Samples samples =
        ddpm.sampling()
            .condition(Condition.labels(labels))
            .guidance(Guidance.classifierFree(guidance))
            .sampler(Samplers.ddim(CALLS).eta(0.5))
            .seed(seed)
            .generate(labels.length)) {
      return samples.toNDArray(manager);
    }
  }

  /** The share of drawn digits, in rows of one class, whose nearest neighbour is of that class. */
  private double hits(NDArray drawn, LabeledImages known) {
    float[] pixels = drawn.toFloatArray();
    int length = Digits.SIDE * Digits.SIDE;
    int count = pixels.length / length;
    int hits = 0;
    for (int i = 0; i < count; i++) {
      float[] one = Arrays.copyOfRange(pixels, i * length, (i + 1) * length);
      hits += known.nearestLabel(one) == i / perClass ? 1 : 0;
    }
    return (double) hits / count;
  }

  private static double hits(LabeledImages images, LabeledImages known) {
    int hits = 0;
    for (int i = 0; i < images.size(); i++) {
      hits += known.nearestLabel(images.pixels(i)) == images.label(i) ? 1 : 0;
    }
    return (double) hits / images.size();
  }
}
