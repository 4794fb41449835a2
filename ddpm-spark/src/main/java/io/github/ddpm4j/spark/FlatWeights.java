package io.github.ddpm4j.spark;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The weights of a network one after another, in the order of the network. */
final class FlatWeights {

  private FlatWeights() {}

  static float[] of(TrainableDenoiser network) {
    int length = 0;
    for (NDArray weight : network.weights().values()) {
      length = Math.addExact(length, Math.toIntExact(weight.size()));
    }
    float[] all = new float[length];
    int at = 0;
    try (GradMode off = GradMode.off()) {
      for (NDArray weight : network.weights().values()) {
        // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
        try (NDManager scope = weight.getManager().newSubManager();
            NDArray view = weight.reshape(weight.getShape())) {
          view.attach(scope);
          float[] values = view.toFloatArray();
          System.arraycopy(values, 0, all, at, values.length);
          at += values.length;
        }
      }
    }
    return all;
  }

  static void set(TrainableDenoiser network, float[] all) {
    try (GradMode off = GradMode.off();
        NDManager scope = NDManager.newBaseManager()) {
      Map<String, NDArray> values = arrays(network, all, scope);
      network
          .weights()
          .forEach(
              (name, weight) ->
                  weight.set(
                      new NDIndex("..."),
                      Objects.requireNonNull(values.get(name))
                          .toDevice(weight.getDevice(), false)));
    }
  }

  /** The weights by name, on the CPU. */
  static Map<String, NDArray> arrays(TrainableDenoiser network, float[] all, NDManager manager) {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    int at = 0;
    for (Map.Entry<String, NDArray> weight : network.weights().entrySet()) {
      int end = at + Math.toIntExact(weight.getValue().size());
      arrays.put(
          weight.getKey(),
          Upload.floats(manager, Arrays.copyOfRange(all, at, end), weight.getValue().getShape()));
      at = end;
    }
    return arrays;
  }
}
