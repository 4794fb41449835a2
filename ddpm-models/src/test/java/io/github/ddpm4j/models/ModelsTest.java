package io.github.ddpm4j.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The models in the box. */
class ModelsTest {

  private static final long MOST_BYTES = 6_000_000;

  static Stream<String> names() {
    return Models.names().stream();
  }

  @ParameterizedTest
  @MethodSource("names")
  void model_isSmall_namesItsConditions_andHasACard(String name) throws IOException {
    try (DDPM model = Models.load(name, Device.cpu())) {
      assertThat(model.classNames().isEmpty()).isEqualTo(model.attributes().isPresent());
      assertThat(model.metadata()).containsKeys("name", "data", "licence", "command");
      assertThat(model.provenance()).containsKeys("steps", "seed", "batchSize", "conditionDropout");
    }
    try (var in = Models.class.getResourceAsStream(name + ".safetensors")) {
      assertThat(in.readAllBytes().length).isLessThan((int) MOST_BYTES);
    }
  }

  /** Dark around, bright within, and the same picture from the same seed. */
  @Test
  void fashion_draws_whatIsAskedFor() throws IOException {
    try (DDPM model = Models.fashion();
        NDManager manager = NDManager.newBaseManager();
        Samples trousers =
            model
                .sampling()
                .sampler(Samplers.dpmSolverPlusPlus(8))
                .condition(Condition.labels(model.classNames().indexOf("Trouser")))
                .guidance(Guidance.classifierFree(2))
                .seed(1)
                .generate(3)) {
      assertThat(trousers.provenance(0)).containsEntry("class", "Trouser").containsKey("model");
      NDArray drawn = trousers.toNDArray(manager);
      // A trouser: two legs, with the dark of the ground beside them.
      NDArray beside = drawn.get(":, :, 4:24, 0:4").mean();
      NDArray legs = drawn.get(":, :, 16:24, 9:12").mean();
      assertThat(beside.getFloat()).isLessThan(-0.9f);
      assertThat(legs.getFloat()).isGreaterThan(-0.2f);
    }
  }

  /** A face under a hat of the colour that was asked for, on a ground of that colour. */
  @Test
  void faces_draw_whatIsAskedFor() throws IOException {
    String text = "hat=red, background=green, skin=light";
    try (DDPM model = Models.faces();
        NDManager manager = NDManager.newBaseManager();
        Samples portraits =
            model
                .sampling()
                .sampler(Samplers.dpmSolverPlusPlus(8))
                .prompt(text)
                .guidance(Guidance.classifierFree(2))
                .seed(1)
                .generate(3)) {
      assertThat(portraits.provenance(0))
          .containsEntry("attributes", "skin=light, hat=red, background=green");
      NDArray drawn = portraits.toNDArray(manager);
      NDArray corner = drawn.get(":, :, 0:2, 0:4");
      float green = corner.get(":, 1").mean().getFloat();
      assertThat(green).isGreaterThan(corner.get(":, 0").mean().getFloat());
      assertThat(green).isGreaterThan(corner.get(":, 2").mean().getFloat());
    }
  }

  @Test
  void load_leavesNoFile_andRefusesOtherNames() throws IOException {
    Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
    Models.load("FASHION").close();
    try (Stream<Path> files = Files.list(temporary)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .noneMatch(file -> file.startsWith("ddpm4j-fashion-"));
    }
    assertThatThrownBy(() -> Models.load("shoes"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the models in the box are [faces, fashion], and none of them is \"shoes\"");
  }
}
