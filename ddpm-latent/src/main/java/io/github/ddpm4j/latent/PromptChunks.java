package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Prompts of any length, whose words have weights, as AUTOMATIC1111's web interface encodes them: a
 * chunk of as many tokens as the text encoder was trained with after the other. A chunk that is
 * full ends behind its last comma, if that is near its end.
 *
 * <pre>c = z · w · mean(z) / mean(z · w)</pre>
 *
 * <p>for what the encoder makes of a chunk, z, and the weights of its tokens, w. The means are over
 * all numbers of the chunk.
 */
final class PromptChunks {

  /** How many tokens behind a comma move to the next chunk with what follows. */
  private static final int NEAR = 20;

  private final Tokenizer tokenizer;
  private final int room;
  private final int comma;
  private final List<int[]> tokens = new ArrayList<>();
  private final List<double[]> weights = new ArrayList<>();

  /** The chunk that is filled. */
  private List<Integer> own = new ArrayList<>();

  private List<Double> ownWeights = new ArrayList<>();

  /** Where the last comma of it stands, or −1. */
  private int lastComma = -1;

  private PromptChunks(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    room = tokenizer.length() - 2;
    int[] commas = tokenizer.tokens(",");
    comma = commas.length == 1 ? commas[0] : -1;
  }

  /**
   * Cuts a prompt.
   *
   * @param tokenizer the tokenizer
   * @param prompt the text, with weights
   * @return its chunks, at least one
   * @throws IllegalArgumentException if a weight is no number
   */
  static PromptChunks of(Tokenizer tokenizer, String prompt) {
    PromptChunks chunks = new PromptChunks(tokenizer);
    for (PromptWeights.Run run : PromptWeights.of(prompt)) {
      if (run.breaks()) {
        chunks.end();
      } else {
        for (int token : tokenizer.tokens(run.text())) {
          chunks.add(token, run.weight());
        }
      }
    }
    if (!chunks.own.isEmpty() || chunks.tokens.isEmpty()) {
      chunks.end();
    }
    return chunks;
  }

  private void add(int token, double weight) {
    if (token == comma) {
      lastComma = own.size();
    } else if (own.size() == room && lastComma >= 0 && own.size() - lastComma <= NEAR) {
      List<Integer> moved = own.subList(lastComma + 1, room);
      List<Double> movedWeights = ownWeights.subList(lastComma + 1, room);
      own = own.subList(0, lastComma + 1);
      ownWeights = ownWeights.subList(0, lastComma + 1);
      end();
      own.addAll(moved);
      ownWeights.addAll(movedWeights);
    }
    if (own.size() == room) {
      end();
    }
    own.add(token);
    ownWeights.add(weight);
  }

  private void end() {
    tokens.add(tokenizer.framed(own.stream().mapToInt(Integer::intValue).toArray()));
    double[] all = new double[room + 2];
    Arrays.fill(all, 1);
    for (int i = 0; i < ownWeights.size(); i++) {
      all[i + 1] = ownWeights.get(i);
    }
    weights.add(all);
    own = new ArrayList<>();
    ownWeights = new ArrayList<>();
    lastComma = -1;
  }

  /** The number of chunks. */
  int size() {
    return tokens.size();
  }

  /** The tokens of each chunk. */
  List<int[]> tokens() {
    return tokens;
  }

  /** The weights of each chunk's tokens. */
  List<double[]> weights() {
    return weights;
  }

  /** As many chunks, those that are missing without text. */
  private void fillTo(int count) {
    while (tokens.size() < count) {
      end();
    }
  }

  /**
   * What a network attends to.
   *
   * @param prompts each of any number of chunks; shorter ones get chunks without text
   * @param count the number of chunks of each, at least that of the longest
   * @param skippedLayers of the text encoder
   * @param scope owns the result
   * @return shape (N, count · tokens of a chunk, width)
   * @throws IllegalArgumentException if weights are such that the mean cannot be restored
   */
  static NDArray encoded(
      TextEncoder encoder,
      List<PromptChunks> prompts,
      int count,
      int skippedLayers,
      NDManager scope) {
    prompts.forEach(prompt -> prompt.fillTo(count));
    int[][] ids = prompts.stream().flatMap(one -> one.tokens.stream()).toArray(int[][]::new);
    double[] each =
        prompts.stream()
            .flatMap(one -> one.weights.stream())
            .flatMapToDouble(Arrays::stream)
            .toArray();
    int length = ids[0].length;
    try (GradMode off = GradMode.off();
        NDManager own = scope.newSubManager(encoder.device())) {
      NDArray z = encoder.encode(skippedLayers, own, ids);
      NDArray w = Upload.doubles(own, each, new Shape(ids.length, length, 1), DataType.FLOAT32);
      NDArray weighted = z.mul(w);
      NDArray restored = weighted.mul(mean(z).div(mean(weighted)));
      if (!restored.isInfinite().logicalOr(restored.isNaN()).any().getBoolean()) {
        NDArray contexts = restored.reshape(prompts.size(), (long) count * length, encoder.width());
        contexts.attach(scope);
        return contexts;
      }
    }
    throw new IllegalArgumentException(
        "weights of a prompt must leave a mean that can be restored, but with these it is zero or"
            + " not finite; use weights nearer to 1");
  }

  /** Of each chunk. */
  private static NDArray mean(NDArray z) {
    long chunks = z.getShape().get(0);
    return z.reshape(chunks, -1).mean(new int[] {1}).reshape(chunks, 1, 1);
  }
}
