package io.github.ddpm4j.training;

import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.NoiseLevels;
import java.util.function.DoubleSupplier;
import java.util.function.Supplier;

/** One step of a training run. */
public final class TrainingEvent {

  private final long step;
  private final long steps;
  private final DoubleSupplier loss;
  private final DoubleSupplier gradientNorm;
  private final boolean lossKnown;
  private final Supplier<NoiseLevels> levels;
  private final Supplier<double[]> imageLosses;
  private final double learningRate;
  private final double emaDecay;
  private final Denoiser averaged;
  private final Runnable stop;

  TrainingEvent(
      long step,
      long steps,
      DoubleSupplier loss,
      DoubleSupplier gradientNorm,
      boolean lossKnown,
      Supplier<NoiseLevels> levels,
      Supplier<double[]> imageLosses,
      double learningRate,
      double emaDecay,
      Denoiser averaged,
      Runnable stop) {
    this.step = step;
    this.steps = steps;
    this.loss = loss;
    this.gradientNorm = gradientNorm;
    this.lossKnown = lossKnown;
    this.levels = levels;
    this.imageLosses = imageLosses;
    this.learningRate = learningRate;
    this.emaDecay = emaDecay;
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
   * The loss of the step, before its update. On a GPU asking for it waits until the step is done.
   * May be asked for after the run too, also if that failed.
   *
   * @return a finite number
   * @throws IllegalStateException if the run ended by a failure of the device, after which the loss
   *     could not be read
   * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
   *     let it pass to {@code fit}
   */
  public double loss() {
    return loss.getAsDouble();
  }

  /**
   * How noisy the images of the step were made, those of all its batches in their order.
   *
   * @return a level for each image
   */
  public NoiseLevels levels() {
    return levels.get();
  }

  /**
   * The loss of each image of the step, in the order of {@link #levels()}, with its weighting but
   * without what makes up for how often its level is drawn. On a GPU asking for it waits until the
   * step is done. May be asked for after the run too, also if that failed.
   *
   * @return finite numbers
   * @throws IllegalStateException if the run ended by a failure of the device, after which the
   *     losses could not be read
   * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
   *     let it pass to {@code fit}
   */
  public double[] imageLosses() {
    return imageLosses.get();
  }

  /**
   * The factor of the old average of the weights in the step, warm-up included.
   *
   * @return d of {@link Ema}, in [0, 1)
   */
  public double emaDecay() {
    return emaDecay;
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
   * The global norm of the gradient before clipping. On a GPU asking for it waits until the step is
   * done. May be asked for after the run too, also if that failed.
   *
   * @return the 2-norm over all weights
   * @throws IllegalStateException if the run ended by a failure of the device, after which the norm
   *     could not be read
   * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
   *     let it pass to {@code fit}
   */
  public double gradientNorm() {
    return gradientNorm.getAsDouble();
  }

  /**
   * The network over the averaged weights as they stand now, to draw from during the call: {@code
   * ddpm.withDenoiser(event.averaged()).sampling()…}, on the thread of the run: others are refused.
   * Owned by the run: do not keep or close it.
   *
   * @return the averaged network
   */
  public Denoiser averaged() {
    return averaged;
  }

  /**
   * Whether {@link #loss()} can be asked for without waiting for the device: on the CPU after every
   * step, on a GPU when the losses of the steps before were fetched with it.
   *
   * @return whether the loss is known already
   */
  public boolean isLossKnown() {
    return lossKnown;
  }

  /** Asks the run to end after this step and to return its result as it is. */
  public void stop() {
    stop.run();
  }
}
