package io.github.ddpm4j.cli;

import java.nio.file.Path;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads names of files, folders and models. A variable of a shell that is not set gives none. */
final class Names {

  /** What is said of an empty one. */
  static final String EMPTY =
      "a path needs a name, but was \"\"; for the working directory, write \".\"";

  private Names() {}

  /** Reads a path. */
  static Path path(String text) {
    return Path.of(require(text));
  }

  private static String require(String text) {
    if (text.isEmpty()) {
      throw new TypeConversionException(EMPTY);
    }
    return text;
  }

  /** Reads the name of a model, which may be a path. */
  static final class OfModel implements ITypeConverter<String> {

    @Override
    public String convert(String text) {
      return require(text);
    }
  }
}
