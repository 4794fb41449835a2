package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds the best sampler for a model within a budget of network calls: {@code
 * System.out.println(ddpm.samplerPlanner().plan(20))}.
 *
 * <p>Samplers without fresh noise all approximate the same trajectory from noise to image, with
 * different step sizes. A long chain follows it from the same noise as each candidate; a
 * candidate's deviation from it is its discretization error, independent of the quality of the
 * network. Samplers with fresh noise follow other trajectories and have no such error; they can
 * only be compared by {@link #compareWith features} of real images.
 *
 * <p>Not thread-safe: set up on one thread. Can be executed repeatedly.
 */
public final class SamplerPlanner {

  /** The default number of images per sampler: {@value}. */
  public static final int DEFAULT_IMAGES = 32;

  /**
   * The measurements of a planner.
   *
   * @param calls the budget of network calls
   * @param images the number of images per sampler
   * @param seed the seed of the shared initial noise
   * @param longChain the chain that errors are measured against
   * @param rows the candidates, best first and refused ones last
   * @param byDistance whether candidates are ranked by distance to real images rather than to the
   *     long chain
   */
  public record Table(
      int calls, int images, long seed, Row longChain, List<Row> rows, boolean byDistance) {

    /**
     * Copies the list of rows.
     *
     * @param calls the budget of network calls
     * @param images the number of images per sampler
     * @param seed the seed of the noise
     * @param longChain the chain that errors are measured against
     * @param rows the candidates, the best first
     * @param byDistance whether the best is the one nearest to real images
     */
    public Table {
      rows = List.copyOf(rows);
    }

    static Table of(
        int calls, int images, long seed, Row longChain, List<Row> rows, boolean byDistance) {
      Comparator<Row> tried = Comparator.comparing(Row::isRefused);
      // NaN is greater than all numbers.
      List<Row> sorted =
          rows.stream()
              .sorted(tried.thenComparingDouble(byDistance ? Row::distance : Row::error))
              .toList();
      return new Table(calls, images, seed, longChain, sorted, byDistance);
    }

    /**
     * The best sampler.
     *
     * @return the one closest to real images or, if none were given, to the long chain
     */
    public Sampler choice() {
      return rows.get(0).sampler();
    }

    /** The table as plain text, with the choice on top. */
    @Override
    public String toString() {
      int width =
          Stream.concat(Stream.of(longChain), rows.stream())
              .mapToInt(row -> row.sampler().toString().length())
              .max()
              .orElse(0);
      StringBuilder text = new StringBuilder();
      text.append(
          String.format(
              Locale.ROOT,
              "Samplers within %d network calls, %d images each from the noise of seed %d.\n",
              calls,
              images,
              seed));
      text.append("Error: root mean square per pixel beside the long chain.");
      text.append(
          byDistance ? " Distance: kernel distance to real images, by which is chosen.\n" : "\n");
      text.append(line("", "sampler", width, "calls", "error", byDistance ? "distance" : ""));
      text.append(line(" ", longChain, width));
      for (int i = 0; i < rows.size(); i++) {
        text.append(line(i == 0 ? "*" : " ", rows.get(i), width));
      }
      return text.append("* ").append(choice()).toString();
    }

    private String line(String mark, Row row, int width) {
      return row.isRefused()
          ? line(mark, row.sampler().toString(), width, "–", row.refusal(), "")
          : line(
              mark,
              row.sampler().toString(),
              width,
              Integer.toString(row.calls()),
              number(row.error()),
              byDistance ? number(row.distance()) : "");
    }

    private static String line(
        String mark, String sampler, int width, String calls, String error, String distance) {
      return String.format(
                  Locale.ROOT,
                  "%-1s %-" + width + "s  %5s  %9s  %9s",
                  mark,
                  sampler,
                  calls,
                  error,
                  distance)
              .stripTrailing()
          + "\n";
    }

    private static String number(double value) {
      return Double.isNaN(value) ? "–" : String.format(Locale.ROOT, "%.5f", value);
    }
  }

  /**
   * One sampler.
   *
   * @param sampler the sampler
   * @param calls its network calls, 0 if refused
   * @param error the root mean squared difference per pixel from the images of the long chain, in
   *     units of the data range; NaN for samplers with fresh noise and refused ones
   * @param distance the kernel distance to real images, NaN if not measured
   * @param refusal the reason why it was not run, empty if it was
   */
  public record Row(Sampler sampler, int calls, double error, double distance, String refusal) {

    static Row refused(Sampler sampler, String reason) {
      return new Row(sampler, 0, Double.NaN, Double.NaN, reason);
    }

    /**
     * Whether the sampler was refused.
     *
     * @return whether there is a reason
     */
    public boolean isRefused() {
      return !refusal.isEmpty();
    }
  }

  private final Diffusion diffusion;
  private final Supplier<Sampling> sampling;
  private Sampler longChain;
  private @Nullable List<Sampler> candidates;
  private int images = DEFAULT_IMAGES;
  private long seed;
  private UnaryOperator<Sampling> setUp = run -> run;
  private @Nullable Features features;
  private double[][] real = {};

  /**
   * Sets up a planner with the defaults. Users call {@code ddpm.samplerPlanner()}.
   *
   * @param diffusion the description of the model apart from its network
   * @param sampling creates a run of the model with the defaults
   */
  public SamplerPlanner(Diffusion diffusion, Supplier<Sampling> sampling) {
    Objects.requireNonNull(sampling, "sampling");
    this.diffusion = diffusion;
    this.sampling = sampling;
    this.longChain = Samplers.ddim(diffusion.schedule().timesteps());
  }

  /**
   * The samplers to choose from.
   *
   * @param candidates at least one. The default is {@link Samplers#usual} at the full budget;
   *     without {@link #compareWith}, only those that add no fresh noise
   * @return this planner
   * @throws IllegalArgumentException if there are none
   */
  public SamplerPlanner candidates(List<Sampler> candidates) {
    if (candidates.isEmpty()) {
      throw new IllegalArgumentException(
          "a plan needs at least one candidate, but has none; leave candidates() out for the usual"
              + " ones");
    }
    this.candidates = List.copyOf(candidates);
    return this;
  }

  /**
   * The long chain, the reference for errors.
   *
   * @param sampler one without fresh noise. The default is DDIM over every timestep; a shorter one
   *     such as {@code Samplers.ddim(200)} costs less, but cannot resolve differences smaller than
   *     its own error
   * @return this planner
   */
  public SamplerPlanner longChain(Sampler sampler) {
    this.longChain = Objects.requireNonNull(sampler, "sampler");
    return this;
  }

  /**
   * The number of images per sampler.
   *
   * @param images at least 1; the default is {@value #DEFAULT_IMAGES}. Use at least several hundred
   *     for {@link #compareWith}
   * @return this planner
   * @throws IllegalArgumentException if {@code images} is less than 1
   */
  public SamplerPlanner images(int images) {
    if (images < 1) {
      throw new IllegalArgumentException("images must be at least 1, but was " + images);
    }
    this.images = images;
    return this;
  }

  /**
   * The seed of the noise that all samplers start from.
   *
   * @param seed any number; the default is 0
   * @return this planner
   */
  public SamplerPlanner seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * Sets up each run: condition, guidance, batch size, clipping, image shape. Sampler and seed are
   * set after it.
   *
   * @param setUp takes a run with the defaults and returns it set up
   * @return this planner
   */
  public SamplerPlanner setUp(UnaryOperator<Sampling> setUp) {
    this.setUp = Objects.requireNonNull(setUp, "setUp");
    return this;
  }

  /**
   * Also measures the {@link KernelDistance} of each sampler's images to real images, and ranks by
   * it.
   *
   * @param features the features to compare; not closed
   * @param real features of real images, at least 2 rows
   * @return this planner
   * @throws IllegalArgumentException if there are fewer rows, or a value is not finite
   */
  public SamplerPlanner compareWith(Features features, double[][] real) {
    Objects.requireNonNull(real, "real");
    FeatureRows.require("reference images", real, 2, "a kernel distance");
    this.features = Objects.requireNonNull(features, "features");
    this.real = real.clone();
    return this;
  }

  /**
   * Samples with the long chain and every candidate and compares the results.
   *
   * @param calls the budget of network calls per image, at least 1; extra evaluations for guidance
   *     are not counted
   * @return the table, with its choice
   * @throws IllegalArgumentException if {@code calls} is less than 1, the long chain adds fresh
   *     noise, a single image is to be compared with real ones, or no candidate can be used with
   *     the model within the budget, with the reason for each
   * @throws IllegalStateException as {@link Sampling#generate} throws it
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public Table plan(int calls) {
    requireCalls(calls);
    if (features != null && images < 2) {
      throw new IllegalArgumentException(
          "images must be at least 2 to be compared with real ones, but was "
              + images
              + "; call images(n)");
    }
    int longCalls = longCalls();
    float[] reference;
    Row first;
    try (Samples samples = draw(longChain);
        NDManager manager = Machine.newManager(null)) {
      NDArray drawn = samples.toNDArray(manager);
      reference = floats(drawn);
      first = new Row(longChain, longCalls, 0, distance(drawn), "");
    }
    List<Row> rows = new ArrayList<>();
    for (Sampler candidate : candidates(calls)) {
      rows.add(row(candidate, calls, reference));
    }
    if (rows.stream().allMatch(Row::isRefused)) {
      StringBuilder reasons = new StringBuilder();
      rows.forEach(
          row -> reasons.append('\n').append(row.sampler()).append(": ").append(row.refusal()));
      throw new IllegalArgumentException(
          "no candidate can serve this model within " + calls + " network calls:" + reasons);
    }
    return Table.of(calls, images, seed, first, rows, features != null);
  }

  /**
   * The network calls for each image that {@link #plan} will make in all, to show how far it is:
   * those of the long chain and of every candidate that is not refused.
   *
   * @param calls the budget, as for {@link #plan}
   * @return at least 1
   * @throws IllegalArgumentException if {@code calls} is less than 1, or the long chain adds fresh
   *     noise or cannot be used with the model
   */
  public int totalCalls(int calls) {
    requireCalls(calls);
    return longCalls()
        + candidates(calls).stream()
            .filter(candidate -> refusal(candidate, calls).isEmpty())
            .mapToInt(candidate -> candidate.plan(diffusion).steps().size())
            .sum();
  }

  private static void requireCalls(int calls) {
    if (calls < 1) {
      throw new IllegalArgumentException("calls must be at least 1, but was " + calls);
    }
  }

  private int longCalls() {
    int longCalls = longChain.plan(diffusion).steps().size();
    if (isStochastic(longChain)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "the long chain must add no fresh noise, but %s does; use ddim(steps)",
              longChain));
    }
    return longCalls;
  }

  private List<Sampler> candidates(int calls) {
    return candidates == null ? usual(calls) : candidates;
  }

  /**
   * Generates images with several samplers and evaluates each: image k of a seed starts from the
   * same noise with all of them.
   *
   * @param judge evaluates the images; it determines their number, regardless of {@link #images}
   * @param samplers the samplers, with any number of calls; those that cannot be used with the
   *     model are skipped, with the reason in their row
   * @param seeds the number of seeds, starting from {@link #seed}; each is evaluated separately
   * @param progress receives each row when it is finished
   * @return the comparison, with the long chain first
   * @throws IllegalArgumentException if {@code seeds} is less than 1
   * @throws IllegalStateException as {@link Sampling#generate} and {@link Judge#realAgainstReal}
   *     throw it
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public SamplerComparison compare(
      Judge judge, List<Sampler> samplers, int seeds, Consumer<SamplerComparison.Row> progress) {
    Objects.requireNonNull(samplers, "samplers");
    Objects.requireNonNull(progress, "progress");
    if (seeds < 1) {
      throw new IllegalArgumentException("seeds must be at least 1, but was " + seeds);
    }
    Judge.Verdict real = judge.realAgainstReal();
    List<float[]> references = new ArrayList<>();
    List<SamplerComparison.Row> rows = new ArrayList<>();
    rows.add(judged(judge, longChain, seeds, references, true));
    progress.accept(rows.get(0));
    for (Sampler sampler : samplers) {
      SamplerComparison.Row row = refused(sampler);
      if (row == null) {
        row = judged(judge, sampler, seeds, references, false);
      }
      rows.add(row);
      progress.accept(row);
    }
    return new SamplerComparison(real, rows);
  }

  /** The row of a sampler that cannot serve the model, with the reason, or null if it can. */
  private SamplerComparison.@Nullable Row refused(Sampler sampler) {
    try {
      sampler.plan(diffusion);
      return null;
    } catch (IllegalArgumentException e) {
      return new SamplerComparison.Row(
          sampler, 0, List.of(), List.of(), String.valueOf(e.getMessage()));
    }
  }

  private SamplerComparison.Row judged(
      Judge judge, Sampler sampler, int seeds, List<float[]> references, boolean first) {
    int calls = sampler.plan(diffusion).steps().size();
    boolean comparable = !first && !isStochastic(sampler) && !isStochastic(longChain);
    List<Judge.Verdict> verdicts = new ArrayList<>();
    List<Double> errors = new ArrayList<>();
    for (int k = 0; k < seeds; k++) {
      try (Samples samples = draw(sampler, seed + k, judge.size());
          NDManager manager = Machine.newManager(null)) {
        NDArray drawn = samples.toNDArray(manager);
        verdicts.add(judge.judge(drawn));
        if (first) {
          references.add(floats(drawn));
        } else if (comparable) {
          errors.add(rootMeanSquare(floats(drawn), references.get(k)));
        }
      }
    }
    return new SamplerComparison.Row(sampler, calls, verdicts, errors, "");
  }

  private Row row(Sampler candidate, int calls, float[] reference) {
    String refusal = refusal(candidate, calls);
    if (!refusal.isEmpty()) {
      return Row.refused(candidate, refusal);
    }
    int own = candidate.plan(diffusion).steps().size();
    boolean stochastic = isStochastic(candidate);
    try (Samples samples = draw(candidate);
        NDManager manager = Machine.newManager(null)) {
      NDArray drawn = samples.toNDArray(manager);
      double error = stochastic ? Double.NaN : rootMeanSquare(floats(drawn), reference);
      return new Row(candidate, own, error, distance(drawn), "");
    }
  }

  /** Why a candidate is not run; empty if it is. */
  private String refusal(Sampler candidate, int calls) {
    int own;
    boolean stochastic;
    try {
      own = candidate.plan(diffusion).steps().size();
      stochastic = isStochastic(candidate);
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
    if (own > calls) {
      return "takes " + own + " network calls";
    }
    return stochastic && features == null
        ? "adds fresh noise and can be compared by features of real images alone"
        : "";
  }

  private boolean isStochastic(Sampler sampler) {
    return sampler.plan(diffusion).steps().stream().anyMatch(step -> step.noiseHigh() > 0);
  }

  private Samples draw(Sampler sampler) {
    return draw(sampler, seed, images);
  }

  private Samples draw(Sampler sampler, long from, int count) {
    return setUp.apply(sampling.get()).sampler(sampler).seed(from).generate(count);
  }

  private double distance(NDArray drawn) {
    return features == null
        ? Double.NaN
        : KernelDistance.between(Given.returned(features.of(drawn), "the features"), real);
  }

  private static float[] floats(NDArray drawn) {
    try (NDArray floats = drawn.toType(DataType.FLOAT32, true)) {
      return floats.toFloatArray();
    }
  }

  static double rootMeanSquare(float[] values, float[] others) {
    double sum = 0;
    for (int i = 0; i < values.length; i++) {
      double difference = (double) values[i] - others[i];
      sum += difference * difference;
    }
    return Math.sqrt(sum / values.length);
  }

  /** Without reference images nothing can be said of samplers with fresh noise. */
  private List<Sampler> usual(int calls) {
    return Samplers.usual().stream()
        .map(text -> Samplers.parse(text, calls))
        .filter(sampler -> features != null || !mayBeStochastic(sampler))
        .toList();
  }

  private boolean mayBeStochastic(Sampler sampler) {
    try {
      return isStochastic(sampler);
    } catch (IllegalArgumentException e) {
      return false; // it cannot serve the model, which the table says
    }
  }
}
