package io.github.ddpm4j.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.SamplingService;
import io.github.ddpm4j.service.ServiceListener;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A tiny Stable Diffusion on the page. */
@Timeout(60)
class LatentModelTest {

  private static final Path TINY = Path.of("../ddpm-latent/src/test/resources/pipelines/sd1");

  private final AtomicInteger mostInACall = new AtomicInteger();
  private LatentModel text;
  private SamplingService service;
  private Drawings drawings;

  @BeforeEach
  void load() throws IOException {
    text = LatentModel.load(TINY);
    service =
        SamplingService.builder()
            .model("tiny", text.latent().ddpm())
            .model("portraits", TestModels.attributes())
            .mostImages(8)
            .listener(
                new ServiceListener() {
                  @Override
                  public void called(int requests, int images, Duration took) {
                    mostInACall.accumulateAndGet(images, Math::max);
                  }
                })
            .build();
    drawings = new Drawings(service, Map.of("tiny", text), Drawings.MOST_BYTES);
  }

  @AfterEach
  void close() {
    service.close();
    text.close();
  }

  private static DrawRequest asked(String prompt, int count, DrawRequest.Hole hole) {
    double guidance = prompt.isEmpty() ? 1 : 7.5;
    return new DrawRequest("tiny", prompt, "ddim", 4, guidance, 7, count, hole);
  }

  private static List<JsonObject> follow(Drawing drawing) throws InterruptedException {
    List<JsonObject> events = new ArrayList<>();
    int next = 0;
    Optional<Drawing.Event> event = drawing.event(next, Duration.ofSeconds(30));
    while (event.isPresent()) {
      events.add(JsonParser.parseString(event.get().data()).getAsJsonObject());
      next = event.get().number() + 1;
      event = drawing.event(next, Duration.ofSeconds(30));
    }
    return events;
  }

  private static BufferedImage image(JsonObject step) throws IOException {
    String url = step.get("image").getAsString();
    return image(Base64.getDecoder().decode(url.substring(url.indexOf(',') + 1)));
  }

  private static BufferedImage image(byte[] png) throws IOException {
    return ImageIO.read(new ByteArrayInputStream(png));
  }

  private static int[] pixels(byte[] png) throws IOException {
    BufferedImage image = image(png);
    return image.getRGB(0, 0, image.getWidth(), image.getHeight(), null, 0, image.getWidth());
  }

  @Test
  void isIn_aPipeline_andNoModelFolder() {
    assertThat(LatentModel.isIn(TINY)).isTrue();
    assertThat(LatentModel.isIn(TINY.resolve("unet"))).isFalse();
  }

