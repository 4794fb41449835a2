package io.github.ddpm4j.data;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.DataRange;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How the levels of pictures become the values that networks see, channel by channel.
 *
 * <pre>
 *   value = (share − mean) / deviation          share = level / 255, from 0 (black) to 1 (white)
 * </pre>
 *
 * <p>With other means than the default the values leave [−1, 1]: build the model with {@link
 * #range}, which it keeps.
 *
 * @param mean the mean of each channel, or one for all
 * @param deviation the deviation of each channel, or one for all
 */
public record Normalization(List<Double> mean, List<Double> deviation) {

  /** The default: black is −1, white is 1. */
  public static final Normalization CENTRED = new Normalization(List.of(0.5), List.of(0.5));

  /** The means and deviations of ImageNet's RGB, as torchvision's models take them. */
  public static final Normalization IMAGENET =
      new Normalization(List.of(0.485, 0.456, 0.406), List.of(0.229, 0.224, 0.225));

  /**
   * Creates a normalization.
   *
   * @param mean the mean of each channel, or one for all
   * @param deviation the deviation of each channel, or one for all
   * @throws IllegalArgumentException if the lists are empty or of different lengths, a mean is
   *     outside [0, 1], or a deviation is not positive and finite
   */
  public Normalization {
    mean = List.copyOf(mean);
    deviation = List.copyOf(deviation);
    if (mean.isEmpty() || mean.size() != deviation.size()) {
      throw new IllegalArgumentException(
          "a normalization needs a mean and a deviation per channel, or one of each for all, but"
              + " has "
              + mean
              + " and "
              + deviation);
    }
    if (!mean.stream().allMatch(one -> one >= 0 && one <= 1)) {
      throw new IllegalArgumentException(
          "means are shares of white and must lie in [0, 1], but were "
              + mean
              + "; divide those of levels by 255");
    }
    if (!deviation.stream().allMatch(one -> one > 0 && !Double.isInfinite(one))) {
      throw new IllegalArgumentException(
          "deviations must be positive and finite, but were " + deviation);
    }
  }

  double mean(int channel) {
    return mean.get(mean.size() == 1 ? 0 : channel);
  }

  double deviation(int channel) {
    return deviation.get(deviation.size() == 1 ? 0 : channel);
  }

  float value(double share, int channel) {
    return (float) ((share - mean(channel)) / deviation(channel));
  }

  void requireChannels(long channels) {
    if (mean.size() != 1 && mean.size() != channels) {
      throw new IllegalArgumentException(
          "the normalization is one of "
              + mean.size()
              + " channels, but the pictures have "
              + channels
              + "; give a mean and a deviation for each");
    }
  }

  /**
   * The range of the values of each channel, for {@code DDPM.builder().dataRange(range)}: the model
   * keeps it, so that samples are clipped and shown right in each channel.
   *
   * @return from black to white; [−1, 1] for {@link #CENTRED}
   */
  public DataRange range() {
    return new DataRange(ends(0), ends(1));
  }

  private List<Double> ends(double share) {
    return IntStream.range(0, mean.size()).mapToObj(c -> (double) value(share, c)).toList();
  }

  /**
   * Brings normalized images, such as samples, to [−1, 1], which features and judges take.
   *
   * @param images float32, shape (N, C, H, W) or (C, H, W); neither closed nor modified
   * @return a new array of that shape in the manager of {@code images}: black is −1, white is 1
   * @throws IllegalArgumentException if the shape has other axes, or another number of channels
   */
  public NDArray restore(NDArray images) {
    Shape shape = images.getShape();
    int axes = shape.dimension();
    if (axes != 3 && axes != 4) {
      throw new IllegalArgumentException(
          "images must have shape (N, C, H, W) or (C, H, W), but had " + shape);
    }
    requireChannels(shape.get(axes - 3));
    int channels = mean.size();
    float[] factors = new float[channels];
    float[] offsets = new float[channels];
    for (int c = 0; c < channels; c++) {
      factors[c] = (float) (2 * deviation.get(c));
      offsets[c] = (float) (2 * mean.get(c) - 1);
    }
    try (NDManager own = images.getManager().newSubManager()) {
      NDArray factor = own.create(factors, new Shape(channels, 1, 1));
      NDArray offset = own.create(offsets, new Shape(channels, 1, 1));
      NDArray restored = images.mul(factor);
      return restored.addi(offset);
    }
  }
}
