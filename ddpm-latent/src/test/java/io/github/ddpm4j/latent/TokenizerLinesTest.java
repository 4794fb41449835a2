package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * 5,000 texts in many scripts, with emoji, marks, controls and special tokens, in the vocabularies
 * of published models: the numbers of each, by their checksum, are those of transformers' slow
 * tokenizers. {@code make_lines.py} beside the data made it.
 */
class TokenizerLinesTest {

  private final List<String> lines = new ArrayList<>();
  private final List<String> expected = new ArrayList<>();

  @TempDir private Path folder;

  private void read() throws IOException {
    Path file = folder.resolve("lines.json");
    Files.writeString(file, PublishedVocabularies.text("lines.json.gz"));
    for (Object line : (List<?>) JsonFile.read(file).get("lines")) {
      lines.add((String) line);
    }
    expected.addAll(PublishedVocabularies.text("expected.txt.gz").lines().toList());
    assertThat(lines).hasSize(5000);
    assertThat(expected).hasSize(5000);
  }

  @Test
  void clip_anyText_asTransformers() throws IOException {
    assertSame(PublishedVocabularies.clip(folder, "<|endoftext|>"), 0);
  }

  @Test
  void clip_paddedWithAnotherToken_asTransformers() throws IOException {
    assertSame(PublishedVocabularies.clip(folder, "!"), 1);
  }

  @Test
  void bert_anyText_asTransformers() throws IOException {
    assertSame(PublishedVocabularies.bert(folder), 2);
  }

  private void assertSame(Tokenizer tokenizer, int column) throws IOException {
    read();
    List<String> wrong = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      String text = lines.get(i);
      int[] own = tokenizer.tokens(text);
      String ids = Arrays.toString(tokenizer.framed(own)) + Arrays.toString(own);
      CRC32 sum = new CRC32();
      sum.update(ids.getBytes(StandardCharsets.UTF_8));
      if (sum.getValue() != Long.parseLong(expected.get(i).split(" ", -1)[column], 16)) {
        wrong.add(i + ": " + text + " " + ids);
      }
    }
    assertThat(wrong.stream().limit(3)).as("of %d texts with other tokens", wrong.size()).isEmpty();
  }
}
