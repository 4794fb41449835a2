package io.github.ddpm4j;

import io.github.ddpm4j.internal.training.Remains;
import io.github.ddpm4j.internal.training.TrainingOutcome;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.Validation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

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
  private final AtomicBoolean detached = new AtomicBoolean();

  TrainedModel(Diffusion diffusion, TrainingOutcome outcome) {
    this.outcome = outcome;
    this.averaged =
        new DDPM(diffusion, outcome.averaged(), false, notes(outcome.settings(), "averaged"));
    this.raw = new DDPM(diffusion, outcome.raw(), false, notes(outcome.settings(), "last"));
  }

  /** What a model file says of a run and of which of its weights it holds. */
  static Map<String, Object> notes(Map<String, Object> settings, String weights) {
    Map<String, Object> notes = new LinkedHashMap<>();
    notes.put("weights", weights);
    notes.putAll(settings);
    return notes;
  }

  /**
   * What a run had done when it failed, was interrupted or cancelled: its averaged weights and
   * losses. They are kept in Java's memory as long as the exception is.
   *
   * <pre>{@code
   * try (TrainedModel trained = training.fit(data)) {
   *   …
   * } catch (CancellationException e) {
   *   try (TrainedModel soFar = TrainedModel.soFar(e).orElseThrow(() -> e)) {
   *     soFar.ddpm().save(folder);
   *   }
   * }
   * }</pre>
   *
   * @param failure what {@link Training#fit} or {@link Training.Run#result} threw, or an exception
   *     that it is the cause of
   * @return the model, of its own at each call; the caller closes it. Empty if the exception did
   *     not end a run, or no step had been done
   * @throws IllegalStateException if the trained network was closed meanwhile
   */
  public static Optional<TrainedModel> soFar(Throwable failure) {
    Objects.requireNonNull(failure, "failure");
    return Remains.of(failure)
        .map(remains -> new TrainedModel(remains.diffusion(), remains.outcome()));
  }

  /**
   * The model with the averaged (EMA) weights, which should be used for sampling: those of the last
   * step, or of the best validation if the run {@linkplain Validation#keepBest() kept} them.
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
    if (detached.getAndSet(true)) {
      throw new IllegalStateException(
          "the averaged model was handed over before, or freed by close(); detach() it once, before"
              + " close()");
    }
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
   * The validations of the run.
   *
   * @return their results in order; empty without {@link Training#validation}; usable after closing
   */
  public List<Validation.Result> validations() {
    return outcome.validations();
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
    if (!detached.getAndSet(true)) {
      boolean freed = false;
      try {
        outcome.averaged().close();
        freed = true;
      } finally {
        detached.set(freed); // a network that is in use refuses, and may be closed later
      }
    }
  }
}
