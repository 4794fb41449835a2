package io.github.ddpm4j.internal.training;

/** What other threads see of a run and ask of it; they are heard between two steps. */
public final class RunControl {

  private final Runnable onBegin;
  private volatile int done;
  private volatile boolean stopped;
  private volatile boolean cancelled;

  /**
   * Makes the control of a run that has not begun.
   *
   * @param onBegin told, on the run's thread, that all checks are passed and steps begin
   */
  public RunControl(Runnable onBegin) {
    this.onBegin = onBegin;
  }

  /**
   * The number of steps that are done.
   *
   * @return at least 0
   */
  public int done() {
    return done;
  }

  /** Ends the run after its step, with a result. */
  public void stop() {
    stopped = true;
  }

  /** Ends the run after its step, without a result. */
  public void cancel() {
    cancelled = true;
  }

  boolean isStopped() {
    return stopped;
  }

  boolean isCancelled() {
    return cancelled;
  }

  void begin() {
    onBegin.run();
  }

  void done(int steps) {
    done = steps;
  }
}
