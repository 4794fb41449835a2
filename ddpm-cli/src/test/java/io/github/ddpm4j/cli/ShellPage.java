package io.github.ddpm4j.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page of documentation that shows a session of the shell, in blocks of {@code console}. A line
 * that begins with {@code $} is typed, those below are what is printed. There, … stands for any
 * text of a line, or alone for any lines. Numbers with a point may differ by {@link #ROUNDING} of
 * themselves, since processors round otherwise. All else is as it stands.
 */
final class ShellPage {

  /**
   * What is typed and printed.
   *
   * @param line the number of its line in the page, from 1
   * @param typed what is typed, in one line
   * @param printed what it prints, each line ended
   */
  record Command(int line, String typed, String printed) {

    /** Whether a command printed what the page shows. */
    boolean isLike(String actual) {
      List<Double> numbers = new ArrayList<>();
      StringBuilder pattern = new StringBuilder();
      Matcher parts = PART.matcher(printed);
      int end = 0;
      while (parts.find()) {
        pattern.append(Pattern.quote(printed.substring(end, parts.start())));
        String part = parts.group();
        if (part.equals("…\n")) {
          pattern.append("(?:.*\n)*?");
        } else if (part.equals("…")) {
          pattern.append(".*?");
        } else {
          pattern.append("(-?\\d+\\.\\d+(?:[eE][-+]?\\d+)?)");
          numbers.add(Double.valueOf(part));
        }
        end = parts.end();
      }
      pattern.append(Pattern.quote(printed.substring(end)));
      Matcher same = Pattern.compile(pattern.toString()).matcher(actual);
      if (!same.matches()) {
        return false;
      }
      for (int i = 0; i < numbers.size(); i++) {
        double shown = numbers.get(i);
        if (Math.abs(Double.parseDouble(same.group(i + 1)) - shown) > ROUNDING * Math.abs(shown)) {
          return false;
        }
      }
      return true;
    }
  }

  /** Of a number with a point, the share by which it may differ. */
  static final double ROUNDING = 0.02;

  private static final Pattern PART =
      Pattern.compile("(?m)^…\n|…|(?<![\\w.])-?\\d+\\.\\d+(?:[eE][-+]?\\d+)?(?![\\w.])");

  private ShellPage() {}

  /** All commands of a page, in order. */
  static List<Command> commands(String page) {
    List<Command> commands = new ArrayList<>();
    List<String> lines = page.lines().toList();
    boolean inside = false;
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.startsWith("```")) {
        inside = line.equals("```console");
      } else if (inside) {
        if (!line.startsWith("$ ")) {
          throw new IllegalArgumentException("line " + (i + 1) + " belongs to no command: " + line);
        }
        int first = i;
        StringBuilder typed = new StringBuilder(line.substring(2));
        while (typed.charAt(typed.length() - 1) == '\\') {
          typed.setLength(typed.length() - 1);
          i++;
          typed.append(lines.get(i).replaceFirst("^>? *", ""));
        }
        StringBuilder printed = new StringBuilder();
        while (!lines.get(i + 1).startsWith("$ ") && !lines.get(i + 1).equals("```")) {
          i++;
          printed.append(lines.get(i)).append('\n');
        }
        commands.add(new Command(first + 1, typed.toString(), printed.toString()));
      }
    }
    return commands;
  }
}
