package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What holds for the source text of all modules: numbers and names are written in one locale.
 * Without a locale, Java writes the digits and the decimal point of the user's, and Turkish has
 * other capitals.
 */
class SourcesTest {

  /** Calls that follow the default locale: those that take no locale, and those given another. */
  private static final Pattern LOCAL =
      Pattern.compile(
          "(\\.|::)formatted\\b"
              + "|\\bString(::format\\b|\\s*\\.format\\((?!\\s*Locale\\.ROOT,))"
              + "|\\.printf\\((?!\\s*Locale\\.ROOT,)"
              + "|\\b(out|err)\\s*\\.format\\((?!\\s*Locale\\.ROOT,)"
              + "|\\.to(Lower|Upper)Case\\((?!\\s*Locale\\.ROOT\\))"
              + "|::to(Lower|Upper)Case\\b"
              + "|\\bnew (Formatter|Scanner|DecimalFormat|SimpleDateFormat|MessageFormat)\\("
              + "|\\b(NumberFormat|DateFormat)\\s*\\.get|\\bMessageFormat\\s*\\.format\\("
              + "|\\bDateTimeFormatter\\s*\\.ofPattern\\(");

  @Test
  void sources_writeNumbersInOneLocale() throws IOException {
    List<String> found = new ArrayList<>();
    List<Path> sources = sources();
    for (Path source : sources) {
      String text = Files.readString(source);
      Matcher calls = LOCAL.matcher(text);
      while (calls.find()) {
        long line = text.substring(0, calls.start()).chars().filter(c -> c == '\n').count() + 1;
        found.add(source + ":" + line + " " + calls.group());
      }
    }
    assertThat(sources).hasSizeGreaterThan(300);
    assertThat(found).as("calls that need Locale.ROOT").isEmpty();
  }

  /** All but this class, which has what it looks for. */
  private static List<Path> sources() throws IOException {
    List<Path> sources = new ArrayList<>();
    try (Stream<Path> modules = Files.list(Path.of(".."))) {
      for (Path module : modules.map(folder -> folder.resolve("src")).sorted().toList()) {
        if (Files.isDirectory(module)) {
          try (Stream<Path> files = Files.walk(module)) {
            files
                .filter(file -> file.toString().endsWith(".java"))
                .filter(file -> !file.endsWith("SourcesTest.java"))
                .forEach(sources::add);
          }
        }
      }
    }
    return sources;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"%d\".formatted(1)",
        "map(\"%d\"::formatted)",
        "String.format(\"%d\", 1)",
        "String.format(\n    \"%d\", 1)",
        "String.format(Locale.US, \"%d\", 1)",
        "System.out.printf(\"%d\", 1)",
        "System.out.format(\"%d\", 1)",
        "name.toLowerCase()",
        "map(String::toUpperCase)",
        "new DecimalFormat(\"0\")",
        "NumberFormat.getInstance()"
      })
  void pattern_findsWhatFollowsTheUser(String call) {
    assertThat(LOCAL.matcher(call).find()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "String.format(Locale.ROOT, \"%d\", 1)",
        "String.format(\n    Locale.ROOT, \"%d\", 1)",
        "System.out.printf(Locale.ROOT, \"%d\", 1)",
        "name.toLowerCase(Locale.ROOT)"
      })
  void pattern_passesOneLocale(String call) {
    assertThat(LOCAL.matcher(call).find()).isFalse();
  }
}
