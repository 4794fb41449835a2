package io.github.ddpm4j.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import picocli.CommandLine;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads values of options, and refuses others in words in place of Java's types. */
final class Values {

  private Values() {}

  /** Makes a program and its commands read numbers and paths so. */
  static void register(CommandLine program) {
    ITypeConverter<Integer> whole =
        text -> whole(text, Integer::valueOf, Integer.MIN_VALUE, Integer.MAX_VALUE);
    ITypeConverter<Long> large = text -> whole(text, Long::valueOf, Long.MIN_VALUE, Long.MAX_VALUE);
    ITypeConverter<Double> number = text -> read(text, Double::valueOf, "a number, such as 0.5");
    program
        .registerConverter(int.class, whole)
        .registerConverter(Integer.class, whole)
        .registerConverter(long.class, large)
        .registerConverter(Long.class, large)
        .registerConverter(double.class, number)
        .registerConverter(Double.class, number)
        .registerConverter(Path.class, Names::path);
  }

  private static <T> T whole(String text, Function<String, T> reader, long least, long most) {
    boolean digits = text.matches("[+-]?\\d+");
    return read(text, reader, "a whole number" + (digits ? " from " + least + " to " + most : ""));
  }

  private static <T> T read(String text, Function<String, T> reader, String rule) {
    try {
      return reader.apply(text);
    } catch (NumberFormatException e) {
      throw new TypeConversionException("must be " + rule + ", but was " + text);
    }
  }

  /** The words of an enumeration, as the help writes them. */
  static List<String> words(Class<?> type) {
    return Arrays.stream(type.getEnumConstants()).map(Values::word).toList();
  }

  /** One of those, whatever the case. */
  static ITypeConverter<Object> one(Class<?> type) {
    return text ->
        Arrays.stream(type.getEnumConstants())
            .filter(one -> word(one).equalsIgnoreCase(text))
            .map(one -> (Object) one)
            .findFirst()
            .orElseThrow(
                () ->
                    new TypeConversionException(
                        "must be of " + String.join(", ", words(type)) + ", but was " + text));
  }

  private static String word(Object constant) {
    return ((Enum<?>) constant).name().toLowerCase(Locale.ROOT);
  }
}
