package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import io.github.ddpm4j.service.SamplingService.Status;
import io.github.ddpm4j.service.SamplingService.WhenFull;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/** The requests that are not done: what callers add to, and the workers take from. */
final class Backlog {

  /** The share of the latest call in the time of an image-step. */
  private static final double LATEST = 0.1;

  private static final double UNKNOWN = 1e6;

  /** In so many nanoseconds without a request, what is known of their time counts half. */
  private static final double FADING = 2e9;

  /** A time that is longer than any, in nanoseconds, to which times can still be added. */
  private static final long FOREVER = 1L << 61;

  /** How often a caller who waits looks whether other tenants still ask. */
  private static final long LOOK = 1_000_000_000;

  private final WhenFull whenFull;
  private final RequestOrder order;
  private final Admission admission;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Condition room = lock.newCondition();

  /** That of all models. */
  private StepTime stepTime = new StepTime(0);

  /** What share of that still counts. */
  private double trust = 1;

  /** Since when there is no request, if there is none. */
  private long idleSince = System.nanoTime();

  private final BitSet alive = new BitSet();
  private boolean open = true;
  private boolean stopped;

  Backlog(int most, WhenFull whenFull, int mostResident, int workers) {
    alive.set(0, workers);
    this.whenFull = whenFull;
    this.order = new RequestOrder(mostResident);
    this.admission = new Admission(most, order);
  }

  void requireOpen() {
    lock.lock();
    try {
      if (!open) {
        throw new RequestRefusedException(
            Reason.SHUT_DOWN, "the service is shut down and takes no more requests");
      }
    } finally {
      lock.unlock();
    }
  }

  /** When a request is due: after some times its own length, the sooner the more urgent. */
  Served.Times times(
      long number,
      SamplingRequest request,
      SamplingRun run,
      ServedModel model,
      long now,
      double patience) {
    lock.lock();
    try {
      double each = each(model) == 0 ? UNKNOWN : each(model);
      long length = bounded(Served.work(run) * each);
      long due = now + bounded(patience * length * Math.pow(2, -request.priority()));
      long deadline = Long.MAX_VALUE;
      if (request.deadline().isPresent()) {
        deadline = now + nanos(request.deadline().get());
        due = Math.min(due, deadline - length);
      }
      return new Served.Times(number, now, due, deadline);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Adds a request.
   *
   * @param mayWait whether its caller can wait for room
   * @return the request that had to make room
   * @throws RequestRefusedException if there is no room, or it would be late
   */
  Optional<Served> add(Served served, boolean mayWait) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      requireOpen();
      String tenant = served.request().tenant();
      admission.ask(tenant, System.nanoTime());
      while (whenFull == WhenFull.WAIT && mayWait && !admission.hasRoom(tenant)) {
        long left = left(served);
        if (left <= 0) {
          throw tooLate(
              "the request waited for room until its deadline of "
                  + told(served)
                  + "; allow more time, or set queue(n)");
        }
        long unused = room.awaitNanos(Math.min(LOOK, left));
        requireOpen();
        admission.ask(tenant, System.nanoTime());
      }
      Optional<Served> shed = Optional.empty();
      if (!admission.hasRoom(tenant)) {
        shed = whenFull == WhenFull.SHED ? admission.yielding(served) : Optional.empty();
        if (shed.isEmpty()) {
          throw new RequestRefusedException(Reason.FULL, admission.told(tenant));
        }
      }
      if (!hasTaker(served)) {
        throw new RequestRefusedException(
            Reason.SHUT_DOWN,
            "the workers of all copies of the model ended by errors, and none takes their places;"
                + " build the service anew");
      }
      requireInTime(served); // or the one that makes room would do so for nobody
      shed.ifPresent(order::remove);
      trust = trust(System.nanoTime());
      order.add(served);
      work.signalAll();
      return shed;
    } finally {
      lock.unlock();
    }
  }

  private static long bounded(double nanos) {
    return nanos < FOREVER ? (long) nanos : FOREVER;
  }

  /** A duration in nanoseconds, of which there may be too many for a long. */
  static long nanos(Duration duration) {
    return duration.compareTo(Duration.ofNanos(FOREVER)) > 0 ? FOREVER : duration.toNanos();
  }

  private static long left(Served served) {
    long deadline = served.times().deadline();
    return deadline == Long.MAX_VALUE ? FOREVER : deadline - System.nanoTime();
  }

  /** What is known of the time of a step fades while none is made, so that one is tried again. */
  private double trust(long now) {
    return order.size() > 0 ? trust : trust * Math.pow(2, -(now - idleSince) / FADING);
  }

  private void requireInTime(Served served) {
    long deadline = served.times().deadline();
    if (deadline == Long.MAX_VALUE) {
      return;
    }
    long now = System.nanoTime();
    if (served.times().isLate(now)) {
      throw tooLate(
          "the request's deadline of "
              + told(served)
              + " passed before it was in the queue; allow"
              + " more time");
    }
    double nanos = nanosUntilDone(served) * trust(now);
    if (now + nanos > deadline) {
      throw tooLate(
          "the request would take about "
              + Duration.ofMillis((long) (nanos / 1e6))
              + " from now, with what is ahead of it, which is past its deadline of "
              + told(served)
              + "; allow more time, or ask for fewer steps");
    }
  }

