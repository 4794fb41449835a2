package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.MalformedModelException;
import ai.djl.inference.Predictor;
import ai.djl.modality.Input;
import ai.djl.modality.Output;
import ai.djl.ndarray.NDManager;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ModelNotFoundException;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every Java snippet of docs/weights.md is compiled: it stands here, word for word. */
class WeightsSnippetsTest {

  private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/pretrained/WeightsSnippetsTest.java");

  @TempDir private Path temporary;

  /** What {@code TrainedModel} is to the snippet. */
  private record Trained(DDPM ddpm) {}

  static void draw(Path folder) throws IOException {
    try (Pretrained model = Pretrained.load(folder);
        Samples samples = model.sampling().seed(42).generate(16)) {
      samples.saveGrid(Path.of("samples.png"));
    }
  }

  static Pretrained ofOpenAi(Path file) throws IOException {
    Pretrained model =
        Pretrained.options().image(3, 64, 64).heads(4).schedule(Schedules.cosine(1000)).load(file);
    System.out.println(model.audit());
    return model;
  }

  static Pretrained fromTheHub() throws IOException {
    Path folder = Pretrained.download("google/ddpm-cifar10-32", "main");
    Pretrained model = Pretrained.load(folder);
    return model;
  }

  private static void serve(Path folder, Path png)
      throws IOException, ModelNotFoundException, MalformedModelException, TranslateException {
    Criteria<Input, Output> criteria =
        Criteria.builder().setTypes(Input.class, Output.class).optModelPath(folder).build();
    try (ZooModel<Input, Output> model = criteria.loadModel();
        Predictor<Input, Output> predictor = model.newPredictor()) {
      Input request = new Input();
      request.add("seed", "42");
      request.add("count", "16");
      Files.write(png, predictor.predict(request).getData().getAsBytes());
    }
  }

  private static void back(Trained trained, Path folder) throws IOException {
    Pretrained.saveDiffusers(trained.ddpm(), folder);
    trained.ddpm().saveSafetensors(folder.resolveSibling("model.safetensors"));
    Pretrained.saveNpz(trained.ddpm(), folder.resolveSibling("model.npz"));
  }

  @Test
  void document_holdsTheseSnippets() throws IOException {
    String source = squeezed(Files.readString(SOURCE));
    List<String> found =
        SNIPPET
            .matcher(Files.readString(Path.of("../docs/weights.md")))
            .results()
            .map((MatchResult result) -> squeezed(result.group(1)))
            .toList();
    assertThat(found).hasSize(5);
    assertThat(found).allSatisfy(snippet -> assertThat(source).contains(snippet));
  }

  private static String squeezed(String code) {
    return code.replaceAll("\\s+", "");
  }

  /** The properties stand in the document, too. */
  @Test
  void serving_runs() throws Exception {
    Path folder = temporary.resolve("served");
    try (UNet network =
        UNet.builder().image(1, 4, 4).baseChannels(4).channelMultipliers(1).groups(2).build()) {
      DDPM.builder().timesteps(5).denoiser(network).build().save(folder);
    }
    String document = Files.readString(Path.of("../docs/weights.md"));
    int start = document.indexOf("```properties\n") + "```properties\n".length();
    Files.writeString(
        folder.resolve("serving.properties"),
        document.substring(start, document.indexOf("```", start)));
    Path png = temporary.resolve("served.png");
    serve(folder, png);
    assertThat(ImageIO.read(png.toFile()).getWidth()).isGreaterThan(16);
  }

  /** The first and the last, on a small model, with the sampler that its file asks for. */
  @Test
  void snippets_run() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Path folder = Peer.read("unet2d_ldm", manager).write(temporary);
      try (Pretrained model = Pretrained.load(folder);
          Samples samples = model.sampling().sampler(model.sampler(3)).seed(42).generate(2)) {
        assertThat(samples.size()).isEqualTo(2);
        assertThat(model.sampler()).hasToString("ddpm:1000, leading");
      }
    }
    UNetBuilder small = UNet.builder().image(3, 8, 8).levelChannels(32).attentionAtLevels();
    try (UNet network = small.residualBlocks(1).build()) {
      back(new Trained(DDPM.builder().denoiser(network).build()), temporary.resolve("again"));
      for (String name : List.of("again", "model.safetensors")) {
        try (Pretrained again = Pretrained.load(temporary.resolve(name))) {
          assertThat(again.ddpm().denoiser(UNet.class).config()).isEqualTo(network.config());
        }
      }
      try (Pretrained again =
          Pretrained.options()
              .image(3, 8, 8)
              .dropout(0.1)
              .schedule(Schedules.linear(1000))
              .load(temporary.resolve("model.npz"))) {
        assertThat(again.ddpm().denoiser(UNet.class).config()).isEqualTo(network.config());
      }
    }
  }
}
