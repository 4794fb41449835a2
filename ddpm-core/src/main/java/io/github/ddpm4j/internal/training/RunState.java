package io.github.ddpm4j.internal.training;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.training.TrainingStepListener;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Everything that a run depends on between two steps, apart from its settings and its data, to and
 * from a checkpoint.
 */
final class RunState {

  private static final String LOSSES = "history/losses";
  private static final String NORMS = "history/norms";
  private static final String RATES = "history/rates";

  /** Numbers of steps from 0; absent from checkpoints of runs that skipped none. */
  private static final String SKIPPED = "history/skipped";

  /** Those of them whose gradient was beyond float16; likewise. */
  private static final String OVERFLOWED = "history/overflowed";

  private static final String SAMPLER = "timestepSampler/";
  static final String BATCHES = "batches";
  private static final String LISTENERS = "listeners";

  private final Map<String, NDArray> arrays = new TreeMap<>();
  private final StepLog log;
  private final TimestepSampler.Draws draws;
  private final List<TrainingStepListener> listeners;
  private final @Nullable Validations validations;

  /**
   * @param validations null for none
   * @param averages what is kept beside the arrays of the step
   */
  RunState(
      StepState state,
      Map<String, NDArray> averages,
      StepLog log,
      TimestepSampler.Draws draws,
      List<TrainingStepListener> listeners,
      @Nullable Validations validations) {
    this.validations = validations;
    arrays.putAll(state.arrays());
    arrays.putAll(averages);
    this.log = log;
    this.draws = draws;
    this.listeners = listeners;
  }

  /**
   * Checks that all of it can be put into a checkpoint.
   *
   * @throws IllegalArgumentException if it cannot
   */
  void requireSavable() {
    if (draws.learns() && draws.state().isEmpty()) {
      throw new IllegalArgumentException(
          "the timestep sampler learns from the losses, but has no state to put into a checkpoint;"
              + " implement state() and restore(…) in its Draws, or train without checkpoints");
    }
  }

  /**
   * Copies the state.
   *
   * @param own owns the copies, on the CPU
   * @param identity what the run is, which the checkpoint is to hold too
   * @param batches the number of batches that were read
   */
  CheckpointFile.Contents copy(NDManager own, Map<String, Object> identity, long batches) {
    StepLog.Past past = log.past();
    Map<String, NDArray> tensors = new TreeMap<>();
    tensors.putAll(onCpu(own, arrays));
    tensors.put(LOSSES, doubles(own, past.losses()));
    tensors.put(NORMS, doubles(own, past.norms()));
    tensors.put(RATES, doubles(own, past.rates()));
    Map.of(SKIPPED, past.skipped(), OVERFLOWED, past.overflowed())
        .forEach(
            (name, of) -> {
              if (of.length > 0) {
                tensors.put(name, doubles(own, Arrays.stream(of).asDoubleStream().toArray()));
              }
            });
    draws.state().forEach((name, values) -> tensors.put(SAMPLER + name, doubles(own, values)));
    Map<String, Object> description = new LinkedHashMap<>(identity);
    description.put(BATCHES, batches);
    List<String> states = new ArrayList<>();
    for (TrainingStepListener listener : listeners) {
      String state = listener.state();
      states.add(state == null ? "" : state);
    }
    description.put(LISTENERS, states);
    if (validations != null) {
      validations.save(own, description, tensors);
    }
    return new CheckpointFile.Contents(description, tensors);
  }

  /** Copies arrays to the CPU, whichever device they are on. */
  static Map<String, NDArray> onCpu(NDManager own, Map<String, NDArray> arrays) {
    Map<String, NDArray> copies = new TreeMap<>();
    try (GradMode off = GradMode.off()) {
      arrays.forEach(
          (name, array) -> {
            // On its own device, DJL's toDevice(…, true) makes no copy.
            NDArray copy =
                array.getDevice().equals(Device.cpu())
                    ? array.duplicate()
                    : array.toDevice(Device.cpu(), true);
            copy.attach(own);
            copies.put(name, copy);
          });
    }
    return copies;
  }

