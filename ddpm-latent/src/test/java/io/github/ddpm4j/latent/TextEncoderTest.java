package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.Gson;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Text encoders against transformers and diffusers, and the files that they come from. */
class TextEncoderTest {

  private static final double BOUND = 1e-4;

  /** Eight bits of each number, over a few layers. */
  private static final double BFLOAT16_BOUND = 0.05;

  private final NDManager manager = NDManager.newBaseManager();

  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private PartFixture fixture(String name) throws IOException {
    PartFixture fixture = PartFixture.read(name, manager);
    fixture.config.put("model_type", name.startsWith("clip") ? "clip_text_model" : "ldmbert");
    return fixture;
  }

  private TextEncoder load(PartFixture fixture) throws IOException {
    return TextEncoder.load(fixture.write(folder, "model.safetensors"));
  }

  @ParameterizedTest
  @CsvSource({
    "clip_quick_gelu, EAGER", "clip_quick_gelu, COMPILED",
    "clip_gelu, EAGER", "clip_gelu, COMPILED",
    "ldmbert, EAGER", "ldmbert, COMPILED"
  })
  void encode_fixture_asThere(String name, Execution execution) throws IOException {
    PartFixture fixture = fixture(name);
    try (TextEncoder encoder = load(fixture).runAs(execution, Precision.FLOAT32)) {
      NDArray actual = encoder.encode(manager, fixture.ids());
      assertThat(actual.getManager()).isSameAs(manager);
      PartFixture.assertClose(actual, fixture.value("output"), BOUND);
      if (name.startsWith("clip")) {
        PartFixture.assertClose(
            encoder.encode(1, manager, fixture.ids()), fixture.value("clip_skip_1"), BOUND);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"clip_quick_gelu", "clip_gelu", "ldmbert"})
  void encode_bfloat16_about(String name) throws IOException {
    PartFixture fixture = fixture(name);
    try (TextEncoder encoder = load(fixture).runAs(Execution.COMPILED, Precision.BFLOAT16)) {
      NDArray actual = encoder.encode(manager, fixture.ids());
      assertThat(actual.getDataType()).isEqualTo(DataType.FLOAT32);
      PartFixture.assertClose(actual, fixture.value("output"), BFLOAT16_BOUND);
      assertThat(actual.sub(fixture.value("output")).abs().max().getFloat()).isPositive();
    }
  }

  /** A prompt is the same beside others. */
  @Test
  void encode_onePromptOfTwo_asAlone() throws IOException {
    PartFixture fixture = fixture("clip_gelu");
    try (TextEncoder encoder = load(fixture)) {
      NDArray both = encoder.encode(manager, fixture.ids());
      NDArray alone = encoder.encode(manager, fixture.ids()[1]);
      PartFixture.assertClose(alone, both.get("1:2"), 1e-6);
      assertThat(encoder.width()).isEqualTo(16);
      assertThat(encoder.positions()).isEqualTo(9);
      assertThat(encoder.vocabulary()).isEqualTo(32);
      assertThat(encoder.layers()).isEqualTo(3);
      assertThat(encoder.device()).isEqualTo(manager.getDevice());
      assertThat(encoder.weights()).hasSize(2 + 3 * 16 + 2);
    }
  }

  /** The published ones, without a weight. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'model_type': 'clip_text_model', 'hidden_size': 768, 'intermediate_size': 3072,"
            + " 'num_attention_heads': 12} | 123060480 | 196",
        "{'model_type': 'clip_text_model', 'hidden_size': 1024, 'intermediate_size': 4096,"
            + " 'num_attention_heads': 16, 'num_hidden_layers': 23, 'hidden_act': 'gelu'}"
            + " | 340387840 | 372",
        // 581,994,042 of 422, less the logits' 1280 · 30,522 + 30,522 of two.
        "{'model_type': 'ldmbert'} | 542895360 | 420"
      })
  void parameters_published_asMany(String config, long count, int tensors) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), config.replace('\'', '"'));
    var specs = new TextNetwork(TextConfig.read(ConfigFile.read(file))).parameters();
    assertThat(WeightedNetwork.count(specs)).isEqualTo(count);
    assertThat(specs).hasSize(tensors);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "hidden_act | gelu_new | \"hidden_act\" is gelu_new, another activation than gelu and"
            + " quick_gelu, which this version does not load",
        "model_type | t5 | \"model_type\" is t5, another text encoder than CLIPTextModel and"
            + " LDMBertModel, which this version does not load",
        "num_attention_heads | 3 | \"num_attention_heads\" must be a divisor of hidden_size, 16,"
            + " but was 3",
        "vocab_size | 0 | \"vocab_size\" must be at least 1, but was 0"
      })
  void load_otherConfiguration_refused(String key, String value, String message)
      throws IOException {
    PartFixture fixture = fixture("clip_gelu");
    fixture.config.put(key, new Gson().fromJson(value, Object.class));
    if (fixture.config.get(key) instanceof Double number) {
      fixture.config.put(key, number.intValue());
    }
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(folder.resolve("config.json") + ": " + message);
  }

  @Test
  void load_unknownSettings_ignoredIfNothingElseRefused() throws IOException {
    PartFixture fixture = fixture("clip_gelu");
    fixture.config.put("brand_new", false);
    load(fixture).close();
    fixture.config.put("brand_new", 3);
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder.resolve("config.json")
                + " has the unknown setting \"brand_new\" with the value 3; what it would change is"
                + " not known to this version");
  }

  @Test
  void load_scaledVectors_refused() throws IOException {
    PartFixture fixture = fixture("ldmbert");
    fixture.config.put("scale_embedding", true);
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder.resolve("config.json")
                + ": \"scale_embedding\" is true, with token vectors that are scaled, which this"
                + " version does not load");
  }

  @Test
  void load_filesThatLack_refusedByName() throws IOException {
    assertThatThrownBy(() -> TextEncoder.load(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(folder + ": no folder of a text encoder: it has no config.json");
    PartFixture fixture = fixture("clip_gelu");
    fixture.write(folder, "other.safetensors");
    assertThatThrownBy(() -> TextEncoder.load(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder
                + ": it has no weights, which are one of model.safetensors,"
                + " model.safetensors.index.json, model.fp16.safetensors, pytorch_model.bin");
    fixture.weights.remove("text_model.final_layer_norm.bias");
    fixture.weights.put("other", manager.zeros(new Shape(1)));
    assertThatThrownBy(() -> load(fixture))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder.resolve("model.safetensors")
                + " does not have the weights of this network; missing (1):"
                + " text_model.final_layer_norm.bias; not known (1): other");
  }

  @Test
  void encode_wrongTokens_refused() throws IOException {
    try (TextEncoder encoder = load(fixture("ldmbert"))) {
      assertRefused(encoder, "prompts must be at least 1, but were 0");
      assertRefused(
          encoder,
          "prompts must have the same number of tokens, but had 2 and 1; fill them up, as"
              + " Tokenizer.encode does",
          new int[] {1, 2},
          new int[] {1});
      assertRefused(
          encoder,
          "tokens must be in [0, 32), but one was 32; use the tokenizer of the same model",
          new int[] {32});
      assertRefused(encoder, "tokens of a prompt must be from 1 to 9, but were 10", new int[10]);
      assertRefused(encoder, "tokens of a prompt must be from 1 to 9, but were 0", new int[0]);
      assertThatThrownBy(() -> encoder.encode(2, manager, new int[] {1}))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("skipped layers must be in [0, 2), but were 2");
      encoder.close();
      assertThatThrownBy(() -> encoder.encode(manager, new int[] {1}))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the text encoder is closed and its weights are freed; load it again");
    }
  }

  private void assertRefused(TextEncoder encoder, String message, int[]... ids) {
    assertThatThrownBy(() -> encoder.encode(manager, ids))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }
}
