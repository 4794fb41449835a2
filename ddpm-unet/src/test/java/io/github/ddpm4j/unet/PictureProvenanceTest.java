package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the files of pictures say of how they were drawn. */
class PictureProvenanceTest {

  @TempDir private Path folder;

  private DDPM model;
  private String digest;

  @BeforeEach
  void saveAndLoad() throws IOException {
    UNetBuilder network = UNet.builder().image(1, 8, 8).baseChannels(4).groups(2).classes(3);
    network.channelMultipliers(1).residualBlocks(1).seed(1);
    try (UNet unet = network.build()) {
      DDPM.builder()
          .timesteps(10)
          .denoiser(unet)
          .classNames(List.of("zero", "eins «1»", "two"))
          .build()
          .save(folder.resolve("model"));
    }
    model = DDPM.load(folder.resolve("model"));
    digest =
        Pattern.compile("[0-9a-f]{64}")
            .matcher(Files.readString(folder.resolve("model/ddpm.json")))
            .results()
            .map(MatchResult::group)
            .findFirst()
            .orElseThrow();
  }

  @AfterEach
  void close() {
    model.close();
  }

  private Sampling sampling() {
    return model.sampling().sampler(Samplers.ddim(2).eta(0.5)).seed(-7).batchSize(2);
  }

  @Test
  void file_saysHowItWasDrawn_inOrder() throws IOException {
    Path file = folder.resolve("a.png");
    Path grid = folder.resolve("grid.png");
    Condition labels = Condition.labels(2, 1, Condition.ABSENT);
    try (Samples drawn =
        sampling().condition(labels).guidance(Guidance.classifierFree(1.5)).generate(3)) {
      drawn.save(1, file);
      drawn.saveGrid(grid, 2);
      assertThat(Pictures.provenance(file)).isEqualTo(drawn.provenance(1));
      assertThat(drawn.provenance(2)).doesNotContainKeys("label", "class");
      assertThatThrownBy(() -> drawn.provenance(3))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("image must lie in [0, 3), but was 3");
    }
    Map<String, String> words = Pictures.provenance(file);
    assertThat(words.keySet())
        .containsExactly(
            "ddpm4j",
            "djl",
            "model",
            "use",
            "sampler",
            "seed",
            "images",
            "batchSize",
            "guidance",
            "limit",
            "image",
            "label",
            "class");
    assertThat(words)
        .containsEntry("djl", Engine.getDjlVersion())
        .containsEntry("model", digest)
        .containsEntry("use", "noise")
        .containsEntry("seed", "-7")
        .containsEntry("images", "3")
        .containsEntry("batchSize", "2")
        .containsEntry("guidance", "classifierFree(1.5)")
        .containsEntry("image", "1")
        .containsEntry("label", "1")
        .containsEntry("class", "eins «1»");
    assertThat(Samplers.parse(words.get("sampler")).toString())
        .isEqualTo(Samplers.ddim(2).eta(0.5).toString());
    assertThat(Pictures.provenance(grid))
        .containsEntry("images", "3")
        .containsEntry("model", digest)
        .doesNotContainKey("image");
  }

  /** From what the file says, and nothing else, the same picture is drawn again. */
  @Test
  void file_drawnAgain_isTheSame() throws IOException {
    Path file = folder.resolve("a.png");
    try (Samples drawn = sampling().generate(3)) {
      drawn.save(2, file);
    }
    Map<String, String> words = Pictures.provenance(file);
    try (DDPM again = DDPM.load(folder.resolve("model"));
        Samples drawn =
            again
                .sampling()
                .sampler(Samplers.parse(words.get("sampler")))
                .seed(Long.parseLong(words.get("seed")))
                .batchSize(Integer.parseInt(words.get("batchSize")))
                .generate(Integer.parseInt(words.get("images")))) {
      drawn.save(Integer.parseInt(words.get("image")), folder.resolve("b.png"));
    }
    assertThat(folder.resolve("b.png")).hasSameBinaryContentAs(file);
  }

  @Test
  void words_areText_thatOtherProgramsFind() throws IOException {
    Path file = folder.resolve("a.png");
    Pictures.write(new BufferedImage(2, 3, BufferedImage.TYPE_INT_RGB), file, Map.of("a", "ü"));
    byte[] chunk = "iTXtddpm4j\0\0\0\0\0{\"a\":\"ü\"}".getBytes(StandardCharsets.UTF_8);
    byte[] bytes = Files.readAllBytes(file);
    assertThat(
            IntStream.range(0, bytes.length - chunk.length)
                .anyMatch(i -> Arrays.equals(bytes, i, i + chunk.length, chunk, 0, chunk.length)))
        .isTrue();
    assertThat(ImageIO.read(file.toFile()).getHeight()).isEqualTo(3);
  }

  /** In place, the weights are no longer those of the file. */
  @Test
  void training_endsWhatIsKnownOfTheFile() throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        DDPM loaded = DDPM.load(folder.resolve("model"))) {
      var data =
          new ArrayDataset.Builder()
              .setData(manager.randomUniform(-1, 1, new Shape(4, 1, 8, 8), DataType.FLOAT32))
              .optLabels(manager.zeros(new Shape(4), DataType.INT64))
              .setSampling(2, true)
              .build();
      Sampling kept = loaded.sampling().seed(1);
      try (Samples before = kept.generate(1)) {
        assertThat(before.provenance(0)).containsEntry("model", digest);
      }
      loaded.training().batchSize(2).steps(1).learningRate(1e-3f).seed(1).fit(data).close();
      try (Samples after = loaded.sampling().seed(1).generate(1)) {
        assertThat(after.provenance(0)).doesNotContainKey("model").containsKey("sampler");
      }
      // Set up before, it draws with the weights of now.
      try (Samples after = kept.generate(1)) {
        assertThat(after.provenance(0)).doesNotContainKey("model").containsKey("sampler");
      }
    }
  }

  @Test
  void provenance_ofOtherFiles() throws IOException {
    Path plain = folder.resolve("plain.png");
    Pictures.write(new BufferedImage(2, 3, BufferedImage.TYPE_BYTE_GRAY), plain);
    assertThat(Pictures.provenance(plain)).isEmpty();
    Path text = Files.writeString(folder.resolve("a.txt"), "no picture at all");
    assertThat(Pictures.provenance(text)).isEmpty();
    Path nothing = Files.createFile(folder.resolve("nothing.png"));
    assertThatThrownBy(() -> Pictures.provenance(nothing))
        .isInstanceOf(IOException.class)
        .hasMessage(nothing + " is cut off");
    byte[] bytes = Files.readAllBytes(plain);
    Path cut = Files.write(folder.resolve("cut.png"), Arrays.copyOf(bytes, 20));
    assertThatThrownBy(() -> Pictures.provenance(cut))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(cut + " is ");
    Path missing = folder.resolve("missing.png");
    assertThatThrownBy(() -> Pictures.provenance(missing)).hasMessage(missing + ": does not exist");
  }
}