  /**
   * How long it takes on the workers of its model until a request is done: what goes before it, and
   * its own steps. Calls are filled with what is due later, and it takes a step a call; but no more
   * are made than there are.
   */
  private double nanosUntilDone(Served served) {
    ServedModel model = served.model();
    double workers = Math.max(1, alive.get(0, model.copies().size()).cardinality());
    int own = served.run().predictionsOfNextStep();
    double beside = served.request().isAlone() ? 0 : order.nextPredictions(model) / workers;
    double call = Math.max(own, Math.min(model.mostImages(), beside + own)) * each(model);
    double ahead = order.workAhead(served, this::nanos) / workers + nanos(served);
    double all = order.work(this::nanos) / workers + nanos(served);
    return Math.min(all, Math.max(ahead, served.stepsLeft() * call));
  }

  private double nanos(Served served) {
    return served.work() * each(served.model());
  }

  /** What an image-step of a model takes, or of the others while that is unknown. */
  private double each(ServedModel model) {
    return model.stepTime().nanos() == 0 ? stepTime.nanos() : model.stepTime().nanos();
  }

  private static RequestRefusedException tooLate(String message) {
    return new RequestRefusedException(Reason.TOO_LATE, message);
  }

  private static Duration told(Served served) {
    return served.request().deadline().orElseThrow();
  }

  /** Has the workers look for requests that were cancelled. */
  void wake() {
    lock.lock();
    try {
      work.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Takes no more requests. */
  void drain() {
    lock.lock();
    try {
      open = false;
      work.signalAll();
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Takes no more requests, and makes no more steps of those that are there. */
  void stop() {
    lock.lock();
    try {
      open = false;
      stopped = true;
      work.signalAll();
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  Status status() {
    lock.lock();
    try {
      int waiting = order.waiting();
      return new Status(
          waiting,
          order.size() - waiting,
          (long) order.work(Served::work),
          Duration.ofNanos((long) stepTime.nanos()),
          open);
    } finally {
      lock.unlock();
    }
  }

  /* ---------------- For the workers ---------------- */

  /**
   * What a worker does next.
   *
   * @param over requests that are to be ended: cancelled, late, or left when the service stops
   * @param step requests that take a step together
   * @param isLast whether nothing follows
   */
  record Round(List<Served> over, List<Served> step, boolean isLast) {}

  /** Waits for something to do for a worker, by its number. */
  Round next(int worker) {
    lock.lock();
    try {
      while (true) {
        List<Served> over =
            order
                .all()
                .filter(served -> served.isOf(worker) || !served.hasBegun())
                .filter(served -> stopped || isOver(served, System.nanoTime()))
                .toList();
        over.forEach(this::take);
        if (!over.isEmpty()) {
          room.signalAll();
        }
        List<Served> step = order.next(worker);
        boolean isLast = !open && order.size() == 0;
        if (!over.isEmpty() || !step.isEmpty() || isLast) {
          long now = System.nanoTime();
          step.forEach(served -> served.begin(worker, now));
          room.signalAll();
          return new Round(over, step, isLast);
        }
        work.awaitUninterruptibly();
      }
    } finally {
      lock.unlock();
    }
  }

  private static boolean isOver(Served served, long now) {
    return served.run().state() == SamplingRun.State.CANCELLED || served.times().isLate(now);
  }

  void remove(Served served) {
    lock.lock();
    try {
      take(served);
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void take(Served served) {
    order.remove(served);
    if (order.size() == 0) {
      idleSince = System.nanoTime();
      work.signalAll(); // all can end, if no more are taken
    }
  }

  /**
   * Gives back a request with which its worker cannot go on.
   *
   * @return whether another worker can begin it
   */
  boolean giveBack(Served served) {
    lock.lock();
    try {
      served.leave();
      work.signalAll();
      return hasTaker(served);
    } finally {
      lock.unlock();
    }
  }

  /** Whether a worker that is alive has it, or can begin it. */
  private boolean hasTaker(Served served) {
    return alive.stream().anyMatch(worker -> served.isOf(worker) || served.canBegin(worker));
  }

  /**
   * A worker has ended before its time, and another takes its place. What it had begun waits for
   * one of another number.
   *
   * @return the requests that no other can take
   */
  List<Served> left(int worker) {
    lock.lock();
    try {
      List<Served> begun = order.all().filter(served -> served.isOf(worker)).toList();
      begun.forEach(Served::leave);
      List<Served> left = begun.stream().filter(served -> !hasTaker(served)).toList();
      left.forEach(this::take);
      work.signalAll();
      room.signalAll();
      return left;
    } finally {
      lock.unlock();
    }
  }

  /**
   * A worker has ended before its time, for good. What it had begun waits for another.
   *
   * @return the requests that no other can take; without a worker, no more are taken
   */
  List<Served> lost(int worker) {
    lock.lock();
    try {
      alive.clear(worker);
      order.all().filter(served -> served.isOf(worker)).forEach(Served::leave);
      List<Served> left = order.all().filter(served -> !hasTaker(served)).toList();
      left.forEach(this::take);
      if (alive.isEmpty()) {
        open = false;
      }
      work.signalAll();
      room.signalAll();
      return left;
    } finally {
      lock.unlock();
    }
  }

  /** What an image-step takes, as far as that is known before the first call. */
  void expect(double nanos) {
    lock.lock();
    try {
      stepTime = new StepTime(nanos);
    } finally {
      lock.unlock();
    }
  }

  /** A call of the network is done. */
  void took(ServedModel model, int images, long nanos) {
    lock.lock();
    try {
      double each = (double) nanos / images;
      double before = (1 - LATEST) * trust;
      model.stepTime().took(each, before);
      stepTime.took(each, before);
      trust = 1;
    } finally {
      lock.unlock();
    }
  }
}
