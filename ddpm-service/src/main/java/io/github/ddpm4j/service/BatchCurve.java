package io.github.ddpm4j.service;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.IntFunction;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * The images a second that a network makes a step of, by the number of images in a call, measured
 * here and now. A service that is told no {@link SamplingService.Builder#mostImages} measures it
 * when it starts.
 */
public final class BatchCurve {

  /** Less is worth the shorter calls. */
  private static final double ENOUGH = 0.95;

  /** Less is worse in earnest, and not a dip or noise. */
  private static final double WORSE = 0.9;

  private static final int MOST = 64;
  private static final int LEAST_STEPS = 3;
  private static final int MOST_STEPS = 1000;

  /**
   * A point of the curve.
   *
   * @param images the images of a call, those that are guided counted as often as guidance asks
   *     about them
   * @param rate the image-steps of a second, counted so, too
   */
  public record Point(int images, double rate) {}

  private final List<Point> points;

  BatchCurve(List<Point> points) {
    this.points = List.copyOf(points);
  }

  /**
   * Measures calls of 1, 2, 4, … images, to 64, or until more images bring nothing: until a size
   * has less than 90 % of the greatest rate before it, or two sizes in a row have less than it. One
   * size that is a little slower than the last says nothing of the next: libraries choose other
   * methods for other sizes.
   *
   * @param ddpm the model
   * @param settings sets up a run of any number of images, such as its condition
   * @param each how long each number of images is timed, by as many runs as that takes; compiling
   *     comes before
   * @return the curve
   */
  public static BatchCurve measure(DDPM ddpm, UnaryOperator<Sampling> settings, Duration each) {
    int steps = Math.min(MOST_STEPS, ddpm.schedule().timesteps());
    return measure(
        images -> {
          Sampling sampling =
              settings.apply(ddpm.sampling().sampler(Samplers.ddim(steps)).anySampler());
          return point(sampling, images, each.toNanos());
        });
  }

  /** As far as {@link #measure(DDPM, UnaryOperator, Duration)} goes. */
  static BatchCurve measure(IntFunction<Point> measured) {
    List<Point> points = new ArrayList<>();
    double best = 0;
    int without = 0;
    for (int images = 1; images <= MOST && without < 2; images *= 2) {
      Point point = measured.apply(images);
      points.add(point);
      if (point.rate() < WORSE * best) {
        break;
      }
      without = point.rate() < best ? without + 1 : 0;
      best = Math.max(best, point.rate());
    }
    return new BatchCurve(points);
  }

  private static Point point(Sampling sampling, int images, long nanos) {
    sampling.seed(1).batchSize(images);
    SamplingRun run = sampling.start(images);
    try {
      run.next(); // compiles
      int done = 0;
      long predictions = 0;
      long spent = 0;
      while (done < LEAST_STEPS || spent < nanos) {
        if (!run.hasNext()) {
          run.close();
          run = sampling.start(images);
        }
        predictions += run.predictionsOfNextStep();
        long begun = System.nanoTime();
        run.next();
        spent += System.nanoTime() - begun;
        done++;
      }
      return new Point(images * run.predictionsPerImage(), 1e9 * predictions / spent);
    } finally {
      run.close();
    }
  }

  /**
   * The points.
   *
   * @return by images; unmodifiable
   */
  public List<Point> points() {
    return points;
  }

  /**
   * The most images that it makes a step of in a second.
   *
   * @return the point of the greatest rate
   */
  public Point best() {
    return points.stream().max(Comparator.comparingDouble(Point::rate)).orElseThrow();
  }

  /**
   * The fewest images with which a call is nearly as good as any.
   *
   * @return those of the first point of at least 95 % of the greatest rate
   */
  public int knee() {
    double best = best().rate();
    return points.stream()
        .filter(point -> point.rate() >= ENOUGH * best)
        .mapToInt(Point::images)
        .min()
        .orElseThrow();
  }

  /** What an image-step takes in calls of {@link #knee} images. */
  double nanosPerImageStep() {
    int knee = knee();
    return 1e9
        / points.stream()
            .filter(point -> point.images() == knee)
            .mapToDouble(Point::rate)
            .findFirst()
            .orElseThrow();
  }

  @Override
  public String toString() {
    return points.stream()
        .map(point -> String.format(Locale.ROOT, "%d: %.1f/s", point.images(), point.rate()))
        .collect(Collectors.joining(", "));
  }
}
