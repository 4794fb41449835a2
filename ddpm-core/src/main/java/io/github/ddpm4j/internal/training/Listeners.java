package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.training.TrainingStepListener;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Those who watch a run.
 *
 * @param all in the order in which they were added
 */
record Listeners(List<TrainingStepListener> all) {

  void tellStep(TrainingStepListener.Event event) {
    all.forEach(listener -> listener.onStep(event));
  }

  /** Every listener hears of the end, whatever the others throw; the first failure counts. */
  void tellEnd(long steps, @Nullable Throwable failed) {
    Throwable first = failed;
    if (failed != null) {
      all.forEach(listener -> attempt(() -> listener.onFailure(failed), failed));
    }
    for (TrainingStepListener listener : all) {
      first = attempt(() -> listener.onEnd(steps), first);
    }
    if (failed == null && first instanceof Error error) {
      throw error;
    }
    if (failed == null && first instanceof RuntimeException exception) {
      throw exception;
    }
  }

  /** Runs a task that may fail; returns the first failure, with later ones suppressed in it. */
  static @Nullable Throwable attempt(Runnable task, @Nullable Throwable first) {
    try {
      task.run();
      return first;
    } catch (RuntimeException | Error e) {
      if (first == null) {
        return e;
      }
      if (first != e) {
        first.addSuppressed(e);
      }
      return first;
    }
  }
}
