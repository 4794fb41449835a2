package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Models whose weights are held in 16 bits. Those of the fixtures are exact in bfloat16. */
class HeldWeightsTest {

  private static final Path MODEL = PipelineFixture.DATA.resolve("sd1");

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private float[] drawn(TextToImage model, PipelineFixture fixture) {
    try (Samples samples =
        model
            .prompt(PipelineFixture.PROMPTS.toArray(new String[0]))
            .negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
            .guidance(7.5)
            .steps(4)
            .noise(fixture.noise("start", ""))
            .generate(1)) {
      fixture.assertPictures(samples.toNDArray(manager));
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static Map<String, float[]> values(Map<String, NDArray> weights) {
    Map<String, float[]> values = new LinkedHashMap<>();
    weights.forEach((name, weight) -> values.put(name, weight.toFloatArray()));
    return values;
  }

  /** Nothing is rounded, so nothing differs, not even in the last bit. */
  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2"})
  void hold_bfloat16_picturesOfTheFixture(String name) throws IOException {
    PipelineFixture fixture = PipelineFixture.read(name, "expected.safetensors", manager);
    Path folder = PipelineFixture.DATA.resolve(name);
    try (TextToImage held = TextToImage.options().hold(Precision.BFLOAT16).load(folder);
        TextToImage wide = TextToImage.load(folder)) {
      float[] pictures = drawn(held, fixture);
      assertThat(pictures).isEqualTo(drawn(wide, fixture));
      held.hold(Precision.FLOAT32);
      UNet unet = held.latentDiffusion().ddpm().denoiser(UNet.class);
      Map<String, float[]> same =
          values(wide.latentDiffusion().ddpm().denoiser(UNet.class).weights());
      values(unet.weights())
          .forEach((weight, value) -> assertThat(value).as(weight).isEqualTo(same.get(weight)));
      assertThat(drawn(held, fixture)).isEqualTo(pictures);
    }
  }

  @Test
  void hold_float16_picturesOfTheFixture() throws IOException {
    PipelineFixture fixture = PipelineFixture.read("sd1", "expected.safetensors", manager);
    try (TextToImage model = TextToImage.load(MODEL).hold(Precision.FLOAT16)) {
      drawn(model, fixture);
      drawn(model.hold(Precision.BFLOAT16), fixture);
    }
  }

  /** A thousandth is not exact in 16 bits: it is rounded once, to 8 or 11 bits of mantissa. */
  @ParameterizedTest
  @EnumSource(
      value = Precision.class,
      names = {"BFLOAT16", "FLOAT16"})
  void hold_andBack_weightsRounded(Precision precision) throws IOException {
    try (TextEncoder encoder = TextEncoder.load(MODEL.resolve("text_encoder"))) {
      NDArray weight = encoder.weights().get("text_model.encoder.layers.0.self_attn.q_proj.weight");
      assertThat(weight).isNotNull();
      weight.muli(0).addi(1.001f);
      encoder.hold(precision).hold(Precision.FLOAT32);
      NDArray back = encoder.weights().get("text_model.encoder.layers.0.self_attn.q_proj.weight");
      assertThat(back).isNotNull();
      assertThat(back.toFloatArray())
          .containsOnly(precision == Precision.BFLOAT16 ? 1f : 1.0009766f);
    }
  }

  /** When a tensor is read, those before it lie there in 16 bits alone. */
  @Test
  void load_held_roundsEachBeforeTheNextIsRead() throws IOException {
    Path file = MODEL.resolve("text_encoder").resolve("model.safetensors");
    TextNetwork network =
        new TextNetwork(
            TextConfig.read(PartFolder.ofTransformers(MODEL.resolve("text_encoder")).config()));
    List<NDArray> wide = new ArrayList<>();
    List<Long> alive = new ArrayList<>();
    try (TensorSource source = TensorFiles.open(file)) {
      TensorSource watched =
          (TensorSource)
              Proxy.newProxyInstance(
                  TensorSource.class.getClassLoader(),
                  new Class<?>[] {TensorSource.class},
                  (proxy, method, arguments) -> {
                    if (method.getName().equals("readInto")) {
                      alive.add(wide.stream().filter(array -> !array.isReleased()).count());
                      NDArray target = (NDArray) arguments[1];
                      if (target.getShape().dimension() > 1) {
                        wide.add(target);
                      }
                    }
                    return method.invoke(source, arguments);
                  });
      WeightedNetwork.read(
              "the text encoder",
              network.parameters(),
              null,
              watched,
              file.toString(),
              name -> NameTable.Line.of(name, name, Transform.copy()),
              name -> false,
              new Kept(Precision.BFLOAT16, false, false))
          .close();
    }
    assertThat(alive).hasSameSizeAs(network.parameters()).containsOnly(0L);
    assertThat(wide).hasSizeGreaterThan(10);
  }

  /** A LoRA is added before weights are rounded. */
  @Test
  void hold_withLora_addedBefore() throws IOException {
    Path lora = PipelineFixture.DATA.resolve("lora").resolve("kohya.safetensors");
    try (TextToImage held =
            TextToImage.options().lora(lora, 0.7).hold(Precision.BFLOAT16).load(MODEL);
        TextToImage wide = TextToImage.options().lora(lora, 0.7).load(MODEL)) {
      Map<String, float[]> rounded = values(held.hold(Precision.FLOAT32).textEncoder().weights());
      wide.hold(Precision.BFLOAT16).hold(Precision.FLOAT32);
      values(wide.textEncoder().weights())
          .forEach((name, value) -> assertThat(rounded.get(name)).as(name).isEqualTo(value));
    }
  }

  @Test
  void hold_whatNeedsFloats_refused() throws IOException {
    try (TextToImage model = TextToImage.options().hold(Precision.BFLOAT16).load(MODEL)) {
      UNet unet = model.latentDiffusion().ddpm().denoiser(UNet.class);
      String refusal =
          "the weights of the U-Net are held in BFLOAT16, for predictions alone; call"
              + " hold(Precision.FLOAT32) first";
      assertThatThrownBy(unet::weights)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(refusal);
      assertThatThrownBy(unet::copy).hasMessage(refusal);
      assertThatThrownBy(unet::beginTraining).hasMessage(refusal);
      assertThatThrownBy(() -> model.textEncoder().weights())
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the weights of the text encoder are held in BFLOAT16, for use alone; call"
                  + " hold(Precision.FLOAT32) first");
      NDArray images = manager.zeros(new Shape(1, 3, 16, 16));
      assertThatThrownBy(() -> model.latentDiffusion().autoencoder().encodeForTraining(images))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> model.runAs(Execution.EAGER, Precision.FLOAT32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "execution EAGER needs weights in FLOAT32, but they are held in BFLOAT16; choose"
                  + " execution COMPILED or call hold(Precision.FLOAT32)");
    }
    assertThatThrownBy(() -> TextToImage.options().hold(Precision.AUTO))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("weights must be held in FLOAT32, BFLOAT16 or FLOAT16, but was AUTO");
  }
}
