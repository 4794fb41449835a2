package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pipelines that were loaded, saved as folders of diffusers. */
class PipelineSavingTest {

  private static final Path SINGLE = PipelineFixture.DATA.resolve("single");

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path temporary;

  @AfterEach
  void close() {
    manager.close();
  }

  private float[] drawn(TextToImage model) {
    try (Samples pictures =
        model.prompt("a photo of a cat").guidance(7.5).steps(3).seed(1).generate(1)) {
      return pictures.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSameFiles(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        assertThat(to.resolve(file.getFileName())).hasSameBinaryContentAs(file);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "sd2", "ldm_text2im"})
  void save_andLoad_thePictures(String name) throws IOException {
    Path from = PipelineFixture.DATA.resolve(name);
    Path saved = temporary.resolve("models/saved");
    try (TextToImage model = TextToImage.load(from)) {
      model.save(saved);
      model.save(saved);
      try (Stream<Path> beside = Files.list(temporary.resolve("models"))) {
        assertThat(beside).containsExactly(saved);
      }
      try (TextToImage loaded = TextToImage.load(saved)) {
        assertThat(drawn(loaded)).isEqualTo(drawn(model));
        assertThat(loaded.sampler(3)).hasToString(model.sampler(3).toString());
        assertThat(loaded.latentDiffusion().autoencoder().scale())
            .isEqualTo(model.latentDiffusion().autoencoder().scale());
      }
    }
    assertSameFiles(from.resolve("tokenizer"), saved.resolve("tokenizer"));
    Map<String, ?> index = JsonFile.read(saved.resolve("model_index.json"));
    Map<String, ?> before = JsonFile.read(from.resolve("model_index.json"));
    for (String part : before.keySet()) {
      if (!part.equals("_diffusers_version")) {
        assertThat(index.get(part)).as(part).isEqualTo(before.get(part));
      }
    }
  }

  /** The network that sees a picture draws nothing of noise alone. */
  @Test
  void save_theInpaintingPipeline_thePictures() throws IOException {
    PipelineFixture fixture = PipelineFixture.read("sd_inpaint", "expected.safetensors", manager);
    Path saved = temporary.resolve("saved");
    try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd_inpaint"))) {
      model.save(saved);
    }
    try (TextToImage loaded = TextToImage.load(saved);
        Samples pictures =
            loaded
                .prompt(PipelineFixture.PROMPTS.toArray(new String[0]))
                .negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
                .guidance(7.5)
                .steps(3)
                .noise(fixture.noise("draw.0", "draw.1"))
                .inpaint(fixture.pictures(), fixture.value("mask_uint8").neg().add(1))) {
      fixture.assertPictures(pictures.toNDArray(manager));
    }
  }

  @ParameterizedTest
  @CsvSource({"sd1, sd1.ckpt", "sd2, sd2.safetensors"})
  void save_aSingleFile_thePicturesOfTheFolder(String name, String file) throws IOException {
    Path folder = PipelineFixture.DATA.resolve(name);
    Path saved = temporary.resolve("saved");
    try (TextToImage model =
        TextToImage.options().configuration(folder).load(SINGLE.resolve(file))) {
      model.save(saved);
    }
    try (TextToImage loaded = TextToImage.load(saved);
        TextToImage expected = TextToImage.load(folder)) {
      assertThat(drawn(loaded)).isEqualTo(drawn(expected));
      assertThat(loaded.sampler(4)).hasToString(expected.sampler(4).toString());
    }
  }

  @Test
  void save_withAnotherPrediction_isOfThat() throws IOException {
    Path folder = PipelineFixture.DATA.resolve("sd1");
    Path saved = temporary.resolve("saved");
    try (TextToImage model =
        TextToImage.options()
            .configuration(folder)
            .prediction(Prediction.VELOCITY)
            .load(SINGLE.resolve("sd1.ckpt"))) {
      model.save(saved);
    }
    try (TextToImage loaded = TextToImage.load(saved)) {
      assertThat(loaded.latentDiffusion().ddpm().prediction()).isEqualTo(Prediction.VELOCITY);
    }
  }

