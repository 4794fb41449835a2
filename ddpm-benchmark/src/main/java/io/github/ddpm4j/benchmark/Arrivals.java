package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Requests that come at random: nine of ten have few steps, the tenth has many, with the samplers
 * in turn; the times between them are exponential.
 */
final class Arrivals {

  static final int FEW = 10;
  static final int MANY = 100;

  /** The mean number of steps. */
  static final double STEPS = 0.9 * FEW + 0.1 * MANY;

  private static final double SHORT = 0.9;

  /**
   * A request for one image.
   *
   * @param number from 0
   * @param nanos when it comes, after the first
   * @param steps its steps
   */
  record Arrival(int number, long nanos, int steps) {

    boolean isShort() {
      return steps == FEW;
    }

    Sampling set(Sampling sampling) {
      Sampler sampler =
          switch (number % 3) {
            case 0 -> Samplers.ddim(steps);
            case 1 -> Samplers.dpmSolverPlusPlus(steps);
            default -> Samplers.ddpm(steps);
          };
      return sampling.sampler(sampler).seed(number);
    }
  }

  private Arrivals() {}

  /** The same for the same seed, but for their rate. */
  static List<Arrival> poisson(int count, double perSecond, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Arrival> all = new ArrayList<>();
    double at = 0;
    for (int i = 0; i < count; i++) {
      all.add(new Arrival(i, (long) (1e9 * at), random.nextDouble() < SHORT ? FEW : MANY));
      at -= Math.log(1 - random.nextDouble()) / perSecond;
    }
    return all;
  }
}
