package io.github.ddpm4j.report;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.DoubleStream;

/**
 * An axis of a plot.
 *
 * @param from the value at its beginning
 * @param to the value at its end, more than {@code from}
 * @param logarithmic whether powers are evenly spaced; then {@code from} is above 0
 * @param ticks the values that are written at it, within it
 */
record Axis(double from, double to, boolean logarithmic, List<Double> ticks) {

  /** An axis has about so many steps between ticks. */
  private static final int STEPS = 5;

  /** Values that differ by more than this factor are told apart better on a logarithmic axis. */
  private static final double WIDE = 5;

  private static final double LEAST_PLAIN = 1e-3;
  private static final double MOST_PLAIN = 1e6;
  private static final double[] ROUND = {1, 2, 5};

  Axis {
    ticks = List.copyOf(ticks);
  }

  /** An even axis from 0. */
  static Axis fromZero(double most) {
    double to = most > 0 ? most : 1;
    return new Axis(0, to, false, evenTicks(0, to));
  }

  /** An axis over values: of powers, if they are above 0 and differ widely. */
  static Axis over(double least, double most) {
    if (least > 0 && most > WIDE * least) {
      return new Axis(least, most, true, powerTicks(least, most));
    }
    double margin = most > least ? 0 : Math.max(Math.abs(most) / 10, Double.MIN_NORMAL);
    double from = least - margin;
    double to = most + margin;
    return new Axis(from, to, false, evenTicks(from, to));
  }

  private static List<Double> evenTicks(double from, double to) {
    double rough = (to - from) / STEPS;
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    double step =
        DoubleStream.of(power, 2 * power, 5 * power, 10 * power)
            .filter(round -> round >= rough * (1 - 1e-9))
            .findFirst()
            .orElse(10 * power);
    return DoubleStream.iterate(Math.ceil(from / step - 1e-9), k -> k + 1)
        .map(k -> k * step + 0.0) // adding 0 makes a 0 of −0
        .takeWhile(tick -> tick <= to + 1e-9 * step)
        .boxed()
        .toList();
  }

  private static List<Double> powerTicks(double least, double most) {
    int first = (int) Math.floor(Math.log10(least));
    int last = (int) Math.ceil(Math.log10(most));
    int every = Math.max(1, (last - first + STEPS) / (STEPS + 1));
    boolean finer = Math.log10(most / least) < 2;
    DoubleStream.Builder all = DoubleStream.builder();
    for (int power = first; power <= last; power++) {
      for (double digit : finer ? ROUND : Arrays.copyOf(ROUND, 1)) {
        if ((power - first) % every == 0) {
          // Not a product: 10^-3 is 0.001 to the last bit only if read.
          all.add(Double.parseDouble((int) digit + "e" + power));
        }
      }
    }
    return all.build().filter(tick -> tick >= least && tick <= most).boxed().toList();
  }

  /** Where a value lies, from 0 to 1. */
  double place(double value) {
    double place =
        logarithmic
            ? Math.log(Math.max(value, from) / from) / Math.log(to / from)
            : (value - from) / (to - from);
    return Math.max(0, Math.min(1, place));
  }

  /** A count in all its digits. */
  static String count(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }

  /** A number in at most four digits, where whole numbers may have six. */
  static String number(double value) {
    double size = Math.abs(value);
    if (value == Math.rint(value) && size < MOST_PLAIN) {
      return count((long) value);
    }
    if (size >= LEAST_PLAIN && size < MOST_PLAIN) {
      int decimals = Math.max(0, 3 - (int) Math.floor(Math.log10(size)));
      String plain = String.format(Locale.ROOT, "%,." + decimals + "f", value);
      return decimals == 0 ? plain : plain.replaceFirst("\\.?0+$", "");
    }
    return String.format(Locale.ROOT, "%.3e", value)
        .replaceFirst("\\.?0*e", "e")
        .replaceFirst("e([+-])0*(\\d)", "e$1$2")
        .replace("e+", "e");
  }
}
