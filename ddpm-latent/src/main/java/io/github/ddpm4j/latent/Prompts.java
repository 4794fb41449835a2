package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.model.Condition;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What pictures are to show, and what they are to stay away from.
 *
 * @param texts what they show
 * @param negatives one for each
 * @param weighted whether they give words weights and may be longer than a chunk
 */
record Prompts(List<String> texts, List<String> negatives, boolean weighted) {

  /**
   * Prompts with one negative prompt for all, or one for each.
   *
   * @throws IllegalStateException if there is no prompt
   * @throws IllegalArgumentException if there is another number of negative ones
   */
  static Prompts of(List<String> texts, List<String> negatives, boolean weighted) {
    if (texts.isEmpty()) {
      throw new IllegalStateException("no prompt was set: call prompt(text), which may be empty");
    }
    if (negatives.size() != 1 && negatives.size() != texts.size()) {
      throw new IllegalArgumentException(
          "negative prompts must be 1 for all prompts or one for each of the "
              + texts.size()
              + ", but were "
              + negatives.size());
    }
    return new Prompts(
        texts,
        IntStream.range(0, texts.size())
            .mapToObj(i -> negatives.get(negatives.size() == 1 ? 0 : i))
            .toList(),
        weighted);
  }

  /** Whether anything is to be stayed away from. */
  boolean hasNegatives() {
    return negatives.stream().anyMatch(one -> !one.isEmpty());
  }

  /**
   * What a network attends to, and what stands for none.
   *
   * @param skippedLayers of the text encoder
   * @param scope owns the arrays
   * @param rows for each picture, which of the prompts it shows
   */
  Condition contexts(TextToImage model, int skippedLayers, NDManager scope, int... rows) {
    if (weighted) {
      return weightedContexts(model, skippedLayers, scope).select(rows);
    }
    NDArray with = encoded(model, skippedLayers, scope, texts);
    return Condition.contexts(with, encoded(model, skippedLayers, scope, negatives)).select(rows);
  }

  /** Those with fewer chunks than the longest get chunks without text. */
  private Condition weightedContexts(TextToImage model, int skippedLayers, NDManager scope) {
    Tokenizer tokenizer = model.tokenizer();
    List<PromptChunks> with = texts.stream().map(one -> PromptChunks.of(tokenizer, one)).toList();
    List<PromptChunks> without =
        negatives.stream().map(one -> PromptChunks.of(tokenizer, one)).toList();
    int count =
        Stream.concat(with.stream(), without.stream()).mapToInt(PromptChunks::size).max().orElse(1);
    TextEncoder encoder = model.textEncoder();
    return Condition.contexts(
        PromptChunks.encoded(encoder, with, count, skippedLayers, scope),
        PromptChunks.encoded(encoder, without, count, skippedLayers, scope));
  }

  private static NDArray encoded(
      TextToImage model, int skippedLayers, NDManager scope, List<String> texts) {
    int[][] ids = texts.stream().map(model.tokenizer()::encode).toArray(int[][]::new);
    return model.textEncoder().encode(skippedLayers, scope, ids);
  }

  /** What the file of a picture says of one of the prompts. */
  Map<String, String> words(int row) {
    Map<String, String> words = new LinkedHashMap<>();
    words.put("prompt", texts.get(row));
    if (!negatives.get(row).isEmpty()) {
      words.put("negativePrompt", negatives.get(row));
    }
    if (weighted) {
      words.put("promptWeights", "true");
    }
    return words;
  }
}
