package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.noise.NoiseSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** A tiny pipeline of diffusers' as it is published, with what it draws: every step of it. */
final class PipelineFixture {

  static final Path DATA = Path.of("src/test/resources/pipelines");
  static final double BOUND = 1e-4;

  static final List<String> PROMPTS = List.of("a photo of a cat", "the red dog's painting");
  static final List<String> NEGATIVES = List.of("", "a red cat");

  final Map<String, NDArray> values = new LinkedHashMap<>();

  static PipelineFixture read(String name, String file, NDManager manager) throws IOException {
    PipelineFixture fixture = new PipelineFixture();
    try (TensorSource source = TensorFiles.open(DATA.resolve(name).resolve(file))) {
      for (String tensor : source.tensors().keySet()) {
        fixture.values.put(tensor, source.read(tensor, manager).toType(DataType.FLOAT32, false));
      }
    }
    return fixture;
  }

  /** Copies a folder with those of its files that a predicate takes; the other must be empty. */
  static Path copy(Path from, Path to, Predicate<String> files) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path path : all.toList()) {
        Path target = to.resolve(from.relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(target);
        } else if (files.test(path.getFileName().toString())) {
          Files.copy(path, target);
        }
      }
    }
    return to;
  }

  NDArray value(String name) {
    NDArray value = values.get(name);
    assertThat(value).as(name).isNotNull();
    return value;
  }

  int steps() {
    return (int) values.keySet().stream().filter(name -> name.startsWith("guided.")).count();
  }

  double timestep(int step) {
    return value("timestep." + step).toFloatArray()[0];
  }

  int[][] ids(String name) {
    float[] all = value(name).toFloatArray();
    int length = (int) value(name).getShape().get(1);
    int[][] rows = new int[all.length / length][length];
    for (int i = 0; i < all.length; i++) {
      rows[i / length][i % length] = (int) all[i];
    }
    return rows;
  }

  /** Pictures of 0 to 255 in [−1, 1]. */
  NDArray pictures() {
    return value("picture_uint8").div(255).mul(2).sub(1);
  }

  /** The draws that the fixture was made with. */
  NoiseSource noise(String first, String encoder) {
    Map<Long, float[]> draws = new LinkedHashMap<>();
    draws.put(0L, value(first).toFloatArray());
    if (!encoder.isEmpty()) {
      draws.put(DrawnLatents.DRAW, value(encoder).toFloatArray());
    }
    return (image, draw, target) -> {
      float[] all = draws.get(draw);
      assertThat(all).as("draw " + draw).isNotNull();
      for (int i = 0; i < target.length; i++) {
        target[i] = all[(int) image * target.length + i];
      }
    };
  }

  /** Pictures in [−1, 1] are those of the fixture, to rounding and in 8 bits but for rounding. */
  void assertPictures(NDArray pictures) {
    float[] ours = pictures.transpose(0, 2, 3, 1).toFloatArray();
    Shape shape = value("image_uint8").getShape();
    assertThat(pictures.transpose(0, 2, 3, 1).getShape()).isEqualTo(shape);
    float[] bytes = value("image_uint8").toFloatArray();
    float[] exact = values.containsKey("image") ? value("image").toFloatArray() : null;
    for (int i = 0; i < ours.length; i++) {
      double shade = Math.min(1, Math.max(0, ours[i] / 2.0 + 0.5));
      if (exact != null) {
        assertThat(Math.abs(shade - exact[i])).as("pixel %d", i).isLessThanOrEqualTo(BOUND);
      }
      // A shade within the bound of a half may be rounded to the other side.
      assertThat(Math.abs(shade * 255 - bytes[i]))
          .as("pixel %d in 8 bits", i)
          .isLessThanOrEqualTo(0.5 + 255 * BOUND);
    }
  }

  /** A point of a path, each number within the bound times 1 + |x|. */
  static void assertLatents(String what, NDArray actual, NDArray expected, double factor) {
    float[] ours = actual.toFloatArray();
    float[] theirs = expected.toFloatArray();
    assertThat(ours.length).isEqualTo(theirs.length);
    double worst = 0;
    for (int i = 0; i < ours.length; i++) {
      double difference = Math.abs(ours[i] * factor - theirs[i]) / (1 + Math.abs(theirs[i]));
      worst = Double.isNaN(difference) ? Double.POSITIVE_INFINITY : Math.max(worst, difference);
    }
    assertThat(worst).as("%s: largest difference over 1 + |x|", what).isLessThanOrEqualTo(BOUND);
  }
}
