package io.github.ddpm4j.web;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.time.Duration;

/** A model as the page sees it: what it draws, and how a run of it begins. */
interface PageModel {

  /** The model of the service. */
  DDPM ddpm();

  /** The shape of a picture, (C, H, W). */
  Shape shape();

  /** The range of its pictures. */
  DataRange range();

  /** Whether prompts are any text. */
  boolean takesText();

  /** How strongly it is guided, unless somebody says otherwise. */
  double usualGuidance();

  /** When a drawing is given up. */
  Duration patience();

  /** Whether what runs estimate are the pictures themselves. */
  boolean showsPictures();

  /**
   * What a run shows on the way.
   *
   * @param estimate x̂_0 of images, (N, C, H, W)
   * @return pictures, perhaps smaller ones than it draws, with the manager of the estimate
   */
  NDArray shown(NDArray estimate);

  /** Starts pictures from noise. */
  SamplingRun start(Sampling sampling, DrawRequest asked, Sampler sampler);

  /**
   * Starts to fill in a picture.
   *
   * @param picture its numbers within the range, (C, H, W)
   * @param kept 1 for pixels that are kept and 0 for others, (H, W)
   * @param arrays gets what the run borrows until its end
   */
  SamplingRun startFilling(
      Sampling sampling,
      DrawRequest asked,
      Sampler sampler,
      float[] picture,
      float[] kept,
      NDManager arrays);
}
