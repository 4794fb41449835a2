package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * What a model is and the network in it: the one place where a network is asked.
 *
 * <pre>{@code
 * Answer answer = ddpm.model().ask(xt, NoiseLevels.of(ddpm.schedule(), 500), Condition.none());
 * NDArray x0 = answer.x0();
 * }</pre>
 *
 * <p>A network sees images in the scale, and is told levels in the numbers, that the prediction
 * wants; what it says is checked and taken apart. Nobody else needs to know. Immutable, and as safe
 * to share between threads as its network is for inference; closing the network is up to its owner.
 */
public final class DenoisingModel {

  private final Diffusion diffusion;
  private final Denoiser denoiser;

  private DenoisingModel(Diffusion diffusion, Denoiser denoiser) {
    this.diffusion = diffusion;
    this.denoiser = denoiser;
  }

  /**
   * A network in the role that a description gives it.
   *
   * @param diffusion schedule, prediction, variance and data range
   * @param denoiser the network; stays with its owner
   * @return the model
   * @throws IllegalArgumentException if the variance is the network's to say and the network says
   *     none
   */
  public static DenoisingModel of(Diffusion diffusion, Denoiser denoiser) {
    Objects.requireNonNull(diffusion, "diffusion");
    Objects.requireNonNull(denoiser, "denoiser");
    if (diffusion.variance().isLearned() && !denoiser.predictsVariance()) {
      throw new IllegalArgumentException(
          "variance "
              + diffusion.variance()
              + " is the network's to say, but the network predicts none; build it with"
              + " UNet.builder().learnedVariance(), let your own say so by predictsVariance(), or"
              + " build DDPM with Variance.FIXED_LARGE");
    }
    return new DenoisingModel(diffusion, denoiser);
  }

  /**
   * What the model is apart from its network.
   *
   * @return schedule, prediction, variance and data range
   */
  public Diffusion diffusion() {
    return diffusion;
  }

  /**
   * The network.
   *
   * @return the network as it was given
   */
  public Denoiser denoiser() {
    return denoiser;
  }

  /**
   * Asks the network about noisy images.
   *
   * @param x the noisy images, shape (N, C, H, W), on the network's device; not changed and not
   *     closed
   * @param levels how noisy each image is, N entries
   * @param condition what the images are conditioned on
   * @return what the network means; its arrays are attached to the manager of {@code x}
   * @throws IllegalArgumentException if the network cannot be told of a level, or cannot be
   *     conditioned so
   * @throws IllegalStateException if the network returns another shape or type
   */
  public Answer ask(NDArray x, NoiseLevels levels, Condition condition) {
    return answer(x, levels, output(x, levels, condition));
  }

  /**
   * What the network says, in one piece and checked. {@link #answer} reads it.
   *
   * @param x the noisy images, shape (N, C, H, W)
   * @param levels how noisy each image is, N entries
   * @param condition what the images are conditioned on
   * @return the output, shape of {@code x}, or (N, 2C, H, W) if the network predicts the variance
   *     too; attached to the manager of {@code x}
   * @throws IllegalArgumentException as {@link #ask}
   * @throws IllegalStateException as {@link #ask}
   */
  public NDArray output(NDArray x, NoiseLevels levels, Condition condition) {
    Prediction prediction = diffusion.prediction();
    NDArray output;
    if (prediction.scalesInput()) {
      NDManager owner = x.getManager();
      try (NDManager scope = owner.newSubManager(x.getDevice())) {
        NDArray scaled = PerImage.column(scope, x, levels.each(prediction::inputScale)).mul(x);
        output = denoiser.predict(scaled, told(levels), condition);
        output.attach(owner);
      }
    } else {
      output = denoiser.predict(x, told(levels), condition);
    }
    requireOutput(x, output);
    return output;
  }

  /**
   * Reads what the network said.
   *
   * @param x the noisy images that it was asked about; borrowed
   * @param levels how noisy each is
   * @param output what {@link #output} gave, or rows of it; borrowed
   * @return what the network means
   */
  public Answer answer(NDArray x, NoiseLevels levels, NDArray output) {
    return Answer.of(diffusion, denoiser.predictsVariance(), x, levels, output);
  }

  /**
   * The levels as the network is told them.
   *
   * @param levels the levels of the images
   * @return the same, with {@link Prediction#networkTimestep} in place of the timesteps
   * @throws IllegalArgumentException if the network cannot be told of a level
   */
  public NoiseLevels told(NoiseLevels levels) {
    Prediction prediction = diffusion.prediction();
    if (!prediction.scalesInput()) {
      return levels;
    }
    List<Level> told = new ArrayList<>(levels.size());
    for (int i = 0; i < levels.size(); i++) {
      Level level = levels.level(i);
      told.add(new Level(prediction.networkTimestep(level), level.signal(), level.noise()));
    }
    return NoiseLevels.of(told);
  }

  /**
   * Whether images of this model and of another can go through the network in one call.
   *
   * @param other the other model
   * @return true if both ask the same network in the same way
   */
  public boolean sharesCallsWith(DenoisingModel other) {
    Prediction own = diffusion.prediction();
    Prediction others = other.diffusion.prediction();
    return denoiser.equals(other.denoiser)
        && (own.equals(others) || !(own.scalesInput() || others.scalesInput()));
  }

  private void requireOutput(NDArray x, NDArray output) {
    long[] dimensions = x.getShape().getShape().clone();
    if (denoiser.predictsVariance()) {
      dimensions[1] *= 2;
    }
    Shape expected = new Shape(dimensions);
    if (!output.getShape().equals(expected) || output.getDataType() != x.getDataType()) {
      throw new IllegalStateException(
          "the denoiser must return the shape and type of its input"
              + (denoiser.predictsVariance() ? " with twice the channels, " : ", ")
              + expected
              + " "
              + x.getDataType()
              + ", but returned "
              + output.getShape()
              + " "
              + output.getDataType());
    }
  }

  @Override
  public String toString() {
    return "DenoisingModel[" + diffusion + ", denoiser=" + denoiser + "]";
  }
}
