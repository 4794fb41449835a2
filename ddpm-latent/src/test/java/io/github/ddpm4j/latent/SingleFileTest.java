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
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.PublishedUNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whole pipelines in one file: the fixtures under the names of CompVis and OpenCLIP. */
class SingleFileTest {

  private static final Path SINGLE = PipelineFixture.DATA.resolve("single");

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path temporary;

  @AfterEach
  void close() {
    manager.close();
  }

  /** The folder of a fixture without its weights. */
  private Path described(String name) throws IOException {
    Path from = PipelineFixture.DATA.resolve(name);
    return PipelineFixture.copy(
        from, temporary.resolve(name), file -> !file.endsWith(".safetensors"));
  }

  private static Samples drawn(TextToImage model, PipelineFixture fixture) {
    return model
        .prompt(PipelineFixture.PROMPTS.toArray(new String[0]))
        .negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
        .guidance(7.5)
        .steps(4)
        .noise(fixture.noise("start", ""))
        .generate(1);
  }

  @ParameterizedTest
  @CsvSource({"sd1, sd1.ckpt", "sd2, sd2.safetensors"})
  void load_fixtureUnderOtherNames_thePicturesOfTheFolder(String name, String file)
      throws IOException {
    PipelineFixture fixture = PipelineFixture.read(name, "expected.safetensors", manager);
    try (TextToImage model =
            TextToImage.options().configuration(described(name)).load(SINGLE.resolve(file));
        TextToImage folder = TextToImage.load(PipelineFixture.DATA.resolve(name));
        Samples pictures = drawn(model, fixture);
        Samples same = drawn(folder, fixture)) {
      fixture.assertPictures(pictures.toNDArray(manager));
      assertThat(pictures.toNDArray(manager).toFloatArray())
          .isEqualTo(same.toNDArray(manager).toFloatArray());
      assertThat(model).hasToString("TextToImage[StableDiffusionPipeline " + file + "]");
      assertThat(model.sampler(4)).hasToString(folder.sampler(4).toString());
    }
  }

  /** Nine channels: noise, what is unknown, and what is seen of the picture. */
  @Test
  void load_inpaintingFixtureUnderOtherNames_thePicturesOfTheFolder() throws IOException {
    PipelineFixture fixture = PipelineFixture.read("sd_inpaint", "expected.safetensors", manager);
    Path file = SINGLE.resolve("sd_inpaint.ckpt");
    try (TextToImage model =
            TextToImage.options().configuration(described("sd_inpaint")).load(file);
        TextToImage folder = TextToImage.load(PipelineFixture.DATA.resolve("sd_inpaint"));
        Samples pictures = filled(model, fixture);
        Samples same = filled(folder, fixture)) {
      fixture.assertPictures(pictures.toNDArray(manager));
      assertThat(pictures.toNDArray(manager).toFloatArray())
          .isEqualTo(same.toNDArray(manager).toFloatArray());
      assertThat(model).hasToString("TextToImage[StableDiffusionInpaintPipeline sd_inpaint.ckpt]");
      assertThat(model.sampler(3)).hasToString(folder.sampler(3).toString());
      assertThatThrownBy(() -> model.prompt("a red dog").start(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "this network was trained to see what is known of a picture, so it cannot start from"
                  + " noise alone; use inpaint(pictures, mask), with a mask of 0 for nothing known");
    }
  }

  private static Samples filled(TextToImage model, PipelineFixture fixture) {
    return model
        .prompt(PipelineFixture.PROMPTS.toArray(new String[0]))
        .negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
        .guidance(7.5)
        .steps(3)
        .noise(fixture.noise("draw.0", "draw.1"))
        .inpaint(fixture.pictures(), fixture.value("mask_uint8").neg().add(1));
  }

  /** What a file of the published sizes is without a configuration is told by its shapes. */
  @Test
  void load_inpaintingWithoutConfiguration_takenForTheInpaintingPipeline() throws IOException {
    Path words = PipelineFixture.DATA.resolve("sd_inpaint").resolve("tokenizer");
    SingleFile file = SingleFile.open(SINGLE.resolve("sd_inpaint.ckpt"), words, null);
    assertThat(file.type()).isEqualTo(Pipeline.Type.STABLE_INPAINT);
    assertThat(file.openClip()).isFalse();
    assertThat(PublishedUNet.STABLE_DIFFUSION_1_INPAINTING.config().imageCondition()).isEqualTo(5);
  }

  /** The fixture with other tensors, in one file. */
  private Path edited(String file, Consumer<Map<String, NDArray>> edit) throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (TensorSource whole = TensorFiles.open(SINGLE.resolve(file))) {
      TensorSource source = whole.under(file.endsWith(".ckpt") ? "state_dict." : "");
      for (String name : source.tensors().keySet()) {
        all.put(name, source.read(name, manager).toType(DataType.FLOAT32, false));
      }
    }
    edit.accept(all);
    Path edited = temporary.resolve("edited.safetensors");
    Safetensors.write(edited, all, Map.of());
    return edited;
  }

