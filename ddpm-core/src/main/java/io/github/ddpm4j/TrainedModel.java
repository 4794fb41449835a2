package io.github.ddpm4j;

import io.github.ddpm4j.internal.training.TrainingOutcome;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.training.LossHistory;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The result of {@code ddpm.training()…fit(dataset)}: the model with the averaged weights and the
 * model with the final weights.
 *
 * <p>It owns the network with the averaged weights and frees it on close, unless {@link #detach}
 * has transferred ownership. The trained network still belongs to the caller. Closing either model
 * on its own does nothing.
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
   * The model with the averaged (EMA) weights, which should be used for sampling.
   *
   * @return the model, usable until this object is closed
   */
  public DDPM ddpm() {
    return averaged;
  }

  /**
   * The model with the weights of the last step, without averaging.
   *
   * @return a model over the trained network
   */
  public DDPM raw() {
    return raw;
  }

  /**
   * Transfers ownership of the averaged weights to the returned model: closing that model frees
   * them, and closing this object no longer does.
   *
   * @return the model of {@link #ddpm()}; the caller closes it
   * @throws IllegalStateException if it was already detached, or this object is closed
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
   * The seed of the run, with which it can be reproduced.
   *
   * @return the seed
   */
  public long seed() {
    return outcome.seed();
  }

  /** Frees the averaged weights, unless they were detached. Idempotent. */
  @Override
  public void close() {
    if (!detached) {
      detached = true;
      outcome.averaged().close();
    }
  }
}
