package io.github.ddpm4j.internal.random;

import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
import org.apache.commons.rng.simple.RandomSource;

/**
 * Random numbers without state: every generator is made from (seed, stream, a, b) alone, so what is
 * drawn for image 7 at step 12 does not depend on what was drawn before it.
 *
 * <p>Philox4x64 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3")
 * with the key (seed, stream) and the counter (·, 0, a, b). Immutable and thread-safe.
 */
public final class CounterRandom {

  /** What the numbers are for. Streams never overlap. */
  public enum Stream {
    /** The noise of sampling: a is the image, b the draw. */
    SAMPLING(0),
    /** The order in which training visits the data: a is the epoch. */
    DATA_ORDER(1),
    /** The timesteps of training: a is the pass. */
    TIMESTEPS(2),
    /** The noise of training: a is the pass, b the place in the batch. */
    TRAINING_NOISE(3),
    /** Dropout masks: a is the pass, b the layer. */
    DROPOUT(4),
    /** Initial weights: a is the parameter. */
    INITIALIZATION(5),
    /** Images that training leaves without their condition: a is the step, b the image in it. */
    CONDITION_DROPOUT(6),
    /** Steps of training in which the network sees its own estimate: a is the step. */
    SELF_CONDITIONING(7),
    /** Choices among samples when figures are measured: a is the resample, b the purpose. */
    RESAMPLING(9),
    /** The offsets of training's noise: a is the pass, b the place in the batch. */
    OFFSET_NOISE(10),
    /** What perturbs the inputs of training: a is the pass, b the place in the batch. */
    INPUT_PERTURBATION(11),
    /** The noise of a likelihood: a is the image, b the timestep. */
    EVALUATION_NOISE(12),
    /** The timesteps that a quick likelihood visits: a is the image. */
    EVALUATION_TIMESTEPS(13),
    /** How a picture is augmented: a is the picture, b how often it was visited before. */
    AUGMENTATION(14),
    /** The noise of a validation: a is the image. */
    VALIDATION_NOISE(15),
    /** The levels of a validation: a is 0 for what they are chosen from, 1 for their order. */
    VALIDATION_LEVELS(16),
    /** Pictures that are made up: a is the picture, b the purpose. */
    MADE_PICTURES(17),
    /** The draws of a picture's latents: a is the picture, b how often it was visited before. */
    LATENTS(18);

    /** Part of what a seed means: never change it. */
    private final long key;

    Stream(long key) {
      this.key = key;
    }
  }

  private final long seed;
  private final Stream stream;

  private CounterRandom(long seed, Stream stream) {
    this.seed = seed;
    this.stream = stream;
  }

  /**
   * The numbers of one stream of a seed.
   *
   * @param seed any number
   * @param stream what they are for
   * @return the source
   */
  public static CounterRandom of(long seed, Stream stream) {
    return new CounterRandom(seed, stream);
  }

  /**
   * A generator that starts at the place (a, b) of the stream. It belongs to the caller.
   *
   * @param a the first coordinate
   * @param b the second coordinate
   * @return a fresh generator
   */
  public UniformRandomProvider at(long a, long b) {
    return RandomSource.PHILOX_4X64.create(new long[] {seed, stream.key, 0, 0, a, b});
  }

  /**
   * Fills {@code target} with independent draws of N(0, 1) from the place (a, b).
   *
   * @param a the first coordinate
   * @param b the second coordinate
   * @param target receives the values
   */
  public void normal(long a, long b, double[] target) {
    ZigguratSampler.NormalizedGaussian gaussian = ZigguratSampler.NormalizedGaussian.of(at(a, b));
    for (int i = 0; i < target.length; i++) {
      target[i] = gaussian.sample();
    }
  }
}
