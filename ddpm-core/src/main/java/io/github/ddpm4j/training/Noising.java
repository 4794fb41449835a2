package io.github.ddpm4j.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Arrays;
import java.util.function.IntFunction;

/**
 * What the passes of a run draw: how noisy each image is, how much it counts, and its noise. All of
 * it is a function of (seed, pass), and of the losses where the sampler of timesteps learns.
 */
final class Noising {

  /**
   * How the images of a pass are made noisy.
   *
   * @param levels how noisy each is
   * @param noise ε, of which the target is made
   * @param inputNoise ε with its perturbation, which x_t is made of
   */
  record Draw(NoiseLevels levels, NDArray noise, NDArray inputNoise) {}

  private final Diffusion diffusion;
  private final TimestepSampler.Draws draws;
  private final Weighting weighting;
  private final double offset;
  private final double perturbation;
  private final CounterRandom timesteps;
  private final CounterRandom noise;
  private final CounterRandom offsets;
  private final CounterRandom perturbations;

  /**
   * Begins a run.
   *
   * @param offset the deviation of what is added to all of a channel's noise
   * @param perturbation the deviation of what is added to the noise of x_t alone
   */
  Noising(
      Diffusion diffusion,
      TimestepSampler sampler,
      Weighting weighting,
      double offset,
      double perturbation,
      long seed) {
    this.diffusion = diffusion;
    this.draws = sampler.begin(diffusion.schedule());
    this.weighting = weighting;
    this.offset = offset;
    this.perturbation = perturbation;
    this.timesteps = CounterRandom.of(seed, CounterRandom.Stream.TIMESTEPS);
    this.noise = CounterRandom.of(seed, CounterRandom.Stream.TRAINING_NOISE);
    this.offsets = CounterRandom.of(seed, CounterRandom.Stream.OFFSET_NOISE);
    this.perturbations = CounterRandom.of(seed, CounterRandom.Stream.INPUT_PERTURBATION);
  }

  /** Draws for a batch; arrays are attached to {@code owner}. */
  Draw draw(NDManager owner, Shape batch, long pass) {
    int images = Math.toIntExact(batch.get(0));
    NoiseLevels levels = draws.draw(images, timesteps.at(pass, 0));
    if (levels.size() != images) {
      throw new IllegalStateException(
          "the timestep sampler must draw a level for each of "
              + images
              + " images, but drew "
              + levels.size());
    }
    int channelSize = Math.toIntExact(batch.get(2) * batch.get(3));
    NoiseSource plain = (place, draw, target) -> epsilon(draw, place, channelSize, target);
    NDArray epsilon = normal(owner, plain, pass, batch);
    if (perturbation == 0) {
      return new Draw(levels, epsilon, epsilon);
    }
    NoiseSource perturbed =
        (place, draw, target) -> {
          epsilon(draw, place, channelSize, target);
          double[] further = new double[target.length];
          perturbations.normal(draw, place, further);
          for (int i = 0; i < target.length; i++) {
            target[i] += perturbation * further[i];
          }
        };
    return new Draw(levels, epsilon, normal(owner, perturbed, pass, batch));
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

  private static NDArray normal(NDManager owner, NoiseSource source, long pass, Shape batch) {
    return Upload.normal(owner, source, 0, pass, batch, DataType.FLOAT32);
  }

  /** x_t, attached to the manager of the images. */
  NDArray xt(NDArray images, Draw draw) {
    NoiseLevels levels = draw.levels();
    return sum(i -> new LinearForm(levels.signal(i), levels.noise(i)), images, draw.inputNoise());
  }

  /** x_t as the network sees it, attached to its manager. */
  NDArray input(NDArray xt, NoiseLevels levels) {
    if (diffusion.prediction().sigmaData().isEmpty()) {
      return xt;
    }
    double[] scales = new double[levels.size()];
    Arrays.setAll(scales, i -> inputScale(levels, i));
    try (NDArray column = PerImage.column(xt, scales)) {
      return xt.mul(column);
    }
  }

  double inputScale(NoiseLevels levels, int image) {
    return diffusion.prediction().inputScale(levels.signal(image), levels.noise(image));
  }

  /** What the network shall say, attached to the manager of the images. */
  NDArray target(NDArray images, Draw draw) {
    return sum(i -> target(draw.levels(), i), images, draw.noise());
  }

  /** What the network shall say of an image, in terms of (x_0, ε). */
  LinearForm target(NoiseLevels levels, int image) {
    return diffusion
        .prediction()
        .target(
            diffusion.schedule(),
            levels.timestep(image),
            levels.signal(image),
            levels.noise(image));
  }

  /** x̂_0 that the network's answer means, attached to the manager of {@code xt}. */
  NDArray x0(NoiseLevels levels, NDArray xt, NDArray output) {
    return sum(
        i ->
            diffusion
                .prediction()
                .x0(diffusion.schedule(), levels.timestep(i), levels.signal(i), levels.noise(i)),
        xt,
        output);
  }

  private static NDArray sum(IntFunction<LinearForm> forms, NDArray first, NDArray second) {
    int images = Math.toIntExact(first.getShape().get(0));
    double[] firsts = new double[images];
    double[] seconds = new double[images];
    for (int i = 0; i < images; i++) {
      LinearForm form = forms.apply(i);
      firsts[i] = form.first();
      seconds[i] = form.second();
    }
    return PerImage.sum(firsts, first, seconds, second);
  }

  /** The weighting's factor of an image's loss. */
  double weight(NoiseLevels levels, int image) {
    double factor =
        weighting.factor(
            diffusion.prediction(),
            diffusion.schedule(),
            levels.timestep(image),
            levels.signal(image),
            levels.noise(image));
    return require("weighting " + weighting, factor, levels, image);
  }

  /** The further factor of an image's loss that makes up for how often its level is drawn. */
  double importance(NoiseLevels levels, int image) {
    return require("timestep sampler", draws.weight(levels, image), levels, image);
  }

  private static double require(String what, double factor, NoiseLevels levels, int image) {
    if (!(factor >= 0) || Double.isInfinite(factor)) {
      throw new IllegalStateException(
          "the "
              + what
              + " must give factors that are finite and at least 0, but gave "
              + factor
              + " at timestep "
              + levels.timestep(image));
    }
    return factor;
  }

  /** Whether the losses of each step must be told before the next. */
  boolean learns() {
    return draws.learns();
  }

  /** Tells the losses of the images of a pass, without {@link #importance}. */
  void learn(NoiseLevels levels, double[] losses) {
    draws.learn(levels, losses);
  }
}
