package io.github.ddpm4j.report;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A report page on a trained model: its samples beside real images, their evaluation, the reverse
 * and forward processes, interpolations between two images, the loss, and all settings.
 *
 * <pre>{@code
 * new ModelReport(ddpm, drawn, real).title("Shoes", "An hour of training.").save(folder);
 * }</pre>
 *
 * <p>The arrays are borrowed until the page is saved. Not thread-safe.
 */
public final class ModelReport {

  private static final int GRID_COLUMNS = 8;
  private static final int GRID = 64;
  private static final int ROWS = 4;
  private static final int STRIP_COLUMNS = 11;

  /** The sides of enlarged pictures: in a grid, and in a strip. */
  private static final int LARGE = 80;

  private static final int SMALL = 56;

  private static final int CALLS = 50;

  /** The noising depths for interpolation, as shares of the schedule. */
  private static final double[] DEPTHS = {0.1, 0.25, 0.5, 0.75};

  /** Of what a sample says, what holds for all that its model has a part in. */
  private static final List<String> ORIGIN = List.of("ddpm4j", "djl", "model");

  /** A picture of the user's. */
  private record Own(String heading, String caption, Path png) {}

  private final DDPM model;
  private final NDArray drawn;
  private final NDArray real;
  private final Map<String, Object> notes = new LinkedHashMap<>();
  private String title = "A diffusion model";
  private String introduction = "";
  private long seed;
  private double[] losses = {};
  private Judge.@Nullable Verdict verdict;
  private Judge.@Nullable Verdict yardstick;
  private final List<Own> pictures = new ArrayList<>();
  private final List<Path> files = new ArrayList<>();
  private Map<String, String> origin = Map.of();

