package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.Validation;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.WeakHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a run that failed has done until then. The averaged weights lie in Java's memory and hang on
 * the exception: they live as long as somebody holds it, and need not be closed.
 *
 * @param diffusion what the model is
 * @param raw the network that was trained
 * @param averages the averaged weights by name
 * @param losses the losses of the steps that were done
 * @param validations their results
 * @param seed the seed of the run
 * @param settings what the run was set to, in the words that a model file holds
 */
public record Remains(
    Diffusion diffusion,
    TrainableDenoiser raw,
    Map<String, float[]> averages,
    LossHistory losses,
    List<Validation.Result> validations,
    long seed,
    Map<String, Object> settings) {

  private static final Logger logger = LoggerFactory.getLogger(Remains.class);

  private static final Map<Throwable, Remains> all =
      Collections.synchronizedMap(new WeakHashMap<>());

  /**
   * What the run that an exception ended had done.
   *
   * @param failure the exception, or one that it is the cause of
   * @return what remains, or empty if it ended no run, or one without a step
   */
  public static Optional<Remains> of(Throwable failure) {
    Remains found = null;
    Throwable next = failure;
    while (next != null && found == null) {
      found = all.get(next);
      next = next.getCause();
    }
    return Optional.ofNullable(found);
  }

  /** Hangs what a run has done on the exception that ended it. */
  static void keep(Throwable failure, Diffusion diffusion, TrainingOutcome outcome) {
    try {
      Map<String, float[]> averages = new LinkedHashMap<>();
      outcome
          .averaged()
          .weights()
          .forEach((name, weight) -> averages.put(name, StepState.read(weight)));
      all.put(
          failure,
          new Remains(
              diffusion,
              outcome.raw(),
              averages,
              outcome.losses(),
              outcome.validations(),
              outcome.seed(),
              outcome.settings()));
    } catch (OutOfMemoryError e) {
      logger.warn("the averaged weights of a training that failed do not fit in Java's memory", e);
    }
  }

  /**
   * The remains as a result.
   *
   * @return with a copy of the network that holds the averaged weights; the caller owns it
   * @throws IllegalStateException if the network that was trained is closed
   */
  public TrainingOutcome outcome() {
    TrainableDenoiser averaged = raw.copy();
    boolean done = false;
    try (GradMode off = GradMode.off()) {
      averaged.weights().forEach((name, weight) -> set(weight, averages.get(name)));
      done = true;
      return new TrainingOutcome(raw, averaged, losses, validations, seed, settings);
    } finally {
      if (!done) {
        averaged.close();
      }
    }
  }

  private static void set(NDArray weight, float @Nullable [] values) {
    if (values == null) {
      throw new IllegalStateException("the network that was trained has other weights by now");
    }
    try (NDManager own = weight.getManager().newSubManager()) {
      weight.set(new NDIndex("..."), Upload.floats(own, values, weight.getShape()));
    }
  }
}
