package io.github.ddpm4j.schedule;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A schedule that is its tables. The arrays are never handed out. */
final class TableSchedule implements Schedule {

  private final ProbabilityPath path;
  private final double[] betas;
  private final double[] alphas;
  private final double[] alphaBars;

  /** The squared noise; 1 − ᾱ with its digits where ᾱ is near 1 if the variance is preserved. */
  private final double[] noises;

  private final Map<String, Object> description;

  /** Takes the table over; every β must be in (0, 1). */
  TableSchedule(double[] betas, Map<String, Object> description) {
    this(betas, description, false);
  }

  /** Takes the table over; the last β may be 1 where the signal is to end at zero. */
  TableSchedule(double[] betas, Map<String, Object> description, boolean zeroTerminalSnr) {
    this.path = ProbabilityPath.VARIANCE_PRESERVING;
    this.betas = betas;
    this.alphas = new double[betas.length];
    this.alphaBars = new double[betas.length];
    this.noises = new double[betas.length];
    this.description = Collections.unmodifiableMap(new LinkedHashMap<>(description));
    int last = betas.length - 1;
    double alphaBar = 1;
    double noise = 0;
    for (int t = 0; t <= last; t++) {
      boolean end = zeroTerminalSnr && t == last;
      if (!end) {
        requireBeta(t);
      }
      double before = alphaBar;
      alphas[t] = 1 - betas[t];
      alphaBar *= alphas[t];
      if (!end) {
        requireAlphaBar(t, before, alphaBar);
      }
      alphaBars[t] = alphaBar;
      // Below ½ the difference is exact; above, it would lose the digits of small betas.
      noise = alphaBar <= 0.5 ? 1 - alphaBar : noise + betas[t] * before;
      noises[t] = noise;
    }
  }

  /** Levels of a path of their own, from the least noisy one on. */
  TableSchedule(ProbabilityPath path, List<Level> levels, Map<String, Object> description) {
    this.path = path;
    this.betas = new double[levels.size()];
    this.alphas = new double[levels.size()];
    this.alphaBars = new double[levels.size()];
    this.noises = new double[levels.size()];
    this.description = Collections.unmodifiableMap(new LinkedHashMap<>(description));
    Level before = Level.CLEAN;
    for (int t = 0; t < levels.size(); t++) {
      Level level = levels.get(t);
      double ratio = level.signal() / before.signal();
      alphas[t] = ratio * ratio;
      betas[t] = level.varianceFrom(before);
      alphaBars[t] = level.signal() * level.signal();
      noises[t] = level.noise() * level.noise();
      before = level;
    }
  }

  private void requireBeta(int t) {
    double beta = betas[t];
    if (beta > 0 && beta < 1) {
      return;
    }
    String wayOut =
        beta == 1 && t == betas.length - 1
            ? "to end in pure noise, rescale a schedule with Schedules.zeroTerminalSnr"
            : "pass the variance of each noising step";
    throw new IllegalArgumentException(
        "beta[" + t + "] must be above 0 and below 1, but was " + beta + "; " + wayOut);
  }

  private void requireAlphaBar(int t, double before, double alphaBar) {
    if (alphaBar < Double.MIN_NORMAL) {
      throw new IllegalArgumentException(
          "alphaBar["
              + t
              + "] must be at least "
              + Double.MIN_NORMAL
              + ", but underflowed to "
              + alphaBar
              + "; use smaller betas or fewer timesteps");
    }
    if (!(alphaBar < before)) {
      throw new IllegalArgumentException(
          "alphaBar["
              + t
              + "] must be less than the value before it, but both were "
              + alphaBar
              + ", because beta["
              + t
              + "] was "
              + betas[t]
              + "; use betas above 1.2E-16");
    }
  }

  @Override
  public int timesteps() {
    return betas.length;
  }

  @Override
  public double beta(int t) {
    return betas[check(t)];
  }

  @Override
  public double alpha(int t) {
    return alphas[check(t)];
  }

  @Override
  public double alphaBar(int t) {
    return alphaBars[check(t)];
  }

  @Override
  public double alphaBarPrevious(int t) {
    return check(t) == 0 ? 1 : alphaBars[t - 1];
  }

  /** The squared noise before step t, 1 − ᾱ_{t−1}. */
  private double noisePrevious(int t) {
    return check(t) == 0 ? 0 : noises[t - 1];
  }

  @Override
  public double signal(int t) {
    return Math.sqrt(alphaBar(t));
  }

  @Override
  public double noise(int t) {
    return Math.sqrt(noises[check(t)]);
  }

  @Override
  public double snr(int t) {
    return alphaBar(t) / noises[t];
  }

  @Override
  public double posteriorVariance(int t) {
    return beta(t) * noisePrevious(t) / noises[t];
  }

  @Override
  public double posteriorLogVarianceClipped(int t) {
    check(t);
    if (betas.length == 1) {
      return StrictMath.log(betas[0]);
    }
    return StrictMath.log(posteriorVariance(Math.max(t, 1)));
  }

  @Override
  public double posteriorMeanX0(int t) {
    return beta(t) * Math.sqrt(alphaBarPrevious(t)) / noises[t];
  }

  @Override
  public double posteriorMeanXt(int t) {
    return noisePrevious(t) * Math.sqrt(alpha(t)) / noises[t];
  }

  @Override
  public ProbabilityPath path() {
    return path;
  }

  @Override
  public Map<String, Object> describe() {
    return description;
  }

  @Override
  public String toString() {
    return "Schedule[" + description.get("type") + ", timesteps=" + betas.length + "]";
  }

  private int check(int t) {
    if (t < 0 || t >= betas.length) {
      throw new IndexOutOfBoundsException(
          "t must be at least 0 and less than " + betas.length + ", but was " + t);
    }
    return t;
  }
}
