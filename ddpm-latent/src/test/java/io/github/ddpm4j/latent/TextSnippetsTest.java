package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Every Java snippet of docs/text-to-image.md is compiled: it stands here, word for word. */
class TextSnippetsTest {

  private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/latent/TextSnippetsTest.java");

  private final List<Shape> shown = new ArrayList<>();

  static void fromTheHub() throws IOException {
    Path folder = TextToImage.download("CompVis/ldm-text2im-large-256", "main");
    try (TextToImage model = TextToImage.load(folder);
        Samples pictures =
            model.prompt("An image of a cat laughing").steps(50).guidance(6).seed(42).generate(1)) {
      pictures.save(0, Path.of("cat.png"));
    }
  }

  static TextToImage fromFile() throws IOException {
    TextToImage model =
        TextToImage.options()
            .tokenizer(Path.of("tokenizer")) // vocab.json and merges.txt
            .load(Path.of("v1-5-pruned-emaonly.safetensors"));
    return model;
  }

  static TextToImage withLoras(Path folder) throws IOException {
    TextToImage changed =
        TextToImage.options()
            .lora(Path.of("watercolour.safetensors"), 0.8)
            .lora(Path.of("my-dog.safetensors"), 1)
            .load(folder);
    return changed;
  }

  static TextToImage held(Path folder) throws IOException {
    TextToImage small = TextToImage.options().hold(UNet.Precision.BFLOAT16).load(folder);
    small.latentDiffusion().autoencoder().tiles(64);
    return small;
  }

  static TextToImage mapped(Path folder) throws IOException {
    TextToImage pages = TextToImage.options().mapped().load(folder);
    return pages;
  }

  static Samples withLess(Path folder) throws IOException {
    TextToImage drawing = TextToImage.options().decoderAlone().load(folder);
    SamplingRun run = drawing.prompt("a red dog").start(4);
    drawing.textEncoder().close(); // the prompts are encoded
    Samples dogs = run.finish();
    return dogs;
  }

  static Samples everything(TextToImage model) {
    Samples pictures =
        model
            .prompt("a red dog", "a photo of a cat")
            .negativePrompt("blurred")
            .guidance(7.5)
            .sampler(Samplers.dpmSolverPlusPlus(20))
            .seed(42)
            .size(512, 768)
            .batchSize(2)
            .generate(4);
    return pictures;
  }

  static Samples ofWeightedWords(TextToImage model) {
    Samples weighted =
        model.prompt("a (red:1.3) dog, [blurred] hills").weightedPrompts().generate(1);
    return weighted;
  }

  static List<Samples> between(TextToImage model) {
    Samples way =
        model.prompt("a red dog", "a photo of a cat").seed(42).interpolate(0, 0.25, 0.5, 1);
    Samples near = model.prompt("a red dog").seed(42).variations(0, 0.2, 4);
    return List.of(way, near);
  }

  static List<Samples> fromPictures(TextToImage model, NDArray photos, NDArray known) {
    Samples changed = model.prompt("a dog in the snow").imageToImage(photos, 0.6);
    Samples filled = model.prompt("a dog on a bench").inpaint(photos, known);
    return List.of(changed, filled);
  }

  static void ofOnesOwn(RandomAccessDataset pictures, UNet unet) throws IOException {
    Autoencoder autoencoder = Autoencoder.builder().levelChannels(64, 128, 256).build();
    autoencoder.training().steps(20_000).fit(pictures);
    LatentDataset latents =
        LatentDataset.builder(autoencoder, pictures)
            .cache(Path.of("latents.safetensors"))
            .setSampling(64, true)
            .build();
    DDPM ddpm = DDPM.builder().clip(false).denoiser(unet).build(); // unet: image(4, 16, 16)
    try (TrainedModel trained = ddpm.training().anyRange().steps(100_000).fit(latents);
        LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), autoencoder)) {
      model.save(Path.of("model")); // LatentDiffusion.load(…) loads it
      model.drawing().labels(0, 1, 2).guidance(2).generate(4).saveGrid(Path.of("drawn.png"));
    }
  }

  private void show(NDArray preview) {
    shown.add(preview.getShape());
  }

  private void watched(TextToImage model) throws IOException {
    try (SamplingRun run = model.prompt("a red dog").seed(42).start(1)) {
      while (run.hasNext()) {
        NDArray latents = run.next().predictedX0();
        show(model.latentDiffusion().preview(latents));
      }
      try (Samples pictures = run.finish()) {
        pictures.save(0, Path.of("dog.png"));
      }
    }
  }

  @Test
  void snippets_standInThisFile() throws IOException {
    String source = squeezed(Files.readString(SOURCE));
    List<String> snippets =
        SNIPPET
            .matcher(Files.readString(Path.of("../docs/text-to-image.md")))
            .results()
            .map((MatchResult result) -> result.group(1))
            .toList();
    assertThat(snippets).hasSize(12).allSatisfy(one -> assertThat(source).contains(squeezed(one)));
  }

  private static String squeezed(String text) {
    return text.replaceAll("\\s+", "");
  }

  @Test
  void snippets_onATinyModel_draw() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      NDArray photos = manager.zeros(new Shape(1, 3, 32, 32));
      for (Samples samples : fromPictures(model, photos, manager.ones(new Shape(1, 1, 32, 32)))) {
        assertThat(samples.size()).isEqualTo(1);
        samples.close();
      }
      watched(model);
      assertThat(shown).hasSize(51).containsOnly(new Shape(1, 3, 4, 4));
    } finally {
      Files.deleteIfExists(Path.of("dog.png"));
    }
  }
}
