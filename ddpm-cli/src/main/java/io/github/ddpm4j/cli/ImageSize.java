package io.github.ddpm4j.cli;

import ai.djl.ndarray.types.Shape;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads {@code 3x64x64}. */
final class ImageSize implements ITypeConverter<Shape> {

  private static final Pattern TEXT = Pattern.compile("([134])x(\\d{1,5})x(\\d{1,5})");

  @Override
  public Shape convert(String text) {
    Matcher parts = TEXT.matcher(text);
    if (!parts.matches()) {
      throw new TypeConversionException(
          "must be channels (1, 3 or 4), height and width, such as 3x64x64, but was " + text);
    }
    return new Shape(
        Long.parseLong(parts.group(1)),
        Long.parseLong(parts.group(2)),
        Long.parseLong(parts.group(3)));
  }
}
