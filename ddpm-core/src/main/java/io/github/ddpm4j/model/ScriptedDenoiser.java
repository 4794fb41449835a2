package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.List;

/**
 * A network written against {@link Ops}. It runs operation by operation, and can be written down as
 * a part of a program: a training run then makes its whole step one call of the engine. Each of its
 * weights must lie contiguous in memory, as new arrays do, and have a part in the prediction.
 *
 * <p>{@link #forward} says all; {@code docs/EXTEND.md} has an example.
 */
public interface ScriptedDenoiser extends TrainableDenoiser {

  /**
   * Whether runs shall write the network down.
   *
   * @return true, unless a network is to run operation by operation
   */
  default boolean isCompiled() {
    return true;
  }

  /**
   * What the network computes in. If it is not float32, runs write it over kernels and matrices
   * (weights of two dimensions and more) that are in this type already.
   *
   * @return FLOAT32 or BFLOAT16
   */
  default DataType computesIn() {
    return DataType.FLOAT32;
  }

  /**
   * The prediction of a training pass, over any operations. Inputs come in through {@link
   * Ops#enter} and {@link Ops#enterFeatures}, the result leaves through {@link Ops#leave}.
   *
   * @param ops the operations, with the dropout of the pass
   * @param weights the weights, in the order of {@link #weights()}
   * @param x the noisy images, float32, shape (N, C, H, W)
   * @param levels what {@link #levelFeatures} gives, float32, shape (N, F)
   * @param conditions what {@link #conditionInputs} gives, one value each
   * @param <T> what the operations work on
   * @return the prediction, float32, shape of {@code x}, or with twice its channels if the network
   *     {@linkplain #predictsVariance() predicts the variance} too
   */
  <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions);

  /**
   * The noise levels as the network takes them in.
   *
   * @param levels N levels
   * @return N rows of the same length, row-major
   */
  double[] levelFeatures(NoiseLevels levels);

  /**
   * A condition as the network takes it in: one array for each of {@link #conditionKinds()}, in the
   * order of {@link Condition.Kind}, whatever is absent.
   *
   * @param condition what the images are conditioned on
   * @param x the noisy images, shape (N, C, H, W), on the device of the network; their values do
   *     not matter
   * @return new float32 arrays with N rows each, attached to the manager of {@code x}, which the
   *     caller closes; none unless a network says otherwise
   * @throws IllegalArgumentException if the network cannot be conditioned on that
   */
  default NDList conditionInputs(Condition condition, NDArray x) {
    return new NDList();
  }

  /**
   * The number of layers with dropout masks, which are numbered from 0.
   *
   * @return the number, 0 without dropout, as it is unless a network says otherwise
   */
  default int dropoutLayers() {
    return 0;
  }

  /** {@inheritDoc} Operation by operation, unless a network knows better. */
  @Override
  default NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (GradMode off = GradMode.off()) {
      return run(EagerOps.inference(), x, levels, condition);
    }
  }

  /** {@inheritDoc} Operation by operation, unless a network knows better. */
  @Override
  default NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    return run(EagerOps.training(pass.seed(), pass.index()), x, levels, condition);
  }

  private NDArray run(EagerOps ops, NDArray x, NoiseLevels levels, Condition condition) {
    double[] features = levelFeatures(levels);
    Shape shape = new Shape(levels.size(), features.length / levels.size());
    try (NDArray uploaded = Upload.doubles(x.getManager(), features, shape, x.getDataType());
        NDArray rows = uploaded.toDevice(x.getDevice(), true);
        NDList conditions = conditionInputs(condition, x)) {
      return ops.scope(() -> forward(ops, List.copyOf(weights().values()), x, rows, conditions));
    }
  }
}
