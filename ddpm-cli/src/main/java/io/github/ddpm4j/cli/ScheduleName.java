package io.github.ddpm4j.cli;

import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads {@code linear:1000}. */
final class ScheduleName implements ITypeConverter<Schedule> {

  private static final Pattern TEXT =
      Pattern.compile("(linear|scaled-linear|cosine|flow):([1-9]\\d{0,5})");

  @Override
  public Schedule convert(String text) {
    Matcher parts = TEXT.matcher(text);
    if (!parts.matches()) {
      throw new TypeConversionException(
          "must be linear, scaled-linear, cosine or flow, and the number of timesteps, such as"
              + " linear:1000, but was "
              + text);
    }
    int timesteps = Integer.parseInt(parts.group(2));
    return switch (parts.group(1)) {
      case "linear" -> Schedules.linear(timesteps);
      case "scaled-linear" -> Schedules.scaledLinear(timesteps);
      case "cosine" -> Schedules.cosine(timesteps);
      default -> Schedules.flow(timesteps);
    };
  }
}
