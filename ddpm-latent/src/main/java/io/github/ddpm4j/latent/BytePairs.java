package io.github.ddpm4j.latent;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * CLIP's byte-pair tokens (Sennrich et al. 2015; Radford et al. 2021, code): words in lower case,
 * whose bytes of UTF-8 are joined pair by pair, the pair that was learned first before all others,
 * until no two neighbours were learned as a pair. The last one of a word is marked by "&lt;/w>".
 */
final class BytePairs implements Subwords {

  private static final String END_OF_WORD = "</w>";

  /** Ranks begin at 0; a pair that was not learned comes last. */
  private static final int NEVER = Integer.MAX_VALUE;

  /**
   * As text is in lower case, ignoring case only matters for an apostrophe before a long s, and for
   * the iota below a vowel, U+0345: a mark whose other case is a letter, which Python's pattern
   * takes for neither, so that it is left out.
   */
  private static final Pattern WORDS =
      Pattern.compile(
          "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d"
              + "|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}\\u0345]+",
          Pattern.CASE_INSENSITIVE | Pattern.UNICODE_CASE);

  private static final String[] CHARACTERS = characters();

  private final Map<String, Integer> vocabulary;
  private final Map<String, Integer> ranks;
  private final int unknown;

  /**
   * @param vocabulary the numbers of tokens
   * @param ranks the place of each learned pair, whose halves have a space between them
   * @param unknown the number of what is in no vocabulary
   */
  BytePairs(Map<String, Integer> vocabulary, Map<String, Integer> ranks, int unknown) {
    this.vocabulary = vocabulary;
    this.ranks = ranks;
    this.unknown = unknown;
  }

  /** Of each byte the character that stands for it: itself if it can be seen, else a later one. */
  static String[] characters() {
    String[] characters = new String[256];
    int hidden = 256;
    for (int b = 0; b < characters.length; b++) {
      boolean seen = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      characters[b] = Character.toString(seen ? b : hidden++);
    }
    return characters;
  }

  @Override
  public void add(String text, List<Integer> ids) {
    List<String> words = new ArrayList<>();
    for (String word : BasicText.words(text)) {
      words.add(BasicText.lower(word));
    }
    Matcher matcher = WORDS.matcher(String.join(" ", words));
    while (matcher.find()) {
      addWord(matcher.group(), ids);
    }
  }

  private void addWord(String word, List<Integer> ids) {
    if (word.equals(TokenizerFiles.START_OF_TEXT) || word.equals(TokenizerFiles.END_OF_TEXT)) {
      ids.add(vocabulary.getOrDefault(word, unknown));
      return;
    }
    for (String symbol : joined(word)) {
      ids.add(vocabulary.getOrDefault(symbol, unknown));
    }
  }

  private List<String> joined(String word) {
    byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
    List<String> symbols = new ArrayList<>(bytes.length);
    for (byte b : bytes) {
      symbols.add(CHARACTERS[b & 0xFF]);
    }
    int last = symbols.size() - 1;
    symbols.set(last, symbols.get(last) + END_OF_WORD);
    // rankOf[i] is that of the symbols i and i + 1.
    int[] rankOf = new int[last];
    for (int i = 0; i < last; i++) {
      rankOf[i] = rank(symbols, i);
    }
    while (true) {
      int least = NEVER;
      int count = symbols.size() - 1;
      for (int i = 0; i < count; i++) {
        least = Math.min(least, rankOf[i]);
      }
      if (least == NEVER) {
        return symbols;
      }
      symbols = join(symbols, rankOf, least);
    }
  }

  /** Joins every pair of a rank, from the left, and ranks the pairs that are new. */
  private List<String> join(List<String> symbols, int[] rankOf, int rank) {
    List<String> fewer = new ArrayList<>(symbols.size());
    int last = symbols.size() - 1;
    boolean fresh = false;
    for (int i = 0; i <= last; i++) {
      boolean pair = i < last && rankOf[i] == rank;
      String symbol = pair ? symbols.get(i) + symbols.get(i + 1) : symbols.get(i);
      int before = fewer.size() - 1;
      int kept = i == 0 ? NEVER : rankOf[i - 1];
      fewer.add(symbol);
      if (before >= 0) {
        rankOf[before] = fresh || pair ? rank(fewer, before) : kept;
      }
      fresh = pair;
      if (pair) {
        i++;
      }
    }
    return fewer;
  }

  private int rank(List<String> symbols, int i) {
    return ranks.getOrDefault(symbols.get(i) + " " + symbols.get(i + 1), NEVER);
  }
}