  @Test
  void load_textWithoutItsFirstWord_sameContexts() throws IOException {
    Path bare =
        edited(
            "sd1.ckpt",
            all ->
                List.copyOf(all.keySet()).stream()
                    .filter(name -> name.contains(".text_model."))
                    .forEach(name -> all.put(name.replace(".text_model.", "."), all.remove(name))));
    PipelineFixture fixture = PipelineFixture.read("sd1", "expected.safetensors", manager);
    try (TextToImage model = TextToImage.options().configuration(described("sd1")).load(bare)) {
      PipelineFixture.assertLatents(
          "context",
          model.textEncoder().encode(manager, fixture.ids("ids")),
          fixture.value("context"),
          1);
    }
  }

  @Test
  void load_predictionOfTheCaller_beforeTheConfiguration() throws IOException {
    try (TextToImage model =
        TextToImage.options()
            .configuration(described("sd1"))
            .prediction(Prediction.VELOCITY)
            .load(SINGLE.resolve("sd1.ckpt"))) {
      assertThat(model.latentDiffusion().ddpm().prediction()).isEqualTo(Prediction.VELOCITY);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "conditioner.embedders.0.x | of Stable Diffusion XL, with two text encoders",
        "model.diffusion_model.joint_blocks.0.x"
            + " | with a transformer that is trained by flow matching",
        "model.diffusion_model.double_blocks.0.x"
            + " | with a transformer that is trained by flow matching",
        "control_model.time_embed.0.weight"
            + " | with a second network that sees another picture (ControlNet)",
        "model.diffusion_model.time_embed.cond_proj.weight"
            + " | for distilled networks (latent consistency models)",
        "model.diffusion_model.label_emb.0.0.weight"
            + " | whose network sees something beside text and timestep",
        "lora_unet_mid_block_x.lora_up.weight | a LoRA, which is added to a model",
        "cond_stage_model.transformer.token_emb.weight | of latent diffusion, with LDMBert",
      })
  void load_otherModel_refusedByName(String tensor, String meaning) throws IOException {
    Path file = edited("sd2.safetensors", all -> all.put(tensor, manager.ones(new Shape(1))));
    assertThatThrownBy(() -> TextToImage.options().configuration(described("sd2")).load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " is " + meaning + ", which this version does not load");
  }

  @ParameterizedTest
  @CsvSource({
    "5, whose network sees a map of depths",
    "7, whose network sees a small picture",
    "8, whose network sees the picture that is changed",
    "6, whose network sees 6 channels",
  })
  void load_otherChannels_refusedByName(int channels, String meaning) throws IOException {
    String first = "model.diffusion_model.input_blocks.0.0.weight";
    Path file =
        edited(
            "sd2.safetensors", all -> all.put(first, manager.ones(new Shape(4, channels, 3, 3))));
    assertThatThrownBy(() -> TextToImage.options().configuration(described("sd2")).load(file))
        .hasMessage(file + " is " + meaning + ", which this version does not load");
  }

  @Test
  void load_configurationWithoutScheduler_namesIt() throws IOException {
    Path described = described("sd1");
    Path scheduler = described.resolve("scheduler/scheduler_config.json");
    Files.delete(scheduler);
    assertThatThrownBy(
            () -> TextToImage.options().configuration(described).load(SINGLE.resolve("sd1.ckpt")))
        .hasMessage(
            scheduler
                + ": this file is missing, which says the noise schedule; get the whole folder of"
                + " the configuration");
  }

