package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.internal.training.StepLayout.Argument;
import io.github.ddpm4j.internal.training.StepLayout.Judged;
import io.github.ddpm4j.internal.training.StepLayout.LogColumn;
import io.github.ddpm4j.model.TrainableDenoiser;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * What a training step reads and writes in place, as {@link StepScript} takes it: the weights, two
 * moments of each and the averages, what steps are judged by, and the log.
 */
final class StepState {

  /** What a checkpoint has of a run that may skip bad steps. */
  static final String JUDGED = "judged";

  private static final Map<String, Function<StepState, NDList>> LISTS =
      Map.of(
          "weights", state -> state.weights,
          "averages", state -> state.averages,
          "firstMoments", state -> state.firstMoments,
          "secondMoments", state -> state.secondMoments);

  private final List<String> names = new ArrayList<>();
  private final NDList weights = new NDList();
  private final NDList firstMoments;
  private final NDList secondMoments;
  private final NDList averages = new NDList();
  private final NDArray broken;
  private final NDArray judged;
  private final boolean skips;
  private final NDArray log;

  /**
   * Makes zero moments and an empty log.
   *
   * @param rows how many steps the log holds
   * @param skips whether bad steps may be skipped
   * @param manager owns what is made
   */
  StepState(
      TrainableDenoiser denoiser,
      TrainableDenoiser averaged,
      int rows,
      boolean skips,
      NDManager manager) {
    this.skips = skips;
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
              names.add(name);
              weights.add(weight);
              averages.add(average);
            });
    firstMoments = zeros(manager);
    secondMoments = zeros(manager);
    broken = manager.zeros(new Shape());
    judged = Upload.floats(manager, Verdict.first(), new Shape(Judged.values().length));
    log = manager.zeros(new Shape(rows, LogColumn.values().length));
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

  /** What the next step is judged by. */
  NDArray judged() {
    return judged;
  }

  /** The names of the weights, in their order. */
  List<String> names() {
    return names;
  }

  /** Everything that a step leaves to the next, by the names that a checkpoint has for it. */
  Map<String, NDArray> arrays() {
    Map<String, NDArray> arrays = new TreeMap<>();
    LISTS.forEach(
        (list, of) -> {
          for (int i = 0; i < names.size(); i++) {
            arrays.put(list + "/" + names.get(i), of.apply(this).get(i));
          }
        });
    if (skips) {
      arrays.put(JUDGED, judged);
    }
    return arrays;
  }

  /** Adds what a whole step reads and writes to the arguments of its call. */
  StepLayout.Call in(StepLayout.Call call) {
    return call.with(Argument.WEIGHTS, weights)
        .with(Argument.FIRST_MOMENTS, firstMoments)
        .with(Argument.SECOND_MOMENTS, secondMoments)
        .with(Argument.AVERAGES, averages)
        .with(Argument.BROKEN, broken)
        .with(Argument.JUDGED, judged)
        .with(Argument.LOG, log);
  }

  /** Updates from gradients that are there. */
  void update(Program program, Step.Begun step, NDList gradients) {
    in(new StepLayout.Call())
        .with(Argument.LOSS, step.total())
        .with(Argument.GRADIENTS, gradients)
        .with(Argument.NUMBERS, step.numbers().upload(step.host()))
        .of(program, StepLayout.Method.UPDATE)
        .close();
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

  /** The values of a float32 array as they are; waits for the device. */
  static float[] read(NDArray array) {
    // From a GPU, DJL copies to the CPU into a manager of its own under that of the array.
    try (NDManager temporary = array.getManager().newSubManager();
        NDArray view = array.reshape(array.getShape())) {
      view.attach(temporary);
      return view.toFloatArray();
    }
  }
}
