package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Folders that are none, are of other pipelines, or are damaged. */
class PipelineFilesTest {

  @TempDir private Path temporary;

  private static void copy(Path from, Path to) throws IOException {
    PipelineFixture.copy(from, to, file -> !file.startsWith("expected"));
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.sorted((a, b) -> b.compareTo(a)).toList()) {
        Files.delete(path);
      }
    }
  }

  private Path sd1() throws IOException {
    Path folder = temporary.resolve("model");
    copy(PipelineFixture.DATA.resolve("sd1"), folder);
    return folder;
  }

  private static void edit(Path file, String from, String to) throws IOException {
    String text = Files.readString(file);
    assertThat(text).contains(from);
    Files.writeString(file, text.replace(from, to));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "StableDiffusionXLPipeline | of Stable Diffusion XL, with two text encoders",
        "StableDiffusionControlNetPipeline | with a second network that sees another picture",
        "LatentConsistencyModelPipeline | for distilled networks",
        "FluxPipeline | with a transformer that is trained by flow matching",
        "StableDiffusion3Pipeline | with a transformer that is trained by flow matching",
        "StableDiffusionUpscalePipeline | whose network sees a small picture",
        "DDPMPipeline | whose network works on pixels and is loaded by Pretrained.load(folder)",
        "MyPipeline | a pipeline that is not known",
      })
  void load_otherPipeline_refusedByName(String name, String meaning) throws IOException {
    Path folder = sd1();
    Path index = folder.resolve("model_index.json");
    edit(index, "StableDiffusionPipeline", name);

    assertThatThrownBy(() -> TextToImage.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(
            index
                + ": \"_class_name\" is "
                + name
                + ", "
                + meaning
                + ", which this version does not"
                + " load");
  }

  @Test
  void load_withOrWithoutText_theOtherIsNamed() {
    Path text = PipelineFixture.DATA.resolve("sd1");
    Path none = PipelineFixture.DATA.resolve("ldm_unconditional");
    assertThatThrownBy(() -> LatentDiffusion.load(text))
        .hasMessage(
            text
                + " is a StableDiffusionPipeline, which draws what a text says: load it by"
                + " TextToImage.load(folder)");
    assertThatThrownBy(() -> TextToImage.load(none))
        .hasMessage(
            none
                + " is a LDMPipeline, which draws without a text: load it by"
                + " LatentDiffusion.load(folder)");
    assertThatThrownBy(() -> TextToImage.load(temporary))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            temporary
                + ": no folder of a pipeline of diffusers: it has no model_index.json; the folder"
                + " of one part is none");
  }

  @Test
  void load_partOfAnotherModel_refusedByName() throws IOException {
    Path folder = sd1();
    Path unet = folder.resolve("unet");
    delete(folder.resolve("text_encoder"));
    copy(
        PipelineFixture.DATA.resolve("ldm_text2im").resolve("bert"),
        folder.resolve("text_encoder"));
    edit(folder.resolve("model_index.json"), "CLIPTextModel", "LDMBertModel");
    delete(unet);
    copy(PipelineFixture.DATA.resolve("sd_inpaint").resolve("unet"), unet);

    assertThatThrownBy(() -> TextToImage.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("tokenizer makes prompts of 77 tokens")
        .hasMessageEndingWith("they are not of one model");
  }

  @Test
  void load_partsThatAreLeftOut_loadsWithoutThem() throws IOException {
    Path folder = sd1();
    Path index = folder.resolve("model_index.json");
    edit(
        index,
        "\"safety_checker\": [\n    null,\n    null\n  ]",
        "\"safety_checker\": [\"stable_diffusion\", \"StableDiffusionSafetyChecker\"]");
    TextToImage.load(folder).close();
    edit(index, "\"safety_checker\"", "\"controlnet\"");
    assertThatThrownBy(() -> TextToImage.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("\"controlnet\" is ");
  }

  @Test
  void load_vocabularyOfOtherMerges_refusedByName() throws IOException {
    Path folder = sd1();
    Path vocabulary = folder.resolve("tokenizer").resolve("vocab.json");
    Files.writeString(vocabulary, "{\"a\": 0}");

    assertThatThrownBy(() -> TextToImage.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            "\\Q"
                + vocabulary
                + "\\E has no token \\S+, which merges.txt makes: they are not of"
                + " one tokenizer");
  }

  private static final List<String> PARTS =
      List.of("unet", "vae", "text_encoder", "tokenizer", "scheduler");

  /** Damages a folder, and says which part it did that to. */
  private static String damage(Path folder, Random random) throws IOException {
    String part = PARTS.get(random.nextInt(PARTS.size()));
    Path of = folder.resolve(part);
    Path[] files;
    try (Stream<Path> all = Files.list(of)) {
      // Tokenizers do without these.
      files =
          all.filter(file -> !file.toString().matches(".*(special_tokens_map|_config).json"))
              .sorted()
              .toArray(Path[]::new);
    }
    if (part.equals("scheduler")) {
      files = new Path[] {of.resolve("scheduler_config.json")};
    }
    Path file = files[random.nextInt(files.length)];
    switch (random.nextInt(5)) {
      case 0 -> delete(of);
      case 1 -> Files.delete(file);
      case 2 -> {
        byte[] bytes = Files.readAllBytes(file);
        if (file.toString().endsWith("merges.txt")) {
          Files.delete(file); // fewer merges are a tokenizer, too
        } else {
          Files.write(file, Arrays.copyOf(bytes, random.nextInt(bytes.length - 2)));
        }
      }
      case 3 -> {
        Path index = folder.resolve("model_index.json");
        if (part.equals("scheduler")) {
          edit(of.resolve("scheduler_config.json"), "PNDMScheduler", "LCMScheduler");
        } else {
          String type =
              switch (part) {
                case "unet" -> "UNet2DConditionModel";
                case "vae" -> "AutoencoderKL";
                case "tokenizer" -> "CLIPTokenizer";
                default -> "CLIPTextModel";
              };
          edit(index, type, "Foreign" + random.nextInt(9));
        }
      }
      default -> {
        switch (part) {
          case "unet", "vae" ->
              edit(of.resolve("config.json"), "\"layers_per_block\": 1", "\"layers_per_block\": 2");
          case "text_encoder" ->
              edit(
                  of.resolve("config.json"),
                  "\"num_hidden_layers\": 2",
                  "\"num_hidden_layers\": 3");
          case "tokenizer" -> Files.writeString(of.resolve("vocab.json"), "{}");
          default -> edit(of.resolve("scheduler_config.json"), "scaled_linear", "scaled_mystery");
        }
      }
    }
    return part;
  }

  private void assertDamages(int count) throws IOException {
    for (int i = 0; i < count; i++) {
      Path folder = temporary.resolve("damaged" + i);
      copy(PipelineFixture.DATA.resolve("sd1"), folder);
      String part = damage(folder, new Random(i));
      Throwable thrown = catchThrowable(() -> TextToImage.load(folder).close());
      assertThat(thrown).as("damage %d, of %s", i, part).isInstanceOf(IOException.class);
      assertThat(thrown.getMessage()).as("damage %d", i).contains(part);
      delete(folder);
    }
  }

  @Test
  void load_200DamagedFolders_thePartIsNamed() throws IOException {
    assertDamages(200);
  }

  @Test
  @Tag("slow")
  void load_1000DamagedFolders_thePartIsNamed() throws IOException {
    assertDamages(1000);
  }
}
