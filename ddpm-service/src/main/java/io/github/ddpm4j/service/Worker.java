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

  private final int number;
  private final Backlog backlog;
  private final Listeners listeners;
  private final Thread thread;

  /**
   * @param number its place among the workers: it draws from the copies of that place
   */
  Worker(int number, Backlog backlog, Listeners listeners) {
    this.number = number;
    this.backlog = backlog;
    this.listeners = listeners;
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

  /** Waits for the end, and keeps an interrupt for later. */
  void join() {
    boolean interrupted = false;
    while (thread.isAlive() && Thread.currentThread() != thread) {
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
    try {
      rounds();
    } catch (Throwable e) { // others go on with what it had
      logger.error("a worker of a sampling service ended", e);
      backlog.lost(number).forEach(served -> end(served, Outcome.FAILED, null, e));
    }
  }

  private void rounds() {
    boolean isLast = false;
    while (!isLast) {
      Backlog.Round round = backlog.next(number);
      isLast = round.isLast();
      round.over().forEach(this::giveUp);
      if (!round.step().isEmpty()) {
        step(round.step());
      }
    }
  }

  /** Requests that were cancelled, are late, or are left when the service stops. */
  private void giveUp(Served served) {
    if (System.nanoTime() - served.times().deadline() > 0) {
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
    // An interrupt is somebody's mistake, and must not look like that of a request.
    boolean interrupted = Thread.interrupted();
    if (interrupted) {
      logger.warn("the worker of a sampling service was interrupted, and goes on; close() ends it");
    }
    long begun = System.nanoTime();
    int images = requests.stream().mapToInt(served -> served.run().imagesOfNextStep()).sum();
    List<SamplingRun.Event> events;
    try {
      events = SamplingRun.advance(requests.stream().map(Served::run).toList());
    } catch (Throwable e) { // whatever it is, other requests are served
      apart(requests, e);
      return;
    }
    long nanos = System.nanoTime() - begun;
    backlog.took(images, nanos);
    listeners.called(requests.size(), images, nanos);
    for (int i = 0; i < requests.size(); i++) {
      taken(requests.get(i), events.get(i));
    }
  }

  /** After a failed step: ends those whose failure it is, so that the others go on. */
  private void apart(List<Served> requests, Throwable failure) {
    logger.warn("a step of {} requests failed: {}", requests.size(), failure.toString());
    List<Served> own =
        requests.stream()
            .filter(served -> served.run().state() != SamplingRun.State.RUNNING)
            .toList();
    if (!own.isEmpty()) {
      own.forEach(served -> fail(served, failure));
    } else if (requests.size() == 1) {
      fail(requests.get(0), failure);
    } else {
      for (Served served : requests) {
        try {
          taken(served, served.run().next());
        } catch (Throwable e) {
          fail(served, e);
        }
      }
    }
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
    int every = served.request().previewSteps();
    int done = event.step() + 1;
    boolean shown = every > 0 && (done % every == 0 || done == event.steps());
    Optional<Progress.Preview> preview =
        shown
            ? Optional.of(Progress.Preview.of(event.firstImage(), event.predictedX0()))
            : Optional.empty();
    served.tell(new Progress(served.step(), served.steps(), preview));
    if (served.run().state() == SamplingRun.State.FINISHED) {
      try {
        end(served, Outcome.DONE, served.run().finish(), null);
      } catch (Throwable e) {
        end(served, Outcome.FAILED, null, e);
      }
    }
  }

  private void end(
      Served served, Outcome outcome, @Nullable Samples samples, @Nullable Throwable failure) {
    backlog.remove(served);
    if (served.end(outcome, samples, failure)) {
      listeners.ended(served, outcome);
    }
  }
}
