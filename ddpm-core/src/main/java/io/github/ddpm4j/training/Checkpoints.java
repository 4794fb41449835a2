package io.github.ddpm4j.training;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;

/**
 * Where and how often a training run writes its state, so that a run that was killed can be
 * resumed. Immutable.
 *
 * <pre>{@code
 * ddpm.training()
 *     .steps(800_000)
 *     .checkpoints(Checkpoints.in(folder).everySteps(1_000).keepLast(3).keepEvery(100_000))
 *     .resume()
 *     .fit(dataset);
 * }</pre>
 *
 * <p>A checkpoint is one file, {@code step-0000001000.<digest>.safetensors}, with the weights,
 * their averages, both moments of the optimizer, the history of losses, norms, rates and skipped
 * steps, the position in the data, the state of the timestep sampler and of listeners that have
 * one, and the settings. A checkpoint is written by a thread of its own from a copy in memory: the
 * step waits for the copy alone. It appears under its name once the disk has it, so that the newest
 * file is whole whatever happens; the name holds the first 16 digits of the SHA-256 of its bytes.
 *
 * <p>On the CPU, a run that is resumed ends in the same bits as one that was never interrupted.
 *
 * @param folder the folder of the checkpoints, for one run at a time
 * @param everySteps the number of steps between two checkpoints; 0 for none by steps
 * @param every the time between two checkpoints; zero for none by time
 * @param keepLast how many of the newest checkpoints are kept, at least 1
 * @param keepEvery checkpoints of steps that this divides are kept for good; 0 for none
 * @param onFailure what a run does if a checkpoint cannot be written
 * @see io.github.ddpm4j.Training#checkpoints(Checkpoints)
 */
public record Checkpoints(
    Path folder,
    long everySteps,
    Duration every,
    int keepLast,
    long keepEvery,
    OnFailure onFailure) {

  /** The default time between two checkpoints, in minutes: {@value}. */
  public static final int DEFAULT_MINUTES = 10;

  /** How many checkpoints are kept by default: {@value}. */
  public static final int DEFAULT_KEPT = 2;

  /** What may be set otherwise when a run is resumed, if it is allowed by name. */
  public enum Change {
    /** The number of steps. */
    STEPS,

    /**
     * The learning rate, its warm-up, or the rates that a schedule gave for steps that are done.
     */
    LEARNING_RATE,

    /** The norm that gradients are clipped to. */
    GRADIENT_CLIP,

    /** What is done about bad steps from now on. */
    GUARD,

    /** How the weights are averaged from now on. */
    EMA,

    /** How the network is run: compiled or not, precision, recomputation. Bits may differ. */
    EXECUTION,

    /**
     * The validation: its images or its settings. Results of other images are forgotten, and the
     * best weights are looked for anew.
     */
    VALIDATION,

    /** The data: other records, or another number of them. */
    DATA
  }

  /** What a run does if a checkpoint cannot be written, because the disk is full for example. */
  public enum OnFailure {
    /** Logs a warning, trains on and tries again when the next checkpoint is due. */
    CONTINUE,

    /** Ends after the step; the run fails with the cause, and its weights can still be had. */
    STOP
  }

  /**
   * Creates the settings.
   *
   * @param folder the folder
   * @param everySteps steps between two checkpoints
   * @param every time between two checkpoints
   * @param keepLast how many are kept
   * @param keepEvery which are kept for good
   * @param onFailure what a run does if writing fails
   * @throws IllegalArgumentException if a number is negative, {@code keepLast} is less than 1, or
   *     neither steps nor time are set
   */
  public Checkpoints {
    Objects.requireNonNull(folder, "folder");
    Objects.requireNonNull(every, "every");
    Objects.requireNonNull(onFailure, "onFailure");
    atLeast("everySteps", everySteps, 0);
    atLeast("keepLast", keepLast, 1);
    atLeast("keepEvery", keepEvery, 0);
    if (every.isNegative()) {
      throw new IllegalArgumentException("every must be at least 0, but was " + every);
    }
    if (everySteps == 0 && every.isZero()) {
      throw new IllegalArgumentException(
          "checkpoints are written by steps or by time, but both were 0; call everySteps(n) or"
              + " every(duration)");
    }
  }

  /**
   * Checkpoints every {@value #DEFAULT_MINUTES} minutes, of which {@value #DEFAULT_KEPT} are kept.
   *
   * @param folder the folder; made when the run begins
   * @return the settings
   */
  public static Checkpoints in(Path folder) {
    return new Checkpoints(
        folder, 0, Duration.ofMinutes(DEFAULT_MINUTES), DEFAULT_KEPT, 0, OnFailure.CONTINUE);
  }

  /**
   * Writes a checkpoint every n steps, and no longer by time.
   *
   * @param steps at least 1
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Checkpoints everySteps(long steps) {
    atLeast("everySteps", steps, 1);
    return new Checkpoints(folder, steps, Duration.ZERO, keepLast, keepEvery, onFailure);
  }

  /**
   * Writes a checkpoint after each stretch of time, beside those by steps if there are any.
   *
   * @param time positive
   * @return new settings
   * @throws IllegalArgumentException if {@code time} is not positive
   */
  public Checkpoints every(Duration time) {
    Objects.requireNonNull(time, "time");
    if (time.isNegative() || time.isZero()) {
      throw new IllegalArgumentException("every must be positive, but was " + time);
    }
    return new Checkpoints(folder, everySteps, time, keepLast, keepEvery, onFailure);
  }

  /**
   * How many of the newest checkpoints are kept.
   *
   * @param count at least 1; {@value #DEFAULT_KEPT} by default, so that there is one to fall back
   *     to
   * @return new settings
   * @throws IllegalArgumentException if {@code count} is less than 1
   */
  public Checkpoints keepLast(int count) {
    return new Checkpoints(folder, everySteps, every, count, keepEvery, onFailure);
  }

  /**
   * Keeps the checkpoints of every m-th step for good, beside the newest.
   *
   * @param steps m, at least 1, a multiple of {@link #everySteps()} to have an effect
   * @return new settings
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Checkpoints keepEvery(long steps) {
    atLeast("keepEvery", steps, 1);
    return new Checkpoints(folder, everySteps, every, keepLast, steps, onFailure);
  }

  /**
   * What a run does if a checkpoint cannot be written. The last good one stays whole in any case.
   *
   * @param policy {@link OnFailure#CONTINUE} by default
   * @return new settings
   */
  public Checkpoints onFailure(OnFailure policy) {
    Objects.requireNonNull(policy, "policy");
    return new Checkpoints(folder, everySteps, every, keepLast, keepEvery, policy);
  }

  private static void atLeast(String name, long value, long least) {
    if (value < least) {
      throw new IllegalArgumentException(
          name + " must be at least " + least + ", but was " + value);
    }
  }
}
