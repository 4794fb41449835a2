package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;

/**
 * What the passes of a run draw: how noisy each image is, and its noise. All of it is a function of
 * (seed, pass), and of the losses where the sampler of timesteps learns.
 */
final class Noising {

  private final TimestepSampler.Draws draws;
  private final double offset;
  private final double perturbation;
  private final long seed;
  private final CounterRandom timesteps;
  private final CounterRandom noise;
  private final CounterRandom offsets;
  private final CounterRandom perturbations;

  /**
   * Begins a run.
   *
   * @param draws how levels are drawn
   * @param offset the deviation of what is added to all of a channel's noise
   * @param perturbation the deviation of what is added to the noise of x_t alone
   */
  Noising(TimestepSampler.Draws draws, double offset, double perturbation, long seed) {
    this.draws = draws;
    this.offset = offset;
    this.perturbation = perturbation;
    this.seed = seed;
    this.timesteps = CounterRandom.of(seed, CounterRandom.Stream.TIMESTEPS);
    this.noise = CounterRandom.of(seed, CounterRandom.Stream.TRAINING_NOISE);
    this.offsets = CounterRandom.of(seed, CounterRandom.Stream.OFFSET_NOISE);
    this.perturbations = CounterRandom.of(seed, CounterRandom.Stream.INPUT_PERTURBATION);
  }

  /** Draws for a batch, which has no condition yet; arrays go to the manager of the images. */
  TrainingBatch draw(NDArray images, long pass) {
    Shape shape = images.getShape();
    int count = Math.toIntExact(shape.get(0));
    NoiseLevels levels = draws.draw(count, timesteps.at(pass, 0));
    if (levels.size() != count) {
      throw new IllegalStateException(
          "the timestep sampler must draw a level for each of "
              + count
              + " images, but drew "
              + levels.size());
    }
    int channelSize = Math.toIntExact(shape.slice(2).size());
    NoiseSource plain = (place, draw, target) -> epsilon(draw, place, channelSize, target);
    NDArray epsilon = array(plain, images, pass);
    NDArray perturbed = perturbation == 0 ? epsilon : array(perturbed(plain), images, pass);
    return new TrainingBatch(
        new TrainableDenoiser.Pass(seed, pass),
        images,
        levels,
        epsilon,
        perturbed,
        Condition.none());
  }

  private static NDArray array(NoiseSource source, NDArray images, long pass) {
    return source.array(images.getManager(), 0, pass, images.getShape(), DataType.FLOAT32);
  }

  private NoiseSource perturbed(NoiseSource plain) {
    return (place, draw, target) -> {
      plain.normal(place, draw, target);
      double[] further = new double[target.length];
      perturbations.normal(draw, place, further);
      for (int i = 0; i < target.length; i++) {
        target[i] += perturbation * further[i];
      }
    };
  }

  /** Place i of the batch has noise of its own, whatever the size of the batch. */
  private void epsilon(long pass, long place, int channelSize, double[] target) {
    noise.normal(pass, place, target);
    if (offset > 0) {
      double[] ofChannels = new double[target.length / channelSize];
      offsets.normal(pass, place, ofChannels);
      for (int i = 0; i < target.length; i++) {
        target[i] += offset * ofChannels[i / channelSize];
      }
    }
  }
}
