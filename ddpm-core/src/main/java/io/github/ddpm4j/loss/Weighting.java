package io.github.ddpm4j.loss;

import io.github.ddpm4j.internal.ops.Float32;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import java.util.function.DoubleUnaryOperator;

/**
 * The weight of an image's loss as a function of its noise level.
 *
 * <p>A weighting published for one prediction type means the same for all others: the weight
 * applies to the squared error of x̂_0, whatever the network predicts. With x̂_0 = first · x +
 * second · output ({@link Prediction#x0}), an error e in the output is an error second · e in x̂_0,
 * so
 *
 * <pre>
 *   factor = w(SNR) · second²          SNR = signal² / noise²
 *
 *   second² = 1 / SNR for ε,  1 for x_0,  1 / (SNR + 1) for v,  1 / (√SNR + 1)² for FLOW
 * </pre>
 *
 * <p>where w is the weight for x_0. Without a weighting, that is, with {@link #uniform()}, the loss
 * is the unweighted mean squared error of the network's own output.
 *
 * @see io.github.ddpm4j.Training#weighting
 */
@FunctionalInterface
public interface Weighting {

  /**
   * The weight of an image's loss.
   *
   * @param prediction what the network predicts
   * @param schedule the schedule
   * @param level the level of the image
   * @return the weight, finite and at least 0
   */
  double factor(Prediction prediction, Schedule schedule, Level level);

  /**
   * No weighting: a constant 1, as in Ho et al. 2020, eq. 14.
   *
   * @return the weighting
   */
  static Weighting uniform() {
    return new UniformWeighting();
  }

  /**
   * Min-SNR-γ (Hang et al. 2023, section 3.4): the weight of images with little noise is capped at
   * that of a signal-to-noise ratio of γ.
   *
   * <pre>
   *   w(SNR) = min(SNR, γ)             min(SNR, γ) / SNR for ε,  min(SNR, γ) / (SNR + 1) for v
   * </pre>
   *
   * @param gamma γ, positive and finite; 5 in the paper
   * @return the weighting
   * @throws IllegalArgumentException if {@code gamma} is not positive and finite, in float32 too
   */
  static Weighting minSnr(double gamma) {
    if (!(gamma > 0) || Double.isInfinite(gamma)) {
      throw new IllegalArgumentException(
          "gamma must be positive and finite, but was " + gamma + "; the paper uses 5");
    }
    Float32.requireNormal("gamma", gamma);
    return new SnrWeighting("minSnr(" + gamma + ")", snr -> Math.min(snr, gamma));
  }

  /**
   * P2 weighting (Choi et al. 2022, eq. 8): lowers the weight of images with little noise.
   *
   * <pre>
   *   w(SNR) = SNR / (k + SNR)^γ       1 / (k + SNR)^γ for ε
   * </pre>
   *
   * @param k positive and finite; 1 in the paper
   * @param gamma γ, at least 0 and finite; 0.5 or 1 in the paper
   * @return the weighting
   * @throws IllegalArgumentException if an argument is out of its range
   */
  static Weighting p2(double k, double gamma) {
    if (!(k > 0) || Double.isInfinite(k)) {
      throw new IllegalArgumentException(
          "k must be positive and finite, but was " + k + "; the paper uses 1");
    }
    if (!(gamma >= 0) || Double.isInfinite(gamma)) {
      throw new IllegalArgumentException(
          "gamma must be at least 0 and finite, but was " + gamma + "; the paper uses 0.5 and 1");
    }
    return new SnrWeighting("p2(" + k + ", " + gamma + ")", snr -> snr * Math.pow(k + snr, -gamma));
  }

  /**
   * Truncated-SNR weighting (Salimans and Ho 2022, section 4): the larger of the squared errors of
   * x̂_0 and ε̂, so that the weight does not vanish at zero signal.
   *
   * <pre>
   *   w(SNR) = max(SNR, 1)
   * </pre>
   *
   * @return the weighting
   */
  static Weighting truncatedSnr() {
    return new SnrWeighting("truncatedSnr", snr -> Math.max(snr, 1));
  }

  /** 1 for all. */
  record UniformWeighting() implements Weighting {
    @Override
    public double factor(Prediction prediction, Schedule schedule, Level level) {
      return 1;
    }

    @Override
    public String toString() {
      return "uniform";
    }
  }

  /**
   * A weight of the squared error of x̂_0 that depends on the SNR.
   *
   * @param name how it is written in model files
   * @param ofX0 w(SNR)
   */
  record SnrWeighting(String name, DoubleUnaryOperator ofX0) implements Weighting {
    @Override
    public double factor(Prediction prediction, Schedule schedule, Level level) {
      LinearForm x0 = prediction.x0(schedule, level);
      double snr = level.signal() * level.signal() / (level.noise() * level.noise());
      return ofX0.applyAsDouble(snr) * x0.second() * x0.second();
    }

    @Override
    public String toString() {
      return name;
    }
  }
}
