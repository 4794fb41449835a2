package io.github.ddpm4j.loss;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;

/** {@link TimestepSampler#logNormal}. */
record LogNormalLevels(double mean, double deviation) implements TimestepSampler {

  LogNormalLevels {
    requireNormal(mean, deviation);
  }

  /** Refuses numbers that no normal distribution has. */
  static void requireNormal(double mean, double deviation) {
    if (!Double.isFinite(mean)) {
      throw new IllegalArgumentException("mean must be finite, but was " + mean);
    }
    if (!(deviation > 0) || Double.isInfinite(deviation)) {
      throw new IllegalArgumentException(
          "deviation must be positive and finite, but was " + deviation);
    }
  }

  @Override
  public Draws begin(Schedule schedule) {
    int last = schedule.timesteps() - 1;
    double least = schedule.noise(0) / schedule.signal(0);
    double greatest = schedule.noise(last) / schedule.signal(last);
    return (images, random) -> {
      ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(random);
      double[] sigmas = new double[images];
      for (int i = 0; i < images; i++) {
        double sigma = Math.exp(mean + deviation * normal.sample());
        sigmas[i] = Math.max(least, Math.min(greatest, sigma));
      }
      return NoiseLevels.ofSigmas(schedule, sigmas);
    };
  }

  @Override
  public String toString() {
    return "logNormal(" + mean + ", " + deviation + ")";
  }
}
