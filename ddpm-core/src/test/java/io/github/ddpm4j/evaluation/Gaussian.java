package io.github.ddpm4j.evaluation;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import java.util.Arrays;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
import org.apache.commons.rng.simple.RandomSource;

/** Features to measure: of the golden file, and drawn of Gaussians whose figures are known. */
final class Gaussian {

  private Gaussian() {}

  static double[][] rows(Golden golden, String name) {
    Shape shape = golden.shape(name);
    double[] flat = golden.data(name);
    int width = (int) shape.get(1);
    double[][] rows = new double[(int) shape.get(0)][];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Arrays.copyOfRange(flat, i * width, (i + 1) * width);
    }
    return rows;
  }

  /** Independent draws: feature k of N(mean[k], deviation[k]²). */
  static double[][] draw(long seed, int images, double[] mean, double[] deviation) {
    UniformRandomProvider random = RandomSource.XO_RO_SHI_RO_128_PP.create(seed);
    ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(random);
    double[][] rows = new double[images][mean.length];
    for (double[] row : rows) {
      for (int k = 0; k < row.length; k++) {
        row[k] = mean[k] + deviation[k] * normal.sample();
      }
    }
    return rows;
  }
}
