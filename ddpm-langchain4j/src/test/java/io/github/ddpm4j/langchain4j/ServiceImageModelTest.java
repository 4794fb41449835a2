package io.github.ddpm4j.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.langchain4j.data.image.Image;
import dev.langchain4j.model.image.ImageModel;
import dev.langchain4j.model.output.Response;
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

/** Images through LangChain4j's own interface. */
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

  @Test
  void generate_aClass_isAPngThatSaysHowItWasDrawn() throws IOException {
    Response<Image> response = model.generate("bag");
    Image image = response.content();
    assertThat(image.mimeType()).isEqualTo("image/png");
    Map<String, String> words = told(image.base64Data(), "Bag", 0, 1);
    assertThat(words).containsEntry("class", "Bag").containsEntry("seed", "7");
    assertThat(response.metadata()).isEqualTo(Map.of("provenance", List.of(words)));
    assertThat(model.generate("Boot").content()).isNotEqualTo(image);
  }

  @Test
  void generate_several_eachItsOwn() throws IOException {
    List<Image> images = model.generate("Boot", 3).content();
    assertThat(images).hasSize(3).doesNotHaveDuplicates();
    assertThat(told(images.get(2).base64Data(), "Boot", 2, 3)).containsEntry("image", "2");
    assertThatThrownBy(() -> model.generate("Boot", 4))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("n must lie in [1, 3], but was 4; set mostImages(n)");
    assertThatThrownBy(() -> model.generate("Boot", 0)).hasMessageStartingWith("n must lie in");
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
    List<Image> images = pipeline.generate("a bag of a friend", 2).content();
    Path file = folder.resolve("drawn.png");
    Files.write(file, Base64.getDecoder().decode(images.get(1).base64Data()));
    Path expected = folder.resolve("expected.png");
    Sampling alone = DDPM_OF_CLASSES.sampling().sampler(Samplers.ddim(2)).seed(7).clip(false);
    alone.batchSize(4); // the service's
    try (Samples samples = start(alone, "a bag", 2).finish()) {
      samples.save(1, expected);
    }
    assertThat(file).hasSameBinaryContentAs(expected);
    assertThat(ImageIO.read(file.toFile()).getWidth()).isEqualTo(12);
    assertThat(Pictures.provenance(file)).containsEntry("decoded", "twice as large");
  }

  @Test
  void generate_whatTheModelHasNot_isRefused() {
    assertThatThrownBy(() -> model.generate("a red horse"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the prompt must be a class, of [Boot, Bag], or its number from 0, but was \"a red"
                + " horse\"");
    ImageModel other = ServiceImageModel.of(service).model("other").build();
    assertThatThrownBy(() -> other.generate("Bag"))
        .hasMessage("the service has the models [default], and none of them is other");
    Image image = model.generate("Bag").content();
    assertThatThrownBy(() -> model.edit(image, "Boot"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void generate_whatTheServiceDoesNotDo_isTold() {
    ImageModel hurried =
        ServiceImageModel.of(service)
            .settings(s -> s.sampler(Samplers.ddpm()))
            .requests(r -> r.deadline(Duration.ofNanos(1)))
            .build();
    assertThatThrownBy(() -> hurried.generate("Bag"))
        .satisfiesAnyOf(
            e ->
                assertThat(e)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessageStartingWith("the request was not done within PT0.000000001S"),
            e -> assertThat(e).isInstanceOf(RequestRefusedException.class));
    Thread.currentThread().interrupt();
    assertThatThrownBy(() -> model.generate("Bag"))
        .isInstanceOf(CancellationException.class)
        .hasMessage("the thread was interrupted while it waited for images");
    assertThat(Thread.interrupted()).isTrue();
    service.close();
    assertThatThrownBy(() -> model.generate("Bag"))
        .isInstanceOf(RequestRefusedException.class)
        .hasMessage("the service is shut down and takes no more requests");
    assertThatThrownBy(() -> ServiceImageModel.of(service).mostImages(0))
        .hasMessage("mostImages must be at least 1, but was 0");
  }
}
