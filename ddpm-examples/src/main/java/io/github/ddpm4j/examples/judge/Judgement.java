package io.github.ddpm4j.examples.judge;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What {@link Judge} found, with the bounds that good digits keep.
 *
 * @param mmd unbiased squared MMD between generated and real, as a share of that between noise and
 *     real; 0 is ideal, and an unbiased value may be slightly less
 * @param precision the share of generated images inside the neighbourhoods of real ones
 * @param recall the share of real images inside the neighbourhoods of generated ones
 * @param twoSampleAccuracy how often the nearest neighbour tells generated from real; 0.5 is ideal
 * @param digitLike the share of generated images that have a real one nearby; that of real ones is
 *     0.95
 * @param classShares the share of generated images per class, by the nearest training image
 * @param copying the median distance to the nearest training image, divided by that of held-out
 *     images; 0 for copies, 1 is ideal
 */
public record Judgement(
    double mmd,
    double precision,
    double recall,
    double twoSampleAccuracy,
    double digitLike,
    List<Double> classShares,
    double copying) {

  /** The most that {@link #mmd} may be: {@value}. */
  public static final double MOST_MMD = 0.01;

  /** The least that {@link #precision} may be: {@value}. */
  public static final double LEAST_PRECISION = 0.60;

  /** The least that {@link #recall} may be: {@value}. */
  public static final double LEAST_RECALL = 0.70;

  /** The most that {@link #twoSampleAccuracy} may be: {@value}. */
  public static final double MOST_TWO_SAMPLE_ACCURACY = 0.70;

  /** The least that {@link #digitLike} may be: {@value}. */
  public static final double LEAST_DIGIT_LIKE = 0.65;

  /** The least that any of {@link #classShares} may be: {@value}. */
  public static final double LEAST_CLASS_SHARE = 0.04;

  /** The most that any of {@link #classShares} may be: {@value}. */
  public static final double MOST_CLASS_SHARE = 0.20;

  /** The least that {@link #copying} may be: {@value}. */
  public static final double LEAST_COPYING = 0.80;

  /**
   * One line of the verdict.
   *
   * @param name what was measured
   * @param value the figure, as text
   * @param bound what it has to keep, as text
   * @param kept whether it does
   */
  public record Figure(String name, String value, String bound, boolean kept) {}

  /** Copies the list. */
  public Judgement {
    classShares = List.copyOf(classShares);
  }

  /**
   * The figures in the order of a table.
   *
   * @return one line per figure; the class shares are one line, from least to most
   */
  public List<Figure> figures() {
    double least = Collections.min(classShares);
    double most = Collections.max(classShares);
    return List.of(
        new Figure(
            "MMD, share of the way to noise",
            String.format(Locale.ROOT, "%.4f", mmd),
            "at most " + number(MOST_MMD),
            mmd <= MOST_MMD),
        atLeast("precision (k=3)", precision, LEAST_PRECISION),
        atLeast("recall (k=3)", recall, LEAST_RECALL),
        atMost("two-sample accuracy (1-NN)", twoSampleAccuracy, MOST_TWO_SAMPLE_ACCURACY),
        atLeast("digit-like share", digitLike, LEAST_DIGIT_LIKE),
        new Figure(
            "class shares (least to most)",
            number(least) + " to " + number(most),
            number(LEAST_CLASS_SHARE) + " to " + number(MOST_CLASS_SHARE),
            least >= LEAST_CLASS_SHARE && most <= MOST_CLASS_SHARE),
        atLeast("distance to training (copying)", copying, LEAST_COPYING));
  }

  /**
   * What falls short.
   *
   * @return one sentence per figure that does not keep its bound, with bound and value
   */
  public List<String> failures() {
    List<String> failures = new ArrayList<>();
    for (Figure figure : figures()) {
      if (!figure.kept()) {
        failures.add(figure.name() + " must be " + figure.bound() + ", but was " + figure.value());
      }
    }
    return failures;
  }

  /**
   * Whether every figure keeps its bound.
   *
   * @return whether there are no {@link #failures}
   */
  public boolean passes() {
    return failures().isEmpty();
  }

  /**
   * This judgement beside another, as plain text for a terminal.
   *
   * @param real the judgement of real images against real ones
   * @return the table, lines ending in {@code \n}
   */
  public String table(Judgement real) {
    StringBuilder table = new StringBuilder();
    table.append(line("", "generated", "real against real", "bound", ""));
    List<Figure> others = real.figures();
    for (int i = 0; i < others.size(); i++) {
      Figure figure = figures().get(i);
      table.append(
          line(
              figure.name(),
              figure.value(),
              others.get(i).value(),
              figure.bound(),
              figure.kept() ? "ok" : "FAILS"));
    }
    table.append('\n').append(shares("class", IntStream.range(0, classShares.size()).boxed()));
    table.append(shares("generated, %", percent(classShares)));
    table.append(shares("real, %", percent(real.classShares)));
    return table.toString();
  }

  private static String line(
      String name, String value, String other, String bound, String verdict) {
    return "%-31s  %14s  %17s  %14s  %s"
            .formatted(name, value, other, bound, verdict)
            .stripTrailing()
        + "\n";
  }

  private static String shares(String name, Stream<?> cells) {
    return "%-14s".formatted(name)
        + cells.map("%6s"::formatted).collect(Collectors.joining())
        + "\n";
  }

  private static Stream<String> percent(List<Double> shares) {
    return shares.stream().map(share -> String.format(Locale.ROOT, "%.1f", 100 * share));
  }

  private static Figure atLeast(String name, double value, double least) {
    return new Figure(name, number(value), "at least " + number(least), value >= least);
  }

  private static Figure atMost(String name, double value, double most) {
    return new Figure(name, number(value), "at most " + number(most), value <= most);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.3f", value);
  }
}
