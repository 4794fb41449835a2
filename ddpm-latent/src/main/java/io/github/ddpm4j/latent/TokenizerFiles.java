package io.github.ddpm4j.latent;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.latent.AddedTokens.Added;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The files of a tokenizer's folder. What {@code special_tokens_map.json} says counts before {@code
 * tokenizer_config.json}, as in transformers.
 */
final class TokenizerFiles {

  static final String START_OF_TEXT = "<|startoftext|>";
  static final String END_OF_TEXT = "<|endoftext|>";

  private static final String VOCABULARY_LINES = "vocab.txt";
  static final String VOCABULARY = "vocab.json";
  private static final String MERGES = "merges.txt";
  private static final String CONFIG = "tokenizer_config.json";
  private static final String SPECIAL = "special_tokens_map.json";
  private static final String ADDED = "added_tokens.json";

  /** All that are read. */
  static final List<String> NAMES =
      List.of(VOCABULARY_LINES, VOCABULARY, MERGES, CONFIG, SPECIAL, ADDED);

  /** 49,152 tokens of CLIP, less those of single bytes and two special ones. */
  private static final int MOST_MERGES = 49152 - 256 - 2;

  private final Path folder;
  private final Map<String, @Nullable Object> config;
  private final Map<String, @Nullable Object> special;

  /** The numbers of the vocabulary, and of the tokens added to it. */
  private final Map<String, Integer> numbers = new HashMap<>();

  private final Map<String, Added> added = new LinkedHashMap<>();

  private TokenizerFiles(Path folder) throws IOException {
    this.folder = folder;
    config = optional(CONFIG);
    special = optional(SPECIAL);
  }

