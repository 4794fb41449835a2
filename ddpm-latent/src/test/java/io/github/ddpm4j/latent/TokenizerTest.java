package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.io.JsonFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens of small vocabularies, as transformers gives them, and folders that will not do. */
class TokenizerTest {

  private static final Path DATA = Path.of("src/test/resources/tokenizers");

  @TempDir private Path folder;

  private Path copy(String name) throws IOException {
    try (var files = Files.list(DATA.resolve(name))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
    return folder;
  }

  private Tokenizer clip(String config) throws IOException {
    Files.writeString(copy("clip").resolve("tokenizer_config.json"), config);
    return Tokenizer.load(folder);
  }

  private String refused() {
    try {
      Tokenizer.load(folder);
    } catch (IOException e) {
      return String.valueOf(e.getMessage()).replace(folder.toString(), "FOLDER");
    }
    throw new AssertionError("nothing was refused");
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert", "clip"})
  void encode_casesOfTransformers_sameNumbers(String name) throws IOException {
    Tokenizer tokenizer = Tokenizer.load(DATA.resolve(name));
    List<?> cases = (List<?>) JsonFile.read(DATA.resolve(name + "/cases.json")).get("cases");
    assertThat(cases).hasSize(9);
    for (Object each : cases) {
      Map<?, ?> one = (Map<?, ?>) each;
      String text = (String) one.get("text");
      assertThat(tokenizer.encode(text))
          .as(text)
          .containsExactly(
              ((List<?>) one.get("ids")).stream().mapToInt(id -> ((Long) id).intValue()).toArray());
    }
  }

  /** Stable Diffusion 2: in a prompt, too, what pads is that token. */
  @Test
  void load_specialTokensMap_countsBeforeTheConfiguration() throws IOException {
    Files.writeString(
        copy("clip").resolve("special_tokens_map.json"),
        "{\"pad_token\": \"!\", \"bos_token\": {\"content\": \"<|startoftext|>\"}}");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"pad_token\": \"<|endoftext|>\", \"model_max_length\": 8}");
    Tokenizer tokenizer = Tokenizer.load(folder);

    assertThat(tokenizer.encode("cat!")).containsExactly(538, 520, 0, 539, 0, 0, 0, 0);
    assertThat(tokenizer.padToken()).isZero();
    assertThat(tokenizer.startToken()).isEqualTo(538);
    assertThat(tokenizer.endToken()).isEqualTo(539);
    assertThat(tokenizer.length()).isEqualTo(8);
  }

  @Test
  void encode_longText_cutAtItsEnd() throws IOException {
    Tokenizer tokenizer = clip("{\"model_max_length\": 5}");
    assertThat(tokenizer.encode("cat photo of cat cat"))
        .startsWith(538, 520)
        .endsWith(539)
        .hasSize(5);
    assertThat(tokenizer.tokens("cat cat cat cat")).containsExactly(520, 520, 520, 520);
  }

  @Test
  void load_noLimitOfLength_77() throws IOException {
    assertThat(clip("{\"model_max_length\": 1000000000000000019884624838656}").length())
        .isEqualTo(77);
  }

  /** A word of a textual inversion, found as it is written, with the spaces that it takes. */
  @Test
  void load_addedTokens_foundBeforeAllElse() throws IOException {
    Files.writeString(
        copy("clip").resolve("added_tokens.json"), "{\"<cat>\": 540, \"<cat>2\": 541}");
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        "{\"added_tokens_decoder\": {\"542\": {\"content\": \"<*>\", \"lstrip\": true,"
            + " \"rstrip\": true}}}");
    Tokenizer tokenizer = Tokenizer.load(folder);
    assertThat(tokenizer.tokens("a<cat>cat <cat>2")).containsExactly(320, 540, 520, 541);
    assertThat(tokenizer.tokens("cat <*> cat<*>")).containsExactly(520, 542, 520, 542);
    assertThat(tokenizer.tokens("<CAT>")).doesNotContain(540);
  }

