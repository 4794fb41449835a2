package io.github.ddpm4j.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * What a training step reads and writes in place, in the order in which {@link StepProgram} takes
 * it: as lists the weights, two moments of each and the averages, and the gradients where the
 * program does not make them itself; as tensors whether something was not finite, and the log.
 */
final class StepState {

  private final NDList weights = new NDList();
  private final NDList firstMoments;
  private final NDList secondMoments;
  private final NDList averages = new NDList();
  private final NDArray broken;
  private final NDArray log;

  /**
   * Makes zero moments and an empty log.
   *
   * @param rows how many steps the log holds
   * @param manager owns what is made
   */
  StepState(TrainableDenoiser denoiser, TrainableDenoiser averaged, int rows, NDManager manager) {
    Map<String, NDArray> copies = averaged.weights();
    denoiser
        .weights()
        .forEach(
            (name, weight) -> {
              NDArray average = copies.get(name);
              if (average == null) {
                throw new IllegalStateException("the copy of the network lacks the weight " + name);
              }
              if (!weight.hasGradient()) {
                throw new IllegalArgumentException(
                    "all weights must require gradients to be trained, but "
                        + name
                        + " does not; call freezeParameters(false) or"
                        + " setRequiresGradient(true)");
              }
              weights.add(weight);
              averages.add(average);
            });
    firstMoments = zeros(manager);
    secondMoments = zeros(manager);
    broken = manager.zeros(new Shape());
    log = manager.zeros(new Shape(rows, 2));
  }

  /** A zero for each weight. */
  NDList zeros(NDManager manager) {
    NDList zeros = new NDList(weights.size());
    weights.forEach(w -> zeros.add(manager.zeros(w.getShape(), w.getDataType(), w.getDevice())));
    return zeros;
  }

  NDList weights() {
    return weights;
  }

  /** The lists without the gradients. */
  List<NDList> lists() {
    return List.of(weights, firstMoments, secondMoments, averages);
  }

  /** The lists. */
  List<NDList> lists(NDList gradients) {
    return List.of(weights, firstMoments, secondMoments, averages, gradients);
  }

  /** A scalar that is 1 once a loss or a gradient was not finite. */
  NDArray broken() {
    return broken;
  }

  /** Loss and gradient norm of each step. */
  NDArray log() {
    return log;
  }

  /** The log as it stands, row by row; waits for the device. */
  float[] readLog() {
    return read(log);
  }

  /** The values of a float32 array; waits for the device. */
  static double[] toDoubles(NDArray array) {
    float[] values = read(array);
    double[] doubles = new double[values.length];
    Arrays.setAll(doubles, i -> values[i]);
    return doubles;
  }

  private static float[] read(NDArray array) {
    // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
    try (NDManager temporary = array.getManager().newSubManager();
        NDArray view = array.reshape(array.getShape())) {
      view.attach(temporary);
      return view.toFloatArray();
    }
  }
}
