package io.github.ddpm4j.training;

import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.Map;
import java.util.Optional;

/** A listener to a training run. */
public interface TrainingStepListener {

  /**
   * Called after every step, on the training thread.
   *
   * @param event the completed step
   */
  void onStep(Event event);

  /**
   * Called once, before {@link #onEnd}, when the run ends by an exception: it fails, is cancelled
   * or interrupted, or another listener throws. What a listener throws here is added to that
   * exception as suppressed.
   *
   * @param failure what {@code fit} is going to throw; a {@link
   *     java.util.concurrent.CancellationException} if somebody ended the run
   */
  default void onFailure(Throwable failure) {}

  /**
   * Called once when the run ends, whether it succeeds or fails and even if other listeners throw.
   * If listeners throw here, the run fails with the first exception, to which the others are added
   * as suppressed.
   *
   * @param steps the number of completed steps
   */
  default void onEnd(long steps) {}

  /**
   * What the listener knows, for a checkpoint of the run, so that {@link #restore} of a listener of
   * a later run can go on from it. Asked between two steps.
   *
   * @return any text; empty by default, for listeners that need not go on
   */
  default String state() {
    return "";
  }

  /**
   * Goes on from the state of the listener in its place of the run that is resumed. Called before
   * the first step, and not if no listener of that run had a state.
   *
   * @param state what {@link #state} returned
   */
  default void restore(String state) {}

  /**
   * One step of a training run, passed to {@link TrainingStepListener}s. Created by the run; usable
   * on its thread.
   */
  public interface Event {

    /**
     * The number of completed steps.
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
     * The loss of the step, before its update. On a GPU, reading it waits for the step to finish.
     * It can also be read after the run, even if the run failed.
     *
     * @return a finite number, unless the step {@linkplain #isSkipped() was skipped}
     * @throws IllegalStateException if a device failure ended the run and the loss could not be
     *     read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    double loss();

    /**
     * The noise levels of the step's images, over all its batches in order.
     *
     * @return a level for each image
     */
    NoiseLevels levels();

    /**
     * The loss of each image of the step, in the order of {@link #levels()}, with its weighting but
     * without its importance weight. On a GPU, reading it waits for the step to finish. It can also
     * be read after the run, even if the run failed.
     *
     * @return finite numbers, unless the step {@linkplain #isSkipped() was skipped}
     * @throws IllegalStateException if a device failure ended the run and the losses could not be
     *     read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    double[] imageLosses();

    /**
     * The EMA decay of the step, including warm-up.
     *
     * @return d of {@link Ema}, in [0, 1]; 1 where the average stays as it is
     */
    double emaDecay();

    /**
     * The learning rate of the step, including warm-up.
     *
     * @return the rate
     */
    double learningRate();

    /**
     * The global norm of the gradient before clipping. On a GPU, reading it waits for the step to
     * finish. It can also be read after the run, even if the run failed.
     *
     * @return the 2-norm over all weights; finite, unless the step {@linkplain #isSkipped() was
     *     skipped}
     * @throws IllegalStateException if a device failure ended the run and the norm could not be
     *     read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    double gradientNorm();

    /**
     * Whether the step updated nothing, because its loss or gradient was not finite or exploded:
     * see {@link Guard}; or because its gradient was beyond float16: see {@link #lossScale()}. On a
     * GPU, reading it waits for the step to finish.
     *
     * @return false unless the run has a guard that skips, or a network that computes in float16
     * @throws IllegalStateException if a device failure ended the run and this could not be read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    boolean isSkipped();

    /**
     * The validation that was made after the step.
     *
     * @return empty if none was due
     */
    Optional<Validation.Result> validation();

    /**
     * What the loss of the step was multiplied by before gradients were taken, so that float16
     * holds them. A step whose gradient is not finite at that scale updates nothing, and the next
     * one has half of it; after 2,000 finite gradients in a row it is doubled. On a GPU, reading it
     * waits for the step to finish.
     *
     * @return a power of 2, 65536 at first; 1 if the network does not compute in float16
     * @throws IllegalStateException if a device failure ended the run and this could not be read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    double lossScale();

    /**
     * The settings of the run, as the provenance of a model that was saved now would have them. On
     * a GPU, asking waits for the step to finish.
     *
     * @return the settings by name; unmodifiable
     * @throws IllegalStateException if a device failure ended the run and its losses could not be
     *     read
     * @throws DivergenceException if this or an earlier step ended the run; let it propagate to
     *     {@code fit}
     */
    Map<String, Object> provenance();

    /**
     * The network with the current averaged weights, for sampling during the call: {@code
     * ddpm.withDenoiser(event.averaged()).sampling()…}. Usable only on the thread of the run. Owned
     * by the run: do not keep or close it.
     *
     * @return the averaged network
     */
    Denoiser averaged();

    /**
     * Whether the loss can be read without waiting for the device.
     *
     * @return true on the CPU; on a GPU, true if the loss has already been fetched
     */
    boolean isLossKnown();

    /**
     * Requests that the run end after this step and return its result so far. Can be called from
     * any thread.
     */
    void stop();
  }
}
