package io.github.ddpm4j;

import io.github.ddpm4j.internal.training.RunControl;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** {@link Training#start}. */
final class BackgroundRun implements Training.Run {

  private static final AtomicInteger number = new AtomicInteger();

  private final int steps;
  private final CompletableFuture<Boolean> begun = new CompletableFuture<>();
  private final RunControl control = new RunControl(() -> begun.complete(true));
  private final CompletableFuture<TrainedModel> outcome = new CompletableFuture<>();
  private final Thread thread;

  /** Whether the result belongs to somebody who asked for it, or is closed. */
  private boolean taken;

  private boolean closed;

  /** How many threads wait for the result. */
  private int asking;

  private BackgroundRun(int steps, Function<RunControl, TrainedModel> training) {
    this.steps = steps;
    this.thread = new Thread(() -> run(training), "ddpm4j-training-" + number.incrementAndGet());
    // The virtual machine must not end in the middle of a step.
    thread.setDaemon(false);
  }

  private void run(Function<RunControl, TrainedModel> training) {
    try {
      outcome.complete(training.apply(control));
    } catch (Throwable e) {
      outcome.completeExceptionally(e);
      begun.completeExceptionally(e);
    }
  }

  /** Starts a run, and waits until its checks are passed. */
  static BackgroundRun start(int steps, Function<RunControl, TrainedModel> training) {
    BackgroundRun run = new BackgroundRun(steps, training);
    run.thread.start();
    try {
      run.begun.join();
      return run;
    } catch (CompletionException e) {
      throw unchecked(e);
    }
  }

  /** What the run threw, which is never checked. */
  private static RuntimeException unchecked(Exception wrapping) {
    Throwable failure = wrapping.getCause();
    if (failure instanceof Error error) {
      throw error;
    }
    return failure instanceof RuntimeException own ? own : new IllegalStateException(wrapping);
  }

  @Override
  public int step() {
    return control.done();
  }

  @Override
  public int steps() {
    return steps;
  }

  @Override
  public void stop() {
    control.stop();
  }

  @Override
  public boolean cancel(boolean mayInterruptIfRunning) {
    control.cancel();
    return !isDone();
  }

  @Override
  public boolean isCancelled() {
    return outcome.isCancelled();
  }

  @Override
  public boolean isDone() {
    return outcome.isDone();
  }

  @Override
  public TrainedModel result() throws InterruptedException {
    try {
      return get();
    } catch (ExecutionException e) {
      throw unchecked(e);
    }
  }

  @Override
  public TrainedModel get() throws InterruptedException, ExecutionException {
    asks(1);
    try {
      return take(outcome.get());
    } finally {
      asks(-1);
    }
  }

  @Override
  public TrainedModel get(long timeout, TimeUnit unit)
      throws InterruptedException, ExecutionException, TimeoutException {
    asks(1);
    try {
      return take(outcome.get(timeout, unit));
    } finally {
      asks(-1);
    }
  }

  /**
   * Who asks before the end gets a model that is open; the last to give up leaves it to close().
   */
  private synchronized void asks(int more) {
    asking += more;
    if (asking == 0
        && closed
        && !taken
        && outcome.isDone()
        && !outcome.isCompletedExceptionally()) {
      taken = true;
      outcome.join().close();
    }
  }

  private synchronized TrainedModel take(TrainedModel result) {
    taken = true;
    return result;
  }

  @Override
  public void close() {
    if (Thread.currentThread().equals(thread) && !isDone()) {
      throw new IllegalStateException(
          "close() waits for the thread of the run, but was called on it; call stop() or"
              + " cancel(false) there");
    }
    control.cancel();
    outcome.handle(this::free).join();
  }

  private synchronized boolean free(@Nullable TrainedModel result, @Nullable Throwable failure) {
    closed = true;
    if (result == null || taken || asking > 0) {
      return false;
    }
    taken = true;
    result.close();
    return true;
  }

  @Override
  public String toString() {
    return "Run[step " + step() + " of " + steps + (isDone() ? ", done]" : "]");
  }
}