  /**
   * Sets up a page.
   *
   * @param model the trained model; not closed
   * @param drawn samples of the model, shape (N, C, H, W) in its data range, at least one; the
   *     first 64 are shown
   * @param real held-out real images, shape (M, C, H, W), at least two
   * @throws IllegalArgumentException if there are fewer images or their shapes differ
   */
  public ModelReport(DDPM model, NDArray drawn, NDArray real) {
    if (drawn.getShape().dimension() != 4
        || real.getShape().dimension() != 4
        || !drawn.getShape().slice(1).equals(real.getShape().slice(1))
        || drawn.getShape().get(0) < 1
        || real.getShape().get(0) < 2) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "a report needs images of shapes (N, C, H, W), N ≥ 1, and (M, C, H, W), M ≥ 2, but had %s and %s",
              drawn.getShape(),
              real.getShape()));
    }
    this.model = model;
    this.drawn = drawn;
    this.real = real;
  }

  /**
   * The title of the page.
   *
   * @param heading the heading of the page
   * @param sentence the sentence below it
   * @return this report
   */
  public ModelReport title(String heading, String sentence) {
    this.title = heading;
    this.introduction = sentence;
    return this;
  }

  /**
   * The seed of the noise for the pictures of this report.
   *
   * @param value any number; the default is 0
   * @return this report
   */
  public ModelReport seed(long value) {
    this.seed = value;
    return this;
  }

  /**
   * Adds the training loss.
   *
   * @param each the loss of each step, from {@code result.losses().toArray()}
   * @return this report
   */
  public ModelReport losses(double[] each) {
    this.losses = each.clone();
    return this;
  }

  /**
   * Adds the evaluation of the samples.
   *
   * @param ofDrawn the verdict on the samples
   * @param ofReal the verdict on real images, {@link Judge#realAgainstReal}
   * @return this report
   */
  public ModelReport verdict(Judge.Verdict ofDrawn, Judge.Verdict ofReal) {
    this.verdict = ofDrawn;
    this.yardstick = ofReal;
    return this;
  }

  /**
   * Adds an entry to the settings, which by default are those stored in the model.
   *
   * @param name the name of the entry
   * @param value its value
   * @return this report
   */
  public ModelReport note(String name, Object value) {
    notes.put(name, value);
    return this;
  }

  /**
   * Adds a picture of one's own above all others.
   *
   * @param heading its heading
   * @param caption the caption
   * @param png the picture, read when the page is saved
   * @return this report
   */
  public ModelReport picture(String heading, String caption, Path png) {
    Objects.requireNonNull(heading, "heading");
    Objects.requireNonNull(caption, "caption");
    Objects.requireNonNull(png, "png");
    pictures.add(new Own(heading, caption, png));
    return this;
  }

  /**
   * Generates the remaining pictures and writes the report: a self-contained {@code index.html},
   * with its pictures as files next to it.
   *
   * @param folder the target folder; created if missing, files of the same names are replaced
   * @return the files that were written
   * @throws IOException if writing fails
   * @throws IllegalStateException if the model has no network, or the network returns NaN
   */
  public List<Path> save(Path folder) throws IOException {
    Files.createDirectories(folder);
    files.clear();
    origin = origin();
    Path index = file(folder, "index.html");
    ReportPage page = new ReportPage(title, introduction);
    for (Own picture : pictures) {
      page.picture(picture.heading, picture.caption, picture.png);
    }
    try (NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      page.picture(
          "Drawn",
          "Images drawn from pure noise.",
          grid(drawn.get(":" + Math.min(GRID, drawn.getShape().get(0))), folder, "samples.png"));
      page.picture(
          "Real",
          "Images that training has not seen, for comparison.",
          grid(real.get(":" + Math.min(GRID, real.getShape().get(0))), folder, "real.png"));
      if (verdict != null && yardstick != null) {
        page.verdict(
            "How good they are",
            "Drawn images against held-out ones, and as a yardstick real images against the same."
                + " MMD is a distance between the two sets, 0 for the same distribution (a little"
                + " below by chance) and 1 for noise; precision is the share of drawn images among"
                + " the real ones, recall the share of real ones among the drawn; the two-sample"
                + " accuracy is how often a nearest neighbour tells real from drawn, 0.5 if it"
                + " cannot; like real ones is the share as near to a real image as real ones are;"
                + " copying compares the distance to the training images with that of held-out"
                + " ones, 1 if alike and 0 for copies.",
            verdict,
            yardstick);
      }
      page.picture(
          "Denoising",
          "For each image: x_t on its way from noise to picture, and under it what the network"
              + " takes the picture to be at that point, the estimate of x_0. The first estimates,"
              + " from pure noise, are clipped to the data range and mean little.",
          denoising(manager, folder));
      page.picture(
          "The forward process",
          "Real images being noised, from the clean one on the left to all "
              + model.schedule().timesteps()
              + " steps on the right.",
          forward(manager, folder));
      page.picture(
          "Interpolation",
          "Between two real images (the outer columns): both are noised to a depth, mixed and"
              + " denoised. The depths, from the top row: 10, 25, 50 and 75 % of the noising steps.",
          interpolation(manager, folder));
    }
    if (losses.length > 0) {
      Path plot = file(folder, "loss.png");
      Pictures.write(LossPlot.of(losses).draw(), plot, words(plot));
      page.plot("Loss", "The loss of every training step.", plot);
    }
    page.table("Settings", settings()).save(index);
    return List.copyOf(files);
  }

  private Path file(Path folder, String name) {
    Path file = folder.resolve(name);
    files.add(file);
    return file;
  }

  private Path grid(NDArray images, Path folder, String name) throws IOException {
    return write(images, GRID_COLUMNS, LARGE, file(folder, name));
  }

  private Path strips(NDList cells, Path folder, String name) throws IOException {
    return write(NDArrays.stack(cells), STRIP_COLUMNS, SMALL, file(folder, name));
  }

  private Path write(NDArray images, int columns, int side, Path file) throws IOException {
    Pictures shown =
        Pictures.of(images)
            .dataRange(model.dataRange())
            .columns(columns)
            .enlarge(PictureTable.enlargement(images, side));
    Pictures.write(shown.toGrid(), file, words(file));
    return file;
  }

  /**
   * What a picture of the report says of itself: by which libraries, seed and model, if that is
   * known.
   */
  private Map<String, String> words(Path file) {
    Map<String, String> words = new LinkedHashMap<>(origin);
    words.put("use", "report");
    words.put("picture", String.valueOf(file.getFileName()));
    words.put("seed of the report", Long.toString(seed));
    return words;
  }

  /** The cheapest image there is, for what it says of model and libraries. */
  private Map<String, String> origin() {
    try (Samples one = model.sampling().sampler(Samplers.consistency(1)).seed(seed).generate(1)) {
      Map<String, String> words = new LinkedHashMap<>(one.provenance(0));
      words.keySet().retainAll(ORIGIN);
      return words;
    }
  }

  /** Deterministic, so that neighbouring columns differ by what is shown and not by noise. */
  private Sampler sampler() {
    return Samplers.ddim(Math.min(CALLS, model.schedule().timesteps()));
  }

  /** Images on the way from noise to picture: two rows each, x_t and under it x̂_0. */
  private Path denoising(NDManager manager, Path folder) throws IOException {
    NDList xs = new NDList(noise(manager, ROWS));
    NDList x0s = new NDList();
    try (Samples last =
        model
            .sampling()
            .sampler(sampler())
            .seed(seed)
            .listener(
                event -> {
                  // x̂_0 belongs to the x that the step started from.
                  x0s.add(kept(manager, event.predictedX0()));
                  xs.add(kept(manager, event.x()));
                })
            .generate(ROWS)) {
      x0s.add(kept(manager, last.toNDArray(manager)));
    }
    NDList cells = new NDList();
    for (int image = 0; image < ROWS; image++) {
      for (NDList row : new NDList[] {xs, x0s}) {
        for (int column = 0; column < STRIP_COLUMNS; column++) {
          cells.add(row.get(column * (xs.size() - 1) / (STRIP_COLUMNS - 1)).get(image));
        }
      }
    }
    return strips(cells, folder, "denoising.png");
  }

  private NDArray noise(NDManager manager, long count) {
    return NoiseSource.seeded(seed)
        .array(manager, 0, 0, new Shape(count).addAll(real.getShape().slice(1)), DataType.FLOAT32);
  }

  /** Real images being noised, q(x_t | x_0), one row each with the same noise all along. */
  private Path forward(NDManager manager, Path folder) throws IOException {
    int rows = (int) Math.min(ROWS, real.getShape().get(0));
    NDArray x0 = kept(manager, real.get(":" + rows));
    NDArray noise = noise(manager, rows);
    NDList columns = new NDList(x0);
    int last = model.schedule().timesteps() - 1;
    for (int column = 1; column < STRIP_COLUMNS; column++) {
      int[] t = new int[rows];
      Arrays.fill(t, (int) Math.round(last * Math.pow((double) column / (STRIP_COLUMNS - 1), 2)));
      columns.add(model.forwardProcess().sample(x0, t, noise));
    }
    NDList cells = new NDList();
    for (int image = 0; image < rows; image++) {
      for (NDArray column : columns) {
        cells.add(column.get(image));
      }
    }
    return strips(cells, folder, "forward.png");
  }

  /** Between the first real image and the one that differs most from it, one row per depth. */
  private Path interpolation(NDManager manager, Path folder) throws IOException {
    NDArray some = kept(manager, real.get(":" + Math.min(GRID, real.getShape().get(0))));
    NDArray from = some.get(0);
    NDArray to = some.get(some.sub(from).square().sum(new int[] {1, 2, 3}).argMax().getLong());
    double[] fractions =
        IntStream.range(0, STRIP_COLUMNS - 2)
            .mapToDouble(i -> (double) i / (STRIP_COLUMNS - 3))
            .toArray();
    NDList cells = new NDList();
    for (double depth : DEPTHS) {
      int t = Math.max(0, (int) Math.round(depth * model.schedule().timesteps()) - 1);
      try (Samples between =
          model.sampling().sampler(sampler()).seed(seed).interpolate(from, to, t, fractions)) {
        NDArray images = kept(manager, between.toNDArray(manager));
        cells.add(from);
        for (int i = 0; i < fractions.length; i++) {
          cells.add(images.get(i));
        }
        cells.add(to);
      }
    }
    return strips(cells, folder, "interpolation.png");
  }

  private Map<String, Object> settings() {
    Map<String, Object> settings = ModelSettings.of(model);
    model.provenance().forEach((name, value) -> settings.put("training: " + name, value));
    settings.putAll(notes);
    return settings;
  }

  /** A copy on the CPU that lives as long as the manager. */
  private static NDArray kept(NDManager manager, NDArray array) {
    NDArray copy =
        array.getDevice().equals(Device.cpu())
            ? array.duplicate()
            : array.toDevice(Device.cpu(), true);
    copy.attach(manager);
    return copy;
  }
}
