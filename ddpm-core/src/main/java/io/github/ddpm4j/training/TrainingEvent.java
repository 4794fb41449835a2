package io.github.ddpm4j.training;

import io.github.ddpm4j.model.Denoiser;

/** One step of a training run. */
public final class TrainingEvent {

  private final long step;
  private final long steps;
  private final double loss;
  private final double learningRate;
  private final double gradientNorm;
  private final Denoiser averaged;
  private final Runnable stop;

  TrainingEvent(
      long step,
      long steps,
      double loss,
      double learningRate,
      double gradientNorm,
      Denoiser averaged,
      Runnable stop) {
    this.step = step;
    this.steps = steps;
    this.loss = loss;
    this.learningRate = learningRate;
    this.gradientNorm = gradientNorm;
    this.averaged = averaged;
    this.stop = stop;
  }

  /**
   * The number of steps done.
   *
   * @return from 1 to {@link #steps()}
   */
  public long step() {
    return step;
  }

  /**
   * The number of steps of the run.
   *
   * @return at least 1
   */
  public long steps() {
    return steps;
  }

  /**
   * The loss of the step, before its update.
   *
   * @return a finite number
   */
  public double loss() {
    return loss;
  }

  /**
   * The learning rate of the step, warm-up included.
   *
   * @return the rate
   */
  public double learningRate() {
    return learningRate;
  }

  /**
   * The global norm of the gradient before clipping.
   *
   * @return the 2-norm over all weights
   */
  public double gradientNorm() {
    return gradientNorm;
  }

  /**
   * The network over the averaged weights as they stand now, to draw from during the call: {@code
   * ddpm.withDenoiser(event.averaged()).sampling()…}. Owned by the run: do not keep or close it.
   *
   * @return the averaged network
   */
  public Denoiser averaged() {
    return averaged;
  }

  /** Asks the run to end after this step and to return its result as it is. */
  public void stop() {
    stop.run();
  }
}
