package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Weights of words and long prompts, against what AUTOMATIC1111's web interface says of them. */
class PromptWeightsTest {

  private static final NDManager manager = NDManager.newBaseManager();
  private static TextToImage model;

  /** One letter is one token of the tiny vocabulary. */
  private static final int[] LETTERS = new int[26];

  private static int comma;

  @BeforeAll
  static void load() throws IOException {
    model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"));
    for (int i = 0; i < 26; i++) {
      LETTERS[i] = token(String.valueOf((char) ('a' + i)));
    }
    comma = token(",");
  }

  @AfterAll
  static void close() {
    model.close();
    manager.close();
  }

  private static int token(String text) {
    int[] tokens = model.tokenizer().tokens(text);
    assertThat(tokens).as(text).hasSize(1);
    return tokens[0];
  }

  private static String read(String prompt) {
    return PromptWeights.of(prompt).stream()
        .map(run -> run.breaks() ? "BREAK" : "'" + run.text() + "' " + run.weight())
        .collect(Collectors.joining("; "));
  }

  /** The first seven are those of its documentation, with the weights that stand there. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "normal text | 'normal text' 1.0",
        "an (important) word | 'an ' 1.0; 'important' 1.1; ' word' 1.0",
        "(unbalanced | 'unbalanced' 1.1",
        "\\(literal\\] | '(literal]' 1.0",
        "(unnecessary)(parens) | 'unnecessaryparens' 1.1",
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))). | 'a ' 1.0; 'house'"
            + " 1.5730000000000004; ' ' 1.1; 'on' 1.0; ' a ' 1.1; 'hill' 0.55; ', sun, ' 1.1;"
            + " 'sky' 1.4641000000000006; '.' 1.1",
        "[less] | 'less' 0.9090909090909091",
        "a:b) c] | 'a:b) c]' 1.0",
        "a:1.2) | 'a:1.2)' 1.0",
        "(a: 1.2 ) | 'a' 1.2",
        "(a:-0.5)(b:+2)(c:.5) | 'a' -0.5; 'b' 2.0; 'c' 0.5",
        "[[a](b:2)] | 'a' 0.8264462809917354; 'b' 1.8181818181818181",
        "\\\\(a) \\x | '\\' 1.0; 'a' 1.1; ' x' 1.0",
        "(a BREAK b:2) BREAKER | 'a' 2.0; BREAK; 'b' 2.0; ' BREAKER' 1.0",
      })
  void of_prompt_textWithWeights(String prompt, String expected) {
    assertThat(read(prompt)).isEqualTo(expected);
  }

  @Test
  void of_emptyPrompt_nothing() {
    assertThat(PromptWeights.of("")).isEmpty();
    assertThat(PromptChunks.of(model.tokenizer(), "").tokens())
        .containsExactly(model.tokenizer().encode(""));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1.2.3", ".", "+"})
  void of_weightThatIsNoNumber_isRefusedAtTheStart(String weight) {
    String prompt = "a (cat:" + weight + ")";
    if (weight.equals("+")) {
      // Not of the form of a weight: text, as there.
      assertThat(read(prompt)).isEqualTo("'a ' 1.0; 'cat:+' 1.1");
      return;
    }
    assertThatThrownBy(() -> model.prompt(prompt).weightedPrompts().start(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a weight in a prompt must be a number as in (word:1.2), but was \""
                + weight
                + "\" in \""
                + prompt
                + "\"; write \\( for a bracket that is text");
  }

  /** Letters with the given ones as commas. */
  private static String letters(int count, Integer... commas) {
    List<Integer> at = List.of(commas);
    return IntStream.range(0, count)
        .mapToObj(i -> at.contains(i) ? "," : String.valueOf((char) ('a' + i % 26)))
        .collect(Collectors.joining(" "));
  }

  private static int[] expected(int count, Integer... commas) {
    List<Integer> at = List.of(commas);
    return IntStream.range(0, count).map(i -> at.contains(i) ? comma : LETTERS[i % 26]).toArray();
  }

  /**
   * Where prompts of 160 tokens are cut, whose commas stand at the given places: after 75 tokens,
   * or behind a comma that at most 20 tokens follow.
   */
  @ParameterizedTest
  @CsvSource({
    "'', 75, 150",
    "54, 75, 150",
    "55, 56, 131",
    "'10;60', 61, 136",
    "'60;70', 71, 146",
    "74, 75, 150",
    // A comma that would be the first of the next chunk is that.
    "75, 75, 150",
    "'70;140', 71, 141",
  })
  void of_longPrompt_cutBehindCommas(String places, int first, int second) {
    Integer[] commas =
        Arrays.stream(places.split(";"))
            .filter(place -> !place.isEmpty())
            .map(Integer::valueOf)
            .toArray(Integer[]::new);
    int[] all = expected(160, commas);
    PromptChunks chunks = PromptChunks.of(model.tokenizer(), letters(160, commas));
    Tokenizer tokenizer = model.tokenizer();
    assertThat(chunks.tokens())
        .containsExactly(
            tokenizer.framed(Arrays.copyOfRange(all, 0, first)),
            tokenizer.framed(Arrays.copyOfRange(all, first, second)),
            tokenizer.framed(Arrays.copyOfRange(all, second, 160)));
  }

