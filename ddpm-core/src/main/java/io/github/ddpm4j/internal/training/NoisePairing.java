package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.training.NoiseAssignment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Gives the noise of a batch to its images as a {@link NoiseAssignment} says. */
final class NoisePairing {

  private static final int NO_CLASS = -1;

  private final NoiseAssignment assignment;

  /** Checks that what the network is conditioned on stays independent of its noise. */
  NoisePairing(DenoisingModel model, NoiseAssignment assignment) {
    this.assignment = assignment;
    if (assignment.isIndependent()) {
      return;
    }
    Set<Kind> told = EnumSet.noneOf(Kind.class);
    told.addAll(model.denoiser().conditionKinds());
    told.remove(Kind.PREVIOUS_X0);
    boolean classes = told.equals(Set.of(Kind.LABELS));
    String kinds = told.stream().map(Kind::toString).collect(Collectors.joining(" and "));
    if (!told.isEmpty() && !(classes && assignment.isByClass())) {
      throw new IllegalArgumentException(
          "noiseAssignment was "
              + assignment
              + ", by which the noise would tell of the "
              + kinds
              + " that the network is conditioned on, and samples come from another distribution; "
              + (classes ? "assign within classes by byClass()" : "leave it out"));
    }
    if (told.isEmpty() && assignment.isByClass()) {
      throw new IllegalArgumentException(
          "noiseAssignment was "
              + assignment
              + ", but the network has no classes; leave byClass() out");
    }
  }

  /**
   * The batch with its noise in another order.
   *
   * @param all the condition of all images, before any is dropped
   */
  TrainingBatch paired(TrainingBatch batch, Condition all) {
    if (assignment.isIndependent()) {
      return batch;
    }
    int count = batch.levels().size();
    float[] images = batch.images().toFloatArray();
    float[] noise = batch.noise().toFloatArray();
    int[] order = IntStream.range(0, count).toArray();
    for (List<Integer> group : groups(all, count)) {
      double[][] cost = cost(images, noise, group, images.length / count);
      int[] columns = LinearAssignment.of(cost).columns();
      for (int i = 0; i < columns.length; i++) {
        order[group.get(i)] = group.get(columns[i]);
      }
    }
    NDArray ordered = ordered(batch.noise(), noise, order);
    boolean perturbed = batch.inputNoise() != batch.noise();
    return batch.withNoise(
        ordered,
        perturbed
            ? ordered(batch.inputNoise(), batch.inputNoise().toFloatArray(), order)
            : ordered);
  }

  private List<List<Integer>> groups(Condition all, int count) {
    Map<Integer, List<Integer>> classes = new TreeMap<>();
    for (int i = 0; i < count; i++) {
      int own = assignment.isByClass() ? all.label(i).orElse(NO_CLASS) : NO_CLASS;
      classes.computeIfAbsent(own, key -> new ArrayList<>()).add(i);
    }
    List<List<Integer>> groups = new ArrayList<>();
    for (List<Integer> members : classes.values()) {
      int size = Math.min(assignment.groupSize(), members.size());
      for (int i = 0; i < members.size(); i += size) {
        groups.add(members.subList(i, Math.min(members.size(), i + size)));
      }
    }
    return groups;
  }

  /**
   * −2 x_i · ε_j, since ‖x‖² and ‖ε‖² are the same in every assignment. The innermost loop is over
   * columns, so that no sum depends on how a processor adds.
   */
  private static double[][] cost(float[] images, float[] noise, List<Integer> group, int size) {
    int n = group.size();
    double[][] byPlace = new double[size][n];
    for (int j = 0; j < n; j++) {
      for (int p = 0; p < size; p++) {
        byPlace[p][j] = noise[group.get(j) * size + p];
      }
    }
    double[][] cost = new double[n][n];
    for (int i = 0; i < n; i++) {
      double[] row = cost[i];
      for (int p = 0; p < size; p++) {
        double factor = -2.0 * images[group.get(i) * size + p];
        double[] column = byPlace[p];
        for (int j = 0; j < n; j++) {
          row[j] += factor * column[j];
        }
      }
    }
    return cost;
  }

  private static NDArray ordered(NDArray like, float[] values, int[] order) {
    int size = values.length / order.length;
    float[] result = new float[values.length];
    for (int i = 0; i < order.length; i++) {
      System.arraycopy(values, order[i] * size, result, i * size, size);
    }
    return Upload.floats(like.getManager(), result, like.getShape());
  }
}