  private static NDArray doubles(NDManager manager, double[] values) {
    return Upload.doubles(manager, values, new Shape(values.length), DataType.FLOAT64);
  }

  /**
   * Goes on from a checkpoint of a run of the same settings.
   *
   * @param contents what it holds
   * @throws IllegalArgumentException if it is that of another run
   */
  void restore(CheckpointFile.Contents contents) {
    Map<String, NDArray> tensors = new TreeMap<>(contents.tensors());
    Map<String, NDArray> arrays = new TreeMap<>(this.arrays);
    StepLog.Past past =
        new StepLog.Past(
            take(tensors, LOSSES),
            take(tensors, NORMS),
            take(tensors, RATES),
            takeSteps(tensors, SKIPPED),
            takeSteps(tensors, OVERFLOWED));
    NDArray judged = arrays.get(StepState.JUDGED);
    boolean judgesFirst = judged != null && !tensors.containsKey(StepState.JUDGED);
    if (judgesFirst) {
      arrays.remove(StepState.JUDGED);
    }
    requireSame(arrays, tensors);
    Map<String, double[]> sampler = new TreeMap<>();
    for (String name : List.copyOf(tensors.keySet())) {
      if (name.startsWith(SAMPLER)) {
        sampler.put(name.substring(SAMPLER.length()), take(tensors, name));
      }
    }
    draws.restore(sampler);
    restoreListeners(contents.description().get(LISTENERS));
    try (GradMode off = GradMode.off()) {
      arrays.forEach(
          (name, array) -> {
            NDArray value = Objects.requireNonNull(contents.tensors().get(name), name);
            // Attached to the manager of the checkpoint, which is closed soon.
            array.set(new NDIndex("..."), value.toDevice(array.getDevice(), false));
          });
      if (judged != null && judgesFirst) {
        try (NDArray first = Upload.floats(judged.getManager(), past.judged(), judged.getShape())) {
          judged.set(new NDIndex("..."), first);
        }
      }
    }
    if (validations != null) {
      validations.restore(contents.description(), contents.tensors());
    }
    log.goOn(past);
  }

  /** The learning rates of the steps that a checkpoint comes after. */
  static double[] rates(CheckpointFile.Contents contents) {
    return take(new TreeMap<>(contents.tensors()), RATES);
  }

  private static void requireSame(Map<String, NDArray> arrays, Map<String, NDArray> tensors) {
    TreeSet<String> wrong = new TreeSet<>();
    arrays.forEach(
        (name, array) -> {
          NDArray tensor = tensors.get(name);
          if (tensor == null || !tensor.getShape().equals(array.getShape())) {
            wrong.add(name);
          }
        });
    if (!wrong.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint is that of another network: it lacks, or has in another shape, "
              + wrong.size()
              + " of "
              + arrays.size()
              + " arrays, such as "
              + wrong.first());
    }
  }

  private void restoreListeners(@Nullable Object saved) {
    List<?> states = saved instanceof List<?> list ? list : List.of();
    boolean any = states.stream().anyMatch(state -> !String.valueOf(state).isEmpty());
    if (any && states.size() != listeners.size()) {
      throw new IllegalArgumentException(
          "the run that is resumed had "
              + states.size()
              + " listeners, some with a state of their own, but this one has "
              + listeners.size()
              + "; add the same listeners in the same order");
    }
    for (int i = 0; any && i < listeners.size(); i++) {
      listeners.get(i).restore(String.valueOf(states.get(i)));
    }
  }

  private static int[] takeSteps(Map<String, NDArray> tensors, String name) {
    return tensors.containsKey(name)
        ? Arrays.stream(take(tensors, name)).mapToInt(step -> (int) step).toArray()
        : new int[0];
  }

  private static double[] take(Map<String, NDArray> tensors, String name) {
    NDArray tensor = tensors.remove(name);
    if (tensor == null || tensor.getDataType() != DataType.FLOAT64) {
      throw new IllegalArgumentException("the checkpoint lacks " + name);
    }
    return tensor.toDoubleArray();
  }
}
