package io.github.ddpm4j.data;

import io.github.ddpm4j.data.PictureDataset.Augmentation;
import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.ArrayList;
import java.util.List;
import org.apache.commons.rng.UniformRandomProvider;

/**
 * Makes the values of an image out of a frame: which part of it is seen, flips, turns and shifts,
 * and the normalization. What is drawn at random is a function of (seed, picture, visit).
 *
 * @param height the height of an image
 * @param width the width of an image
 * @param flips left and right are exchanged in half of the visits
 * @param verticalFlips above and below are
 * @param turns images are turned by 0 to 3 quarters
 * @param shift the most pixels by which images are shifted in each direction
 * @param own what the user does last
 * @param normalization how levels become values
 * @param seed of what is drawn
 */
record Augmenter(
    int height,
    int width,
    boolean flips,
    boolean verticalFlips,
    boolean turns,
    int shift,
    List<Augmentation> own,
    Normalization normalization,
    long seed) {

  /** The visit of a picture that is seen as it is, for evaluation. */
  static final long PLAIN = -1;

  private static final int QUARTERS = 4;

  /** What is done at random, in words, but for crops. */
  String description() {
    List<String> words = new ArrayList<>();
    if (flips) {
      words.add("flips");
    }
    if (verticalFlips) {
      words.add("vertical flips");
    }
    if (turns) {
      words.add("turns");
    }
    if (shift > 0) {
      words.add("shifts " + shift);
    }
    if (!own.isEmpty()) {
      words.add(own.size() + " own");
    }
    return String.join(", ", words);
  }

  /**
   * Writes the values of an image.
   *
   * @param visit how often the picture was seen before, or {@link #PLAIN}
   * @param target receives them, row-major over (C, H, W), from {@code offset} on
   */
  void write(Frame frame, int index, long visit, float[] target, int offset) {
    boolean plain = visit == PLAIN;
    UniformRandomProvider random =
        CounterRandom.of(seed, CounterRandom.Stream.AUGMENTATION).at(index, Math.max(0, visit));
    // All are drawn, used or not, so that one setting does not change what another draws.
    int top = random.nextInt(frame.height() - height + 1);
    int left = random.nextInt(frame.width() - width + 1);
    boolean flip = random.nextBoolean() && flips && !plain;
    boolean vertical = random.nextBoolean() && verticalFlips && !plain;
    int quarters = random.nextInt(QUARTERS);
    int down = random.nextInt(2 * shift + 1) - shift;
    int right = random.nextInt(2 * shift + 1) - shift;
    if (plain) {
      top = (frame.height() - height) / 2;
      left = (frame.width() - width) / 2;
      down = 0;
      right = 0;
    }
    if (plain || !turns) {
      quarters = 0;
    }
    int plane = height * width;
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        // From the image back to the frame: shift, turn, flip, crop.
        int atY = Math.max(0, Math.min(height - 1, y - down));
        int atX = Math.max(0, Math.min(width - 1, x - right));
        for (int q = 0; q < quarters; q++) {
          int before = atY;
          atY = atX;
          atX = width - 1 - before;
        }
        atX = flip ? width - 1 - atX : atX;
        atY = vertical ? height - 1 - atY : atY;
        int from = (top + atY) * frame.width() + left + atX;
        for (int c = 0; c < frame.channels(); c++) {
          short level = frame.levels()[c * frame.height() * frame.width() + from];
          target[offset + c * plane + y * width + x] = normalization.value(Frame.share(level), c);
        }
      }
    }
    if (!plain && !own.isEmpty()) {
      applyOwn(frame.channels() * plane, random, target, offset);
    }
  }

  private void applyOwn(int size, UniformRandomProvider random, float[] target, int offset) {
    float[] values = new float[size];
    System.arraycopy(target, offset, values, 0, size);
    own.forEach(augmentation -> augmentation.apply(values, random));
    System.arraycopy(values, 0, target, offset, size);
  }
}
