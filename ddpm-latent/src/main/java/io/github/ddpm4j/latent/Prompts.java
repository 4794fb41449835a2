package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.Condition;
import java.util.Arrays;
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
    NDList both = encoded(model, skippedLayers, scope);
    return Condition.contexts(both.get(0), both.get(1)).select(rows);
  }

  /**
   * The same for points of the straight line from the first prompt to the last.
   *
   * @param fractions where they lie, 0 at the first
   */
  Condition contextsBetween(
      TextToImage model, int skippedLayers, NDManager scope, double... fractions) {
    NDList both = encoded(model, skippedLayers, scope);
    NDArray with = mixed(both.get(0), scope, fractions);
    return Condition.contexts(with, mixed(both.get(1), scope, fractions));
  }

  private static NDArray mixed(NDArray contexts, NDManager scope, double... fractions) {
    try (NDManager own = scope.newSubManager()) {
      NDArray all = contexts.get(":"); // not the caller's, whose manager would own what follows
      all.attach(own);
      NDArray first = all.get("0:1");
      NDArray last = all.get("-1:");
      Shape each = new Shape(fractions.length, 1, 1);
      NDArray part = Upload.doubles(own, fractions, each, DataType.FLOAT32);
      NDArray rest = Upload.doubles(own, rests(fractions), each, DataType.FLOAT32);
      NDArray mixed = rest.mul(first).add(part.mul(last));
      mixed.attach(scope);
      return mixed;
    }
  }

  private static double[] rests(double... fractions) {
    return Arrays.stream(fractions).map(fraction -> 1 - fraction).toArray();
  }

  /** What prompts and negative prompts are to the network. */
  private NDList encoded(TextToImage model, int skippedLayers, NDManager scope) {
    return weighted
        ? encodedChunks(model, skippedLayers, scope)
        : new NDList(
            encoded(model, skippedLayers, scope, texts),
            encoded(model, skippedLayers, scope, negatives));
  }

  /** Those with fewer chunks than the longest get chunks without text. */
  private NDList encodedChunks(TextToImage model, int skippedLayers, NDManager scope) {
    Tokenizer tokenizer = model.tokenizer();
    List<PromptChunks> with = texts.stream().map(one -> PromptChunks.of(tokenizer, one)).toList();
    List<PromptChunks> without =
        negatives.stream().map(one -> PromptChunks.of(tokenizer, one)).toList();
    int count =
        Stream.concat(with.stream(), without.stream()).mapToInt(PromptChunks::size).max().orElse(1);
    TextEncoder encoder = model.textEncoder();
    return new NDList(
        PromptChunks.encoded(encoder, with, count, skippedLayers, scope),
        PromptChunks.encoded(encoder, without, count, skippedLayers, scope));
  }

  private static NDArray encoded(
      TextToImage model, int skippedLayers, NDManager scope, List<String> texts) {
    int[][] ids = texts.stream().map(model.tokenizer()::encode).toArray(int[][]::new);
    return model.textEncoder().encode(skippedLayers, scope, ids);
  }

  /** What the file of a picture says that lies between the first prompt and the last. */
  Map<String, String> wordsBetween() {
    Map<String, String> words = new LinkedHashMap<>(words(0));
    int last = texts.size() - 1;
    words.put("promptTo", texts.get(last));
    if (!negatives.get(last).isEmpty()) {
      words.put("negativePromptTo", negatives.get(last));
    }
    return words;
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
