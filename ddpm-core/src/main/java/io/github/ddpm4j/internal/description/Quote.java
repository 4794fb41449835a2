package io.github.ddpm4j.internal.description;

import org.jspecify.annotations.Nullable;

/**
 * What messages repeat of a value or of a message that was found elsewhere, as in a file: its
 * beginning, so that no file makes a message too long to be read.
 */
public final class Quote {

  /** The most characters of a value: {@value}. */
  public static final int MOST = 80;

  /** The most characters of a message that another one repeats: {@value}. */
  public static final int MOST_OF_A_MESSAGE = 1000;

  private static final String CUT = "…";

  private Quote() {}

  /**
   * A value.
   *
   * @param value the value
   * @return its text, cut at {@value #MOST} characters, the last of which is then "…"
   */
  public static String of(@Nullable Object value) {
    return cut(String.valueOf(value), MOST);
  }

  /**
   * A message that another one repeats.
   *
   * @param message the message
   * @return the same, cut at {@value #MOST_OF_A_MESSAGE} characters, the last of which is then "…"
   */
  public static String message(@Nullable String message) {
    return cut(String.valueOf(message), MOST_OF_A_MESSAGE);
  }

  /** Not within a character of two halves. */
  private static String cut(String text, int most) {
    if (text.length() <= most) {
      return text;
    }
    int end = most - CUT.length();
    return text.substring(0, Character.isHighSurrogate(text.charAt(end - 1)) ? end - 1 : end) + CUT;
  }
}
