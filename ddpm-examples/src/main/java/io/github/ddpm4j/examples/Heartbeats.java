package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Random;

/**
 * Electrocardiograms of the dynamical model of McSharry, Clifford, Tarassenko and Smith 2003 ("A
 * dynamical model for generating synthetic electrocardiogram signals", eqs. 1 and 2), on its limit
 * cycle, where the phase θ of the heart goes round at the rate of its beats:
 *
 * <pre>
 * dθ/dt = ω      dz/dt = −Σ_i a_i Δθ_i exp(−Δθ_i² / (2 b_i²)) − (z − z_0),   Δθ_i = (θ − θ_i) mod 2π
 * </pre>
 *
 * <p>with the five events P, Q, R, S and T of table I, and a baseline z_0 that follows the breath.
 */
final class Heartbeats {
  private static final double[] ANGLES = {
    -Math.PI / 3, -Math.PI / 12, 0, Math.PI / 12, Math.PI / 2
  };
  private static final double[] HEIGHTS = {1.2, -5, 30, -7.5, 0.75};
  private static final double[] WIDTHS = {0.25, 0.1, 0.1, 0.1, 0.4};
  private static final double BREATHS_PER_SECOND = 0.25;
  private static final double BASELINE = 0.005;

  static final double DEVIATION = 0.12;

  /** To lie in [−1, 1]. */
  private static final double SCALE = 14;

  private static final int SAMPLES_PER_SECOND = 128;
  private static final int STEPS_PER_SAMPLE = 8;

  private Heartbeats() {}

  /** Signals of shape (count, 1, length), each of a heart of its own: rate, heights and phase. */
  static NDArray signals(NDManager manager, int count, int length, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count * length];
    for (int i = 0; i < count; i++) {
      double rate = 2 * Math.PI * (1.1 + 0.15 * random.nextGaussian());
      double[] heights = HEIGHTS.clone();
      for (int event = 0; event < heights.length; event++) {
        heights[event] *= 1 + 0.1 * random.nextGaussian();
      }
      double phase = 2 * Math.PI * random.nextDouble();
      double breath = 2 * Math.PI * random.nextDouble();
      write(values, i * length, length, Math.max(rate, 3), heights, phase, breath);
    }
    return manager.create(values, new Shape(count, 1, length));
  }

  private static void write(
      float[] to,
      int first,
      int length,
      double rate,
      double[] heights,
      double phase,
      double breath) {
    double step = 1.0 / (SAMPLES_PER_SECOND * STEPS_PER_SAMPLE);
    double z = 0;
    // A few seconds before, so that where z begins is forgotten.
    int warmUp = 4 * SAMPLES_PER_SECOND;
    for (int n = -warmUp * STEPS_PER_SAMPLE; n < length * STEPS_PER_SAMPLE; n++) {
      double time = n * step;
      if (n >= 0 && n % STEPS_PER_SAMPLE == 0) {
        to[first + n / STEPS_PER_SAMPLE] = (float) Math.max(-1, Math.min(1, SCALE * z));
      }
      double slope = BASELINE * Math.sin(2 * Math.PI * BREATHS_PER_SECOND * time + breath) - z;
      for (int i = 0; i < ANGLES.length; i++) {
        double d = Math.IEEEremainder(phase + rate * time - ANGLES[i], 2 * Math.PI);
        slope -= heights[i] * d * Math.exp(-d * d / (2 * WIDTHS[i] * WIDTHS[i]));
      }
      z += step * slope;
    }
  }
}
