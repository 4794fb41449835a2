package io.github.ddpm4j.model;

import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The range of the values of clean images: one for all channels, as the paper's [−1, 1], or one for
 * each, as for pictures that were normalized by a mean and a deviation per channel. Sampling clips
 * x̂_0 to the range, training checks its data against it, and its ends are black and white when
 * tensors become pictures.
 *
 * <p>Ranges that are alike in every channel are one for all. Immutable.
 *
 * @param minima the least value of each channel, or one for all
 * @param maxima the greatest value of each channel, or one for all
 */
public record DataRange(List<Double> minima, List<Double> maxima) {

  /** The paper's range, [−1, 1]. */
  public static final DataRange DEFAULT = new DataRange(-1, 1);

  /**
   * Creates a range per channel.
   *
   * @param minima the least value of each channel, that of the first channel first
   * @param maxima the greatest value of each channel
   * @throws IllegalArgumentException if the lists are empty or of different lengths, or unless all
   *     ends are finite and {@code min < max} in each channel
   */
  public DataRange {
    minima = List.copyOf(Objects.requireNonNull(minima, "minima"));
    maxima = List.copyOf(Objects.requireNonNull(maxima, "maxima"));
    if (minima.isEmpty() || minima.size() != maxima.size()) {
      throw new IllegalArgumentException(
          "a data range needs a least and a greatest value per channel, or one of each for all,"
              + " but has "
              + minima
              + " and "
              + maxima);
    }
    for (int c = 0; c < minima.size(); c++) {
      double min = minima.get(c);
      double max = maxima.get(c);
      if (!Double.isFinite(min) || !Double.isFinite(max) || min >= max) {
        throw new IllegalArgumentException(
            "data range must have finite ends with min < max, but was ["
                + min
                + ", "
                + max
                + "]"
                + (minima.size() == 1 ? "" : " in channel " + c));
      }
    }
    if (new HashSet<>(minima).size() == 1 && new HashSet<>(maxima).size() == 1) {
      minima = List.of(minima.get(0));
      maxima = List.of(maxima.get(0));
    }
  }

  /**
   * Creates a range for all channels.
   *
   * @param min the least value
   * @param max the greatest value
   * @throws IllegalArgumentException unless both ends are finite and {@code min < max}
   */
  public DataRange(double min, double max) {
    this(List.of(min), List.of(max));
  }

  /**
   * The least value of all channels.
   *
   * @return black, where the range is one for all
   */
  public double min() {
    return minima.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
  }

  /**
   * The greatest value of all channels.
   *
   * @return white, where the range is one for all
   */
  public double max() {
    return maxima.stream().mapToDouble(Double::doubleValue).max().orElseThrow();
  }

  /**
   * Whether channels have ranges of their own.
   *
   * @return false if one range is that of all
   */
  public boolean isPerChannel() {
    return minima.size() > 1;
  }

  /**
   * The range of one channel.
   *
   * @param channel the channel, from 0
   * @return its range, which is one for all; this one if it is so
   * @throws IndexOutOfBoundsException if channels have ranges of their own and this one has none
   */
  public DataRange channel(int channel) {
    return isPerChannel() ? new DataRange(minima.get(channel), maxima.get(channel)) : this;
  }

  /**
   * Refuses images of another number of channels than there are ranges.
   *
   * @param name what messages call the images
   * @param channels how many channels they have
   * @throws IllegalArgumentException if channels have ranges of their own and are not as many
   */
  public void requireChannels(String name, long channels) {
    Objects.requireNonNull(name, "name");
    if (isPerChannel() && minima.size() != channels) {
      throw new IllegalArgumentException(
          "the data range is one of "
              + minima.size()
              + " channels, "
              + this
              + ", but "
              + name
              + " have "
              + channels
              + "; give a range for each, or one for all");
    }
  }

  @Override
  public String toString() {
    return IntStream.range(0, minima.size())
        .mapToObj(c -> "[" + minima.get(c) + ", " + maxima.get(c) + "]")
        .collect(Collectors.joining(" × "));
  }
}
