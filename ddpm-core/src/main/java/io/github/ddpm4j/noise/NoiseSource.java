package io.github.ddpm4j.noise;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.Objects;

/**
 * Standard normal noise as a pure function: the same (image, draw) always gives the same numbers,
 * regardless of batch size, thread or order of calls.
 *
 * <p>Sampling uses draw 0 as the initial noise x_T of an image and draw k + 1 as the noise of row k
 * of its plan; inpainting also uses draw 2³² + k as the noise of the known pixels after row k, and
 * a path of noise ({@code sampling().noisePath(true)}) draws from 2³³ on.
 */
@FunctionalInterface
public interface NoiseSource {

  /**
   * Fills {@code target} with independent draws of N(0, 1).
   *
   * @param image the index of the image in the run
   * @param draw the index of the draw for the image, from 0
   * @param target receives the values, row-major over (C, H, W)
   */
  void normal(long image, long draw, double[] target);

  /**
   * The noise of consecutive images.
   *
   * @param manager owns the returned array and determines its device
   * @param firstImage the index in the run of the first image
   * @param draw the index of the draw for the images, from 0
   * @param batch the shape of the batch, (N, …)
   * @param type FLOAT32, to which the values are rounded, or FLOAT64
   * @return N(0, I), an array of that shape and type
   * @throws IllegalArgumentException if the type is neither
   */
  default NDArray array(NDManager manager, long firstImage, long draw, Shape batch, DataType type) {
    Objects.requireNonNull(type, "type");
    return Upload.rows(
        manager, batch, type, (image, target) -> normal(firstImage + image, draw, target));
  }

  /**
   * Counter-based noise: Philox4x64 (Salmon et al. 2011) keyed by the seed, with the counter
   * (image, draw), transformed by the ziggurat method. Thread-safe.
   *
   * @param seed any number
   * @return the source
   */
  static NoiseSource seeded(long seed) {
    return CounterRandom.of(seed, CounterRandom.Stream.SAMPLING)::normal;
  }
}
