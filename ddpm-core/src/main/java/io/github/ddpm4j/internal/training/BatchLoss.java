package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.NoiseLevels;

/** The loss of one batch, for training loops of the user's own. */
public final class BatchLoss {

  private BatchLoss() {}

  /**
   * The mean loss of a batch at levels and noise that are drawn as those of a pass of a run.
   *
   * @param model the model
   * @param network its network
   * @param loss the objective
   * @param x0 clean images
   * @param condition what they are conditioned on
   * @param pass which pass it is
   * @return a scalar, attached to the manager of {@code x0}
   */
  public static NDArray drawn(
      DenoisingModel model,
      TrainableDenoiser network,
      Loss loss,
      NDArray x0,
      Condition condition,
      TrainableDenoiser.Pass pass) {
    Objective objective = checked(model, network, loss, x0);
    TimestepSampler.Draws draws = TimestepSampler.uniform().begin(model.diffusion().schedule());
    TrainingBatch batch = new Noising(draws, 0, 0, pass.seed()).draw(x0, pass.index());
    try (NDArray noise = batch.noise()) {
      return mean(objective, model, network, x0, batch.levels(), noise, condition, pass);
    }
  }

  /**
   * The mean loss of a batch.
   *
   * @param model the model
   * @param network its network
   * @param loss the objective
   * @param x0 clean images
   * @param levels how noisy each is made
   * @param noise ε
   * @param condition what they are conditioned on
   * @param pass the pass that dropout masks are drawn for
   * @return a scalar, attached to the manager of {@code x0}
   */
  public static NDArray of(
      DenoisingModel model,
      TrainableDenoiser network,
      Loss loss,
      NDArray x0,
      NoiseLevels levels,
      NDArray noise,
      Condition condition,
      TrainableDenoiser.Pass pass) {
    Objective objective = checked(model, network, loss, x0);
    PerImage.requireLike("noise", noise, "x0", x0);
    PerImage.requireOnePerImage("levels", levels.size(), "x0", x0);
    return mean(objective, model, network, x0, levels, noise, condition, pass);
  }

  private static NDArray mean(
      Objective objective,
      DenoisingModel model,
      TrainableDenoiser network,
      NDArray x0,
      NoiseLevels levels,
      NDArray noise,
      Condition condition,
      TrainableDenoiser.Pass pass) {
    EagerOps ops = EagerOps.training(pass.seed(), pass.index());
    ImageNumbers numbers =
        new ImageNumbers(
            model.diffusion(),
            Weighting.uniform(),
            TimestepSampler.uniform().begin(model.diffusion().schedule()),
            levels);
    return ops.scope(
        () ->
            objective
                .of(
                    ops,
                    new ArrayColumns(x0, numbers),
                    x0,
                    noise,
                    noise,
                    x ->
                        Given.returned(
                            network.predictForTraining(x, model.told(levels), condition, pass),
                            "the denoiser of " + network.getClass()))
                .mean());
  }

  /** The objective, once it and the images are known to fit. */
  private static Objective checked(
      DenoisingModel model, TrainableDenoiser network, Loss loss, NDArray x0) {
    Images.requireFloat32("x0", x0, model.diffusion().dataRange());
    Images.requireBatch("x0", x0, network.imageShape());
    Images.requireNearRange(
        "x0", x0, model.diffusion().dataRange(), "set dataRange(min, max) when building DDPM");
    Objective.requireVarianceTrained(model, loss);
    Objective objective = new Objective(model, loss);
    objective.requireOnePerImage(x0.getShape().slice(1), x0.getManager());
    return objective;
  }
}
