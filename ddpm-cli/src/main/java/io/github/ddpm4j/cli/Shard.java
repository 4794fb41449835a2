package io.github.ddpm4j.cli;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The part of a job that one of several processes does.
 *
 * @param index from 1
 * @param count the number of processes
 */
record Shard(int index, int count) {

  /** The only process of a job. */
  static final Shard ALL = new Shard(1, 1);

  private static final Pattern TEXT = Pattern.compile("(\\d{1,9})/(\\d{1,9})");

  /** Whether a block is of this part. */
  boolean has(long block) {
    return block % count == index - 1;
  }

  /** What is wrong with a shard that has nothing to do. */
  IllegalArgumentException none(long parts, String what) {
    return new IllegalArgumentException(
        "--shard "
            + this
            + " has none of the "
            + parts
            + " "
            + what
            + "; divide them among at most "
            + parts);
  }

  @Override
  public String toString() {
    return index + "/" + count;
  }

  /** Reads {@code 3/64}. */
  static final class Converter implements ITypeConverter<Shard> {

    @Override
    public Shard convert(String text) {
      Matcher parts = TEXT.matcher(text);
      if (parts.matches()) {
        Shard shard = new Shard(Integer.parseInt(parts.group(1)), Integer.parseInt(parts.group(2)));
        if (shard.index >= 1 && shard.index <= shard.count) {
          return shard;
        }
      }
      throw new TypeConversionException(
          "must be K/N with K from 1 to N, such as 3/64, but was " + text);
    }
  }
}
