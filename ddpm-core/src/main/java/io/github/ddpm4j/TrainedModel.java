package io.github.ddpm4j;

import io.github.ddpm4j.internal.training.TrainingOutcome;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.training.LossHistory;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What {@code ddpm.training()…fit(dataset)} leaves: the model over the averaged weights, and the
 * one over the last weights.
 *
 * <p>It owns the network of the averaged weights and frees it when it is closed, unless {@link
 * #detach} has handed it over. The network that was trained stays with who built it. Closing either
 * model alone does nothing.
 */
public final class TrainedModel implements AutoCloseable {

  private final TrainingOutcome outcome;
  private final DDPM averaged;
  private final DDPM raw;
  private boolean detached;

  TrainedModel(Diffusion diffusion, TrainingOutcome outcome) {
    this.outcome = outcome;
    this.averaged = new DDPM(diffusion, outcome.averaged(), false, notes(outcome, "averaged"));
    this.raw = new DDPM(diffusion, outcome.raw(), false, notes(outcome, "last"));
  }

  private static Map<String, Object> notes(TrainingOutcome outcome, String weights) {
    Map<String, Object> notes = new LinkedHashMap<>();
    notes.put("weights", weights);
    notes.putAll(outcome.settings());
    return notes;
  }

  /**
   * The model over the averaged (EMA) weights, the one to draw images from.
   *
   * @return the model, usable until this is closed
   */
  public DDPM ddpm() {
    return averaged;
  }

  /**
   * The model over the weights of the last step.
   *
   * @return a model over the network that was trained
   */
  public DDPM raw() {
    return raw;
  }

  /**
   * Hands over the model over the averaged weights: closing it frees them, and closing this does
   * not any more.
   *
   * @return the model of {@link #ddpm()}; the caller closes it
   * @throws IllegalStateException if it was handed over before, or this is closed
   */
  public DDPM detach() {
    if (detached) {
      throw new IllegalStateException(
          "the averaged model was handed over before, or freed by close(); detach() it once, before"
              + " close()");
    }
    detached = true;
    return averaged.owning();
  }

  /**
   * The loss of every step.
   *
   * @return the history; usable after closing
   */
  public LossHistory losses() {
    return outcome.losses();
  }

  /**
   * The seed of the run: with it the same run can be made again.
   *
   * @return the seed
   */
  public long seed() {
    return outcome.seed();
  }

  /** Frees the averaged weights, unless they were handed over. Does nothing the second time. */
  @Override
  public void close() {
    if (!detached) {
      detached = true;
      outcome.averaged().close();
    }
  }
}