  @Test
  void load_withoutItsTokenizer_saysWhatIsMissing(@TempDir Path folder) throws IOException {
    Files.copy(TINY.resolve("model_index.json"), folder.resolve("model_index.json"));
    for (String part : List.of("unet", "vae", "text_encoder", "scheduler")) {
      Files.createDirectory(folder.resolve(part));
    }
    Files.copy(
        TINY.resolve("scheduler/scheduler_config.json"),
        folder.resolve("scheduler/scheduler_config.json"));
    assertThatThrownBy(() -> LatentModel.load(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder.resolve("tokenizer")
                + ": this part of StableDiffusionPipeline is missing; its parts are unet, vae,"
                + " tokenizer, text_encoder and scheduler");
  }

  @Test
  void list_ofAPipeline_takesText() {
    JsonArray models =
        JsonParser.parseString(new ModelList(drawings).json())
            .getAsJsonObject()
            .getAsJsonArray("models");
    int side = (int) text.shape().get(1);
    assertThat(models.get(0).toString())
        .isEqualTo(
            "{\"name\":\"tiny\",\"width\":"
                + side
                + ",\"height\":"
                + side
                + ",\"colour\":true,\"mostSteps\":250,\"fills\":true,\"text\":true,\"guidance\":7.5,"
                + "\"mostGuidance\":15.0,\"attributes\":[],\"classes\":[]}");
    assertThat(models.get(1).getAsJsonObject().get("text").getAsBoolean()).isFalse();
  }

  /** On the way a pixel for each latent, at the end the picture that the pipeline draws alone. */
  @Test
  void draw_aText_isThePipelines() throws Exception {
    Drawing drawing = drawings.begin(asked("a photo of a cat", 2, null), "me");
    List<JsonObject> events = follow(drawing);
    int factor = text.latent().autoencoder().factor();
    int side = (int) text.shape().get(1);
    assertThat(factor).isGreaterThan(1);
    assertThat(image(events.get(0)).getHeight()).isEqualTo(side / factor + 2);
    assertThat(image(events.get(0)).getWidth()).isEqualTo(2 * side / factor + 3);
    assertThat(image(events.get(events.size() - 2)).getHeight()).isEqualTo(side + 2);
    try (TextToImage alone = TextToImage.load(TINY);
        Samples samples =
            alone
                .prompt("a photo of a cat")
                .guidance(7.5)
                .sampler(Samplers.ddim(4))
                .seed(7)
                .batchSize(2)
                .generate(2)) {
      for (int i = 0; i < 2; i++) {
        ByteArrayOutputStream png = new ByteArrayOutputStream();
        samples.write(i, png);
        assertThat(pixels(drawing.picture(i).orElseThrow().png()))
            .isEqualTo(pixels(png.toByteArray()));
      }
    }
    JsonObject words =
        events.get(events.size() - 1).getAsJsonArray("pictures").get(1).getAsJsonObject();
    assertThat(words.get("prompt").getAsString()).isEqualTo("a photo of a cat");
  }

  /** A call of all, each of them twice, could take all memory. */
  @Test
  void draw_manyPictures_aFewAtATime() throws Exception {
    Drawing drawing = drawings.begin(asked("a photo of a cat", 6, null), "me");
    List<JsonObject> events = follow(drawing);
    assertThat(mostInACall).hasValue(2 * io.github.ddpm4j.latent.Drawing.DEFAULT_BATCH_SIZE);
    JsonObject step = events.get(events.size() - 2);
    assertThat(step.get("step").getAsInt()).isEqualTo(8);
    assertThat(step.get("steps").getAsInt()).isEqualTo(8);
    assertThat(drawing.picture(5)).isPresent();
  }

  /** What is kept comes out of the autoencoder, and the rest is drawn for the words. */
  @Test
  void fill_partOfAPicture_drawsTheRestAnew() throws Exception {
    Drawing first = drawings.begin(asked("", 1, null), "me");
    follow(first);
    int pixels = (int) (text.shape().get(1) * text.shape().get(2));
    String half = "f".repeat(pixels / 8) + "0".repeat(pixels / 8);
    DrawRequest.Hole hole = new DrawRequest.Hole(first.id(), 0, half);
    Drawing second = drawings.begin(asked("a red dog", 1, hole), "me");
    List<JsonObject> events = follow(second);
    JsonObject last = events.get(events.size() - 1);
    assertThat(last.has("pictures")).as("%s", last).isTrue();
    float[] before = first.picture(0).orElseThrow().values();
    float[] after = second.picture(0).orElseThrow().values();
    assertThat(after).hasSameSizeAs(before).isNotEqualTo(before);
  }

  @Test
  void startFilling_holdsNothingUntilItsEnd() {
    Shape shape = text.shape();
    float[] picture = new float[(int) shape.size()];
    float[] kept = new float[(int) (shape.get(1) * shape.get(2))];
    try (NDManager arrays = NDManager.newBaseManager();
        SamplingRun run =
            text.startFilling(
                text.ddpm().sampling(),
                asked("a red dog", 1, null),
                Samplers.ddim(2),
                picture,
                kept,
                arrays)) {
      assertThat(run.images()).isEqualTo(1);
      assertThat(arrays.getManagedArrays()).isEmpty();
    }
  }

  @Test
  void prompt_withoutATextEncoder_isRefused() throws Exception {
    Path folder = TINY.resolveSibling("ldm_unconditional");
    try (LatentModel plain = LatentModel.load(folder);
        SamplingService other = SamplingService.of(plain.latent().ddpm()).mostImages(2).build()) {
      String name = other.models().keySet().iterator().next();
      Drawings all = new Drawings(other, Map.of(name, plain), Drawings.MOST_BYTES);
      assertThatThrownBy(
              () -> all.begin(new DrawRequest(name, "a cat", "ddim", 2, 2, 1, 1, null), "me"))
          .isInstanceOf(RefusalException.class)
          .hasMessage("the model takes no prompt");
      Drawing drawn = all.begin(new DrawRequest(name, "", "ddim", 2, 1, 1, 1, null), "me");
      List<JsonObject> events = follow(drawn);
      assertThat(events.get(events.size() - 1).has("pictures")).isTrue();
    }
  }

  /** As the page offers them: by number, since folders of pipelines name no classes. */
  @Test
  void draw_aClass_isThePipelines() throws Exception {
    UNetBuilder network =
        UNet.builder().image(3, 8, 8).baseChannels(8).groups(4).classes(3).seed(1);
    try (LatentDiffusion parts = LatentDiffusion.load(TINY.resolveSibling("ldm_unconditional"));
        UNet unet = network.build();
        DDPM ddpm = DDPM.builder().timesteps(100).denoiser(unet).clip(false).build();
        LatentDiffusion latent = LatentDiffusion.of(ddpm, parts.autoencoder());
        SamplingService other = SamplingService.builder().model("three", ddpm).build()) {
      Drawings all =
          new Drawings(other, Map.of("three", new LatentModel(latent, null)), Drawings.MOST_BYTES);
      JsonObject offered =
          JsonParser.parseString(new ModelList(all).json())
              .getAsJsonObject()
              .getAsJsonArray("models")
              .get(0)
              .getAsJsonObject();
      assertThat(offered.getAsJsonArray("classes").toString()).isEqualTo("[\"0\",\"1\",\"2\"]");
      assertThat(offered.get("guidance").getAsDouble()).isEqualTo(2);
      Drawing drawn = all.begin(new DrawRequest("three", "2", "ddim", 2, 3, 1, 1, null), "me");
      List<JsonObject> events = follow(drawn);
      JsonObject last = events.get(events.size() - 1);
      assertThat(last.has("pictures")).as("%s", last).isTrue();
      try (Samples samples =
              latent.drawing().labels(2).guidance(3).sampler(Samplers.ddim(2)).seed(1).generate(1);
          NDManager manager = NDManager.newBaseManager()) {
        assertThat(drawn.picture(0).orElseThrow().values())
            .isEqualTo(samples.toNDArray(manager).toFloatArray());
      }
      assertThatThrownBy(
              () -> all.begin(new DrawRequest("three", "3", "ddim", 2, 3, 1, 1, null), "me"))
          .isInstanceOf(RefusalException.class)
          .hasMessage("the prompt must be one of [0, 1, 2], the classes of the model");
    }
  }

  @Test
  void of_aText_hasItsLatents() throws IOException {
    try (TextToImage model = TextToImage.load(TINY)) {
      LatentDiffusion latent = LatentModel.of(model).latent();
      assertThat(latent).isSameAs(model.latentDiffusion());
    }
  }
}