  @ParameterizedTest
  @CsvSource({
    "model.diffusion_model., network",
    "first_stage_model., autoencoder",
    "cond_stage_model.transformer., text encoder",
  })
  void load_partMissing_named(String prefix, String part) throws IOException {
    Path file = edited("sd1.ckpt", all -> all.keySet().removeIf(name -> name.startsWith(prefix)));
    assertThatThrownBy(() -> TextToImage.options().configuration(described("sd1")).load(file))
        .hasMessage(
            file
                + " is no whole pipeline of Stable Diffusion: it has no "
                + part
                + ", whose names begin with "
                + prefix
                + "; a network alone is loaded by Pretrained.load(file), and a folder of diffusers"
                + " by TextToImage.load(folder)");
  }

  @Test
  void load_nothingButTheFile_wordsAreAskedFor() {
    Path file = SINGLE.resolve("sd1.ckpt");
    assertThatThrownBy(() -> TextToImage.load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " does not hold the words of its tokenizer: call"
                + " TextToImage.options().tokenizer(folder) with a folder that has vocab.json and"
                + " merges.txt of CLIP");
  }

  @Test
  void load_openClipWithoutItsPadding_refused() throws IOException {
    Path words = described("sd2").resolve("tokenizer");
    Files.delete(words.resolve("special_tokens_map.json"));
    assertThatThrownBy(
            () -> TextToImage.options().tokenizer(words).load(SINGLE.resolve("sd2.safetensors")))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            words.resolve("special_tokens_map.json")
                + ": this file is missing, which says that Stable Diffusion 2 fills up prompts with"
                + " \"!\", where 1 takes <|endoftext|>");
  }

  /** Without a configuration nothing but the published sizes is loaded. */
  @Test
  void load_otherSizesWithoutConfiguration_refusedByPart() {
    Path file = SINGLE.resolve("sd1.ckpt");
    Path words = PipelineFixture.DATA.resolve("sd1").resolve("tokenizer");
    assertThatThrownBy(() -> TextToImage.options().tokenizer(words).load(file))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(
            file
                + ", below \"state_dict.cond_stage_model.transformer.\", taken for Stable Diffusion"
                + " 1.x, since configuration(folder) was not called, does not have the weights of"
                + " this network; missing (160): ");
  }

  @Test
  void load_folderWithWordsOrConfiguration_refused() {
    Path folder = PipelineFixture.DATA.resolve("sd1");
    assertThatThrownBy(() -> TextToImage.options().tokenizer(folder).load(folder))
        .hasMessage(
            folder
                + " is a folder, whose own tokenizer and configurations are read: leave out"
                + " tokenizer(...) and configuration(...)");
  }

  @Test
  void configurations_ofStableDiffusion_publishedCounts() {
    assertThat(WeightedNetwork.count(new TextNetwork(TextConfig.stableDiffusion1()).parameters()))
        .isEqualTo(123_060_480);
    assertThat(WeightedNetwork.count(new TextNetwork(TextConfig.stableDiffusion2()).parameters()))
        .isEqualTo(340_387_840);
    AutoencoderNetwork autoencoder = new AutoencoderNetwork(AutoencoderConfig.stableDiffusion());
    assertThat(WeightedNetwork.count(autoencoder.parameters())).isEqualTo(83_653_863);
    // Widths of contexts by which networks of 1.x and 2.x are told apart.
    assertThat(PublishedUNet.STABLE_DIFFUSION_1.config().contextCondition()).isEqualTo(768);
    assertThat(PublishedUNet.STABLE_DIFFUSION_2.config().contextCondition()).isEqualTo(1024);
  }

  /** Every weight of the published autoencoder has a name of its own in the file. */
  @Test
  void autoencoderNames_stableDiffusion_allDifferent() {
    AutoencoderConfig config = AutoencoderConfig.stableDiffusion();
    List<String> names = new ArrayList<>();
    new AutoencoderNetwork(config)
        .parameters()
        .forEach(spec -> names.addAll(CompVisNames.autoencoder(config).apply(spec.name()).peer()));
    assertThat(names)
        .hasSize(248)
        .doesNotHaveDuplicates()
        .contains(
            "encoder.down.2.block.0.nin_shortcut.weight",
            "decoder.up.0.block.0.nin_shortcut.weight",
            "decoder.up.3.upsample.conv.bias",
            "decoder.mid.attn_1.proj_out.weight",
            "quant_conv.bias");
  }
}
