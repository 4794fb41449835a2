package io.github.ddpm4j.schedule;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** A schedule that is its table of betas. The arrays are never handed out. */
final class TableSchedule implements Schedule {

  private final double[] betas;
  private final double[] alphaBars;

  /** 1 − ᾱ, with its digits where ᾱ is near 1. */
  private final double[] noises;

  private final Map<String, Object> description;

  /** Takes the table over; every β must be in (0, 1). */
  TableSchedule(double[] betas, Map<String, Object> description) {
    this(betas, description, false);
  }

  /** Takes the table over; the last β may be 1 where the signal is to end at zero. */
  TableSchedule(double[] betas, Map<String, Object> description, boolean zeroTerminalSnr) {
    this.betas = betas;
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
      alphaBar *= 1 - betas[t];
      if (!end) {
        requireAlphaBar(t, before, alphaBar);
      }
      alphaBars[t] = alphaBar;
      // Below ½ the difference is exact; above, it would lose the digits of small betas.
      noise = alphaBar <= 0.5 ? 1 - alphaBar : noise + betas[t] * before;
      noises[t] = noise;
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
    return 1 - betas[check(t)];
  }

  @Override
  public double alphaBar(int t) {
    return alphaBars[check(t)];
  }

  @Override
  public double alphaBarPrevious(int t) {
    return check(t) == 0 ? 1 : alphaBars[t - 1];
  }

  /** 1 − ᾱ_{t−1}. */
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
