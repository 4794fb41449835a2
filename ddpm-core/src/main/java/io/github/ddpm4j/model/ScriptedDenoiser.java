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
 * A network written against {@link Ops}. It can run eagerly, operation by operation, or be compiled
 * as part of a program, so that a training step is a single engine call. Each weight must be
 * contiguous in memory, as new arrays are, and must contribute to the prediction.
 *
 * <p>{@link #forward} defines the network; see {@code docs/EXTEND.md} for an example.
 */
public interface ScriptedDenoiser extends TrainableDenoiser {

  /**
   * Whether runs compile the network.
   *
   * @return true by default; false to run operation by operation
   */
  default boolean isCompiled() {
    return true;
  }

  /**
   * The network's compute type. If it is not float32, runs compile the network with kernels and
   * matrices (weights with two or more dimensions) already converted to this type.
   *
   * @return FLOAT32, BFLOAT16 or FLOAT16; with the last, training scales the loss
   */
  default DataType computesIn() {
    return DataType.FLOAT32;
  }

  /**
   * The forward pass in training, for any implementation of the operations. Inputs enter through
   * {@link Ops#enter} and {@link Ops#enterFeatures}, and the result leaves through {@link
   * Ops#leave}.
   *
   * @param ops the operations, with the dropout of the pass
   * @param weights the weights, in the order of {@link #weights()}
   * @param x the noisy images, float32, shape (N, C, H, W)
   * @param levels the result of {@link #levelFeatures}, float32, shape (N, F)
   * @param conditions the result of {@link #conditionInputs}, one value each
   * @param <T> the operand type
   * @return the prediction, float32, shape of {@code x}, or with twice its channels if the network
   *     also {@linkplain #predictsVariance() predicts the variance}
   */
  <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions);

  /**
   * The network's input features for the noise levels.
   *
   * @param levels N levels
   * @return N rows of the same length, row-major
   */
  double[] levelFeatures(NoiseLevels levels);

  /**
   * The network's input arrays for a condition: one for each of {@link #conditionKinds()}, in the
   * order of {@link Condition.Kind}, even for absent conditions.
   *
   * @param condition the conditioning
   * @param x the noisy images, shape (N, C, H, W), on the network's device; their values are
   *     ignored
   * @return new float32 arrays with N rows each, attached to the manager of {@code x}, which the
   *     caller closes; none by default
   * @throws IllegalArgumentException if the network does not accept the condition
   */
  default NDList conditionInputs(Condition condition, NDArray x) {
    return new NDList();
  }

  /**
   * The number of layers with dropout masks, which are numbered from 0.
   *
   * @return the number; 0, the default, without dropout
   */
  default int dropoutLayers() {
    return 0;
  }

  /** {@inheritDoc} By default, runs operation by operation. */
  @Override
  default NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
    try (GradMode off = GradMode.off()) {
      return run(EagerOps.inference(), x, levels, condition);
    }
  }

  /** {@inheritDoc} By default, runs operation by operation. */
  @Override
  default NDArray predictRecording(NDArray x, NoiseLevels levels, Condition condition) {
    return run(EagerOps.inference(), x, levels, condition);
  }

  /** {@inheritDoc} By default, runs operation by operation. */
  @Override
  default NDArray predictForTraining(
      NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
    return run(EagerOps.training(pass.seed(), pass.index()), x, levels, condition);
  }

  /**
   * Runs the network operation by operation.
   *
   * @param ops the operations
   * @param x the noisy images, shape (N, C, H, W)
   * @param levels N levels
   * @param condition the conditioning
   * @return the prediction, as that of {@link #predict}, attached to the manager of {@code x}; the
   *     caller closes it
   */
  default NDArray run(Ops<NDArray> ops, NDArray x, NoiseLevels levels, Condition condition) {
    double[] features = levelFeatures(levels);
    Shape shape = new Shape(levels.size(), features.length / levels.size());
    try (NDArray uploaded = Upload.doubles(x.getManager(), features, shape, x.getDataType());
        NDArray rows = uploaded.toDevice(x.getDevice(), true);
        NDList conditions = conditionInputs(condition, x)) {
      return ops.scope(() -> forward(ops, List.copyOf(weights().values()), x, rows, conditions));
    }
  }
}
