package io.github.ddpm4j.examples.comparison;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.examples.judge.Judge;
import io.github.ddpm4j.examples.judge.Judgement;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingPlan;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.LongStream;

/**
 * Draws the same images with many samplers and judges what each gives: image k of a seed begins at
 * the same noise under all of them.
 *
 * <p>How far a deterministic sampler is from the path that all of them follow is told by the root
 * mean square difference of its pixels to those of a chain of many steps of DDIM from the same
 * noise.
 */
public final class Comparison {

  private final DDPM ddpm;
  private final Judge judge;
  private final Settings settings;
  private final Consumer<String> progress;

  /**
   * How the comparison is made.
   *
   * @param images how many are drawn, as many as the judge holds
   * @param batchSize how many go through the network at once
   * @param clip whether x̂_0 is clipped
   * @param seeds of the noise: each is judged by itself
   * @param longChain the calls of the long chain
   */
  public record Settings(int images, int batchSize, boolean clip, List<Long> seeds, int longChain) {

    /** Copies the list. */
    public Settings {
      seeds = List.copyOf(seeds);
    }
  }

  /**
   * Sets up a comparison.
   *
   * @param ddpm the model; not closed
   * @param judge what judges its images
   * @param settings how
   * @param progress is told of each row once it is done
   */
  public Comparison(DDPM ddpm, Judge judge, Settings settings, Consumer<String> progress) {
    this.ddpm = ddpm;
    this.judge = judge;
    this.settings = settings;
    this.progress = progress;
  }

  /**
   * Seeds that follow each other.
   *
   * @param first the first
   * @param count how many
   * @return the seeds
   */
  public static List<Long> seeds(long first, int count) {
    return LongStream.range(first, first + count).boxed().toList();
  }

  /**
   * Runs the comparison.
   *
   * @param candidates the samplers, as {@link Samplers#parse(String, int)} reads them
   * @param calls the numbers of network calls
   * @param yardstick whether the paper's sampler, over every timestep, gets a row too
   * @return the rows, in the order of the calls; what a candidate can't do is told to the progress
   *     and left out
   */
  public List<Row> run(List<String> candidates, List<Integer> calls, boolean yardstick) {
    Map<Long, float[][]> longChains = new LinkedHashMap<>();
    List<Row> rows = new ArrayList<>();
    Sampler longChain = Samplers.ddim(settings.longChain);
    List<Judgement> ofLongChain = new ArrayList<>();
    for (long seed : settings.seeds) {
      float[][] drawn = draw(longChain, seed);
      longChains.put(seed, drawn);
      ofLongChain.add(judge.judge(drawn));
    }
    add(rows, new Row("ddim", settings.longChain, ofLongChain, List.of()));
    if (yardstick) {
      add(rows, row("ddpm", Samplers.ddpm(), longChains));
    }
    for (int budget : calls) {
      for (String candidate : candidates) {
        try {
          add(rows, row(candidate, Samplers.parse(candidate, budget), longChains));
        } catch (IllegalArgumentException e) {
          progress.accept(candidate + " with " + budget + " calls left out: " + e.getMessage());
        }
      }
    }
    return rows;
  }

  private void add(List<Row> rows, Row row) {
    rows.add(row);
    progress.accept(row.toString());
  }

  private Row row(String name, Sampler sampler, Map<Long, float[][]> longChains) {
    SamplingPlan plan =
        sampler.plan(
            new Diffusion(ddpm.schedule(), ddpm.prediction(), ddpm.variance(), ddpm.dataRange()));
    boolean deterministic = plan.steps().stream().allMatch(step -> step.noiseHigh() == 0);
    List<Judgement> judgements = new ArrayList<>();
    List<Double> distances = new ArrayList<>();
    longChains.forEach(
        (seed, reference) -> {
          float[][] drawn = draw(sampler, seed);
          judgements.add(judge.judge(drawn));
          if (deterministic) {
            distances.add(rootMeanSquare(drawn, reference));
          }
        });
    return new Row(name, plan.steps().size(), judgements, distances);
  }

  private float[][] draw(Sampler sampler, long seed) {
    try (NDManager manager = NDManager.newBaseManager();
        Samples samples =
            ddpm.sampling()
                .sampler(sampler)
                .clip(settings.clip)
                .batchSize(settings.batchSize)
                .seed(seed)
                .generate(settings.images)) {
      float[] flat = samples.toNDArray(manager).toFloatArray();
      int pixels = flat.length / settings.images;
      float[][] rows = new float[settings.images][pixels];
      for (int i = 0; i < rows.length; i++) {
        System.arraycopy(flat, i * pixels, rows[i], 0, pixels);
      }
      return rows;
    }
  }

  static double rootMeanSquare(float[][] images, float[][] others) {
    double sum = 0;
    for (int i = 0; i < images.length; i++) {
      for (int k = 0; k < images[i].length; k++) {
        double difference = (double) images[i][k] - others[i][k];
        sum += difference * difference;
      }
    }
    return Math.sqrt(sum / ((double) images.length * images[0].length));
  }
}