  /** Only networks of the published sizes are loaded without a configuration. */
  @Test
  void save_withoutAScheduler_suggestsTheSamplerOfSingleFiles() throws IOException {
    Path saved = temporary.resolve("saved");
    try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      LatentDiffusion latent = model.latentDiffusion();
      new LatentFolder(Pipeline.Type.STABLE, latent.ddpm(), latent.autoencoder(), null, true)
          .write(
              saved,
              new LatentFolder.Text(
                  model.textEncoder(), PipelineFixture.DATA.resolve("sd1/tokenizer")),
              DataType.FLOAT32);
    }
    try (TextToImage loaded = TextToImage.load(saved)) {
      assertThat(loaded.sampler(4))
          .hasToString("ddim, timesteps=751 501 251 1, rawEpsilon, endAtFirstTimestep");
    }
  }

  @Test
  void save_withoutText_keepsTheSampler() throws IOException {
    Path saved = temporary.resolve("saved");
    try (LatentDiffusion model =
        LatentDiffusion.load(PipelineFixture.DATA.resolve("ldm_unconditional"))) {
      model.save(saved);
      try (LatentDiffusion loaded = LatentDiffusion.load(saved);
          Samples own = model.drawing().steps(3).seed(1).generate(1);
          Samples same = loaded.drawing().steps(3).seed(1).generate(1)) {
        assertThat(loaded.sampler(5)).hasToString(model.sampler(5).toString());
        assertThat(same.toNDArray(manager).toFloatArray())
            .isEqualTo(own.toNDArray(manager).toFloatArray());
      }
    }
  }

  /** Each weight is the nearest that the type has. */
  @ParameterizedTest
  @CsvSource({"FLOAT16, F16", "BFLOAT16, BF16"})
  void save_in16Bits_roundsEveryWeight(DataType type, String kind) throws IOException {
    Path saved = temporary.resolve("saved");
    try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      model.save(saved, type);
      for (String file :
          new String[] {
            "unet/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors"
          }) {
        try (TensorSource source = TensorFiles.open(saved.resolve(file))) {
          assertThat(source.tensors().values())
              .isNotEmpty()
              .allSatisfy(tensor -> assertThat(tensor.kind()).isEqualTo(kind));
        }
      }
      try (TextToImage loaded = TextToImage.load(saved)) {
        assertRounded(model.textEncoder().weights(), loaded.textEncoder().weights(), type);
        assertRounded(
            model.latentDiffusion().network().weights(),
            loaded.latentDiffusion().network().weights(),
            type);
        assertRounded(
            model.latentDiffusion().autoencoder().weights(),
            loaded.latentDiffusion().autoencoder().weights(),
            type);
      }
    }
  }

  private static void assertRounded(
      Map<String, NDArray> before, Map<String, NDArray> after, DataType type) {
    assertThat(after.keySet()).isEqualTo(before.keySet());
    before.forEach(
        (name, weight) ->
            assertThat(after.get(name).toFloatArray()).as(name).isEqualTo(rounded(weight, type)));
  }

  private static float[] rounded(NDArray weight, DataType type) {
    if (type == DataType.FLOAT16) {
      try (NDArray rounded = weight.toType(type, true);
          NDArray wide = rounded.toType(DataType.FLOAT32, true)) {
        return wide.toFloatArray();
      }
    }
    // The engine's arrays know no bfloat16: the upper half of the bits, to the nearest even one.
    float[] all = weight.toFloatArray();
    for (int i = 0; i < all.length; i++) {
      int bits = Float.floatToIntBits(all[i]);
      all[i] = Float.intBitsToFloat((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
    }
    return all;
  }

  @Test
  void save_whatCannotBe_leavesNothing() throws IOException {
    Path other = Files.createDirectories(temporary.resolve("other"));
    Path notes = Files.createFile(other.resolve("notes.txt"));
    Path saved = temporary.resolve("new/saved");
    try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      assertThatThrownBy(() -> model.save(other))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              other
                  + ": it holds notes.txt, which is no part of a model that was saved there; choose"
                  + " another folder");
      NDArray bias = model.textEncoder().weights().get("text_model.final_layer_norm.bias");
      bias.addi(1e6f);
      assertThatThrownBy(() -> model.save(saved, DataType.FLOAT16))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "tensor text_model.final_layer_norm.bias holds values that are too large for float16"
                  + " and would become infinite; write another type, such as FLOAT32");
      assertThatThrownBy(() -> model.save(saved, DataType.INT32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("tensors can be written as FLOAT32, BFLOAT16 or FLOAT16, but not as int32");
    }
    try (TextToImage model =
        TextToImage.options().decoderAlone().load(PipelineFixture.DATA.resolve("sd1"))) {
      assertThatThrownBy(() -> model.save(saved))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the autoencoder was loaded with decoderAlone(), so it cannot be saved; load the model"
                  + " without");
    }
    try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      model.textEncoder().close();
      assertThatThrownBy(() -> model.save(saved))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the text encoder is closed and its weights are freed; load it again");
    }
    try (Stream<Path> left = Files.walk(temporary)) {
      assertThat(left).containsExactlyInAnyOrder(temporary, other, notes);
    }
  }
}
