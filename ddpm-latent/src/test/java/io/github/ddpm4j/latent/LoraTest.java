package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Low-rank changes against diffusers and peft, which {@code make_lora.py} asked. */
class LoraTest {

  private static final Path MODEL = PipelineFixture.DATA.resolve("sd1");
  private static final Path LORA = PipelineFixture.DATA.resolve("lora");

  private final NDManager manager = NDManager.newBaseManager();
  private PipelineFixture expected = new PipelineFixture();
  @TempDir private Path temporary;

  @BeforeEach
  void read() throws IOException {
    expected = PipelineFixture.read("lora", "expected.safetensors", manager);
  }

  @AfterEach
  void close() {
    manager.close();
  }

  private void assertAnswers(TextToImage model, String name) {
    NDArray context = model.textEncoder().encode(manager, expected.ids("ids"));
    PipelineFixture.assertLatents("context", context, expected.value(name + ".context"), 1);
    Level level = Level.of(model.latentDiffusion().ddpm().schedule(), 501);
    NDArray out =
        model
            .latentDiffusion()
            .ddpm()
            .model()
            .output(
                expected.value("x"),
                NoiseLevels.of(level, 2),
                Condition.contexts(
                    expected.value(name + ".context"), expected.value("none.context")));
    PipelineFixture.assertLatents("out", out, expected.value(name + ".out"), 1);
  }

  @ParameterizedTest
  @CsvSource({"diffusers, 0.7", "kohya, 0.7", "old, -1.5"})
  void lora_file_asInDiffusers(String name, double weight) throws IOException {
    Path file = LORA.resolve(name + ".safetensors");
    try (TextToImage model = TextToImage.options().lora(file, weight).load(MODEL)) {
      assertAnswers(model, name);
    }
  }

  /** Changes add up: half and half is the whole, and a file against itself is nothing. */
  @Test
  void lora_severalFiles_addUp() throws IOException {
    Path file = LORA.resolve("kohya.safetensors");
    Path other = LORA.resolve("diffusers.safetensors");
    try (TextToImage model = TextToImage.options().lora(file, 0.3).lora(other, 0.4).load(MODEL);
        TextToImage none = TextToImage.options().lora(file, 0.7).lora(file, -0.7).load(MODEL)) {
      assertAnswers(model, "kohya");
      assertAnswers(none, "none");
    }
  }

