package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import java.util.List;

/**
 * The origin of a run.
 *
 * @param use what is made of {@code given}, in a word
 * @param image the shape of one image
 * @param type the type of x
 * @param start x before the first row
 * @param hook what follows each row
 * @param given the arrays that the two look at; borrowed
 */
record Origin(
    String use, Shape image, DataType type, Start start, Chain.Hook hook, List<NDArray> given) {

  /** Leaves x as the row made it. */
  static final Chain.Hook KEEP = (chain, x, x0) -> x;

  /** x before the first row, for some of the images, attached to a manager. */
  @FunctionalInterface
  interface Start {
    NDArray of(NDManager manager, long firstImage, int images);
  }

  /** Noise, at the scale that the sampler starts from. */
  static Origin noise(SamplingPlan plan, NoiseSource noise, Shape image, DataType type) {
    return new Origin("noise", image, type, initial(plan, noise, image, type), KEEP, List.of());
  }

  /** Images at the level where the plan starts. */
  static Origin given(NDArray images, DataType type) {
    return new Origin(
        "as given",
        images.getShape().slice(1),
        type,
        (batch, first, count) -> Images.copy(batch, images, first, count, type),
        KEEP,
        List.of(images));
  }

  /** Clean images that are noised to a level. */
  static Origin noised(NDArray images, Level level, NoiseSource noise, DataType type) {
    return new Origin(
        "image to image",
        images.getShape().slice(1),
        type,
        (batch, first, count) -> {
          NDArray part = Images.copy(batch, images, first, count, type);
          NDArray z = noise.array(batch, first, 0, part.getShape(), type);
          return NoiseLevels.of(level, count).noised(part, z);
        },
        KEEP,
        List.of(images));
  }

  /** Noise, in which the known pixels are replaced after each row. */
  static Origin inpainting(
      NDArray images, NDArray mask, SamplingPlan plan, NoiseSource noise, DataType type) {
    return new Origin(
        "inpainting",
        images.getShape().slice(1),
        type,
        initial(plan, noise, images.getShape().slice(1), type),
        new KnownPixels(images, mask),
        List.of(images, mask));
  }

  private static Start initial(SamplingPlan plan, NoiseSource noise, Shape image, DataType type) {
    return (batch, first, count) ->
        noise
            .array(batch, first, 0, new Shape(count).addAll(image), type)
            .muli(plan.initialScale());
  }
}
