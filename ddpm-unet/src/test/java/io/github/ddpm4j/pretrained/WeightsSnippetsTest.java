package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
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

  private static void back(Trained trained, Path folder) throws IOException {
    Pretrained.saveDiffusers(trained.ddpm(), folder);
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
    assertThat(found).hasSize(4);
    assertThat(found).allSatisfy(snippet -> assertThat(source).contains(snippet));
  }

  private static String squeezed(String code) {
    return code.replaceAll("\\s+", "");
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
        back(new Trained(model.ddpm()), temporary.resolve("again"));
        try (Pretrained again = Pretrained.load(temporary.resolve("again"))) {
          assertThat(again.ddpm().denoiser(UNet.class).config())
              .isEqualTo(model.ddpm().denoiser(UNet.class).config());
        }
      }
    }
  }
}