  @Test
  void of_break_beginsAChunk_andWeightsFollowTheirTokens() {
    PromptChunks chunks = PromptChunks.of(model.tokenizer(), "a (b c:2) BREAK [d] BREAK");
    double[] first = new double[77];
    Arrays.fill(first, 1);
    double[] second = first.clone();
    first[2] = 2;
    first[3] = 2;
    second[1] = 1 / 1.1;
    assertThat(chunks.tokens())
        .containsExactly(model.tokenizer().encode("a b c"), model.tokenizer().encode("d"));
    assertThat(chunks.weights()).containsExactly(first, second);
  }

  /** Of a prompt of two chunks and one of one, by loops over numbers of the text encoder. */
  @Test
  void encoded_weights_multiplyAndTheMeanIsRestored() {
    List<PromptChunks> prompts = new ArrayList<>();
    prompts.add(PromptChunks.of(model.tokenizer(), "(red:1.5) dog BREAK [cat]"));
    prompts.add(PromptChunks.of(model.tokenizer(), "a cat"));
    NDArray contexts = PromptChunks.encoded(model.textEncoder(), prompts, 2, 0, manager);
    int width = model.textEncoder().width();
    assertThat(contexts.getShape()).isEqualTo(new Shape(2, 2 * 77, width));
    float[] ours = contexts.toFloatArray();
    String[] texts = {"red dog", "cat", "a cat", ""};
    int red = model.tokenizer().tokens("red").length;
    int cat = model.tokenizer().tokens("cat").length;
    for (int chunk = 0; chunk < texts.length; chunk++) {
      float[] z =
          model
              .textEncoder()
              .encode(manager, model.tokenizer().encode(texts[chunk]))
              .toFloatArray();
      double mean = 0;
      double weightedMean = 0;
      double[] weighted = new double[z.length];
      for (int i = 0; i < z.length; i++) {
        int token = i / width;
        double weight = 1;
        if (chunk == 0 && token >= 1 && token <= red) {
          weight = 1.5;
        } else if (chunk == 1 && token >= 1 && token <= cat) {
          weight = 1 / 1.1;
        }
        weighted[i] = z[i] * weight;
        mean += z[i];
        weightedMean += weighted[i];
      }
      for (int i = 0; i < z.length; i++) {
        double expected = weighted[i] * mean / weightedMean;
        assertThat((double) ours[chunk * z.length + i])
            .as("number %d of chunk %d", i, chunk)
            .isCloseTo(expected, within(1e-4 * (1 + Math.abs(expected))));
      }
    }
  }

  private static float[] drawn(Drawing drawing) {
    try (Samples samples = drawing.steps(2).seed(4).generate(1)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSame(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(1e-4f));
    }
  }

  @Test
  void generate_weightsOffUnlessAskedFor_andOfOneNothingChanges() {
    float[] plain = drawn(model.prompt("a red dog"));
    assertSame(drawn(model.prompt("a red dog").weightedPrompts()), plain);
    assertSame(drawn(model.prompt("a (red:1) dog").weightedPrompts()), plain);
    float[] strong = drawn(model.prompt("a (red:3) dog").weightedPrompts());
    assertThat(strong).isNotEqualTo(plain);
    // Without the call they are text.
    assertThat(drawn(model.prompt("a (red:3) dog"))).isNotEqualTo(plain).isNotEqualTo(strong);
    assertThat(drawn(model.prompt("a dog").negativePrompt("(red:3)").weightedPrompts()))
        .isNotEqualTo(drawn(model.prompt("a dog").negativePrompt("red").weightedPrompts()));
  }

  @Test
  void generate_longPrompt_whatIsBeyondAChunkCounts() {
    String longer = letters(75) + " red";
    assertSame(drawn(model.prompt(longer)), drawn(model.prompt(letters(75))));
    float[] whole = drawn(model.prompt(longer).weightedPrompts());
    assertThat(whole).isNotEqualTo(drawn(model.prompt(letters(75)).weightedPrompts()));
    try (Samples both =
        model
            .prompt(longer, "a red dog")
            .weightedPrompts()
            .steps(2)
            .noise((image, draw, target) -> Arrays.fill(target, 0.5f))
            .generate(1)) {
      assertThat(both.provenance(0))
          .containsEntry("prompt", longer)
          .containsEntry("promptWeights", "true");
    }
  }

  @Test
  void start_weightsBeyondFloats_areRefused() {
    String prompt = "a (cat:" + "9".repeat(60) + ")";
    assertThatThrownBy(() -> model.prompt(prompt).weightedPrompts().start(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "weights of a prompt must leave a mean that can be restored, but with these it is zero"
                + " or not finite; use weights nearer to 1");
  }

  @Test
  void weightedPrompts_modelWithoutText_isRefused() throws IOException {
    try (LatentDiffusion silent =
        LatentDiffusion.load(PipelineFixture.DATA.resolve("ldm_unconditional"))) {
      assertThatThrownBy(() -> silent.drawing().weightedPrompts())
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("this model draws without a text, so there are no weights of words");
    }
  }
}
