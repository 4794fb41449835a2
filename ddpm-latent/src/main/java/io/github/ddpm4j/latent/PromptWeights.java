package io.github.ddpm4j.latent;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The weights that a prompt gives its words, in the notation of AUTOMATIC1111's web interface:
 * {@code (word:1.2)} 1.2, {@code (word)} 1.1, {@code [word]} 1 / 1.1; brackets in brackets
 * multiply, and an open one lasts to the end. A backslash before a bracket or backslash makes it
 * text. {@code BREAK} begins a new chunk.
 */
final class PromptWeights {

  /** How much stronger what stands in brackets is. */
  static final double STRONGER = 1.1;

  private static final Pattern PIECES =
      Pattern.compile(
          "\\\\(?<literal>[()\\[\\]\\\\]?)"
              + "|(?<open>[(\\[])"
              + "|:\\s*(?<weight>[+-]?[.\\d]+)\\s*\\)"
              + "|(?<close>[)\\]])"
              + "|(?<text>[^\\\\()\\[\\]:]+|:)");

  private static final Pattern BREAK =
      Pattern.compile("\\s*\\bBREAK\\b\\s*", Pattern.UNICODE_CHARACTER_CLASS);

  /**
   * Some text with one weight.
   *
   * @param breaks whether it has no text, and ends a chunk
   */
  record Run(String text, double weight, boolean breaks) {

    Run times(double factor) {
      return new Run(text, weight * factor, breaks);
    }
  }

  private final String prompt;
  private final List<Run> runs = new ArrayList<>();

  /** Where the brackets begin that are open. */
  private final Deque<Integer> round = new ArrayDeque<>();

  private final Deque<Integer> square = new ArrayDeque<>();

  private PromptWeights(String prompt) {
    this.prompt = prompt;
  }

  /**
   * Reads a prompt.
   *
   * @param prompt the text
   * @return what it says, in order; neighbours differ in weight
   * @throws IllegalArgumentException if a weight is no number
   */
  static List<Run> of(String prompt) {
    PromptWeights weights = new PromptWeights(prompt);
    Matcher pieces = PIECES.matcher(prompt);
    while (pieces.find()) {
      weights.read(pieces);
    }
    weights.round.forEach(from -> weights.multiply(from, STRONGER));
    weights.square.forEach(from -> weights.multiply(from, 1 / STRONGER));
    return weights.joined();
  }

  private void read(Matcher piece) {
    String weight = piece.group("weight");
    String open = piece.group("open");
    String close = piece.group("close");
    if (piece.group("literal") != null) {
      runs.add(new Run(piece.group("literal"), 1, false));
    } else if (open != null) {
      (open.equals("(") ? round : square).push(runs.size());
    } else if (weight != null && !round.isEmpty()) {
      multiply(round.pop(), number(weight));
    } else if (")".equals(close) && !round.isEmpty()) {
      multiply(round.pop(), STRONGER);
    } else if ("]".equals(close) && !square.isEmpty()) {
      multiply(square.pop(), 1 / STRONGER);
    } else {
      addText(piece.group());
    }
  }

  private void addText(String text) {
    String[] parts = BREAK.split(text, -1);
    for (int i = 0; i < parts.length; i++) {
      if (i > 0) {
        runs.add(new Run("", 1, true));
      }
      runs.add(new Run(parts[i], 1, false));
    }
  }

  private double number(String weight) {
    try {
      return Double.parseDouble(weight);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "a weight in a prompt must be a number as in (word:1.2), but was \""
              + weight
              + "\" in \""
              + prompt
              + "\"; write \\( for a bracket that is text",
          e);
    }
  }

  private void multiply(int from, double factor) {
    for (int i = from; i < runs.size(); i++) {
      runs.set(i, runs.get(i).times(factor));
    }
  }

  private List<Run> joined() {
    List<Run> joined = new ArrayList<>();
    for (Run run : runs) {
      Run last = joined.isEmpty() ? null : joined.get(joined.size() - 1);
      if (last != null && !last.breaks && !run.breaks && last.weight == run.weight) {
        joined.set(joined.size() - 1, new Run(last.text + run.text, run.weight, false));
      } else {
        joined.add(run);
      }
    }
    return joined;
  }
}
