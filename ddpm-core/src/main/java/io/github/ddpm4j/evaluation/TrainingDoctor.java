package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.training.TrainingStepListener;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.StringJoiner;
import java.util.StringTokenizer;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Diagnoses a training run and reports its findings in words and numbers: {@code
 * ddpm.training().listener(doctor)}, then {@code doctor.report()}. {@link #examine} checks the
 * trained network's samples.
 *
 * <ul>
 *   <li><b>Loss by quarter of the schedule</b>, from the least noise to the most: the mean over the
 *       last quarter of the run compared with the quarter before. A single mean over all noise
 *       levels can hide that the perceptually important quarters are still improving while the
 *       largest has plateaued.
 *   <li><b>Gradient norm</b>: the mean of the last steps, and how many steps had more than {@value
 *       #SPIKE} times that.
 *   <li><b>Average of the weights</b>: the share of initial weights still in it, and its lag in
 *       steps.
 * </ul>
 *
 * <p>Reads losses every {@value #STEPS_AT_ONCE} steps, so that a GPU is not stalled. For one run;
 * used on the training thread.
 */
public final class TrainingDoctor implements TrainingStepListener {

  /**
   * The findings of a training doctor.
   *
   * @param findings one per subject, in a fixed order
   */
  public record Diagnosis(List<Finding> findings) {

    /**
     * Copies the list.
     *
     * @param findings one per subject
     */
    public Diagnosis {
      findings = List.copyOf(findings);
    }

    /**
     * The findings that call for action.
     *
     * @return a subset of the findings
     */
    public List<Finding> concerns() {
      return findings.stream().filter(Finding::concern).toList();
    }

    /** One line per finding. */
    @Override
    public String toString() {
      return findings.stream().map(Finding::toString).collect(Collectors.joining("\n"));
    }
  }

  /**
   * The finding on one subject.
   *
   * @param subject the subject
   * @param concern whether it calls for action
   * @param figures the numbers, in words
   * @param advice how to interpret them
   */
  public record Finding(String subject, boolean concern, String figures, String advice) {

    /** One line, starting with an exclamation mark if it calls for action. */
    @Override
    public String toString() {
      return (concern ? "! " : "  ") + subject + ": " + figures + "; " + advice;
    }
  }

  /** The multiple of the mean norm that counts as a spike: {@value}. */
  public static final int SPIKE = 10;

  /** A mean that differs by this many standard errors has changed. */
  private static final double SIGNIFICANT = 3;

  /** The share of initial weights in the average that no image shows any more: {@value}. */
  private static final double LITTLE = 0.01;

  /** An average that lags behind by more than this share of the run is too slow for it. */
  private static final double SLOW = 0.2;

  private static final int STEPS_AT_ONCE = 50;

  /** How much of the running mean of the norm each step keeps. */
  private static final double NORM_MEMORY = 0.99;

  private static final int LEAST_STEPS = 8;

  /** Values this near to the end of the data range, as a share of it, count as clipped. */
  private static final double CLIPPED = 1e-3;

  /** By how much of all values clipping may exceed that of the data. */
  private static final double CLIPPED_MORE = 0.05;

  /** The share of the data range by which the mean of a channel may drift. */
  private static final double DRIFT = 0.01;

  private static final double LEAST_CONTRAST = 0.8;

  /** A median distance to the training images below this share of theirs is copying. */
  private static final double COPYING = 0.5;

  private static final String[] QUARTERS = {
    "1st quarter (least noise)", "2nd quarter", "3rd quarter", "4th quarter (most noise)"
  };

  private final DataRange range;

  /** Signal-to-noise ratios where a quarter ends, descending. */
  private final double[] borders = new double[LossWindows.QUARTERS - 1];

  private final LossWindows windows = new LossWindows();
  private final List<TrainingStepListener.Event> pending = new ArrayList<>();
  private long steps;
  private double norm;
  private double normWeight;
  private long spikes;
  private double greatestNorm;
  private double initialShare = 1;
  private double lag;

  /** The decay of a step, where the average moves at some steps only. */
  private double decay;

  private long averagedStep;

  /**
   * Creates a doctor for one run of a model. Users call {@code ddpm.trainingDoctor()}.
   *
   * @param diffusion the description of the model apart from its network
   */
  public TrainingDoctor(Diffusion diffusion) {
    this.range = diffusion.dataRange();
    Schedule schedule = diffusion.schedule();
    for (int q = 0; q < borders.length; q++) {
      int t = (q + 1) * schedule.timesteps() / LossWindows.QUARTERS;
      // Between two timesteps, so that rounding cannot put one into the wrong quarter.
      borders[q] =
          t == 0
              ? Double.POSITIVE_INFINITY
              : Math.sqrt(schedule.snr(t - 1)) * Math.sqrt(schedule.snr(t));
    }
  }

  @Override
  public void onStep(TrainingStepListener.Event event) {
    double ofStep = event.emaDecay();
    initialShare *= ofStep;
    lag = ofStep * (lag + 1);
    if (ofStep < 1) {
      decay = Math.pow(ofStep, 1.0 / (event.step() - averagedStep));
      averagedStep = event.step();
    }
    pending.add(event);
    if (pending.size() >= STEPS_AT_ONCE) {
      read();
    }
  }

  /** Reads the last losses, as far as the run told them. */
  @Override
  public void onEnd(long done) {
    try {
      read();
    } catch (RuntimeException e) {
      // The run has failed and says so itself; what was read before stays.
      pending.clear();
    }
  }

  /** What was observed so far. */
  @Override
  public String state() {
    read();
    StringJoiner words = new StringJoiner(" ");
    words.add(Long.toString(steps)).add(Long.toString(spikes)).add(Long.toString(averagedStep));
    DoubleStream.of(norm, normWeight, greatestNorm, initialShare, lag, decay)
        .forEach(value -> words.add(Double.toString(value)));
    windows.save(words);
    return words.toString();
  }

  /**
   * Goes on from what the doctor of the run that is resumed had observed.
   *
   * @throws IllegalArgumentException if it is the state of another listener
   */
  @Override
  public void restore(String state) {
    Objects.requireNonNull(state, "state");
    StringTokenizer words = new StringTokenizer(state);
    try {
      steps = Long.parseLong(words.nextToken());
      spikes = Long.parseLong(words.nextToken());
      averagedStep = Long.parseLong(words.nextToken());
      norm = Double.parseDouble(words.nextToken());
      normWeight = Double.parseDouble(words.nextToken());
      greatestNorm = Double.parseDouble(words.nextToken());
      initialShare = Double.parseDouble(words.nextToken());
      lag = Double.parseDouble(words.nextToken());
      decay = Double.parseDouble(words.nextToken());
      windows.restore(words);
    } catch (NumberFormatException | NoSuchElementException e) {
      throw new IllegalArgumentException(
          "the checkpoint has the state of another listener in the place of the training doctor;"
              + " add the same listeners in the same order",
          e);
    }
  }

  private void read() {
    while (!pending.isEmpty()) {
      // The last first: asking for it fetches all of them at once.
      pending.get(pending.size() - 1).loss();
      TrainingStepListener.Event event = pending.remove(0);
      if (event.isSkipped()) {
        continue;
      }
      NoiseLevels levels = event.levels();
      double[] losses = event.imageLosses();
      LossWindows.Window step = new LossWindows.Window();
      for (int i = 0; i < losses.length; i++) {
        step.add(quarter(levels.level(i)), losses[i]);
      }
      windows.add(step);
      add(event.gradientNorm());
      steps++;
    }
  }

  private void add(double gradientNorm) {
    if (normWeight > 0 && gradientNorm > SPIKE * norm / normWeight) {
      spikes++;
    }
    norm = NORM_MEMORY * norm + (1 - NORM_MEMORY) * gradientNorm;
    normWeight = NORM_MEMORY * normWeight + (1 - NORM_MEMORY);
    greatestNorm = Math.max(greatestNorm, gradientNorm);
  }

  /**
   * The quarter of the schedule that a level lies in: the quartiles of ln SNR, if all timesteps are
   * as likely.
   *
   * @param level the level
   * @return from 0, the least noise, to 3
   */
  public int quarter(Level level) {
    double ratio = level.signal() / level.noise();
    int quarter = 0;
    while (quarter < borders.length && ratio * ratio <= borders[quarter]) {
      quarter++;
    }
    return quarter;
  }

  /**
   * The diagnosis of the run so far.
   *
   * @return loss by quarter, gradient norm, and the average of the weights
   * @throws IllegalStateException if fewer than 8 steps have been observed
   */
  public Diagnosis report() {
    read();
    if (steps < LEAST_STEPS) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT,
              "a report needs at least %d steps of training, but has seen %d; add the doctor as a listener before fit()",
              LEAST_STEPS,
              steps));
    }
    List<Finding> findings = new ArrayList<>();
    for (int q = 0; q < LossWindows.QUARTERS; q++) {
      findings.add(loss(q));
    }
    findings.add(gradient());
    findings.add(average());
    return new Diagnosis(findings);
  }

  private Finding loss(int quarter) {
    String subject = "loss, " + QUARTERS[quarter];
    LossWindows.Window before = windows.fourth(1);
    LossWindows.Window last = windows.fourth(0);
    if (before.images(quarter) < 2 || last.images(quarter) < 2) {
      return new Finding(
          subject, false, "too few images", "train with larger batches or longer to see it");
    }
    double from = before.mean(quarter);
    double to = last.mean(quarter);
    double errors =
        (to - from) / Math.sqrt(before.varianceOfMean(quarter) + last.varianceOfMean(quarter));
    String figures =
        words(
                "%s over the last %d steps, %s over the %d before",
                number(to), last.steps(), number(from), before.steps())
            + (from > 0 ? words(" (%+.1f %%)", 100 * (to / from - 1)) : "");
    if (errors < -SIGNIFICANT) {
      return new Finding(subject, false, figures, "still falling: more steps will help");
    }
    if (errors > SIGNIFICANT) {
      return new Finding(
          subject, true, figures, "rising: lower the learning rate, or clip the gradient");
    }
    return new Finding(subject, false, figures, "flat within its own noise");
  }

  private Finding gradient() {
    double mean = norm / normWeight;
    String figures =
        words(
            "mean %s, greatest %s, above %d times the mean in %d of %d steps",
            number(mean), number(greatestNorm), SPIKE, spikes, steps);
    return spikes == 0
        ? new Finding("gradient norm", false, figures, "steady")
        : new Finding(
            "gradient norm", true, figures, "clip it: gradientClip(" + number(2 * mean) + ")");
  }

  private Finding average() {
    String subject = "averaged weights";
    String figures =
        words(
            "%.1f %% of them are the initial weights, and they lag %.0f steps behind",
            100 * initialShare, lag);
    if (initialShare > LITTLE) {
      long more = (long) Math.ceil(Math.log(LITTLE / initialShare) / Math.log(decay));
      return new Finding(
          subject,
          true,
          figures,
          String.format(
              Locale.ROOT,
              "still in part what training began with: some %d more steps, or draw from the raw weights",
              more));
    }
    if (lag > SLOW * steps) {
      return new Finding(
          subject,
          true,
          figures,
          String.format(
              Locale.ROOT,
              "slow for a run of %d steps: ema(%s), or draw from the raw weights",
              steps,
              decayFor(steps)));
    }
    return new Finding(subject, false, figures, "fit to draw from");
  }

  /** The decay of an average that lags a tenth of a run behind. */
  static String decayFor(long steps) {
    BigDecimal share = BigDecimal.valueOf(10.0 / steps).round(new MathContext(2));
    return BigDecimal.ONE.subtract(share).max(BigDecimal.ZERO).stripTrailingZeros().toPlainString();
  }

  /**
   * Compares a network's samples with its training images:
   *
   * <ul>
   *   <li><b>Clipping</b>: how many values lie at the ends of the data range;
   *   <li><b>Colour</b>: the deviation of each channel's mean, also in standard errors, and the
   *       contrast;
   *   <li><b>Copying</b>: the median pixel distance of a sample to its nearest training image,
   *       compared with that of a training image to its nearest other one. The cost is the product
   *       of the numbers of images; a few hundred samples and a few thousand training images
   *       suffice.
   * </ul>
   *
   * @param samples generated images, float32 or float64, shape (N, C, H, W), at least 2; not closed
   * @param training training images in the same range, shape (M, C, H, W), at least 2; not closed
   * @return clipping, colour and copying
   * @throws IllegalArgumentException if there are fewer images, they differ in shape, are of
   *     another range than the model's, as 0 to 255, or a value is not finite
   */
  public Diagnosis examine(NDArray samples, NDArray training) {
    Given.open(samples, "samples");
    Given.open(training, "training");
    if (samples.getShape().dimension() < 3
        || training.getShape().dimension() != samples.getShape().dimension()
        || !samples.getShape().slice(1).equals(training.getShape().slice(1))) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "samples and training images must have shapes (N, C, H, W) and (M, C, H, W), but had %s and %s",
              samples.getShape(),
              training.getShape()));
    }
    PictureChecks.requireLike("samples", samples, range);
    PictureChecks.requireLike("training images", training, range);
    double[][] drawn = Features.pixels().of(samples);
    double[][] real = Features.pixels().of(training);
    FeatureRows.require("samples", drawn, 2, "an examination");
    FeatureRows.require("training images", real, 2, "an examination");
    int channels = Math.toIntExact(samples.getShape().get(1));
    List<Finding> findings = new ArrayList<>();
    findings.add(clipping(channels, drawn, real));
    for (int c = 0; c < channels; c++) {
      findings.add(colour(c, channels, drawn, real));
    }
    findings.add(copying(drawn, real));
    return new Diagnosis(findings);
  }

  private Finding clipping(int channels, double[][] drawn, double[][] real) {
    double share = clippedShare(channels, drawn);
    double ofReal = clippedShare(channels, real);
    String figures =
        words(
            "%.1f %% of the values lie at the ends of the data range, of the training images %.1f %%",
            100 * share, 100 * ofReal);
    return share > 2 * ofReal && share > ofReal + CLIPPED_MORE
        ? new Finding(
            "clipping",
            true,
            figures,
            "saturated: train longer, draw with more steps or weaker guidance, or use dynamic"
                + " thresholding")
        : new Finding("clipping", false, figures, "as the data");
  }

  private double clippedShare(int channels, double[][] rows) {
    return IntStream.range(0, channels)
        .mapToDouble(c -> clippedShare(range.channel(c), channelValues(c, channels, rows)))
        .average()
        .orElse(0);
  }

  private static double clippedShare(DataRange range, double[] values) {
    double margin = CLIPPED * (range.max() - range.min());
    double least = range.min() + margin;
    double greatest = range.max() - margin;
    return Arrays.stream(values)
        .map(value -> value <= least || value >= greatest ? 1 : 0)
        .average()
        .orElse(0);
  }

  private Finding colour(int channel, int channels, double[][] drawn, double[][] real) {
    double[] means = channelMeans(channel, channels, drawn);
    double[] ofReal = channelMeans(channel, channels, real);
    double drift = mean(means) - mean(ofReal);
    double error = Math.sqrt(variance(means) / means.length + variance(ofReal) / ofReal.length);
    double spread = variance(channelValues(channel, channels, drawn));
    double ofData = variance(channelValues(channel, channels, real));
    // Not a number where neither varies, which is not flat.
    double contrast = Math.sqrt(spread / ofData);
    String figures =
        words("mean %s beside %s of the data", number(mean(means)), number(mean(ofReal)))
            + (error > 0 ? words(" (%+.1f standard errors)", drift / error) : "")
            + (ofData > 0
                ? words(", contrast %.2f of the data's", contrast)
                : words(", deviation %s where the data has none", number(Math.sqrt(spread))));
    DataRange own = range.channel(channel);
    boolean drifts =
        Math.abs(drift) > SIGNIFICANT * error && Math.abs(drift) > DRIFT * (own.max() - own.min());
    boolean flat = contrast < LEAST_CONTRAST || contrast > 1 / LEAST_CONTRAST;
    String subject = "colour, channel " + channel;
    if (drifts) {
      return new Finding(
          subject,
          true,
          figures,
          "drifts: brightness is settled at the most noise, so see the loss of the 4th quarter,"
              + " average the weights longer, or train with offset noise or zero terminal SNR");
    }
    return flat
        ? new Finding(
            subject,
            true,
            figures,
            contrast < 1
                ? "washed out: train longer, or draw with more steps"
                : "too harsh: weaken the guidance, or draw with more steps")
        : new Finding(subject, false, figures, "as the data");
  }

  private static double[] channelMeans(int channel, int channels, double[][] rows) {
    return Arrays.stream(rows).mapToDouble(row -> mean(part(channel, channels, row))).toArray();
  }

  private static double[] channelValues(int channel, int channels, double[][] rows) {
    return Arrays.stream(rows)
        .flatMapToDouble(row -> Arrays.stream(part(channel, channels, row)))
        .toArray();
  }

  private static double[] part(int channel, int channels, double[] row) {
    int size = row.length / channels;
    return Arrays.copyOfRange(row, channel * size, (channel + 1) * size);
  }

  private static Finding copying(double[][] drawn, double[][] real) {
    double own = Neighbours.median(Neighbours.nearest(drawn, real));
    double others = Neighbours.median(Neighbours.radii(real, 1));
    String figures =
        words(
                "the nearest training image is %s away, the median of %d; between training images %s, the median of %d",
                number(own), drawn.length, number(others), real.length)
            + (others > 0 ? words(" (ratio %.2f)", own / others) : "");
    // Nothing is nearer than a copy, not even where training images repeat.
    return own == 0 || own < COPYING * others
        ? new Finding(
            "copying",
            true,
            figures,
            "the network repeats training images: fewer steps, more data, dropout, or a smaller"
                + " network")
        : new Finding("copying", false, figures, "images of its own");
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  private static double variance(double[] values) {
    double mean = mean(values);
    return Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum()
        / (values.length - 1);
  }

  private static String number(double value) {
    return words("%.4g", value);
  }

  private static String words(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
