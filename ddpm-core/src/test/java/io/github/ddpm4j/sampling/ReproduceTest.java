package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.description.History;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Images that are drawn again from what their files say. */
class ReproduceTest {

  private static final DDPM MODEL =
      DDPM.builder().timesteps(10).denoiser(StandIns.modelG()).build();

  @TempDir private Path folder;

  private static Sampling sampling() {
    return MODEL.sampling().shape(1, 4, 4);
  }

  private static float[] values(Samples samples) {
    try (NDManager manager = NDManager.newBaseManager()) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void reproduce_anyImageOfARun_thoseBitsAndTheSameWords() {
    try (Samples all =
        sampling().sampler(Samplers.ddpm()).seed(-7).batchSize(3).clip(false).generate(5)) {
      float[] pixels = values(all);
      for (int image = 0; image < 5; image++) {
        Map<String, String> words = all.provenance(image);
        try (Samples one = sampling().clip(false).reproduce(words)) {
          float[] own = new float[16];
          System.arraycopy(pixels, 16 * image, own, 0, 16);
          assertThat(values(one)).containsExactly(own);
          assertThat(one.provenance(0)).isEqualTo(words);
          assertThat(one.size()).isEqualTo(1);
          assertThat(one.seed()).hasValue(-7);
        }
        // Its batch alone, of which the last of a run has fewer: the bits depend on that.
        try (SamplingRun run = sampling().clip(false).startReproducing(words)) {
          assertThat(run.images()).isEqualTo(image < 3 ? 3 : 2);
        }
      }
    }
  }

  @Test
  void reproduceBatch_ofAnyImage_isAllOfItsBatch() {
    try (Samples all =
        sampling().sampler(Samplers.ddpm()).seed(-7).batchSize(3).clip(false).generate(5)) {
      float[] pixels = values(all);
      for (int image = 0; image < 5; image++) {
        int first = image < 3 ? 0 : 3;
        try (Samples batch = sampling().clip(false).reproduceBatch(all.provenance(image))) {
          assertThat(batch.size()).isEqualTo(image < 3 ? 3 : 2);
          assertThat(batch.seed()).hasValue(-7);
          float[] own = new float[16 * batch.size()];
          System.arraycopy(pixels, 16 * first, own, 0, own.length);
          assertThat(values(batch)).containsExactly(own);
          for (int i = 0; i < batch.size(); i++) {
            assertThat(batch.provenance(i)).isEqualTo(all.provenance(first + i));
          }
        }
      }
    }
  }

  @Test
  void startReproducing_stepByStep_leavesTheSettingsAlone() {
    try (Samples all = sampling().sampler(Samplers.ddim(2)).seed(3).generate(4)) {
      Sampling other = sampling().sampler(Samplers.ddim(5)).seed(8);
      try (SamplingRun run = other.startReproducing(all.provenance(2))) {
        assertThat(run.steps()).isEqualTo(2);
        assertThat(run.images()).isEqualTo(4);
        run.finish().close();
      }
      try (Samples fresh = other.generate(1)) {
        assertThat(fresh.provenance(0)).containsEntry("seed", "8").containsEntry("images", "1");
      }
    }
  }

  @Test
  void reproduce_wordsThatDoNotTellAll_refused() {
    String cannot = "the image can't be drawn again from what it says: ";
    assertThatThrownBy(() -> sampling().reproduce(Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the image does not say how it was drawn; name a PNG file of a sample of this library");
    assertThat(refusal("use", "inpainting"))
        .isEqualTo(cannot + "its use is inpainting, and only noise is told in full");
    assertThat(refusal("condition", "vector(3)"))
        .isEqualTo(cannot + "its condition is vector(3), which has numbers that it doesn't tell");
    assertThat(refusal("pipeline", "LDMPipeline"))
        .isEqualTo(
            cannot
                + "it was drawn by the pipeline LDMPipeline, which has more parts than a network;"
                + " draw it by the same settings");
    assertThat(refusal("guidance", "mine"))
        .isEqualTo(cannot + "its guidance is mine, and only none is told in full");
    assertThat(refusal("guidance", "classifierFree(much)"))
        .startsWith(cannot + "its guidance: ")
        .contains("much");
    assertThat(refusal("image", "0 to 8"))
        .isEqualTo(cannot + "its image is 0 to 8; name the file of one picture, not of a grid");
    assertThat(refusal("images", "0")).isEqualTo(cannot + "its images is 0");
    assertThat(refusal("batchSize", "2147483648"))
        .isEqualTo(cannot + "its batchSize is 2147483648");
    assertThat(refusal("seed", "99999999999999999999"))
        .isEqualTo(cannot + "its seed is 99999999999999999999");
    assertThat(refusal("label", "-1")).isEqualTo(cannot + "its label is -1");
    assertThat(refusal("sampler", "mine:3")).startsWith(cannot).contains("mine:3");
    assertThat(refusal("attributes", "hat=red"))
        .isEqualTo(
            "the image was drawn with the attributes hat=red, but the model of this run names none;"
                + " take the model that it was drawn by");
    assertThat(refusal("limit", "none"))
        .isEqualTo(
            "the image was drawn with the limit none, but that of this run is clip to [-1.0, 1.0];"
                + " take the model that it was drawn by");
  }

  private static Map<String, String> words() {
    try (Samples drawn = sampling().sampler(Samplers.ddim(2)).seed(3).generate(1)) {
      return new LinkedHashMap<>(drawn.provenance(0));
    }
  }

  private static String refusal(String name, String value) {
    Map<String, String> words = words();
    words.put(name, value);
    try {
      sampling().reproduce(words).close();
      return "none";
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
  }

  @Test
  void reproduce_byOtherWeights_refusedAsFarAsTheyAreKnown() {
    Map<String, String> words = words();
    words.put("model", "ab12");
    sampling().reproduce(words).close(); // weights of no file: nobody knows
    Sampling loaded =
        Sampling.of(MODEL.model(), Map.of(History.WEIGHTS_SHA256, "cd34")).shape(1, 4, 4);
    assertThatThrownBy(() -> loaded.reproduce(words))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the image was drawn with the model ab12, but that of this run is cd34; take the model"
                + " that it was drawn by");
    words.remove("model");
    loaded.reproduce(words).close();
  }

  @Test
  void write_toAStream_theBytesOfTheFile() throws IOException {
    try (Samples all = sampling().sampler(Samplers.ddim(2)).seed(3).generate(2)) {
      Path file = folder.resolve("one.png");
      all.save(1, file);
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      all.write(1, out);
      assertThat(out.toByteArray()).isEqualTo(Files.readAllBytes(file));
      assertThat(Pictures.provenance(file)).isEqualTo(all.provenance(1));
      assertThat(all.pictures()).hasSize(2);
      assertThat(all.pictures().get(1).getWidth()).isEqualTo(4);
      assertThatThrownBy(() -> all.write(2, out))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("image must lie in [0, 2), but was 2");
    }
  }

  @Test
  void reproduce_aGuidedClass_isTakenFromTheWords() {
    Map<String, String> words = words();
    words.put("label", "3");
    words.put("guidance", "classifierFree(2.5)");
    Recipe recipe = Recipe.of(words);
    assertThat(recipe.label()).isEqualTo(3);
    assertThat(recipe.guidance().text()).isEqualTo("classifierFree(2.5)");
  }
}
