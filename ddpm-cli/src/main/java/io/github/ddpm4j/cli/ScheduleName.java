package io.github.ddpm4j.cli;

import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.Arrays;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** The schedules that need no more than a number of timesteps. */
enum ScheduleName {
  LINEAR("linear"),
  SCALED_LINEAR("scaled-linear"),
  COSINE("cosine"),
  FLOW("flow");

  private static final String NAMES = "linear, scaled-linear, cosine or flow";

  private final String text;

  ScheduleName(String text) {
    this.text = text;
  }

  /** The schedule of so many timesteps. */
  Schedule of(int timesteps) {
    return switch (this) {
      case LINEAR -> Schedules.linear(timesteps);
      case SCALED_LINEAR -> Schedules.scaledLinear(timesteps);
      case COSINE -> Schedules.cosine(timesteps);
      case FLOW -> Schedules.flow(timesteps);
    };
  }

  @Override
  public String toString() {
    return text;
  }

  /** That of a name, whatever the case. */
  private static Optional<ScheduleName> named(String text) {
    return Arrays.stream(values()).filter(name -> name.text.equalsIgnoreCase(text)).findFirst();
  }

  /** Reads {@code linear}. */
  static final class NameConverter implements ITypeConverter<ScheduleName> {

    @Override
    public ScheduleName convert(String text) {
      return named(text)
          .orElseThrow(() -> new TypeConversionException("must be " + NAMES + ", but was " + text));
    }
  }

  /** Reads {@code linear:1000}. */
  static final class Converter implements ITypeConverter<Schedule> {

    private static final Pattern TEXT = Pattern.compile("([a-z-]+):([1-9]\\d{0,5})");

    @Override
    public Schedule convert(String text) {
      Matcher parts = TEXT.matcher(text);
      return Optional.of(parts)
          .filter(Matcher::matches)
          .flatMap(found -> named(found.group(1)))
          .orElseThrow(
              () ->
                  new TypeConversionException(
                      "must be "
                          + NAMES
                          + ", and the number of timesteps, such as linear:1000, but was "
                          + text))
          .of(Integer.parseInt(parts.group(2)));
    }
  }
}
