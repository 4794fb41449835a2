package io.github.ddpm4j.training;

import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;

/** Watches a training run. */
public interface TrainingStepListener {

  /**
   * Called after every step, on the thread that trains.
   *
   * @param event what the step did
   */
  void onStep(Event event);

  /**
   * Called once when the run ends, however it ends, and whatever other listeners throw. If one
   * throws here, the run fails with the first exception, and the others are suppressed in it.
   *
   * @param steps the number of steps that were done
   */
  default void onEnd(long steps) {}

  /**
   * One step of a training run, as {@link TrainingStepListener}s see it. Made by the run; usable on
   * its thread.
   */
  public interface Event {

    /**
     * The number of steps done.
     *
     * @return from 1 to {@link #steps()}
     */
    long step();

    /**
     * The number of steps of the run.
     *
     * @return at least 1
     */
    long steps();

    /**
     * The loss of the step, before its update. On a GPU asking for it waits until the step is done.
     * May be asked for after the run too, also if that failed.
     *
     * @return a finite number
     * @throws IllegalStateException if the run ended by a failure of the device, after which the
     *     loss could not be read
     * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
     *     let it pass to {@code fit}
     */
    double loss();

    /**
     * How noisy the images of the step were made, those of all its batches in their order.
     *
     * @return a level for each image
     */
    NoiseLevels levels();

    /**
     * The loss of each image of the step, in the order of {@link #levels()}, with its weighting but
     * without its importance weight. On a GPU asking for it waits until the step is done. May be
     * asked for after the run too, also if that failed.
     *
     * @return finite numbers
     * @throws IllegalStateException if the run ended by a failure of the device, after which the
     *     losses could not be read
     * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
     *     let it pass to {@code fit}
     */
    double[] imageLosses();

    /**
     * The factor of the old average of the weights in the step, warm-up included.
     *
     * @return d of {@link Ema}, in [0, 1)
     */
    double emaDecay();

    /**
     * The learning rate of the step, warm-up included.
     *
     * @return the rate
     */
    double learningRate();

    /**
     * The global norm of the gradient before clipping. On a GPU asking for it waits until the step
     * is done. May be asked for after the run too, also if that failed.
     *
     * @return the 2-norm over all weights
     * @throws IllegalStateException if the run ended by a failure of the device, after which the
     *     norm could not be read
     * @throws NonFiniteLossException if this or an earlier step's loss or gradient was not finite;
     *     let it pass to {@code fit}
     */
    double gradientNorm();

    /**
     * The network over the averaged weights as they stand now, to draw from during the call: {@code
     * ddpm.withDenoiser(event.averaged()).sampling()…}, on the thread of the run: others are
     * refused. Owned by the run: do not keep or close it.
     *
     * @return the averaged network
     */
    Denoiser averaged();

    /**
     * Whether asking for the loss does not wait for the device.
     *
     * @return true on the CPU; on a GPU if the loss was fetched already
     */
    boolean isLossKnown();

    /** Asks the run to end after this step and to return its result as it is. */
    void stop();
  }
}
