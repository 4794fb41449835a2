package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What to draw, in words. */
class PromptTest {

  /** The prediction is the class of each image, or the sum of its vector with weights. */
  private record Told(int count) implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      NDArray told = x.zerosLike();
      for (int i = 0; i < levels.size(); i++) {
        double value = 0;
        if (condition.has(Kind.LABELS)) {
          value = 0.1 + 0.1 * condition.label(i).orElse(-1);
        }
        if (condition.has(Kind.VECTORS)) {
          try (NDManager scope = x.getManager().newSubManager()) {
            float[] row = condition.select(i).array(Kind.VECTORS, scope).toFloatArray();
            value = 0.1 * row[0] + 0.2 * row[1] + 0.4 * row[2];
          }
        }
        told.set(new ai.djl.ndarray.index.NDIndex("{}", i), value);
      }
      return told;
    }

    @Override
    public OptionalInt classes() {
      return count == 0 ? OptionalInt.empty() : OptionalInt.of(count);
    }

    @Override
    public Set<Kind> conditionKinds() {
      return Set.of(count == 0 ? Kind.VECTORS : Kind.LABELS);
    }
  }

  private static final DDPM CLASSES =
      DDPM.builder()
          .timesteps(10)
          .denoiser(new Told(3))
          .classNames(List.of("T-shirt/top", "Bag", "Ankle boot"))
          .build();

  private static final DDPM ATTRIBUTES =
      DDPM.builder()
          .timesteps(10)
          .denoiser(new Told(0))
          .metadata(
              Map.of(
                  Attributes.METADATA,
                  Attributes.of(Map.of("hat", List.of("none", "red", "blue"))).toString()))
          .build();

  private static float[] values(Sampling sampling) {
    try (Samples drawn = sampling.shape(1, 2, 2).sampler(Samplers.ddim(2)).seed(1).generate(2);
        NDManager manager = NDManager.newBaseManager()) {
      return drawn.toNDArray(manager).toFloatArray();
    }
  }

  @Test
  void prompt_ofAClass_drawsIt() {
    float[] bags = values(CLASSES.sampling().condition(Condition.labels(1)));
    for (String words : List.of("Bag", " bag ", "1")) {
      assertThat(values(CLASSES.sampling().prompt(words))).containsExactly(bags);
    }
    assertThat(values(CLASSES.sampling().prompt("ANKLE BOOT"))).isNotEqualTo(bags);
    float[] none = values(CLASSES.sampling());
    assertThat(values(CLASSES.sampling().prompt("bag").prompt(" "))).containsExactly(none);
    assertThat(values(CLASSES.sampling().prompt("bag").condition(Condition.none())))
        .containsExactly(none);
  }

  @Test
  void prompt_ofAttributes_drawsThem_alsoAgain() {
    Sampling sampling = ATTRIBUTES.sampling().prompt("Hat=blue");
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray vector = manager.create(new float[] {0, 0, 1}, new Shape(1, 3));
      float[] blue = values(ATTRIBUTES.sampling().condition(Condition.vectors(vector)));
      assertThat(values(sampling)).containsExactly(blue);
      assertThat(values(sampling)).containsExactly(blue);
      assertThat(values(ATTRIBUTES.sampling().prompt("hat=red"))).isNotEqualTo(blue);
      try (Samples drawn = sampling.generate(3);
          Samples again = ATTRIBUTES.sampling().shape(1, 2, 2).reproduce(drawn.provenance(2))) {
        assertThat(drawn.provenance(2)).containsEntry("attributes", "hat=blue");
        assertThat(again.toNDArray(manager).toFloatArray())
            .containsExactly(drawn.toNDArray(manager).get("2:3").toFloatArray());
      }
    }
  }

  @Test
  void prompt_ofAttributes_countsInEncoding() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray vector = manager.create(new float[] {0, 0, 1}, new Shape(1, 3));
      NDArray images = manager.ones(new Shape(2, 1, 2, 2)).mul(0.3);
      float[] expected =
          encoded(ATTRIBUTES.sampling().condition(Condition.vectors(vector)), images);
      assertThat(encoded(ATTRIBUTES.sampling().prompt("hat=blue"), images))
          .containsExactly(expected);
      assertThat(encoded(ATTRIBUTES.sampling(), images)).isNotEqualTo(expected);
    }
  }

  private static float[] encoded(Sampling sampling, NDArray images) {
    try (Samples latents = sampling.shape(1, 2, 2).encode(images, 3)) {
      return latents.toNDArray(images.getManager()).toFloatArray();
    }
  }

  @Test
  void prompt_ofWhatTheModelHasNot_refused() {
    assertThatThrownBy(() -> CLASSES.sampling().prompt("horse"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the prompt must be a class, of [T-shirt/top, Bag, Ankle boot], or its number from 0, but"
                + " was \"horse\"");
    assertThatThrownBy(() -> CLASSES.sampling().prompt("3")).hasMessageEndingWith("was \"3\"");
    assertThatThrownBy(() -> ATTRIBUTES.sampling().prompt("a hat"))
        .hasMessage(
            "attributes are [hat], each with its value as in \"hat=none\", but there was \"a hat\"");
    DDPM plain = DDPM.builder().timesteps(10).denoiser(StandIns.modelG()).build();
    assertThatThrownBy(() -> plain.sampling().prompt("Bag"))
        .hasMessage(
            "the model has neither classes nor attributes, so that the prompt must be blank, but was"
                + " \"Bag\"");
    DDPM numbers = DDPM.builder().timesteps(10).denoiser(new Told(3)).build();
    assertThatThrownBy(() -> numbers.sampling().prompt("Bag"))
        .hasMessage(
            "the prompt must be a number, since the model names no classes, less than 3, but was"
                + " \"Bag\"");
    assertThat(values(numbers.sampling().prompt("2")))
        .containsExactly(values(CLASSES.sampling().prompt("Ankle boot")));
  }
}
