package io.github.ddpm4j.latent;

import java.util.List;
import java.util.Map;

/**
 * BERT's WordPiece tokens of lower case (Devlin et al. 2018, code): words without accents, split at
 * punctuation, of each the longest beginning that is in the vocabulary, then the longest beginning
 * of the rest, there marked by "##".
 */
final class WordPiece implements Subwords {

  /** Longer words are unknown. */
  private static final int LONGEST_WORD = 100;

  private static final String INSIDE = "##";

  private final Map<String, Integer> vocabulary;
  private final int unknown;
  private final boolean lower;

  /**
   * @param vocabulary the numbers of tokens
   * @param unknown the number of what is in no vocabulary
   * @param lower whether text is put into lower case and loses its accents
   */
  WordPiece(Map<String, Integer> vocabulary, int unknown, boolean lower) {
    this.vocabulary = vocabulary;
    this.unknown = unknown;
    this.lower = lower;
  }

  @Override
  public void add(String text, List<Integer> ids) {
    String given = lower ? BasicText.lowerOneByOne(text) : text;
    for (String word : BasicText.words(given)) {
      String plain = lower ? BasicText.withoutMarks(word) : word;
      for (String part : BasicText.atPunctuation(plain)) {
        addWord(part, ids);
      }
    }
  }

  private void addWord(String word, List<Integer> ids) {
    int[] characters = word.codePoints().toArray();
    if (characters.length > LONGEST_WORD) {
      ids.add(unknown);
      return;
    }
    int before = ids.size();
    int start = 0;
    while (start < characters.length) {
      int end = characters.length;
      Integer id = null;
      while (end > start && id == null) {
        String piece = new String(characters, start, end - start);
        id = vocabulary.get(start == 0 ? piece : INSIDE + piece);
        end -= id == null ? 1 : 0;
      }
      if (id == null) {
        ids.subList(before, ids.size()).clear();
        ids.add(unknown);
        return;
      }
      ids.add(id);
      start = end;
    }
  }
}
