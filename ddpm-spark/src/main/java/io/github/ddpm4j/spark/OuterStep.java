package io.github.ddpm4j.spark;

import java.util.List;

/**
 * What the driver makes of the weights that the workers of a round have come to.
 *
 * <pre>
 *   Δ = mean_k θ_k − θ                 in double, in the order of workers
 *   v ← μ v − Δ                        v = 0 before the first round
 *   θ ← θ − η (−Δ + μ v)               Nesterov's momentum, as PyTorch has it
 * </pre>
 *
 * <p>With η = 1 and μ = 0 that is θ = mean_k θ_k, federated averaging (McMahan et al. 2017). DiLoCo
 * (Douillard et al. 2023) has η = 0.7 and μ = 0.9.
 *
 * @param learningRate η, above 0
 * @param momentum μ, in [0, 1)
 */
public record OuterStep(double learningRate, double momentum) {

  /**
   * Creates a step.
   *
   * @param learningRate see above
   * @param momentum see above
   * @throws IllegalArgumentException if one is out of range
   */
  public OuterStep {
    if (!(learningRate > 0) || Double.isInfinite(learningRate)) {
      throw new IllegalArgumentException("learningRate must be positive, but was " + learningRate);
    }
    if (!(momentum >= 0 && momentum < 1)) {
      throw new IllegalArgumentException("momentum must lie in [0, 1), but was " + momentum);
    }
  }

  /**
   * Plain averaging.
   *
   * @return η = 1, μ = 0
   */
  public static OuterStep average() {
    return new OuterStep(1, 0);
  }

  /**
   * DiLoCo's step.
   *
   * @return η = 0.7, μ = 0.9
   */
  public static OuterStep diloco() {
    return new OuterStep(0.7, 0.9);
  }

  /**
   * Takes the step, in place.
   *
   * @param weights θ
   * @param velocity v
   * @param workers θ_k, in the order of workers
   */
  void take(float[] weights, float[] velocity, List<float[]> workers) {
    for (int i = 0; i < weights.length; i++) {
      double sum = 0;
      for (float[] worker : workers) {
        sum += worker[i];
      }
      double delta = sum / workers.size() - weights[i];
      double moved = delta;
      if (momentum > 0) {
        double v = momentum * velocity[i] - delta;
        velocity[i] = (float) v;
        moved = delta - momentum * v;
      }
      weights[i] = (float) (weights[i] + learningRate * moved);
    }
  }
}
