package io.github.ddpm4j.latent;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Turns text into the token numbers that a text encoder was trained on: BERT's WordPiece for latent
 * diffusion's own models, CLIP's byte pairs for Stable Diffusion.
 *
 * <pre>{@code
 * Tokenizer tokenizer = Tokenizer.load(folder.resolve("tokenizer"));
 * int[] ids = tokenizer.encode("a photo of a cat");
 * }</pre>
 *
 * <p>The numbers are those of transformers' CLIPTokenizer and BertTokenizer (4.57) without ftfy,
 * which repairs broken Unicode, and which transformers uses for CLIP where it is installed: with it
 * typographic quotes, ligatures and full-width letters get other numbers. Characters of a Unicode
 * version that this Java does not know count as unassigned and are left out.
 *
 * <p>Special tokens that are written in the text are those tokens. Stable Diffusion 2 pads with
 * "!", which makes every "!" of a prompt a padding token; that is so in Python, too.
 *
 * <p>Immutable; one instance serves many threads.
 */
public final class Tokenizer {

  /** The number of tokens of a prompt that published text encoders were trained with: {@value}. */
  public static final int LENGTH = 77;

  private final Subwords subwords;
  private final AddedTokens added;
  private final int length;
  private final int startToken;
  private final int endToken;
  private final int padToken;

  Tokenizer(
      Subwords subwords,
      AddedTokens added,
      int length,
      int startToken,
      int endToken,
      int padToken) {
    this.subwords = subwords;
    this.added = added;
    this.length = length;
    this.startToken = startToken;
    this.endToken = endToken;
    this.padToken = padToken;
  }

  /**
   * Loads the tokenizer of a published model: a folder with {@code vocab.json} and {@code
   * merges.txt} (CLIP) or {@code vocab.txt} (BERT), and {@code tokenizer_config.json}, {@code
   * special_tokens_map.json} and {@code added_tokens.json} as far as they are there.
   *
   * @param folder the folder, usually {@code tokenizer} in that of the model
   * @return the tokenizer
   * @throws java.nio.file.NoSuchFileException if there is no folder, or a file that it needs
   * @throws IOException if reading fails, a file is invalid, or the tokenizer is of another kind
   */
  public static Tokenizer load(Path folder) throws IOException {
    return TokenizerFiles.read(Objects.requireNonNull(folder, "folder"));
  }

  /**
   * The tokens of a prompt as the text encoder takes them: {@link #startToken}, as many of the
   * text's as there is room for, {@link #endToken}, and {@link #padToken} to the end.
   *
   * @param text the prompt; may be empty
   * @return {@link #length} token numbers
   */
  public int[] encode(String text) {
    return framed(tokens(text));
  }

  /** As many tokens as there is room for, with those at the start and end. */
  int[] framed(int[] own) {
    int[] all = new int[length];
    Arrays.fill(all, padToken);
    int count = Math.min(own.length, length - 2);
    all[0] = startToken;
    System.arraycopy(own, 0, all, 1, count);
    all[count + 1] = endToken;
    return all;
  }

  /**
   * The tokens of a text, however many, without those at its start and end.
   *
   * @param text the text; may be empty
   * @return the token numbers
   */
  public int[] tokens(String text) {
    List<Integer> ids = added.ids(Objects.requireNonNull(text, "text"), subwords);
    return ids.stream().mapToInt(Integer::intValue).toArray();
  }

  /**
   * The number of tokens that {@link #encode} gives.
   *
   * @return {@value #LENGTH}, or less if the tokenizer's folder says so
   */
  public int length() {
    return length;
  }

  /**
   * The token before a prompt: {@code [CLS]} or {@code <|startoftext|>}.
   *
   * @return its number
   */
  public int startToken() {
    return startToken;
  }

  /**
   * The token behind a prompt: {@code [SEP]} or {@code <|endoftext|>}.
   *
   * @return its number
   */
  public int endToken() {
    return endToken;
  }

  /**
   * The token that fills up a prompt. Text encoders attend to it, so it matters.
   *
   * @return its number
   */
  public int padToken() {
    return padToken;
  }
}
