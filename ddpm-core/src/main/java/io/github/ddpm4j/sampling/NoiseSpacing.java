package io.github.ddpm4j.sampling;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.ArrayList;
import java.util.List;

/**
 * A spacing of noise levels by σ = √((1 − ᾱ) / ᾱ), not by timestep. The first level is that of the
 * last timestep, the last level that of timestep 0. The network receives the fractional timestep of
 * each level, found by interpolating ln σ between the schedule's timesteps. Immutable.
 *
 * @see io.github.ddpm4j.schedule.TimestepSpacing
 */
public final class NoiseSpacing {

  private static final double KARRAS_RHO = 7;

  private final double rho;
  private final boolean wholeTimesteps;

  private NoiseSpacing(double rho, boolean wholeTimesteps) {
    this.rho = rho;
    this.wholeTimesteps = wholeTimesteps;
  }

  /**
   * The spacing of Karras et al. 2022, eq. 5, with ρ = 7.
   *
   * @return the spacing
   */
  public static NoiseSpacing karras() {
    return karras(KARRAS_RHO);
  }

  /**
   * The spacing of Karras et al. 2022, eq. 5.
   *
   * <pre>
   *   σ_i = (σ_max^(1/ρ) + i / (n − 1) · (σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ,    i = 0 … n − 1
   * </pre>
   *
   * @param rho ρ, above 0; larger values concentrate levels near the image
   * @return the spacing
   * @throws IllegalArgumentException if {@code rho} is not above 0 or not finite
   */
  public static NoiseSpacing karras(double rho) {
    if (!(rho > 0) || Double.isInfinite(rho)) {
      throw new IllegalArgumentException("rho must be finite and above 0, but was " + rho);
    }
    return new NoiseSpacing(rho, false);
  }

  /**
   * Levels evenly spaced in ln σ, that is, in λ = ½ ln SNR (Lu et al. 2022, section 4.1; called
   * exponential elsewhere).
   *
   * @return the spacing
   */
  public static NoiseSpacing uniformLogSnr() {
    return new NoiseSpacing(0, false);
  }

  /**
   * Whether the network receives the nearest integer timestep, as in diffusers. The noise levels
   * are unchanged.
   *
   * @param whole true to round; the default is false
   * @return a spacing with this setting
   */
  public NoiseSpacing wholeTimesteps(boolean whole) {
    return new NoiseSpacing(rho, whole);
  }

  /** The levels from that of the given timestep to that of timestep 0. */
  List<Level> levels(Schedule schedule, int from, int count) {
    Level first = Level.of(schedule, from);
    if (first.signal() == 0) {
      throw new IllegalArgumentException(
          this
              + " spacing has no first level, because timestep "
              + from
              + " of the schedule has no signal left; use TimestepSpacing.TRAILING, or set"
              + " lambdaMin");
    }
    Level last = Level.of(schedule, 0);
    List<Level> levels = new ArrayList<>(count);
    levels.add(first);
    for (int i = 1; i < count - 1; i++) {
      double fraction = (double) i / (count - 1);
      Level level = Level.ofSigma(schedule, sigma(first.sigma(), last.sigma(), fraction));
      levels.add(wholeTimesteps ? level.atWholeTimestep() : level);
    }
    if (count > 1) {
      levels.add(last);
    }
    return levels;
  }

  private double sigma(double max, double min, double fraction) {
    if (rho == 0) {
      return Math.exp(Math.log(max) + fraction * (Math.log(min) - Math.log(max)));
    }
    double from = Math.pow(max, 1 / rho);
    double to = Math.pow(min, 1 / rho);
    return Math.pow(from + fraction * (to - from), rho);
  }

  /** The options of a sampler's text. */
  void writeTo(SamplerText text) {
    if (rho == 0) {
      text.option("uniformLogSnr");
    } else {
      text.option("karras" + (rho == KARRAS_RHO ? "" : "=" + SamplerText.number(rho)));
    }
    text.flag("wholeTimesteps", wholeTimesteps, false);
  }

  @Override
  public String toString() {
    return (rho == 0 ? "uniformLogSnr" : "karras(" + rho + ")")
        + (wholeTimesteps ? " at whole timesteps" : "");
  }
}
