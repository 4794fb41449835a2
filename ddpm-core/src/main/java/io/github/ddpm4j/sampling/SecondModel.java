package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.LinearForm;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;

/**
 * Another model of the same images than that of a run, which is asked about the run's noisy images.
 * It may have another schedule and predict something else: the images are scaled to its level of
 * the same σ = noise / signal, and what it says is put as the run's network would have.
 *
 * <pre>
 *   x_2 = k x,   k = noise_2 / noise
 *   x̂_0 = a_2 x_2 + b_2 out_2 = a x + b out,   so   out = (a_2 k − a) / b · x + b_2 / b · out_2
 * </pre>
 */
final class SecondModel {

  /** What rounding makes of two equal numbers. */
  private static final double ROUNDING = 1e-9;

  private final DenoisingModel model;

  SecondModel(DenoisingModel model) {
    this.model = model;
  }

  DenoisingModel model() {
    return model;
  }

  /** Refuses a model of other images than those of the run, and the run's own. */
  void requireBeside(DenoisingModel run) {
    if (model.sharesCallsWith(run)) {
      throw new IllegalArgumentException(
          "autoguidance needs a second model that is worse than that of the run, but both have one"
              + " network; give a smaller one, or an earlier snapshot of the same training");
    }
    requireAlike("data range", model.diffusion().dataRange(), run.diffusion().dataRange());
    model
        .denoiser()
        .imageShape()
        .ifPresent(
            own ->
                run.denoiser()
                    .imageShape()
                    .ifPresent(shape -> requireAlike("image shape", own, shape)));
    requireAlike("device", model.denoiser().device(), run.denoiser().device());
  }

  private static void requireAlike(String name, Object own, Object runs) {
    if (!own.equals(runs)) {
      throw new IllegalArgumentException(
          "autoguidance needs a second model of the images of the run, but its "
              + name
              + " is "
              + own
              + ", and that of the run is "
              + runs);
    }
  }

  /** Refuses what the network would refuse at a level of the run. */
  void requireUsable(Diffusion run, Level level) {
    model.told(NoiseLevels.of(level(run, level), 1));
    form(run, level);
  }

  /** Refuses what the network would refuse at every level. */
  void requireUsable(Shape images, DataType type, Condition condition) {
    try {
      model.denoiser().requireUsable(images, type, condition);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("the second model of autoguidance: " + e.getMessage(), e);
    }
  }

  /** The question about images of a run that stand at one level. */
  Question question(Diffusion run, NDArray x, NoiseLevels levels, Condition condition) {
    Level own = level(run, levels.level(0));
    double scale = scale(levels.level(0), own);
    NDArray seen = scale == 1 ? x : Guidance.scaled(x, scale);
    return new Question(model, this, seen, NoiseLevels.of(own, levels.size()), condition);
  }

  /** What the run's network would have said of its images, had it found the same x̂_0. */
  NDArray inTermsOf(Diffusion run, NDArray x, NoiseLevels levels, Question asked, NDArray output) {
    NDArray said = model.answer(asked.x(), asked.levels(), output).prediction();
    LinearForm form = form(run, levels.level(0));
    if (form.second() != 1) {
      said = Guidance.scaled(said, form.second());
    }
    return form.first() == 0 ? said : said.add(Guidance.scaled(x, form.first()));
  }

  /** The level of the same σ on this model's schedule. */
  private Level level(Diffusion run, Level level) {
    Schedule own = model.diffusion().schedule();
    if (own.describe().equals(run.schedule().describe())) {
      return level;
    }
    double sigma = level.sigma();
    double least = Level.of(own, 0).sigma();
    double greatest = Level.last(own).sigma();
    boolean isWithin = sigma >= least * (1 - ROUNDING) && sigma <= greatest * (1 + ROUNDING);
    // where it scales its input, it is told the level and no timestep
    if (!isWithin && !model.diffusion().prediction().scalesInput()) {
      throw new IllegalArgumentException(
          "the schedule of the second model of autoguidance has levels of noise / signal from "
              + least
              + " to "
              + greatest
              + ", but the run is at "
              + sigma
              + "; guide within these by interval(least, greatest), or take a model of the run's"
              + " schedule");
    }
    Level of = Level.ofSigma(own, sigma);
    return scale(level, of) == 1 ? new Level(of.timestep(), level.signal(), level.noise()) : of;
  }

  /** k. */
  private static double scale(Level runs, Level own) {
    double scale = own.noise() / runs.noise();
    return Math.abs(scale - 1) < ROUNDING ? 1 : scale;
  }

  private LinearForm form(Diffusion run, Level level) {
    Level own = level(run, level);
    Prediction said = model.diffusion().prediction();
    LinearForm from = said.x0(model.diffusion().schedule(), own);
    LinearForm to = run.prediction().x0(run.schedule(), level);
    double scale = scale(level, own);
    return new LinearForm(
        (from.first() * scale - to.first()) / to.second(), from.second() / to.second());
  }
}
