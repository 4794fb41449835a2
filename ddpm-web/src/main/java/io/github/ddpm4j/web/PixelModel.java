package io.github.ddpm4j.web;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.time.Duration;

/**
 * A model of pictures themselves, by classes or attributes or of one kind.
 *
 * @param ddpm the model
 */
record PixelModel(DDPM ddpm) implements PageModel {

  /** That towards classes and attributes. */
  static final double GUIDANCE = 2;

  private static final Duration PATIENCE = Duration.ofMinutes(5);

  /**
   * The numbers of a picture up to which all of a drawing come out of the noise together. Calls of
   * larger ones have as many as the service takes, so that they hold up nobody and fit into memory.
   */
  private static final long MOST_TOGETHER = 3 * 64 * 64;

  @Override
  public Shape shape() {
    return shape(ddpm);
  }

  static Shape shape(DDPM ddpm) {
    return ddpm.denoiser()
        .flatMap(network -> network.imageShape())
        .orElseThrow(() -> new IllegalArgumentException("a model tells no size of images"));
  }

  @Override
  public DataRange range() {
    return ddpm.dataRange();
  }

  @Override
  public boolean takesText() {
    return false;
  }

  @Override
  public double usualGuidance() {
    return GUIDANCE;
  }

  @Override
  public Duration patience() {
    return PATIENCE;
  }

  @Override
  public boolean showsPictures() {
    return true;
  }

  @Override
  public NDArray shown(NDArray estimate) {
    return estimate;
  }

  @Override
  public SamplingRun start(Sampling sampling, DrawRequest asked, Sampler sampler) {
    return set(sampling, asked).sampler(sampler).start(asked.count());
  }

  @Override
  public SamplingRun startFilling(
      Sampling sampling,
      DrawRequest asked,
      Sampler sampler,
      float[] picture,
      float[] kept,
      NDManager arrays) {
    Shape shape = shape();
    NDArray known = Upload.floats(arrays, picture, new Shape(1).addAll(shape));
    NDArray mask = Upload.floats(arrays, kept, new Shape(1, 1, shape.get(1), shape.get(2)));
    return set(sampling, asked).sampler(sampler).startInpainting(known, mask);
  }

  private Sampling set(Sampling sampling, DrawRequest asked) {
    sampling.seed(asked.seed()).prompt(asked.prompt());
    if (shape().size() <= MOST_TOGETHER) {
      sampling.batchSize(asked.count());
    }
    return asked.guidance() == 1
        ? sampling
        : sampling.guidance(Guidance.classifierFree(asked.guidance()));
  }
}
