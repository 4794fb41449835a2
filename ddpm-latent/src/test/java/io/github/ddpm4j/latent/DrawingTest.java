package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a request for pictures does beside what diffusers does with the same settings. */
class DrawingTest {

  private static final NDManager manager = NDManager.newBaseManager();
  private static TextToImage model;

  @TempDir private Path folder;

  @BeforeAll
  static void load() throws IOException {
    model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"));
  }

  @AfterAll
  static void close() {
    model.close();
    manager.close();
  }

  private static Drawing cat() {
    return model.prompt("a photo of a cat").seed(42).steps(3);
  }

  private static float[] pixels(Samples samples) {
    try (samples) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSame(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(1e-4f));
    }
  }

  /** Other prompts, guidance, samplers, steps and starts in one network call. */
  @Test
  void advance_requestsOfAllKinds_equalLoneRuns() {
    NDArray picture =
        NoiseSource.seeded(7)
            .array(manager, 0, 0, new Shape(1, 3, 32, 32), DataType.FLOAT32)
            .clip(-1, 1);
    List<Drawing> requests =
        List.of(
            cat().guidance(1),
            model.prompt("the red dog", "cat").negativePrompt("red").guidance(5).seed(3).steps(4),
            model.prompt("").guidance(3).sampler(Samplers.dpmSolverPlusPlus(3)).seed(9));
    float[][] alone = {
      pixels(requests.get(0).generate(2)),
      pixels(requests.get(1).generate(1)),
      pixels(requests.get(2).imageToImage(picture, 0.7))
    };
    List<SamplingRun> runs =
        List.of(
            requests.get(0).start(2),
            requests.get(1).start(1),
            requests.get(2).startImageToImage(picture, 0.7));
    List<SamplingRun> going = runs;
    while (!going.isEmpty()) {
      SamplingRun.advance(going);
      going = going.stream().filter(SamplingRun::hasNext).toList();
    }
    for (int i = 0; i < alone.length; i++) {
      assertSame(pixels(runs.get(i).finish()), alone[i]);
    }
  }

  @Test
  void generate_otherBatchSize_samePictures() {
    float[] together = pixels(cat().generate(3));
    assertSame(pixels(cat().batchSize(1).generate(3)), together);
    assertThat(together).isNotEqualTo(pixels(cat().seed(43).generate(3)));
  }

  /** With the same noise in each, pictures differ by their texts alone. */
  @Test
  void generate_severalOfSeveralPrompts_thoseOfTheFirstFirst() {
    NoiseSource alike = (image, draw, target) -> NoiseSource.seeded(5).normal(0, draw, target);
    String[] prompts = {"a photo of a cat", "the red dog"};
    String[] negatives = {"blurred", "cat"};
    int one = 3 * 32 * 32;
    try (Samples both =
        model.prompt(prompts).negativePrompt(negatives).noise(alike).steps(3).generate(2)) {
      float[] all = both.toNDArray(manager).toFloatArray();
      for (int i = 0; i < 4; i++) {
        Drawing alone = model.prompt(prompts[i / 2]).negativePrompt(negatives[i / 2]);
        assertSame(
            Arrays.copyOfRange(all, i * one, (i + 1) * one),
            pixels(alone.noise(alike).steps(3).generate(1)));
        assertThat(both.provenance(i))
            .containsEntry("prompt", prompts[i / 2])
            .containsEntry("negativePrompt", negatives[i / 2]);
      }
      assertThat(Arrays.copyOf(all, one)).isNotEqualTo(Arrays.copyOfRange(all, 2 * one, 3 * one));
    }
  }

  @Test
  void pictures_thatAreLookedAt_leaveNoArraysBehind() {
    try (NDManager own = NDManager.newBaseManager()) {
      NDArray picture = own.zeros(new Shape(1, 3, 32, 32));
      NDArray mask = own.ones(new Shape(1, 1, 32, 32));
      int before = own.getManagedArrays().size();
      cat().imageToImage(picture, 1).close();
      cat().inpaint(picture, mask).close();
      assertThat(own.getManagedArrays()).hasSize(before);
      assertThatThrownBy(() -> cat().imageToImage(picture.add(2), 1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "pictures must be in [-1, 1], but lie in [2.0, 2.0]; map those of 0 to 255 by x /"
                  + " 127.5 - 1");
    }
  }

  @Test
  void size_other_picturesOfIt() {
    try (Samples samples = cat().size(16, 64).generate(1)) {
      NDArray pictures = samples.toNDArray(manager);
      assertThat(pictures.getShape()).isEqualTo(new Shape(1, 3, 16, 64));
      assertThat(pictures.sub(pictures.mean()).abs().max().getFloat()).isPositive();
    }
    assertThatThrownBy(() -> cat().size(30, 32))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "height and width must be positive multiples of 8, by which the autoencoder makes"
                + " pictures larger than latents, but were 30 and 32");
  }

  @Test
  void save_runInTheMiddle_goesOnElsewhere() throws IOException {
    float[] whole = pixels(cat().generate(2));
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = cat().start(2)) {
      run.next();
      run.next();
      run.save(file);
    }
    try (SamplingRun run = cat().start(2)) {
      assertSame(pixels(run.restore(file).finish()), whole);
    }
    try (SamplingRun other = model.prompt("a dog").seed(42).steps(3).start(2)) {
      assertThatThrownBy(() -> other.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("was saved by a run with another condition");
    }
  }

  @Test
  void save_picture_saysHowItWasDrawn() throws IOException {
    Path file = folder.resolve("cat.png");
    try (Samples samples = cat().negativePrompt("a dog, \"blurred\" 猫").generate(2)) {
      samples.save(1, file);
    }
    assertThat(Pictures.provenance(file))
        .containsEntry("pipeline", "StableDiffusionPipeline")
        .containsEntry("model", "sd1")
        .containsEntry("prompt", "a photo of a cat")
        .containsEntry("negativePrompt", "a dog, \"blurred\" 猫")
        .containsEntry("seed", "42")
        .containsEntry("image", "1")
        .containsEntry("sampler", model.sampler(3).toString());
  }

  /** The known latents are put back, so that what is drawn there is what they decode to. */
  @Test
  void inpaint_networkOfFourChannels_keepsWhatIsKnown() {
    NDArray picture = manager.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32);
    NDArray all = manager.ones(new Shape(1, 1, 32, 32));
    NoiseSource none = (image, draw, target) -> Arrays.fill(target, 0);
    Drawing drawing = cat().noise(none);
    Autoencoder autoencoder = model.latentDiffusion().autoencoder();
    try (Autoencoder.Latents latents = autoencoder.encode(picture)) {
      float[] known = autoencoder.decode(latents.mode()).toFloatArray();
      assertSame(pixels(drawing.inpaint(picture, all)), known);
      // Nothing known: as from noise.
      assertSame(pixels(drawing.inpaint(picture, all.mul(0))), pixels(drawing.generate(1)));
    }
  }

  /** No other linear function of the flat latents is nearer to their colours. */
  @Test
  void preview_flatLatents_leastSquares() {
    LatentDiffusion latent = model.latentDiffusion();
    double[][] map = new LinearPreview().fit(latent.autoencoder());
    NDArray flat = manager.zeros(new Shape(16, 4, 4, 4));
    for (int i = 0; i < 16; i++) {
      for (int c = 0; c < 4; c++) {
        flat.set(new NDIndex("{}, {}", i, c), (i >> c & 1) == 0 ? -1f : 1f);
      }
    }
    float[] shown = latent.preview(flat).reshape(16, 3, -1).mean(new int[] {2}).toFloatArray();
    float[] colours =
        latent.autoencoder().decode(flat).reshape(16, 3, -1).mean(new int[] {2}).toFloatArray();
    for (int k = 0; k < 3; k++) {
      for (int c = 0; c <= 4; c++) {
        double product = 0;
        for (int i = 0; i < 16; i++) {
          double z = c == 4 || (i >> c & 1) == 1 ? 1 : -1;
          product += z * (shown[3 * i + k] - colours[3 * i + k]);
        }
        assertThat(product).as("residual of colour %d along %d", k, c).isCloseTo(0, within(1e-5));
        assertThat(map[k][c]).isNotZero();
      }
    }
    assertThat(latent.preview(flat).getShape()).isEqualTo(new Shape(16, 3, 4, 4));
  }

  @Test
  void settings_invalid_areRefused() {
    assertThatThrownBy(() -> model.prompt()).hasMessage("prompts must be at least 1, but were 0");
    assertThatThrownBy(() -> cat().negativePrompt("a", "b").start(1))
        .hasMessage(
            "negative prompts must be 1 for all prompts or one for each of the 1, but were 2");
    assertThatThrownBy(() -> cat().generate(0))
        .hasMessage("pictures per prompt must be at least 1, but were 0");
    assertThatThrownBy(() -> cat().guidance(Double.NaN))
        .hasMessage("guidance must be finite, but was NaN");
    NDArray bytes = manager.ones(new Shape(2, 3, 32, 32)).mul(255);
    assertThatThrownBy(() -> cat().imageToImage(bytes, 0.5))
        .hasMessage(
            "pictures must be in [-1, 1], but lie in [255.0, 255.0]; map those of 0 to 255 by x /"
                + " 127.5 - 1");
    NDArray pictures = bytes.mul(0);
    assertThatThrownBy(() -> cat().imageToImage(pictures, 0.2))
        .hasMessage(
            "strength 0.2 of 3 steps is less than one step; use at least 0.3333333333333333, or"
                + " more steps");
    assertThatThrownBy(() -> model.prompt("a", "b", "c").imageToImage(pictures, 0.5))
        .hasMessage("prompts must be 1 for all pictures or one for each of the 2, but were 3");
    assertThatThrownBy(() -> cat().inpaint(pictures, manager.ones(new Shape(2, 1, 4, 4))))
        .hasMessage(
            "the mask must be float32 of shape (N, 1, H, W) or (1, 1, H, W) for pictures of (2, 3,"
                + " 32, 32), but was float32 of shape (2, 1, 4, 4)");
  }
}