  /** What is in no vocabulary, what is too long for a word, and half a character. */
  @Test
  void tokens_strangeText_unknownOrLeftOut() throws IOException {
    Tokenizer bert = Tokenizer.load(DATA.resolve("bert"));
    assertThat(bert.tokens("\u2603")).containsExactly(1);
    assertThat(bert.tokens("cat".repeat(34))).containsExactly(1);
    assertThat(bert.tokens("\ud800")).isEmpty();
    assertThat(Tokenizer.load(DATA.resolve("clip")).tokens("\ud800\ufffd\u0000")).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"tokenizer_class\": \"T5TokenizerFast\"} | FOLDER/tokenizer_config.json:"
            + " \"tokenizer_class\" is T5Tokenizer, but only those of CLIP (CLIPTokenizer) and BERT"
            + " (BertTokenizer) are read",
        "{\"model_max_length\": 2} | FOLDER/tokenizer_config.json: \"model_max_length\" must be a"
            + " number of at least 3, but was 2",
        "{\"pad_token\": \"<pad>\"} | FOLDER: the pad_token <pad> is in no vocabulary",
        "{\"pad_token\": \"\"} | FOLDER has a special or added token without text",
        "{\"added_tokens_decoder\": {\"600\": {\"content\": \"\"}}} | FOLDER has a special or"
            + " added token without text",
        "{\"pad_token\": 3} | FOLDER/tokenizer_config.json: \"pad_token\" must be a token, but was"
            + " 3",
        "{\"added_tokens_decoder\": []} | FOLDER/tokenizer_config.json: \"added_tokens_decoder\""
            + " must be an object, but was []",
        "{\"added_tokens_decoder\": {\"x\": 1}} | FOLDER/tokenizer_config.json:"
            + " \"added_tokens_decoder\" must be numbers of tokens with their content, but was x:"
            + " 1",
        "{\"added_tokens_decoder\": {\"7\": {\"content\": \"!\"}}} | FOLDER: the token ! has two"
            + " numbers, 0 and 7",
        "{\"added_tokens_decoder\": {\"600\": {\"content\": \"w\u00f6\", \"single_word\": true}}} |"
            + " FOLDER/tokenizer_config.json: the added token w\u00f6 is one that must be a word of"
            + " its own (\"single_word\"), which is not known"
      })
  void load_configurationOfCLIP_refused(String config, String message) throws IOException {
    Files.writeString(copy("clip").resolve("tokenizer_config.json"), config);
    assertThat(refused()).isEqualTo(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"do_lower_case\": 1} | FOLDER/tokenizer_config.json: \"do_lower_case\" must be true or"
            + " false, but was 1",
        "{\"strip_accents\": true} | FOLDER/tokenizer_config.json: \"strip_accents\" must be null,"
            + " but was true",
        "{\"tokenize_chinese_chars\": false} | FOLDER/tokenizer_config.json:"
            + " \"tokenize_chinese_chars\" and \"do_basic_tokenize\" must be true, another way to"
            + " find words is not known",
        "{\"added_tokens_decoder\": {\"107\": {\"content\": \"new\"}}} | FOLDER adds tokens to"
            + " those of BERT, [new, [UNK], [SEP], [PAD], [CLS], [MASK]], which are not read"
      })
  void load_configurationOfBERT_refused(String config, String message) throws IOException {
    Files.writeString(copy("bert").resolve("tokenizer_config.json"), config);
    assertThat(refused()).isEqualTo(message);
  }

  @Test
  void load_damagedFiles_refusedByName() throws IOException {
    assertThatThrownBy(() -> Tokenizer.load(folder.resolve("none")))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(folder.resolve("none") + ": there is no such folder of a tokenizer");
    assertThat(refused())
        .isEqualTo("FOLDER: no tokenizer: it has neither vocab.json with merges.txt nor vocab.txt");
    copy("clip");
    Files.writeString(folder.resolve("merges.txt"), "#version\na b\na b c\n");
    assertThat(refused())
        .isEqualTo("FOLDER/merges.txt: line 3 must be a pair of symbols, but was a b c");
    Files.write(folder.resolve("merges.txt"), new byte[] {(byte) 0xff, '\n'});
    assertThat(refused()).isEqualTo("FOLDER/merges.txt is not in UTF-8");
    Files.delete(folder.resolve("merges.txt"));
    assertThat(refused()).isEqualTo("FOLDER/merges.txt: the tokenizer needs it");
    Files.writeString(folder.resolve("vocab.json"), "{\"a\": -1}");
    assertThat(refused())
        .isEqualTo("FOLDER/vocab.json: \"a\" must be a whole number of at least 0, but was -1");
  }
}
