package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Pictures between pictures: starts on a sphere, contexts on a line. */
class MixedStartsTest {

  private static final int ONE = 3 * 32 * 32;
  private static final NDManager manager = NDManager.newBaseManager();
  private static TextToImage model;

  @BeforeAll
  static void load() throws IOException {
    model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"));
  }

  @AfterAll
  static void close() {
    model.close();
    manager.close();
  }

  private static Drawing drawing(String... prompts) {
    return model.prompt(prompts).sampler(Samplers.ddim(3)).seed(42);
  }

  private static float[] pixels(Samples samples) {
    try (samples) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static float[] part(float[] all, int picture) {
    return Arrays.copyOfRange(all, picture * ONE, (picture + 1) * ONE);
  }

  private static void assertSame(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(actual[i]).as("value %d", i).isCloseTo(expected[i], within(1e-4f));
    }
  }

  @Test
  void interpolate_ends_areThePicturesOfBothPrompts() {
    float[] ends =
        pixels(drawing("a photo of a cat", "the red dog").negativePrompt("a", "b").generate(1));
    float[] way =
        pixels(
            drawing("a photo of a cat", "the red dog")
                .negativePrompt("a", "b")
                .interpolate(0, 0.5, 1));
    assertSame(part(way, 0), part(ends, 0));
    assertSame(part(way, 2), part(ends, 1));
    assertThat(part(way, 1)).isNotEqualTo(part(way, 0)).isNotEqualTo(part(way, 2));
  }

  /**
   * By the mean of the contexts, and by the middle of an arc: the sum, made as long as they are.
   */
  @Test
  void interpolate_middle_asMadeByHand() {
    NoiseSource noise = NoiseSource.seeded(42);
    double[] first = new double[4 * 4 * 4];
    double[] second = first.clone();
    noise.normal(0, 0, first);
    noise.normal(1, 0, second);
    double dot = 0;
    double firstSquares = 0;
    double secondSquares = 0;
    for (int i = 0; i < first.length; i++) {
      dot += first[i] * second[i];
      firstSquares += first[i] * first[i];
      secondSquares += second[i] * second[i];
    }
    // sin(θ/2) / sin θ = 1 / (2 cos(θ/2)) = 1 / √(2 + 2 cos θ)
    double half = 1 / Math.sqrt(2 + 2 * dot / Math.sqrt(firstSquares * secondSquares));
    double[] middle = new double[first.length];
    for (int i = 0; i < middle.length; i++) {
      middle[i] = half * (first[i] + second[i]);
    }
    double[] drawn = new double[first.length];
    MixedStarts.between(0.5).of(noise).normal(0, 0, drawn);
    assertThat(drawn).containsExactly(middle, within(1e-12));
    MixedStarts.between(0.5).of(noise).normal(0, 3, drawn);
    noise.normal(0, 3, first);
    assertThat(drawn).isEqualTo(first);

    Prompts prompts = Prompts.of(List.of("a photo of a cat", "the red dog"), List.of(""), false);
    NDArray contexts =
        model.textEncoder().encode(manager, ids("a photo of a cat"), ids("the red dog"));
    float[] expected = contexts.mean(new int[] {0}).toFloatArray();
    float[] viaMean =
        pixels(
            model
                .prompt("a photo of a cat", "the red dog")
                .guidance(1)
                .sampler(Samplers.ddim(3))
                .seed(42)
                .interpolate(0.5));
    assertThat(prompts.wordsBetween())
        .containsEntry("prompt", "a photo of a cat")
        .containsEntry("promptTo", "the red dog");
    try (SamplingRun run =
            model
                .latentDiffusion()
                .ddpm()
                .sampling()
                .sampler(Samplers.ddim(3))
                .condition(
                    Condition.contexts(
                        manager.create(expected, new Shape(1, 77, model.textEncoder().width()))))
                .noise(
                    (image, draw, target) -> System.arraycopy(middle, 0, target, 0, target.length))
                .start(1);
        Samples latents = run.finish()) {
      NDArray x = latents.toNDArray(manager);
      assertSame(viaMean, model.latentDiffusion().autoencoder().decode(x).toFloatArray());
    }
  }

  private static int[] ids(String text) {
    return model.tokenizer().encode(text);
  }

  @Test
  void variations_ofStrength_fromOnePictureToItsOwn() {
    float[] plain = pixels(drawing("a cat").generate(3));
    float[] none = pixels(drawing("a cat").variations(1, 0, 2));
    assertSame(part(none, 0), part(plain, 1));
    assertSame(part(none, 1), part(plain, 1));
    assertSame(pixels(drawing("a cat").variations(1, 1, 3)), plain);
    float[] some = pixels(drawing("a cat").variations(1, 0.3, 3));
    assertSame(part(some, 1), part(plain, 1));
    assertThat(distance(part(some, 0), part(plain, 1)))
        .isPositive()
        .isLessThan(distance(part(plain, 0), part(plain, 1)));
  }

  private static double distance(float[] one, float[] other) {
    double sum = 0;
    for (int i = 0; i < one.length; i++) {
      sum += (one[i] - other[i]) * (double) (one[i] - other[i]);
    }
    return sum;
  }

  @Test
  void pictures_sayWhatTheyLieBetween() {
    try (Samples samples = drawing("a cat", "a dog").interpolate(0.25)) {
      assertThat(samples.provenance(0))
          .containsEntry("prompt", "a cat")
          .containsEntry("promptTo", "a dog")
          .containsEntry("seed", "42")
          .containsEntry("startFrom", "0")
          .containsEntry("startTo", "1")
          .containsEntry("fraction", "0.25");
    }
  }

  @Test
  void settings_invalid_areRefused() {
    assertThatThrownBy(() -> drawing("a").interpolate())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("interpolation needs at least one fraction");
    assertThatThrownBy(() -> drawing("a").interpolate(0, Double.NaN))
        .hasMessage("fractions of an interpolation must be finite, but one was NaN");
    assertThatThrownBy(() -> drawing("a", "b", "c").interpolate(0))
        .hasMessage("prompts to interpolate between must be 2, or 1 for all, but were 3");
    assertThatThrownBy(() -> drawing("a").variations(-1, 0.5, 1))
        .hasMessage("the picture must be at least 0, but was -1");
    assertThatThrownBy(() -> drawing("a").variations(0, 1.5, 1))
        .hasMessage("strength must be in [0, 1], but was 1.5");
    assertThatThrownBy(() -> drawing("a").variations(0, 0.5, 0))
        .hasMessage("pictures must be at least 1, but were 0");
    assertThatThrownBy(() -> drawing("a", "b").variations(0, 0.5, 1))
        .hasMessage("variations are of one prompt, but there were 2");
  }
}
