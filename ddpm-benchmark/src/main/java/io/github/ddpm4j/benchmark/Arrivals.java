package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Requests that come at random: nine of ten have few steps, the tenth has many, with the samplers
 * and the labels in turn, and one in ten is guided; the times between them are exponential.
 */
final class Arrivals {

  static final int FEW = 10;
  static final int MANY = 100;

  /** The labels of the network that is asked. */
  static final int CLASSES = 10;

  private static final double SHORT = 0.9;

  /** One in so many is guided. */
  private static final int GUIDED = 10;

  private static final double SCALE = 2;

  /** The mean number of image-steps. */
  static final double STEPS = (SHORT * FEW + (1 - SHORT) * MANY) * (1 + 1.0 / GUIDED);

  /**
   * A request for one image.
   *
   * @param number from 0
   * @param nanos when it comes, after the first
   * @param steps its steps
   * @param images those of a call at each step: one, and with guidance a second
   */
  record Arrival(int number, long nanos, int steps, int images) {

    boolean isShort() {
      return steps == FEW;
    }

    int imageSteps() {
      return steps * images;
    }

    Sampling set(Sampling sampling) {
      Sampler sampler =
          switch (number % 3) {
            case 0 -> Samplers.ddim(steps);
            case 1 -> Samplers.dpmSolverPlusPlus(steps);
            default -> Samplers.ddpm(steps);
          };
      sampling.sampler(sampler).seed(number).condition(Condition.labels(number % CLASSES));
      return images > 1 ? sampling.guidance(Guidance.classifierFree(SCALE)) : sampling;
    }
  }

  private Arrivals() {}

  /** The same for the same seed, but for their rate. */
  static List<Arrival> poisson(int count, double perSecond, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Arrival> all = new ArrayList<>();
    double at = 0;
    for (int i = 0; i < count; i++) {
      int steps = random.nextDouble() < SHORT ? FEW : MANY;
      all.add(new Arrival(i, (long) (1e9 * at), steps, i % GUIDED == GUIDED - 1 ? 2 : 1));
      at -= Math.log(1 - random.nextDouble()) / perSecond;
    }
    return all;
  }
}
