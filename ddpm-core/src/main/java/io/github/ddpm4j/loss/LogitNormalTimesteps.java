package io.github.ddpm4j.loss;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;

/** {@link TimestepSampler#logitNormal}. */
record LogitNormalTimesteps(double mean, double deviation) implements TimestepSampler {

  LogitNormalTimesteps {
    LogNormalLevels.requireNormal(mean, deviation);
  }

  @Override
  public Draws begin(Schedule schedule) {
    int timesteps = schedule.timesteps();
    return (images, random) -> {
      ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(random);
      int[] t = new int[images];
      for (int i = 0; i < images; i++) {
        double u = 1 / (1 + Math.exp(-(mean + deviation * normal.sample())));
        t[i] = Math.min((int) (timesteps * u), timesteps - 1);
      }
      return NoiseLevels.of(schedule, t);
    };
  }

  @Override
  public String toString() {
    return "logitNormal(" + mean + ", " + deviation + ")";
  }
}
