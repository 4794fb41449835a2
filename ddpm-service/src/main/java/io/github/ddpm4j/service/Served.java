package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** A request with its run, and what its caller holds. */
final class Served implements ServedRequest {

  private final SamplingRequest request;
  private final SamplingRun run;
  private final ServedModel model;
  private final Executor executor;
  private final Runnable onCancel;
  private final SubmissionPublisher<Progress> progress;
  private final CompletableFuture<Samples> result =
      new CompletableFuture<>() {
        @Override
        public boolean cancel(boolean mayInterruptIfRunning) {
          boolean done = super.cancel(mayInterruptIfRunning);
          Served.this.cancel();
          return done;
        }
      };
  private final AtomicBoolean ended = new AtomicBoolean();
  private final Times times;

  /**
   * When things are due and happened, in nanoseconds of one clock.
   *
   * @param number how many requests were submitted before
   * @param submitted when it was submitted
   * @param due when it should be done, by which requests are ordered
   * @param deadline when it is late; {@link Long#MAX_VALUE} for never
   */
  record Times(long number, long submitted, long due, long deadline) {}

  private volatile long begun;
  private volatile boolean hasBegun;

  /**
   * @param executor completes the futures, so that callers' code does not run on the worker
   * @param onCancel is called when the caller cancels
   */
  Served(
      SamplingRequest request,
      SamplingRun run,
      ServedModel model,
      Times times,
      Executor executor,
      Runnable onCancel) {
    this.request = request;
    this.run = run;
    this.model = model;
    this.times = times;
    this.executor = executor;
    this.onCancel = onCancel;
    this.progress = new SubmissionPublisher<>(executor, 16);
  }

  @Override
  public CompletableFuture<Samples> result() {
    return result;
  }

  @Override
  public Samples await() throws InterruptedException, TimeoutException {
    try {
      return result.get();
    } catch (InterruptedException e) {
      leave();
      throw e;
    } catch (ExecutionException e) {
      Throwable why = e.getCause();
      if (why instanceof TimeoutException late) {
        throw late;
      }
      if (why instanceof Error error) {
        throw error;
      }
      throw why instanceof RuntimeException known ? known : new IllegalStateException(why);
    }
  }

  /**
   * Cancels for a caller who takes no images and so closes none, though they may be there by now.
   */
  void leave() {
    if (!result.cancel(false) && !result.isCompletedExceptionally()) {
      result.join().close();
    }
  }

  @Override
  public Flow.Publisher<Progress> progress() {
    return progress;
  }

  @Override
  public int step() {
    return run.step();
  }

  @Override
  public int steps() {
    return run.steps();
  }

  @Override
  public void cancel() {
    run.cancel();
    onCancel.run();
  }

  SamplingRequest request() {
    return request;
  }

  SamplingRun run() {
    return run;
  }

  ServedModel model() {
    return model;
  }

  Times times() {
    return times;
  }

  long number() {
    return times.number();
  }

  /** Image-steps that are left. */
  long work() {
    return work(run);
  }

  static long work(SamplingRun run) {
    return (long) (run.steps() - run.step()) * run.imagesOfNextStep();
  }

  boolean hasBegun() {
    return hasBegun;
  }

  void begin(long now) {
    if (!hasBegun) {
      begun = now;
      hasBegun = true;
    }
  }

  /** When the first step began; else a given time. */
  long begun(long otherwise) {
    return hasBegun ? begun : otherwise;
  }

  void tell(Progress event) {
    progress.offer(event, null);
  }

  /**
   * Ends the request, if it has not ended: its caller hears of it, and its run is freed.
   *
   * @return whether it had not
   */
  boolean end(Outcome outcome, @Nullable Samples samples, @Nullable Throwable failure) {
    if (!ended.compareAndSet(false, true)) {
      if (samples != null) {
        samples.close();
      }
      return false;
    }
    run.close();
    Runnable hand =
        () -> {
          boolean taken =
              failure == null ? result.complete(samples) : result.completeExceptionally(failure);
          if (!taken && samples != null) {
            samples.close();
          }
          if (failure == null || outcome == Outcome.CANCELLED) {
            progress.close();
          } else {
            progress.closeExceptionally(failure);
          }
        };
    try {
      executor.execute(hand);
    } catch (RuntimeException e) {
      hand.run(); // an executor that takes nothing more
    }
    model.release();
    return true;
  }

  @Override
  public String toString() {
    return "ServedRequest[" + run + "]";
  }
}
