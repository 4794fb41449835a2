package io.github.ddpm4j.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Shutdown;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A diffusion model and its network. Sampling and evaluation evaluate the network only here.
 *
 * <pre>{@code
 * Answer answer = ddpm.model().ask(xt, NoiseLevels.of(ddpm.schedule(), 500), Condition.none());
 * NDArray x0 = answer.x0();
 * }</pre>
 *
 * <p>Scales the input images and converts noise levels to network timesteps as the prediction type
 * requires, then checks the output and splits it into prediction and variance. Immutable, and as
 * thread-safe for inference as its network. The network's owner closes it.
 */
public final class DenoisingModel {

  /** How the network is asked. */
  @FunctionalInterface
  private interface Asking {
    NDArray predict(NDArray x, NoiseLevels levels, Condition condition);
  }

  private final Diffusion diffusion;
  private final Denoiser denoiser;

  private DenoisingModel(Diffusion diffusion, Denoiser denoiser) {
    this.diffusion = diffusion;
    this.denoiser = denoiser;
  }

  /**
   * Combines a network with the description of a model.
   *
   * @param diffusion schedule, prediction, variance and data range
   * @param denoiser the network; its owner closes it
   * @return the model
   * @throws IllegalArgumentException if the variance is learned and the network does not predict
   *     one, or the data range is one of another number of channels than the network's images
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
    denoiser
        .imageShape()
        .map(image -> image.get(0))
        .ifPresent(
            channels -> diffusion.dataRange().requireChannels("the network's images", channels));
    return new DenoisingModel(diffusion, denoiser);
  }

  /**
   * The description of the model apart from its network.
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
   * Evaluates the network on noisy images.
   *
   * @param x the noisy images, shape (N, C, H, W), on the network's device; neither modified nor
   *     closed
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning
   * @return the network's answer; its arrays are attached to the manager of {@code x}
   * @throws IllegalArgumentException if the network does not accept a level or the conditioning
   * @throws IllegalStateException if the network returns the wrong shape or type
   * @throws java.util.concurrent.CancellationException if the virtual machine is shutting down and
   *     {@code DDPM.endStepsOnShutdown} was called
   */
  public Answer ask(NDArray x, NoiseLevels levels, Condition condition) {
    Given.open(x, "x");
    Objects.requireNonNull(levels, "levels");
    Objects.requireNonNull(condition, "condition");
    return answer(x, levels, output(x, levels, condition));
  }

  /**
   * Evaluates the network as {@link #ask} does, recording gradients of the images.
   *
   * @param x the noisy images, shape (N, C, H, W), which require gradients
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning
   * @return the network's answer, without dropout; its arrays are attached to the manager of {@code
   *     x}, and gradients flow from them to {@code x}
   * @throws IllegalArgumentException as {@link #ask}
   * @throws IllegalStateException as {@link #ask}, or if the network records nothing
   * @throws java.util.concurrent.CancellationException as {@link #ask}
   * @see Denoiser#predictRecording
   */
  public Answer askRecording(NDArray x, NoiseLevels levels, Condition condition) {
    Given.open(x, "x");
    Objects.requireNonNull(levels, "levels");
    Objects.requireNonNull(condition, "condition");
    NDArray output = output(x, levels, condition, denoiser::predictRecording);
    if (!GradMode.isRecorded(output)) {
      throw new IllegalStateException(
          "the denoiser of "
              + denoiser.getClass()
              + " records no gradients of the images; let it do so in predictRecording(x, levels,"
              + " condition)");
    }
    return answer(x, levels, output);
  }

  /**
   * The network's raw output, checked but not split. {@link #answer} interprets it.
   *
   * @param x the noisy images, shape (N, C, H, W)
   * @param levels the noise level of each image, N entries
   * @param condition the conditioning
   * @return the output, shape of {@code x}, or (N, 2C, H, W) if the network also predicts the
   *     variance; attached to the manager of {@code x}
   * @throws IllegalArgumentException as {@link #ask}
   * @throws IllegalStateException as {@link #ask}
   * @throws java.util.concurrent.CancellationException as {@link #ask}
   */
  public NDArray output(NDArray x, NoiseLevels levels, Condition condition) {
    Given.open(x, "x");
    Objects.requireNonNull(levels, "levels");
    Objects.requireNonNull(condition, "condition");
    return output(x, levels, condition, denoiser::predict);
  }

  private NDArray output(NDArray x, NoiseLevels levels, Condition condition, Asking asking) {
    Shutdown.requireGoing();
    Prediction prediction = diffusion.prediction();
    NDArray output;
    if (prediction.scalesInput()) {
      NDManager owner = x.getManager();
      try (NDManager scope = owner.newSubManager(x.getDevice())) {
        NDArray scaled = PerImage.column(scope, x, levels.each(prediction::inputScale)).mul(x);
        output = asked(scaled, levels, condition, asking);
        output.attach(owner);
      }
    } else {
      output = asked(x, levels, condition, asking);
    }
    try {
      requireOutput(x, output);
    } catch (IllegalStateException e) {
      output.close();
      throw e;
    }
    return output;
  }

  private NDArray asked(NDArray x, NoiseLevels levels, Condition condition, Asking asking) {
    return Given.returned(
        asking.predict(x, told(levels), condition), "the denoiser of " + denoiser.getClass());
  }

  /**
   * Interprets the network's raw output.
   *
   * @param x the noisy images it was computed from; borrowed
   * @param levels the noise level of each image
   * @param output the result of {@link #output}, or rows of it; borrowed
   * @return the network's answer
   */
  public Answer answer(NDArray x, NoiseLevels levels, NDArray output) {
    Given.open(x, "x");
    Given.open(output, "output");
    Objects.requireNonNull(levels, "levels");
    return Answer.of(diffusion, denoiser.predictsVariance(), x, levels, output);
  }

  /**
   * The noise levels as the network receives them.
   *
   * @param levels the levels of the images
   * @return the same, with {@link Prediction#networkTimestep} in place of the timesteps
   * @throws IllegalArgumentException if the network does not accept a level
   */
  public NoiseLevels told(NoiseLevels levels) {
    Objects.requireNonNull(levels, "levels");
    Prediction prediction = diffusion.prediction();
    if (prediction.tellsTimesteps()) {
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
   * Whether images of this model and another can share a network call.
   *
   * @param other the other model
   * @return true if both evaluate the same network in the same way
   */
  public boolean sharesCallsWith(DenoisingModel other) {
    Prediction own = diffusion.prediction();
    Prediction others = other.diffusion.prediction();
    return denoiser.equals(other.denoiser)
        && (own.equals(others) || (asksPlainly(own) && asksPlainly(others)));
  }

  private static boolean asksPlainly(Prediction prediction) {
    return prediction.tellsTimesteps() && !prediction.scalesInput();
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