  static Tokenizer read(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      throw new NoSuchFileException(
          folder.toString(), null, "there is no such folder of a tokenizer");
    }
    TokenizerFiles files = new TokenizerFiles(folder);
    String type = files.type();
    return switch (type) {
      case "CLIPTokenizer" -> files.clip();
      case "BertTokenizer" -> files.bert();
      default ->
          throw new IOException(
              folder.resolve(CONFIG)
                  + ": \"tokenizer_class\" is "
                  + Quote.of(type)
                  + ", but only those of CLIP (CLIPTokenizer) and BERT (BertTokenizer) are read");
    };
  }

  /** The class without the word that says how transformers runs it. */
  private String type() throws IOException {
    Object type = config.get("tokenizer_class");
    if (type != null) {
      String name = String.valueOf(type);
      return name.endsWith("Fast") ? name.substring(0, name.length() - 4) : name;
    }
    if (Files.isRegularFile(folder.resolve(VOCABULARY))) {
      return "CLIPTokenizer";
    }
    if (Files.isRegularFile(folder.resolve(VOCABULARY_LINES))) {
      return "BertTokenizer";
    }
    throw new NoSuchFileException(
        folder.toString(),
        null,
        "no tokenizer: it has neither "
            + VOCABULARY
            + " with "
            + MERGES
            + " nor "
            + VOCABULARY_LINES);
  }

  /* ---------------- CLIP ---------------- */

  private Tokenizer clip() throws IOException {
    Map<String, Integer> vocabulary = vocabulary();
    Map<String, Integer> ranks = ranks();
    requireOfOneTokenizer(vocabulary, ranks);
    numbers.putAll(vocabulary);
    readAdded();
    int start = id("bos_token", START_OF_TEXT);
    int end = id("eos_token", END_OF_TEXT);
    int pad = id("pad_token", END_OF_TEXT);
    int unknown = id("unk_token", END_OF_TEXT);
    Subwords words = new BytePairs(vocabulary, ranks, unknown);
    return new Tokenizer(words, new AddedTokens(added), length(), start, end, pad);
  }

  /** What merges make are tokens; other vocabularies would make unknown ones of most texts. */
  private void requireOfOneTokenizer(Map<String, Integer> vocabulary, Map<String, Integer> ranks)
      throws IOException {
    for (String pair : ranks.keySet()) {
      String merged = pair.replace(" ", "");
      if (!vocabulary.containsKey(merged)) {
        throw new IOException(
            folder.resolve(VOCABULARY)
                + " has no token "
                + Quote.of(merged)
                + ", which "
                + MERGES
                + " makes: they are not of one tokenizer");
      }
    }
  }

  private Map<String, Integer> vocabulary() throws IOException {
    Path file = required(VOCABULARY);
    Map<String, Integer> vocabulary = new HashMap<>();
    for (Map.Entry<String, @Nullable Object> entry : JsonFile.read(file).entrySet()) {
      vocabulary.put(entry.getKey(), number(file, entry.getKey(), entry.getValue()));
    }
    return vocabulary;
  }

  private Map<String, Integer> ranks() throws IOException {
    Path file = required(MERGES);
    List<String> lines = lines(file);
    Map<String, Integer> ranks = new HashMap<>();
    // The first line is the version.
    for (int i = 1; i < Math.min(lines.size(), MOST_MERGES + 1); i++) {
      String[] pair = lines.get(i).strip().split("\\s+", -1);
      if (pair.length == 1 && pair[0].isEmpty()) {
        continue;
      }
      if (pair.length != 2) {
        throw new IOException(
            file
                + ": line "
                + (i + 1)
                + " must be a pair of symbols, but was "
                + Quote.of(lines.get(i)));
      }
      ranks.put(pair[0] + " " + pair[1], i - 1);
    }
    return ranks;
  }

  /* ---------------- BERT ---------------- */

  private Tokenizer bert() throws IOException {
    Path file = required(VOCABULARY_LINES);
    List<String> lines = lines(file);
    Map<String, Integer> vocabulary = new HashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      vocabulary.put(lines.get(i), i);
    }
    numbers.putAll(vocabulary);
    boolean lower = flag("do_lower_case");
    requireOrdinary("strip_accents");
    requireOrdinary("never_split");
    if (!flag("tokenize_chinese_chars") || !flag("do_basic_tokenize")) {
      throw new IOException(
          folder.resolve(CONFIG)
              + ": \"tokenize_chinese_chars\" and \"do_basic_tokenize\" must be true, another way"
              + " to find words is not known");
    }
    readAdded();
    int unknown = id("unk_token", "[UNK]");
    int end = id("sep_token", "[SEP]");
    int pad = id("pad_token", "[PAD]");
    int start = id("cls_token", "[CLS]");
    int mask = id("mask_token", "[MASK]");
    if (added.values().stream()
        .anyMatch(token -> !List.of(unknown, end, pad, start, mask).contains(token.id()))) {
      throw new IOException(
          folder + " adds tokens to those of BERT, " + added.keySet() + ", which are not read");
    }
    Subwords words = new WordPiece(vocabulary, unknown, lower);
    return new Tokenizer(words, new AddedTokens(added), length(), start, end, pad);
  }

  private boolean flag(String key) throws IOException {
    Object value = config.get(key);
    if (value == null) {
      return true;
    }
    if (value instanceof Boolean flag) {
      return flag;
    }
    throw refused(folder.resolve(CONFIG), key, "true or false", value);
  }

  private void requireOrdinary(String key) throws IOException {
    Object value = config.get(key);
    if (value != null) {
      throw refused(folder.resolve(CONFIG), key, "null", value);
    }
  }

  /* ---------------- Special and added tokens ---------------- */

  private void readAdded() throws IOException {
    for (Map.Entry<String, @Nullable Object> entry : optional(ADDED).entrySet()) {
      Path file = folder.resolve(ADDED);
      add(entry.getKey(), new Added(number(file, entry.getKey(), entry.getValue()), false, false));
    }
    Path file = folder.resolve(CONFIG);
    Object decoder = config.get("added_tokens_decoder");
    if (decoder == null) {
      return;
    }
    if (!(decoder instanceof Map<?, ?> tokens)) {
      throw refused(file, "added_tokens_decoder", "an object", decoder);
    }
    for (Map.Entry<?, ?> entry : tokens.entrySet()) {
      String key = String.valueOf(entry.getKey());
      if (!key.matches("\\d{1,9}")
          || !(entry.getValue() instanceof Map<?, ?> token)
          || !(token.get("content") instanceof String content)) {
        throw refused(
            file,
            "added_tokens_decoder",
            "numbers of tokens with their content",
            key + ": " + entry.getValue());
      }
      if (Boolean.TRUE.equals(token.get("single_word"))) {
        throw new IOException(
            file
                + ": the added token "
                + Quote.of(content)
                + " is one that must be a word of its own (\"single_word\"), which is not known");
      }
      add(
          content,
          new Added(
              Integer.parseInt(key),
              Boolean.TRUE.equals(token.get("lstrip")),
              Boolean.TRUE.equals(token.get("rstrip"))));
    }
  }

  /** A token without text would be found at every place of a text. */
  private void requireText(String token) throws IOException {
    if (token.isEmpty()) {
      throw new IOException(folder + " has a special or added token without text");
    }
  }

  private void add(String token, Added as) throws IOException {
    requireText(token);
    Integer before = numbers.putIfAbsent(token, as.id());
    if (before != null && before != as.id()) {
      throw new IOException(
          folder
              + ": the token "
              + Quote.of(token)
              + " has two numbers, "
              + before
              + " and "
              + as.id());
    }
    if (!token.isEmpty()) {
      added.put(token, as);
    }
  }

  /** The number of a special token, which from then on is found as it is written. */
  private int id(String key, String otherwise) throws IOException {
    String token = otherwise;
    boolean left = false;
    boolean right = false;
    Object said = special.get(key) == null ? config.get(key) : special.get(key);
    if (said instanceof Map<?, ?> map && map.get("content") instanceof String content) {
      token = content;
      left = Boolean.TRUE.equals(map.get("lstrip"));
      right = Boolean.TRUE.equals(map.get("rstrip"));
    } else if (said instanceof String text) {
      token = text;
    } else if (said != null) {
      Path file = folder.resolve(special.get(key) == null ? CONFIG : SPECIAL);
      throw refused(file, key, "a token", said);
    }
    requireText(token);
    Integer id = numbers.get(token);
    if (id == null) {
      throw new IOException(
          folder + ": the " + key + " " + Quote.of(token) + " is in no vocabulary");
    }
    added.putIfAbsent(token, new Added(id, left, right));
    return id;
  }

  private int length() throws IOException {
    Object most = config.get("model_max_length");
    if (most == null) {
      return Tokenizer.LENGTH;
    }
    if (most instanceof Number number && number.doubleValue() >= 3) {
      return (int) Math.min(Tokenizer.LENGTH, number.doubleValue());
    }
    throw refused(folder.resolve(CONFIG), "model_max_length", "a number of at least 3", most);
  }

  /* ---------------- Files ---------------- */

  private Map<String, @Nullable Object> optional(String name) throws IOException {
    Path file = folder.resolve(name);
    return Files.isRegularFile(file) ? JsonFile.read(file) : Map.of();
  }

  private Path required(String name) throws IOException {
    Path file = folder.resolve(name);
    if (!Files.isRegularFile(file)) {
      throw new NoSuchFileException(file.toString(), null, "the tokenizer needs it");
    }
    return file;
  }

  private static List<String> lines(Path file) throws IOException {
    try {
      return Files.readAllLines(file);
    } catch (CharacterCodingException e) {
      throw new IOException(file + " is not in UTF-8", e);
    }
  }

  private static int number(Path file, String token, @Nullable Object value) throws IOException {
    if (value instanceof Long number && number >= 0 && number <= Integer.MAX_VALUE) {
      return Math.toIntExact(number);
    }
    throw refused(file, token, "a whole number of at least 0", value);
  }

  private static IOException refused(Path file, String key, String rule, @Nullable Object value) {
    return new IOException(
        file + ": \"" + Quote.of(key) + "\" must be " + rule + ", but was " + Quote.of(value));
  }
}
