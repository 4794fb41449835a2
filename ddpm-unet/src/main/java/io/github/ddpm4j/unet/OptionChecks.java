package io.github.ddpm4j.unet;

import io.github.ddpm4j.internal.description.Quote;
import java.util.Arrays;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What the options of an architecture must be, each alone and together; messages say what would do.
 */
final class OptionChecks {

  private static final int MOST_LEVELS = 16;

  private OptionChecks() {}

  /* ---------------- Alone ---------------- */

  static void requireAtLeast(String name, int least, int value) {
    if (value < least) {
      throw new IllegalArgumentException(
          name + " must be at least " + least + ", but was " + value);
    }
  }

  static void requireLevels(String name, int[] values, int least) {
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
    }
  }

  /* ---------------- Together ---------------- */

  static void requireDivisible(String name, int size, int levels) {
    int factor = 1 << (levels - 1);
    if (size % factor != 0) {
      int below = size / factor * factor;
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "image %s must be divisible by %d, because %d levels halve it %d times, but was %d;"
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
