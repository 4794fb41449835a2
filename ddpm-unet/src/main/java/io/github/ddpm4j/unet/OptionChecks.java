package io.github.ddpm4j.unet;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What the options of an architecture must be, each alone and together; messages say what would do.
 */
final class OptionChecks {

  private static final int MOST_LEVELS = 16;

  /** Of an image, rows or columns; and channels of anything. */
  static final int MOST_PIXELS = 1 << 16;

  /** Of a signal. */
  static final int MOST_LENGTH = 1 << 24;

  /** What float32, in which rows of the table go into the network, counts without a gap. */
  static final int MOST_CLASSES = 1 << 24;

  /** Values that one array of Java uploads: their bytes are counted by an {@code int}. */
  private static final int MOST_VALUES = Integer.MAX_VALUE / Float.BYTES;

  static final int MOST_BLOCKS = 1 << 10;

  private OptionChecks() {}

  /* ---------------- Alone ---------------- */

  static void requireAtLeast(String name, int least, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          name + " must be at least " + least + ", but was " + value);
    }
  }

  static void requireBetween(String name, int least, int most, int value) {
    requireAtLeast(name, least, value);
    if (value > most) {
      throw new IllegalArgumentException(name + " must be at most " + most + ", but was " + value);
    }
  }

  static void requireLevels(String name, int[] values, int least, int most) {
    if (values.length < 1 || values.length > MOST_LEVELS) {
      throw new IllegalArgumentException(
          name
              + " must be given for 1 to "
              + MOST_LEVELS
              + " levels, but were for "
              + values.length);
    }
    for (int value : values) {
      if (value < least) {
        throw new IllegalArgumentException(
            name
                + " must be at least "
                + least
                + ", but were "
                + Quote.of(Arrays.toString(values)));
      }
      if (value > most) {
        throw new IllegalArgumentException(
            name + " must be at most " + most + ", but were " + Arrays.toString(values));
      }
    }
  }

  /* ---------------- Together ---------------- */

  /** The channels of the levels. */
  static int[] multiplied(int base, int[] multipliers) {
    for (int multiplier : multipliers) {
      if ((long) base * multiplier > MOST_PIXELS) {
        throw new IllegalArgumentException(
            "channels of a level must be at most "
                + MOST_PIXELS
                + ", but "
                + base
                + " base channels times the multiplier "
                + multiplier
                + " are "
                + (long) base * multiplier);
      }
    }
    return Arrays.stream(multipliers).map(multiplier -> base * multiplier).toArray();
  }

  /** Before any of them is allocated. */
  static void requireWeights(List<ParameterSpec> weights) {
    for (ParameterSpec weight : weights) {
      if (weight.shape().size() > MOST_VALUES) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "a weight must have at most %,d values, but %s of the shape %s would have %,d; take"
                    + " fewer channels, classes or values of a vector",
                MOST_VALUES,
                weight.name(),
                weight.shape(),
                weight.shape().size()));
      }
    }
  }

  static void requireDivisible(String name, int size, int levels) {
    int factor = 1 << (levels - 1);
    if (size % factor != 0) {
      int below = size / factor * factor;
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s must be divisible by %d, because %d levels halve it %d times, but was %d;"
                  + " %s%d would do",
              name,
              factor,
              levels,
              levels - 1,
              size,
              below > 0 ? below + " or " : "",
              below + factor));
    }
  }

  static void requireLevel(int level, int levels) {
    if (level >= levels) {
      throw new IllegalArgumentException(
          "attention level must be between 0 and "
              + (levels - 1)
              + ", because there are "
              + levels
              + " levels, but was "
              + level);
    }
  }

  static IllegalArgumentException noSuchSide(int side, int[] sides) {
    return new IllegalArgumentException(
        "attention at "
            + side
            + " needs a level whose longer side is "
            + side
            + ", but the longer sides of the levels are "
            + join(sides));
  }

  static void requireGroups(int groups, int[] levelChannels) {
    for (int level = 0; level < levelChannels.length; level++) {
      if (levelChannels[level] % groups != 0) {
        throw new IllegalArgumentException(
            "groups must divide the channels of every level, but "
                + groups
                + " does not divide "
                + levelChannels[level]
                + " at level "
                + level
                + "; "
                + commonDivisors(Arrays.stream(levelChannels))
                + " would do");
      }
    }
  }

  /** Heads, if positive; otherwise the channels of one. */
  static void requireHeads(
      int heads, int headChannels, int[] levelChannels, Set<Integer> attentionLevels) {
    int last = levelChannels.length - 1;
    int[] levels =
        IntStream.rangeClosed(0, last)
            .filter(level -> level == last || attentionLevels.contains(level))
            .toArray();
    int divisor = heads > 0 ? heads : headChannels;
    for (int level : levels) {
      if (levelChannels[level] % divisor != 0) {
        throw new IllegalArgumentException(
            (heads > 0 ? "heads" : "head channels")
                + " must divide the channels of every level with attention and of the last, but "
                + divisor
                + " does not divide "
                + levelChannels[level]
                + " at level "
                + level
                + "; "
                + commonDivisors(Arrays.stream(levels).map(i -> levelChannels[i]))
                + " would do");
      }
    }
  }

  private static String commonDivisors(IntStream numbers) {
    int gcd = numbers.reduce(0, OptionChecks::gcd);
    int[] divisors = IntStream.rangeClosed(1, gcd).filter(d -> gcd % d == 0).toArray();
    if (divisors.length == 1) {
      return "only 1";
    }
    int last = divisors[divisors.length - 1];
    return join(Arrays.copyOf(divisors, divisors.length - 1)) + " or " + last;
  }

  private static int gcd(int a, int b) {
    return b == 0 ? a : gcd(b, a % b);
  }

  private static String join(int[] numbers) {
    return Arrays.stream(numbers).mapToObj(Integer::toString).collect(Collectors.joining(", "));
  }
}
