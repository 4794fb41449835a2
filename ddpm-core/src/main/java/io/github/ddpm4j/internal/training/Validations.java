package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.training.Validation.Result;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.DoubleStream;

/** The validations of a run: their results, when they end it, and the best weights. */
final class Validations {

  private static final String STEPS = "validation/steps";
  private static final String LOSSES = "validation/losses";
  private static final String BESTS = "validation/isBest";
  private static final String WEIGHTS = "best/";

  /** What a checkpoint calls the images that the losses are of. */
  private static final String IDENTITY = "validation";

  private final Validation settings;
  private final HeldOut data;
  private final TrainableDenoiser averaged;
  private final NDManager manager;
  private final String identity;
  private final List<Result> results = new ArrayList<>();

  /** The averaged weights of the best validation, if they are kept and there was one. */
  private final Map<String, NDArray> best = new LinkedHashMap<>();

  /**
   * @param averaged the network that is validated
   * @param manager owns the best weights
   */
  Validations(Validation settings, HeldOut data, TrainableDenoiser averaged, NDManager manager) {
    this.settings = settings;
    this.data = data;
    this.averaged = averaged;
    this.manager = manager;
    this.identity = data.identity();
  }

  /** What the losses are of, in a short text. */
  String identity() {
    return identity;
  }

  /** The results so far. */
  List<Result> results() {
    return List.copyOf(results);
  }

  /**
   * Whether there is none yet, or the one after the last step is missing: a run that was
   * interrupted while it validated goes on with it.
   *
   * @param done the number of steps that are done
   */
  boolean isDueBefore(int done) {
    return results.isEmpty() || (isDueAfter(done) && results.get(results.size() - 1).step() < done);
  }

  boolean isDueAfter(int step) {
    return step % settings.every() == 0;
  }

  /** Whether the last ones were so often not the best that the run is to end. */
  boolean isExhausted() {
    return settings.patience() > 0 && results.size() - placeOfBest() - 1 >= settings.patience();
  }

  /** −1 if none is finite. */
  private int placeOfBest() {
    int place = results.size() - 1;
    while (place >= 0 && !results.get(place).isBest()) {
      place--;
    }
    return place;
  }

  /** The best one, if there is one. */
  Optional<Result> best() {
    int place = placeOfBest();
    return place < 0 ? Optional.empty() : Optional.of(results.get(place));
  }

  /** Validates the averaged weights as they are after some steps. */
  Result validate(int step) {
    double loss = data.loss(averaged);
    double least = best().map(Result::loss).orElse(Double.POSITIVE_INFINITY);
    Result result =
        new Result(step, loss, Double.isFinite(loss) && loss < least - settings.leastImprovement());
    if (result.isBest() && settings.keepsBest()) {
      keep(averaged.weights());
    }
    results.add(result);
    return result;
  }

  private void keep(Map<String, NDArray> weights) {
    try (GradMode off = GradMode.off()) {
      weights.forEach(
          (name, weight) -> {
            NDArray kept = best.get(name);
            if (kept == null) {
              NDArray copy = weight.duplicate();
              copy.attach(manager);
              best.put(name, copy);
            } else {
              kept.set(new NDIndex("..."), weight);
            }
          });
    }
  }

  /** Puts the best weights, if they are kept, into the network that is given back. */
  Optional<Result> giveBest() {
    if (best.isEmpty()) {
      return Optional.empty();
    }
    try (GradMode off = GradMode.off()) {
      averaged
          .weights()
          .forEach(
              (name, weight) ->
                  weight.set(new NDIndex("..."), Objects.requireNonNull(best.get(name), name)));
    }
    return best();
  }

  /** Adds the state to a checkpoint. */
  void save(NDManager own, Map<String, Object> description, Map<String, NDArray> tensors) {
    description.put(IDENTITY, identity);
    tensors.put(STEPS, doubles(own, results.stream().mapToDouble(Result::step).toArray()));
    tensors.put(LOSSES, doubles(own, results.stream().mapToDouble(Result::loss).toArray()));
    tensors.put(
        BESTS, doubles(own, results.stream().mapToDouble(r -> r.isBest() ? 1 : 0).toArray()));
    RunState.onCpu(own, best).forEach((name, copy) -> tensors.put(WEIGHTS + name, copy));
  }

  private static NDArray doubles(NDManager manager, double[] values) {
    return Upload.doubles(manager, values, new Shape(values.length), DataType.FLOAT64);
  }

  /**
   * Goes on from a checkpoint. What it has of other images says nothing of these, nor does a best
   * loss without its weights where they are to be kept: validation begins anew.
   */
  void restore(Map<String, Object> description, Map<String, NDArray> tensors) {
    if (!identity.equals(description.get(IDENTITY))) {
      return;
    }
    double[] steps = values(tensors, STEPS);
    double[] losses = values(tensors, LOSSES);
    double[] bests = values(tensors, BESTS);
    Map<String, NDArray> weights = new LinkedHashMap<>();
    if (settings.keepsBest()) {
      averaged
          .weights()
          .forEach(
              (name, weight) -> {
                NDArray kept = tensors.get(WEIGHTS + name);
                if (kept != null && kept.getShape().equals(weight.getShape())) {
                  weights.put(name, kept);
                }
              });
    }
    boolean anyBest = DoubleStream.of(bests).anyMatch(is -> is == 1);
    if (settings.keepsBest() && anyBest && weights.size() < averaged.weights().size()) {
      return;
    }
    for (int i = 0; i < steps.length; i++) {
      results.add(new Result((long) steps[i], losses[i], bests[i] == 1));
    }
    if (!weights.isEmpty()) {
      try (NDManager own = manager.newSubManager()) {
        weights.replaceAll(
            (name, kept) -> {
              NDArray moved = kept.toDevice(manager.getDevice(), true);
              moved.attach(own);
              return moved;
            });
        keep(weights);
      }
    }
  }

  private static double[] values(Map<String, NDArray> tensors, String name) {
    NDArray tensor = tensors.get(name);
    if (tensor == null || tensor.getDataType() != DataType.FLOAT64) {
      throw new IllegalArgumentException("the checkpoint lacks " + name);
    }
    return tensor.toDoubleArray();
  }
}
