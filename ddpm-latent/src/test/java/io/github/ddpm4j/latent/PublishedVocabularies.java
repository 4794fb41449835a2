package io.github.ddpm4j.latent;

import com.google.gson.Gson;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/** The vocabularies of published models, as folders like theirs. */
final class PublishedVocabularies {

  private PublishedVocabularies() {}

  /** A file of the test data, unpacked. */
  static String text(String name) throws IOException {
    try (InputStream packed =
            PublishedVocabularies.class.getResourceAsStream("/tokenizers/real/" + name);
        InputStream in = new GZIPInputStream(Objects.requireNonNull(packed, name))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** CLIP's, whose numbers follow from its merges: single bytes, the same at ends, then these. */
  static Tokenizer clip(Path folder, String pad) throws IOException {
    String merges = text("clip-merges.txt.gz");
    Files.writeString(folder.resolve("merges.txt"), merges);
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    List<String> bytes = bytes();
    bytes.forEach(symbol -> vocabulary.put(symbol, vocabulary.size()));
    bytes.forEach(symbol -> vocabulary.put(symbol + "</w>", vocabulary.size()));
    merges
        .lines()
        .skip(1)
        .forEach(pair -> vocabulary.put(pair.replace(" ", ""), vocabulary.size()));
    vocabulary.put("<|startoftext|>", vocabulary.size());
    vocabulary.put("<|endoftext|>", vocabulary.size());
    Files.writeString(folder.resolve("vocab.json"), new Gson().toJson(vocabulary));
    Files.writeString(
        folder.resolve("special_tokens_map.json"), new Gson().toJson(Map.of("pad_token", pad)));
    return Tokenizer.load(folder);
  }

  /** Those that are seen as themselves first, in the order of their characters. */
  private static List<String> bytes() {
    return List.of(BytePairs.characters()).stream()
        .sorted((a, b) -> Integer.compare(a.codePointAt(0), b.codePointAt(0)))
        .toList();
  }

  static Tokenizer bert(Path folder) throws IOException {
    Files.writeString(folder.resolve("vocab.txt"), text("bert-vocab.txt.gz"));
    return Tokenizer.load(folder);
  }
}
