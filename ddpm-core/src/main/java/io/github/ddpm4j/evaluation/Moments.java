package io.github.ddpm4j.evaluation;

import java.io.Serializable;

/** Count, mean and spread of numbers as they come (Welford 1962), which can be put together. */
final class Moments implements Serializable {

  private static final long serialVersionUID = 1;

  private long count;
  private double mean;

  /** The sum of the squared distances from the mean. */
  private double squares;

  void add(double value) {
    count++;
    double before = value - mean;
    mean += before / count;
    squares += before * (value - mean);
  }

  /** The moments of what both have seen (Chan, Golub, LeVeque 1979). */
  Moments merge(Moments other) {
    Moments all = new Moments();
    all.count = count + other.count;
    if (all.count > 0) {
      double distance = other.mean - mean;
      double share = (double) other.count / all.count;
      all.mean = mean + distance * share;
      all.squares = squares + other.squares + distance * distance * count * share;
    }
    return all;
  }

  long count() {
    return count;
  }

  double mean() {
    return count == 0 ? Double.NaN : mean;
  }

  BitsPerDimResult.Mean ofMean() {
    double error = count < 2 ? Double.NaN : Math.sqrt(squares / (count - 1) / count);
    return new BitsPerDimResult.Mean(mean(), error);
  }
}
