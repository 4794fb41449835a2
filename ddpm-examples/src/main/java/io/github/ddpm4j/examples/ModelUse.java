package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** A main that does something with a trained model and with pictures of the kind that it draws. */
abstract class ModelUse implements Callable<Integer> {

  /** Network calls for pictures that the model draws to have some to work on. */
  private static final int CALLS = 50;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Option(
      names = "--model",
      paramLabel = "FOLDER",
      description =
          "The model (default: that of the quickstart, which trains it now if it has not yet).")
  private @Nullable Path model;

  @Option(
      names = "--images",
      paramLabel = "FOLDER",
      description =
          "Pictures to work on, cut and scaled to the model's size (default: bundled digits that the"
              + " quickstart was not trained on; for a model of another size, pictures that it"
              + " draws).")
  private @Nullable Path images;

  @Option(
      names = "--seed",
      paramLabel = "SEED",
      description = "Seed of all noise (default: ${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where the pictures go (default: ${DEFAULT-VALUE}).")
  private Path output;

  ModelUse(String folder) {
    this.output = Mains.target(folder);
  }

  /** Does it. What {@code manager} owns is freed afterwards. */
  abstract void use(DDPM ddpm, NDManager manager) throws IOException;

  @Override
  public final Integer call() throws IOException {
    Files.createDirectories(output);
    try (DDPM ddpm = load();
        NDManager manager = NDManager.newBaseManager()) {
      use(ddpm, manager);
    }
    out().flush();
    return 0;
  }

  private DDPM load() throws IOException {
    if (model != null) {
      return DDPM.load(model);
    }
    Mains.setDefault("ai.djl.pytorch.num_threads", Quickstart.THREADS);
    return DDPM.load(quickstart(Mains.target("quickstart"), out()));
  }

  /** The model in the quickstart's folder, trained if it is not there. */
  static Path quickstart(Path folder, PrintWriter out, String... options) throws IOException {
    Path trained = folder.resolve("model");
    if (!Files.exists(trained)) {
      out.printf("There is no model in %s yet: the quickstart trains one.%n%n", trained);
      String[] all = new String[options.length + 2];
      System.arraycopy(options, 0, all, 0, options.length);
      all[options.length] = "-o";
      all[options.length + 1] = folder.toString();
      Mains.commandLine(new Quickstart()).setOut(out).execute(all);
      out.println();
    }
    if (!Files.exists(trained)) {
      throw new IOException(trained + " was not made: the quickstart failed, see above");
    }
    return trained;
  }

  PrintWriter out() {
    return spec.commandLine().getOut();
  }

  long seed() {
    return seed;
  }

  /** Saves a figure and says where and what it is. */
  void save(Figure figure, String file, String caption) throws IOException {
    Path target = output.resolve(file);
    figure.save(target);
    written(target, caption);
  }

  /** A file in the output folder. */
  Path file(String name) {
    return output.resolve(name);
  }

  /** Says where a file is, and what it shows. */
  void written(Path file, String caption) {
    out().printf("%n%s%n%s%n", caption, file.toAbsolutePath().normalize());
    out().flush();
  }

  /** Pictures to work on, (count, C, H, W), in the model's data range. */
  NDArray pictures(DDPM ddpm, NDManager manager, int count) throws IOException {
    Shape shape = ddpm.denoiser().orElseThrow().imageShape().orElseThrow();
    if (images != null) {
      return scaled(
          ddpm,
          PictureFolder.builder(images, shape).setSampling(1, false).build().first(manager, count));
    }
    if (shape.equals(new Shape(1, Digits.SIDE, Digits.SIDE))) {
      return scaled(ddpm, digits(manager, count));
    }
    out().println("The pictures that are worked on are drawn by the model; --images names others.");
    try (Samples samples =
        ddpm.sampling().sampler(Samplers.ddim(CALLS)).seed(seed).generate(count)) {
      return samples.toNDArray(manager);
    }
  }

  /** Held-out digits, one of each class in turn. */
  private static NDArray digits(NDManager manager, int count) {
    var heldOut = Digits.load().heldOut();
    int[] order = {3, 6, 0, 7, 2, 5, 8, 4, 9, 1};
    int[] chosen = new int[count];
    for (int i = 0; i < count; i++) {
      int label = order[i % order.length];
      int before = i < order.length ? -1 : chosen[i - order.length];
      int next = before + 1;
      while (heldOut.label(next) != label) {
        next++;
      }
      chosen[i] = next;
    }
    return heldOut.toArray(manager).get(manager.create(chosen));
  }

  /** From [−1, 1] to the model's range. */
  private static NDArray scaled(DDPM ddpm, NDArray pictures) {
    double half = (ddpm.dataRange().max() - ddpm.dataRange().min()) / 2;
    return pictures.mul(half).add(ddpm.dataRange().min() + half);
  }

  /** A figure of pictures of a model. */
  static Figure figure(DDPM ddpm, String... columns) {
    return new Figure(ddpm.dataRange(), columns);
  }

  /** The root of the mean square of the differences of two batches of a shape. */
  static double rootMeanSquare(NDArray one, NDArray other) {
    try (NDArray square = one.sub(other).pow(2);
        NDArray mean = square.mean()) {
      return Math.sqrt(mean.getFloat());
    }
  }
}
