package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.examples.report.CurvePlot;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * What guidance gives and costs: draws the same digits under several scales, counts how many are
 * what was asked for, and how much those of a class still differ among themselves.
 */
@Command(
    name = "GuidanceScales",
    description = {
      "Draws digits of every class under several scales of guidance, and prints and plots how many"
          + " are what was asked for and how varied they are.",
      "Exit code 2: something to put right."
    },
    sortOptions = false)
public final class GuidanceScales implements Callable<Integer> {

  private static final int CLASSES = 10;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--model",
      paramLabel = "FOLDER",
      description = "What ConditionalDigits saved (default: ${DEFAULT-VALUE}).")
  private Path model = Mains.target("conditional-digits").resolve("model");

  @Option(
      names = "--scales",
      paramLabel = "W",
      split = ",",
      description = "The scales of guidance (default: 0,0.5,1,1.5,2,3,4,6,8).")
  private List<Double> scales = List.of(0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0);

  @Option(
      names = "--per-class",
      paramLabel = "N",
      description = "Digits drawn of each class (default: ${DEFAULT-VALUE}).")
  private int perClass = 40;

  @Option(
      names = "--calls",
      paramLabel = "N",
      description = "Network calls per digit (default: ${DEFAULT-VALUE}).")
  private int calls = 50;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of the noise, the same under every scale (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "Where the plot goes (default: ${DEFAULT-VALUE}).")
  private Path output = Mains.target("guidance-scales.png");

  /**
   * Runs the example.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    Mains.setDefault("ai.djl.pytorch.num_threads", "1");
    Mains.exitWith(Mains.run(new GuidanceScales(), args));
  }

  @Override
  public Integer call() throws IOException {
    Mains.atLeast("--per-class", 2, perClass);
    if (Files.notExists(model)) {
      throw new IOException(
          model + " does not exist; run ConditionalDigits first, which trains and saves a model");
    }
    PrintWriter out = spec.commandLine().getOut();
    Digits digits = Digits.load();
    List<Double> ofReal = variety(byClass(digits.heldOut()));
    List<Double> accuracies = new ArrayList<>();
    List<Double> varieties = new ArrayList<>();
    try (DDPM ddpm = DDPM.load(model)) {
      Mains.within("--calls", 1, ddpm.schedule().timesteps(), calls);
      out.println("| guidance | as asked for | variety |");
      out.println("|---------:|-------------:|--------:|");
      for (double scale : scales) {
        float[][] drawn = draw(ddpm, scale);
        long hits =
            IntStream.range(0, drawn.length)
                .filter(i -> digits.training().nearestLabel(drawn[i]) == i / perClass)
                .count();
        double accuracy = (double) hits / drawn.length;
        double variety = meanRatio(variety(byClass(drawn)), ofReal);
        accuracies.add(accuracy);
        varieties.add(variety);
        out.printf(Locale.ROOT, "| %8s | %12.3f | %7.3f |%n", scale, accuracy, variety);
        out.flush();
      }
    }
    Map<String, double[]> curves = new LinkedHashMap<>();
    curves.put("share that is what was asked for", doubles(accuracies));
    curves.put("variety within a class, real = 1", doubles(varieties));
    CurvePlot.save("guidance scale", doubles(scales), curves, output);
    out.println();
    out.println(output.toAbsolutePath().normalize());
    out.flush();
    return 0;
  }

  private float[][] draw(DDPM ddpm, double scale) {
    int[] labels = new int[CLASSES * perClass];
    Arrays.setAll(labels, i -> i / perClass);
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            ddpm.sampling()
                .condition(Condition.labels(labels))
                .guidance(Guidance.classifierFree(scale))
                .sampler(Samplers.ddim(calls).eta(0.5))
                .seed(seed)
                .generate(labels.length)) {
      NDArray array = samples.toNDArray(manager);
      float[] flat = array.toFloatArray();
      int length = flat.length / labels.length;
      return IntStream.range(0, labels.length)
          .mapToObj(i -> Arrays.copyOfRange(flat, i * length, (i + 1) * length))
          .toArray(float[][]::new);
    }
  }

  private List<List<float[]>> byClass(float[][] drawn) {
    return IntStream.range(0, CLASSES)
        .mapToObj(label -> List.of(drawn).subList(label * perClass, (label + 1) * perClass))
        .toList();
  }

  private static List<List<float[]>> byClass(LabeledImages images) {
    return IntStream.range(0, CLASSES)
        .mapToObj(
            label ->
                IntStream.range(0, images.size())
                    .filter(i -> images.label(i) == label)
                    .mapToObj(images::pixels)
                    .toList())
        .toList();
  }

  /** The mean distance between two images of a class, for each class. */
  private static List<Double> variety(List<List<float[]>> classes) {
    return classes.stream().map(GuidanceScales::meanDistance).toList();
  }

  static double meanDistance(List<float[]> images) {
    double sum = 0;
    for (int i = 0; i < images.size(); i++) {
      for (int j = 0; j < i; j++) {
        double squares = 0;
        for (int p = 0; p < images.get(i).length; p++) {
          double difference = (double) images.get(i)[p] - images.get(j)[p];
          squares += difference * difference;
        }
        sum += Math.sqrt(squares);
      }
    }
    return 2 * sum / (images.size() * (images.size() - 1.0));
  }

  private static double meanRatio(List<Double> values, List<Double> others) {
    return IntStream.range(0, values.size())
        .mapToDouble(i -> values.get(i) / others.get(i))
        .average()
        .orElseThrow();
  }

  private static double[] doubles(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }
}