  private Path edited(Consumer<Map<String, NDArray>> edit, Map<String, String> words)
      throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (TensorSource source = TensorFiles.open(LORA.resolve("kohya.safetensors"))) {
      for (String name : source.tensors().keySet()) {
        all.put(name, source.read(name, manager).toType(DataType.FLOAT32, false));
      }
    }
    edit.accept(all);
    Path file = temporary.resolve("edited.safetensors");
    Safetensors.write(file, all, words);
    return file;
  }

  private static final String LAYER = "lora_unet_mid_block_attentions_0_proj_in";

  private NDArray ones(long... shape) {
    return manager.ones(new Shape(shape));
  }

  private static void assertRefused(Path file, String rest) {
    assertThatThrownBy(() -> TextToImage.options().lora(file, 1).load(MODEL).close())
        .isInstanceOf(IOException.class)
        .hasMessage(file + rest);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x.hada_w1_a | products of Hadamard (LoHa)",
        "x.lokr_w1 | products of Kronecker (LoKr)",
        "x.dora_scale | directions and lengths (DoRA)",
        "x.lora_mid.weight | a factor in the middle (LoCon in CP form)",
        "x.diff_b | whole biases",
        "x.diff | whole weights",
        "lora_te2_x.alpha | a second text encoder, as Stable Diffusion XL has",
        "lora_unet_input_blocks_1.alpha | CompVis' names, as files for Stable Diffusion XL have",
      })
  void lora_otherKind_refusedByName(String tensor, String meaning) throws IOException {
    assertRefused(
        edited(all -> all.put(tensor, ones(1)), Map.of()),
        " holds " + meaning + ", " + tensor + ", which this version does not load");
  }

  @Test
  void lora_unknownTensor_refusedByName() throws IOException {
    assertRefused(
        edited(all -> all.put("lora_unet_conv_in.weight", ones(1)), Map.of()),
        " is no LoRA with the names of diffusers or kohya: lora_unet_conv_in.weight is no factor of"
            + " a layer and no alpha");
  }

  @Test
  void lora_layerOfAnotherModel_refusedByName() throws IOException {
    assertRefused(
        edited(
            all -> {
              all.put("lora_unet_nowhere.lora_down.weight", ones(1, 4));
              all.put("lora_unet_nowhere.lora_up.weight", ones(4, 1));
            },
            Map.of()),
        " changes the layer lora_unet_nowhere, which this model does not have; it is of another"
            + " model, or names its layers otherwise than diffusers and kohya do");
  }

  @Test
  void lora_otherShape_refusedByName() throws IOException {
    assertRefused(
        edited(all -> all.put(LAYER + ".lora_down.weight", ones(2, 4, 1, 1)), Map.of()),
        " changes "
            + LAYER
            + " by factors of the shapes (8, 2, 1, 1) and (2, 4, 1, 1), which do not go with the"
            + " weight's (8, 8, 1, 1); it is of another model");
  }

  @Test
  void lora_oneFactor_refusedByName() throws IOException {
    assertRefused(
        edited(all -> all.remove(LAYER + ".lora_down.weight"), Map.of()),
        " has only one of the two factors of " + LAYER + "; it is damaged");
  }

  @Test
  void lora_notANumber_refusedByName() throws IOException {
    assertRefused(
        edited(
            all -> all.put(LAYER + ".lora_down.weight", ones(2, 8, 1, 1).mul(Float.NaN)), Map.of()),
        " changes " + LAYER + " by NaN or infinity; it is damaged or was trained so");
  }

  @Test
  void lora_wordsThatChangeTheFormula_refused() throws IOException {
    assertRefused(
        edited(all -> {}, Map.of("lora_adapter_metadata", "{\"unet.use_dora\": true}")),
        " was made with unet.use_dora, which this version does not load");
    assertRefused(
        edited(all -> {}, Map.of("lora_adapter_metadata", "{\"unet.alpha_pattern\": {\"x\": 2}}")),
        " has alphas by pattern, {x=2}, which this version does not load");
  }

  /** alpha / √rank: √2 times the usual change of rank 2. */
  @Test
  void lora_rankStabilized_dividedByTheRoot() throws IOException {
    Path file =
        edited(
            all -> all.keySet().removeIf(name -> name.endsWith(".alpha")),
            Map.of(
                "lora_adapter_metadata",
                "{\"unet.lora_alpha\": 3, \"unet.use_rslora\": true, \"text_encoder.lora_alpha\": 3,"
                    + " \"text_encoder.use_rslora\": true}"));
    try (TextToImage model = TextToImage.options().lora(file, 0.7 / Math.sqrt(2)).load(MODEL)) {
      assertAnswers(model, "kohya");
    }
  }

  @Test
  void lora_weightNotFinite_refused() {
    assertThatThrownBy(() -> TextToImage.options().lora(LORA, Double.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("weight of a LoRA must be finite, but was NaN");
  }

  /** The fixture changes convolutions of 3x3 and 1x1, linear layers and the text encoder. */
  @Test
  void fixture_layers_ofEveryKind() throws IOException {
    LoraFile file = LoraFile.open(LORA.resolve("diffusers.safetensors"));
    assertThat(file.layers().keySet())
        .contains(
            "unet.down_blocks.0.resnets.0.conv1",
            "unet.down_blocks.0.downsamplers.0.conv",
            "unet.mid_block.attentions.0.proj_in",
            "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
            "text_encoder.text_model.encoder.layers.1.mlp.fc2");
    assertThat(file.layers().values()).allMatch(layer -> layer.alpha().isEmpty());
  }
}
