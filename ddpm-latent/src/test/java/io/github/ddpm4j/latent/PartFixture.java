package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import com.google.gson.Gson;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/**
 * A small network of transformers or diffusers with what it makes of an input, which lie in one
 * file; here the weights are put into a folder such as it is published in.
 */
final class PartFixture {

  private static final Path DATA = Path.of("src/test/resources/parts");

  private static final Set<String> OURS =
      Set.of(
          "ids",
          "output",
          "clip_skip_1",
          "input",
          "mean",
          "logvar",
          "latents",
          "indices",
          "output_unquantized");

  final Map<String, NDArray> values = new LinkedHashMap<>();
  final Map<String, NDArray> weights = new LinkedHashMap<>();
  final Map<String, Object> config = new LinkedHashMap<>();

  static PartFixture read(String name, NDManager manager) throws IOException {
    PartFixture fixture = new PartFixture();
    try (TensorSource source = TensorFiles.open(DATA.resolve(name + ".safetensors"))) {
      for (String tensor : source.tensors().keySet()) {
        boolean ours = OURS.contains(tensor);
        // Old files keep whole numbers beside weights; only floats are written here.
        NDArray value = source.read(tensor, manager).toType(DataType.FLOAT32, false);
        (ours ? fixture.values : fixture.weights).put(tensor, value);
      }
    }
    Map<?, ?> args = (Map<?, ?>) JsonFile.read(DATA.resolve(name + ".json")).get("args");
    args.forEach((key, value) -> fixture.config.put(String.valueOf(key), value));
    return fixture;
  }

  /** Writes the folder. */
  Path write(Path folder, String weightsName) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("config.json"), new Gson().toJson(config));
    Safetensors.write(folder.resolve(weightsName), weights, Map.of("format", "pt"));
    return folder;
  }

  NDArray value(String name) {
    return values.get(name);
  }

  int[][] ids() {
    NDArray ids = value("ids");
    int length = (int) ids.getShape().get(1);
    float[] all = ids.toFloatArray();
    int[][] rows = new int[(int) ids.getShape().get(0)][length];
    for (int i = 0; i < all.length; i++) {
      rows[i / length][i % length] = (int) all[i];
    }
    return rows;
  }

  /** The largest difference over 1 + |x| must not be above the bound. */
  static void assertClose(NDArray actual, NDArray expected, double bound) {
    assertThat(actual.getShape()).isEqualTo(expected.getShape());
    float[] a = actual.toFloatArray();
    float[] e = expected.toFloatArray();
    double worst = 0;
    for (int i = 0; i < a.length; i++) {
      double difference = Math.abs(a[i] - e[i]) / (1 + Math.abs(e[i]));
      worst = Double.isNaN(difference) ? Double.POSITIVE_INFINITY : Math.max(worst, difference);
    }
    assertThat(worst).as("largest difference over 1 + |x|").isLessThanOrEqualTo(bound);
  }
}
