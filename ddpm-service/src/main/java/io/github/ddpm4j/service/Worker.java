package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes one call of the networks of a device after the other, as long as there are requests. */
final class Worker {

  private static final Logger logger = LoggerFactory.getLogger(SamplingService.class);
  private static final AtomicInteger COUNT = new AtomicInteger();

  /** How often a worker goes on after an error of nobody's without a call in between. */
  private static final int MOST_ENDS = 16;

  private final int number;
  private final Backlog backlog;
  private final Listeners listeners;
  private final Runnable beforeCalls;
  private final Thread thread;

  /** How often it has ended by an error since the last call that was done. */
  private int ends;

  /**
   * @param number its place among the workers: it draws from the copies of that place
   * @param beforeCalls is run before each call of a network
   */
  Worker(int number, Backlog backlog, Listeners listeners, Runnable beforeCalls) {
    this.number = number;
    this.backlog = backlog;
    this.listeners = listeners;
    this.beforeCalls = beforeCalls;
    this.thread = new Thread(this::work, "ddpm4j-service-" + COUNT.incrementAndGet());
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  boolean awaitEnd(Duration patience) throws InterruptedException {
    TimeUnit.NANOSECONDS.timedJoin(thread, Math.max(1, patience.toNanos()));
    return !thread.isAlive();
  }

  /** Whether this is its thread. */
  boolean isCurrent() {
    return Thread.currentThread() == thread;
  }

  /** Waits for the end, and keeps an interrupt for later. */
  void join() {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void work() {
    while (true) {
      try {
        rounds();
        return;
      } catch (Throwable e) {
        ends++;
        boolean over = ends == MOST_ENDS;
        // First of all, since not even logging need succeed, as without memory.
        Careful.attempt(
            "what a worker left",
            () ->
                (over ? backlog.lost(number) : backlog.left(number))
                    .forEach(served -> end(served, Outcome.FAILED, null, e)));
        Careful.attempt(
            "logging the end of a worker",
            () ->
                logger.error(
                    "a worker of a sampling service ended, and {}",
                    over ? "none takes its place" : "another takes its place",
                    e));
        if (over) {
          return;
        }
      }
    }
  }

  private void rounds() {
    boolean isLast = false;
    while (!isLast) {
      Backlog.Round round = backlog.next(number);
      isLast = round.isLast();
      round.over().forEach(served -> forOne(served, () -> giveUp(served)));
      if (!round.step().isEmpty()) {
        beforeCalls.run();
        listeners.begun(round.step());
        step(round.step());
      }
    }
  }

  /** Does what belongs to a request, which ends it alone if it fails. */
  private void forOne(Served served, Runnable action) {
    try {
      action.run();
    } catch (Throwable e) {
      end(served, Outcome.FAILED, null, e);
    }
  }

  /** Requests that were cancelled, are late, or are left when the service stops. */
  private void giveUp(Served served) {
    if (served.times().isLate(System.nanoTime())) {
      end(
          served,
          Outcome.LATE,
          null,
          new TimeoutException(
              "the request was not done within "
                  + served.request().deadline().orElseThrow()
                  + ", but at step "
                  + served.step()
                  + " of "
                  + served.steps()));
    } else {
      boolean own = served.run().state() == SamplingRun.State.CANCELLED;
      end(
          served,
          Outcome.CANCELLED,
          null,
          new CancellationException(
              (own ? "the request was cancelled" : "the service was closed")
                  + " at step "
                  + served.step()
                  + " of "
                  + served.steps()));
    }
  }

  private void step(List<Served> requests) {
    List<SamplingRun.Event> events;
    try {
      events = advance(requests);
    } catch (Throwable e) { // whatever it is, other requests are served
      apart(requests, e);
      return;
    }
    for (int i = 0; i < requests.size(); i++) {
      Served served = requests.get(i);
      SamplingRun.Event event = events.get(i);
      forOne(served, () -> taken(served, event));
    }
  }

  private List<SamplingRun.Event> advance(List<Served> requests) {
    // An interrupt is somebody's mistake, and must not look like that of a request.
    if (Thread.interrupted()) {
      logger.warn("the worker of a sampling service was interrupted, and goes on; close() ends it");
    }
    long begun = System.nanoTime();
    int images = requests.stream().mapToInt(served -> served.run().predictionsOfNextStep()).sum();
    List<SamplingRun.Event> events =
        SamplingRun.advance(requests.stream().map(Served::run).toList());
    long nanos = System.nanoTime() - begun;
    ends = 0;
    backlog.took(requests.get(0).model(), images, nanos);
    listeners.called(requests.size(), images, nanos);
    return events;
  }

  /** After a failed step: ends those whose failure it is, so that the others go on. */
  private void apart(List<Served> requests, Throwable failure) {
    Careful.attempt(
        "logging a failed step", // of an exception whose own code may fail
        () -> logger.warn("a step of {} requests failed: {}", requests.size(), failure.toString()));
    List<Served> own =
        requests.stream()
            .filter(served -> served.run().state() != SamplingRun.State.RUNNING)
            .toList();
    if (!own.isEmpty()) {
      own.forEach(served -> forOne(served, () -> fail(served, failure)));
    } else if (requests.size() == 1) {
      fail(requests.get(0), failure);
    } else {
      requests.forEach(served -> forOne(served, () -> alone(served)));
    }
  }

  private void alone(Served served) {
    SamplingRun.Event event;
    try {
      event = advance(List.of(served)).get(0);
    } catch (Throwable e) {
      fail(served, e);
      return;
    }
    taken(served, event);
  }

  private void fail(Served served, Throwable failure) {
    SamplingRun.State state = served.run().state();
    if (state == SamplingRun.State.CANCELLED) {
      giveUp(served);
    } else if (state != SamplingRun.State.RUNNING || !backlog.giveBack(served)) {
      end(served, Outcome.FAILED, null, failure);
    }
  }

  private void taken(Served served, SamplingRun.Event event) {
    served.tell(new Progress(served.step(), served.steps(), preview(served, event)));
    if (served.run().state() != SamplingRun.State.FINISHED) {
      return;
    }
    Samples samples = served.run().finish();
    if (served.times().isLate(System.nanoTime())) {
      Careful.attempt("closing images that are late", samples::close);
      giveUp(served);
    } else {
      end(served, Outcome.DONE, samples, null);
    }
  }

  /** The estimate where it is asked for; one that fails is left out. */
  private static Optional<Progress.Preview> preview(Served served, SamplingRun.Event event) {
    int every = served.request().previewSteps();
    int done = event.step() + 1;
    if (every == 0 || (done % every != 0 && done != event.steps())) {
      return Optional.empty();
    }
    try {
      return Optional.of(Progress.Preview.of(event.firstImage(), event.predictedX0()));
    } catch (Throwable e) {
      logger.warn("a preview of {} is left out", served, e);
      return Optional.empty();
    }
  }

  /** Ends a request, and never throws. */
  private void end(
      Served served, Outcome outcome, @Nullable Samples samples, @Nullable Throwable failure) {
    Careful.attempt("removing a request", () -> backlog.remove(served));
    if (served.end(outcome, samples, failure)) {
      listeners.ended(served, outcome);
    }
  }
}
