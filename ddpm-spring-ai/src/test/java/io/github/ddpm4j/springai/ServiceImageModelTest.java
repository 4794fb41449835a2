package io.github.ddpm4j.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException;
import io.github.ddpm4j.service.SamplingService;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.CancellationException;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.image.ImageGeneration;
import org.springframework.ai.image.ImageMessage;
import org.springframework.ai.image.ImageModel;
import org.springframework.ai.image.ImageOptions;
import org.springframework.ai.image.ImageOptionsBuilder;
import org.springframework.ai.image.ImagePrompt;

/** Images through Spring AI's own interface. */
class ServiceImageModelTest {

  /** The prediction is the class of each image. */
  private static final class Classes implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      NDArray told = x.zerosLike();
      for (int i = 0; i < levels.size(); i++) {
        told.set(
            new NDIndex("{}", i), condition.has(Kind.LABELS) ? condition.label(i).orElse(9) : 9);
      }
      return told;
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(new Shape(1, 4, 6));
    }

    @Override
    public OptionalInt classes() {
      return OptionalInt.of(2);
    }

    @Override
    public Set<Kind> conditionKinds() {
      return Set.of(Kind.LABELS);
    }
  }

  private static final DDPM DDPM_OF_CLASSES =
      DDPM.builder()
          .timesteps(10)
          .denoiser(new Classes())
          .classNames(List.of("Boot", "Bag"))
          .build();

  @TempDir private Path folder;
  private SamplingService service;
  private ImageModel model;

  @BeforeEach
  void start() {
    service = SamplingService.of(DDPM_OF_CLASSES).mostImages(4).build();
    model =
        ServiceImageModel.of(service)
            .settings(s -> s.sampler(Samplers.ddim(2)).seed(7).clip(false))
            .mostImages(3)
            .build();
  }

  @AfterEach
  void close() {
    service.close();
  }

  /** What the file in base64 says, which is that of an image of a run without a service. */
  private Map<String, String> told(String base64, String words, int image, int count)
      throws IOException {
    Path file = Files.write(folder.resolve("drawn.png"), Base64.getDecoder().decode(base64));
    try (Samples alone =
        DDPM_OF_CLASSES
            .sampling()
            .sampler(Samplers.ddim(2))
            .seed(7)
            .clip(false)
            .prompt(words)
            .batchSize(4)
            .generate(count)) {
      Path expected = folder.resolve("expected.png");
      alone.save(image, expected);
      assertThat(file).hasSameBinaryContentAs(expected);
    }
    return Pictures.provenance(file);
  }

  private static ImagePrompt prompt(String words) {
    return new ImagePrompt(words);
  }

  private String refusal(ImageOptionsBuilder options) {
    return refusal(new ImagePrompt("Bag", options.build()));
  }

  private String refusal(ImagePrompt prompt) {
    try {
      model.call(prompt);
      return "none";
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
  }

  @Test
  void call_aClass_isAPngThatSaysHowItWasDrawn() throws IOException {
    ImageGeneration result = model.call(prompt("bag")).getResult();
    assertThat(result.getOutput().getUrl()).isNull();
    Map<String, String> words = told(result.getOutput().getB64Json(), "Bag", 0, 1);
    assertThat(words).containsEntry("class", "Bag").containsEntry("seed", "7");
    assertThat(result.getMetadata()).isEqualTo(new ServiceImageModel.Provenance(words));
  }

  @Test
  void call_withOptions_areKept() throws IOException {
    ImageOptions options =
        ImageOptionsBuilder.builder()
            .n(3)
            .model("default")
            .width(6)
            .height(4)
            .responseFormat("b64_json")
            .build();
    List<ImageGeneration> images = model.call(new ImagePrompt("Boot", options)).getResults();
    assertThat(images).hasSize(3);
    assertThat(told(images.get(2).getOutput().getB64Json(), "Boot", 2, 3))
        .containsEntry("image", "2");
  }

  /** A model of latents, whose pictures are twice as large: what a pipeline starts. */
  private static SamplingRun start(Sampling sampling, String prompt, int count) {
    return sampling
        .prompt(prompt.contains("bag") ? "Bag" : "Boot")
        .decoding(new Twice())
        .start(count);
  }

  /** A picture has each pixel of its latents four times. */
  private static final class Twice implements Sampling.Decoding {

    @Override
    public NDArray decode(NDArray latents) {
      return latents.repeat(2, 2).repeat(3, 2);
    }

    @Override
    public DataRange range() {
      return DataRange.DEFAULT;
    }

    @Override
    public Map<String, String> words(int image) {
      return Map.of("decoded", "twice as large");
    }

    @Override
    public void close() {}
  }

  @Test
  void starting_anotherWay_readsThePromptAndDecodes() throws IOException {
    ImageModel pipeline =
        ServiceImageModel.of(service)
            .settings(s -> s.sampler(Samplers.ddim(2)).seed(7).clip(false))
            .starting(ServiceImageModelTest::start)
            .build();
    Path file = folder.resolve("drawn.png");
    String drawn = pipeline.call(prompt("a bag of a friend")).getResult().getOutput().getB64Json();
    Files.write(file, Base64.getDecoder().decode(drawn));
    Path expected = folder.resolve("expected.png");
    Sampling alone = DDPM_OF_CLASSES.sampling().sampler(Samplers.ddim(2)).seed(7).clip(false);
    alone.batchSize(4); // the service's
    try (Samples samples = start(alone, "a bag", 1).finish()) {
      samples.save(0, expected);
    }
    assertThat(file).hasSameBinaryContentAs(expected);
    assertThat(ImageIO.read(file.toFile()).getWidth()).isEqualTo(12);
    ImageOptions sized = ImageOptionsBuilder.builder().width(12).build();
    assertThatThrownBy(() -> pipeline.call(new ImagePrompt("a bag", sized)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("width is set by starting(…), but the options of the prompt say 12");
  }

  @Test
  void call_whatWouldBeLeftOut_isRefused() {
    assertThat(refusal(ImageOptionsBuilder.builder().n(4)))
        .isEqualTo("n must lie in [1, 3], but was 4; set mostImages(n)");
    assertThat(refusal(ImageOptionsBuilder.builder().width(512)))
        .isEqualTo("width must be that of the model's images, 6, but was 512");
    assertThat(refusal(ImageOptionsBuilder.builder().height(6)))
        .isEqualTo("height must be that of the model's images, 4, but was 6");
    assertThat(refusal(ImageOptionsBuilder.builder().responseFormat("url")))
        .isEqualTo("responseFormat must be b64_json, but was \"url\"");
    assertThat(refusal(ImageOptionsBuilder.builder().style("vivid")))
        .isEqualTo("the models have no style, but it was \"vivid\"");
    assertThat(refusal(ImageOptionsBuilder.builder().model("other")))
        .isEqualTo("the service has the models [default], and none of them is other");
    assertThat(refusal(prompt("a red horse")))
        .isEqualTo(
            "the prompt must be a class, of [Boot, Bag], or its number from 0, but was \"a red"
                + " horse\"");
    assertThat(refusal(new ImagePrompt(List.of(new ImageMessage("Bag"), new ImageMessage("Boot")))))
        .startsWith("a prompt must be one message without media, but was [");
    assertThat(refusal(new ImagePrompt(List.of(new ImageMessage("Bag", 0.5f)))))
        .isEqualTo(
            "the weight of a message must be 1, but was 0.5; set guidance by settings(s ->"
                + " s.guidance(…))");
  }

  @Test
  void call_whatTheServiceDoesNotDo_isTold() {
    ImageModel hurried =
        ServiceImageModel.of(service)
            .settings(s -> s.sampler(Samplers.ddpm()))
            .requests(r -> r.deadline(Duration.ofNanos(1)))
            .build();
    assertThatThrownBy(() -> hurried.call(prompt("Bag")))
        .satisfiesAnyOf(
            e ->
                assertThat(e)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageStartingWith("the request was not done within PT0.000000001S"),
            e -> assertThat(e).isInstanceOf(RequestRefusedException.class));
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> model.call(prompt("Bag")))
        .isInstanceOf(CancellationException.class)
        .hasMessage("the thread was interrupted while it waited for images");
    assertThat(Thread.interrupted()).isTrue();
    service.close();
    assertThatThrownBy(() -> model.call(prompt("Bag")))
        .isInstanceOf(RequestRefusedException.class)
        .hasMessage("the service is shut down and takes no more requests");
    assertThatThrownBy(() -> ServiceImageModel.of(service).mostImages(0))
        .hasMessage("mostImages must be at least 1, but was 0");
  }
}
