package io.github.ddpm4j.spark;

import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.InceptionScore;
import java.io.Serializable;

/**
 * What the Inception score needs of the class probabilities of pictures, in parts that can be put
 * together.
 *
 * <pre>
 *   mean_x KL(p(y | x) ‖ p(y)) = mean_x Σ_y p(y | x) ln p(y | x) − Σ_y p(y) ln p(y)
 * </pre>
 *
 * @param count the number of pictures
 * @param marginal Σ_x p(y | x) of each class
 * @param negentropy Σ_x Σ_y p(y | x) ln p(y | x)
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record ProbabilitySums(long count, double[] marginal, double negentropy) implements Serializable {

  /** Of one picture; the library's own score refuses what are no probabilities. */
  static ProbabilitySums of(double[] probabilities) {
    InceptionScore.estimate(new double[][] {probabilities, probabilities}, 1, Bootstrap.none());
    return new ProbabilitySums(1, probabilities.clone(), sum(probabilities, 1));
  }

  ProbabilitySums merge(ProbabilitySums other) {
    double[] both = marginal.clone();
    for (int k = 0; k < both.length; k++) {
      both[k] += other.marginal[k];
    }
    return new ProbabilitySums(count + other.count, both, negentropy + other.negentropy);
  }

  double score() {
    return Math.exp(negentropy / (double) count - sum(marginal, (double) count));
  }

  private static double sum(double[] weights, double total) {
    double sum = 0;
    for (double weight : weights) {
      double p = weight / total;
      sum += p > 0 ? p * Math.log(p) : 0;
    }
    return sum;
  }
}
