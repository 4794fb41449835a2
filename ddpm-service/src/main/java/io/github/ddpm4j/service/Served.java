package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.SubmissionPublisher;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * A request with its runs, one for each worker that can take it, and what its caller holds. The run
 * of the worker that takes it is the one that goes on; the others stand before their first step.
 */
final class Served implements ServedRequest {

  /** The number of no worker: it waits for one. */
  private static final int NONE = -1;

  private final SamplingRequest request;
  private final List<SamplingRun> runs;
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
  private final AtomicBoolean begunIsTold = new AtomicBoolean();
  private final Object trace = new Object();

  /** Events that wait until listeners were told that it is queued; null from then on. */
  private @Nullable List<Runnable> early = new ArrayList<>();

  private final Times times;

  /**
   * When things are due and happened, in nanoseconds of one clock.
   *
   * @param number how many requests were submitted before
   * @param submitted when it was submitted
   * @param due when it should be done, by which requests are ordered
   * @param deadline when it is late; {@link Long#MAX_VALUE} for never
   */
  record Times(long number, long submitted, long due, long deadline) {

    boolean isLate(long now) {
      return deadline != Long.MAX_VALUE && now - deadline > 0;
    }
  }

  private volatile int worker = NONE;
  private volatile long begun;
  private volatile boolean hasBegun;

  /** Images by which it was overtaken; guarded by the backlog's lock. */
  private long overtaken;

  /** Workers that it was given back by; guarded by the backlog's lock. */
  private final BitSet leftBy = new BitSet();

  /**
   * @param runs by the numbers of the workers; none has taken a step
   * @param executor completes the futures, so that callers' code does not run on the worker
   * @param onCancel is called when the caller cancels
   */
  Served(
      SamplingRequest request,
      List<SamplingRun> runs,
      ServedModel model,
      Times times,
      Executor executor,
      Runnable onCancel) {
    this.request = request;
    this.runs = List.copyOf(runs);
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
      abandon();
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
  void abandon() {
    if (!result.cancel(false) && !result.isCompletedExceptionally()) {
      result.join().close();
    }
  }

  @Override
  public Flow.Publisher<Progress> progress() {
    return progress;
  }

  @Override
  public long id() {
    return times.number();
  }

  @Override
  public int step() {
    return run().step();
  }

  @Override
  public int steps() {
    return run().steps();
  }

  @Override
  public void cancel() {
    runs.forEach(SamplingRun::cancel);
    onCancel.run();
  }

  SamplingRequest request() {
    return request;
  }

  /** The run of its worker; while it waits, one that tells its size. */
  SamplingRun run() {
    return runs.get(Math.max(0, worker));
  }

  /** The run of a worker that can take it. */
  SamplingRun run(int number) {
    return runs.get(number);
  }

  ServedModel model() {
    return model;
  }

  Times times() {
    return times;
  }

  /** The images that it holds at its end, of all its batches. */
  int images() {
    return run().images();
  }

  /** Others began that are due after it, and that it had no memory beside. */
  void overtake(int images) {
    overtaken += images;
  }

  /** Whether more were than it has itself. */
  boolean isOvertaken() {
    return overtaken >= images();
  }

  /** Predictions that are left, if the steps to come take as many as the next. */
  long work() {
    return work(run());
  }

  static long work(SamplingRun run) {
    return (long) (run.steps() - run.step()) * run.predictionsOfNextStep();
  }

  int stepsLeft() {
    return run().steps() - run().step();
  }

  boolean hasBegun() {
    return worker != NONE;
  }

  /** Whether no worker ever had it, so that it can make room for another. */
  boolean isNew() {
    return !hasBegun;
  }

  /** Whether a worker can begin it. */
  boolean canBegin(int number) {
    return worker == NONE && number < runs.size() && !leftBy.get(number);
  }

  /** Whether it is a worker's. */
  boolean isOf(int number) {
    return worker == number;
  }

  void begin(int number, long now) {
    worker = number;
    if (!hasBegun) {
      begun = now;
      hasBegun = true;
    }
  }

  /** Its worker cannot go on with it: it waits for another, which begins anew. */
  void leave() {
    leftBy.set(worker);
    worker = NONE;
  }

  /** Whether listeners are to be told that it has begun: the first time. */
  boolean tellsBegun() {
    return begunIsTold.compareAndSet(false, true);
  }

  /** Tells listeners of something, after they were told that it is queued. */
  void trace(Runnable event) {
    synchronized (trace) {
      if (early != null) {
        early.add(event);
        return;
      }
    }
    event.run();
  }

  /** Listeners were told that it is queued. */
  void traceQueued() {
    while (true) {
      List<Runnable> events;
      synchronized (trace) {
        events = early;
        if (events == null || events.isEmpty()) {
          early = null;
          return;
        }
        early = new ArrayList<>();
      }
      events.forEach(Runnable::run);
    }
  }

  /** When the first step began; else a given time. */
  long begun(long otherwise) {
    return hasBegun ? begun : otherwise;
  }

  /** Tells subscribers; what an executor does not take, its subscriber misses. */
  void tell(Progress event) {
    Careful.attempt("telling subscribers of a request", () -> progress.offer(event, null));
  }

  /**
   * Ends the request, if it has not ended: its caller hears of it, and its runs are freed. Throws
   * nothing, whatever is wrong with what the request brought along.
   *
   * @return whether it had not
   */
  boolean end(Outcome outcome, @Nullable Samples samples, @Nullable Throwable failure) {
    if (!ended.compareAndSet(false, true)) {
      if (samples != null) {
        Careful.attempt("closing images", samples::close);
      }
      return false;
    }
    try {
      runs.forEach(run -> Careful.attempt("closing a run", run::close));
      Careful.hand(executor, () -> hand(outcome, samples, failure));
    } finally {
      model.release(executor);
    }
    return true;
  }

  private void hand(Outcome outcome, @Nullable Samples samples, @Nullable Throwable failure) {
    boolean taken =
        failure == null ? result.complete(samples) : result.completeExceptionally(failure);
    if (!taken && samples != null) {
      Careful.attempt("closing images", samples::close);
    }
    Careful.attempt(
        "ending the progress of a request",
        () -> {
          if (failure == null || outcome == Outcome.CANCELLED) {
            progress.close();
          } else {
            progress.closeExceptionally(failure);
          }
        });
  }

  @Override
  public String toString() {
    return "ServedRequest[" + run() + "]";
  }
}
