package io.github.ddpm4j.model;

import io.github.ddpm4j.ops.Script;
import io.github.ddpm4j.ops.Script.Value;
import java.util.List;

/**
 * A network written against {@link io.github.ddpm4j.ops.Ops}, which can be written down as a part
 * of a program: a training run then makes its whole step one call of the engine. Each of its
 * weights must lie contiguous in memory, as new arrays do, and have a part in the prediction.
 */
public interface ScriptedDenoiser extends TrainableDenoiser {

  /**
   * Whether runs shall write the network down.
   *
   * @return false for a network that is to run operation by operation
   */
  boolean isCompiled();

  /**
   * What the network computes in. If it is not float32, runs write it over kernels and matrices
   * (weights of two dimensions and more) that are in this type already.
   *
   * @return the type inside the network
   */
  Script.Type computesIn();

  /**
   * Writes the prediction of a training pass.
   *
   * @param script where to
   * @param weights the weights, in the order of {@link #weights()}
   * @param x the noisy images, float32, shape (N, C, H, W)
   * @param levels what {@link #levelFeatures} gives, float32, shape (N, F)
   * @param seeds the seeds of {@link #dropoutLayers()} masks, float64, on the CPU
   * @return the prediction, float32, shape of {@code x}
   */
  Value write(Script script, List<Value> weights, Value x, Value levels, Value seeds);

  /**
   * The noise levels as the network takes them in.
   *
   * @param levels N levels
   * @return N rows of the same length, row-major
   */
  double[] levelFeatures(NoiseLevels levels);

  /**
   * The number of layers with dropout masks, which are numbered from 0.
   *
   * @return the number, 0 without dropout
   */
  int dropoutLayers();
}
