package io.github.ddpm4j.latent;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The rules of BERT's first tokenizer (Devlin et al. 2018, code), which both tokenizers begin with:
 * control characters go, ideographs stand alone, and words end at white space.
 *
 * <p>Characters are judged by the tables of the Java that runs, as in Python by those of the Python
 * that runs: one that is too new for a table counts as unassigned, and goes.
 */
final class BasicText {

  /** The blocks of ideographs that are split, without kana and Hangul: first and last of each. */
  private static final int[][] IDEOGRAPHS = {
    {0x4E00, 0x9FFF},
    {0x3400, 0x4DBF},
    {0x20000, 0x2A6DF},
    {0x2A700, 0x2B73F},
    {0x2B740, 0x2B81F},
    {0x2B820, 0x2CEAF},
    {0xF900, 0xFAFF},
    {0x2F800, 0x2FA1F}
  };

  private static final int REPLACEMENT = 0xFFFD;

  private static final int SIGMA = 0x3A3;
  private static final char FINAL_SIGMA = '\u03C2';

  /** Unicode's Word_Break values MidLetter, MidNumLet and Single_Quote. */
  private static final String INSIDE_WORDS =
      ":\u00B7\u0387\u055F\u05F4\u2027\uFE13\uFE55\uFF1A"
          + ".\u2018\u2019\u2024\uFE52\uFF07\uFF0E"
          + "'";

  private BasicText() {}

  /** The words of a text, composed (NFC), without control characters. */
  static List<String> words(String text) {
    StringBuilder clean = new StringBuilder();
    text.codePoints()
        .filter(c -> c != REPLACEMENT && !isControl(c))
        .forEach(
            c -> {
              if (isIdeograph(c)) {
                clean.append(' ').appendCodePoint(c).append(' ');
              } else if (isSpace(c)) {
                clean.append(' ');
              } else {
                clean.appendCodePoint(c);
              }
            });
    List<String> words = new ArrayList<>();
    StringBuilder word = new StringBuilder();
    String composed = Normalizer.normalize(clean, Normalizer.Form.NFC);
    composed
        .codePoints()
        .forEach(
            c -> {
              if (!isSpace(c)) {
                word.appendCodePoint(c);
              } else {
                end(word, words);
              }
            });
    end(word, words);
    return words;
  }

  private static void end(StringBuilder word, List<String> words) {
    if (!word.isEmpty()) {
      words.add(word.toString());
      word.setLength(0);
    }
  }

  /** Every character in lower case by itself, whatever stands beside it. */
  static String lowerOneByOne(String text) {
    StringBuilder lower = new StringBuilder();
    text.codePoints().forEach(c -> lower.append(lower(c)));
    return lower.toString();
  }

  /**
   * A word in lower case, as Unicode defines it: a sigma at its end has a form of its own. (Java's
   * strings look for the end of a word elsewhere, behind hyphens.)
   */
  static String lower(String word) {
    int[] characters = word.codePoints().toArray();
    StringBuilder lower = new StringBuilder();
    for (int i = 0; i < characters.length; i++) {
      boolean last = characters[i] == SIGMA && seesCased(characters, i, -1);
      if (last && !seesCased(characters, i, 1)) {
        lower.append(FINAL_SIGMA);
      } else {
        lower.append(lower(characters[i]));
      }
    }
    return lower.toString();
  }

  private static String lower(int c) {
    return Character.toString(c).toLowerCase(Locale.ROOT);
  }

  /** Whether the next character that counts has a case. */
  private static boolean seesCased(int[] characters, int from, int step) {
    int i = from + step;
    while (i >= 0 && i < characters.length && isCaseIgnorable(characters[i])) {
      i += step;
    }
    return i >= 0 && i < characters.length && isCased(characters[i]);
  }

  private static boolean isCased(int c) {
    return Character.isLowerCase(c) || Character.isUpperCase(c) || Character.isTitleCase(c);
  }

  private static boolean isCaseIgnorable(int c) {
    return INSIDE_WORDS.indexOf(c) >= 0
        || switch (Character.getType(c)) {
          case Character.NON_SPACING_MARK,
              Character.ENCLOSING_MARK,
              Character.FORMAT,
              Character.MODIFIER_LETTER,
              Character.MODIFIER_SYMBOL ->
              true;
          default -> false;
        };
  }

  /** The word decomposed, without the marks that take no space. */
  static String withoutMarks(String word) {
    StringBuilder plain = new StringBuilder();
    Normalizer.normalize(word, Normalizer.Form.NFD)
        .codePoints()
        .filter(c -> Character.getType(c) != Character.NON_SPACING_MARK)
        .forEach(plain::appendCodePoint);
    return plain.toString();
  }

  /** A word in parts: every punctuation character alone, and what is between them. */
  static List<String> atPunctuation(String word) {
    List<String> parts = new ArrayList<>();
    StringBuilder part = new StringBuilder();
    word.codePoints()
        .forEach(
            c -> {
              if (isPunctuation(c)) {
                end(part, parts);
                parts.add(Character.toString(c));
              } else {
                part.appendCodePoint(c);
              }
            });
    end(part, parts);
    return parts;
  }

  private static boolean isControl(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL -> c != '\t' && c != '\n' && c != '\r';
      case Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE, Character.UNASSIGNED ->
          true;
      default -> false;
    };
  }

  private static boolean isSpace(int c) {
    return c == '\t'
        || c == '\n'
        || c == '\r'
        || switch (Character.getType(c)) {
          case Character.SPACE_SEPARATOR, Character.LINE_SEPARATOR, Character.PARAGRAPH_SEPARATOR ->
              true;
          default -> false;
        };
  }

  private static boolean isIdeograph(int c) {
    for (int[] block : IDEOGRAPHS) {
      if (c >= block[0] && c <= block[1]) {
        return true;
      }
    }
    return false;
  }

  /** What Unicode calls so, and all of ASCII that is neither letter nor digit. */
  private static boolean isPunctuation(int c) {
    if (c > ' ' && c < 0x7F && !Character.isLetterOrDigit(c)) {
      return true;
    }
    return switch (Character.getType(c)) {
      case Character.CONNECTOR_PUNCTUATION,
          Character.DASH_PUNCTUATION,
          Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          true;
      default -> false;
    };
  }
}
