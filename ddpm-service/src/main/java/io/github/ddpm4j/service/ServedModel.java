package io.github.ddpm4j.service;

import io.github.ddpm4j.DDPM;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/** A model of a service, a copy a device, counted by the requests that draw from it. */
final class ServedModel {

  private final List<DDPM> copies;
  private final int mostImages;
  private final CompletableFuture<List<DDPM>> unused = new CompletableFuture<>();

  /** Guarded by the backlog's lock. */
  private final StepTime stepTime;

  private int users;
  private boolean retired;

  ServedModel(List<DDPM> copies, int mostImages) {
    this(copies, mostImages, 0);
  }

  /**
   * @param expectedNanos what an image-step was measured to take; 0 if it was not
   */
  ServedModel(List<DDPM> copies, int mostImages, double expectedNanos) {
    this.stepTime = new StepTime(expectedNanos);
    this.copies = List.copyOf(copies);
    this.mostImages = mostImages;
  }

  /** The copy of each worker, by its number. */
  List<DDPM> copies() {
    return copies;
  }

  /** The most images of a call. */
  int mostImages() {
    return mostImages;
  }

  StepTime stepTime() {
    return stepTime;
  }

  /** Whether it is still the one to draw from; if so, it is used once more. */
  synchronized boolean isUsed() {
    if (retired) {
      return false;
    }
    users++;
    return true;
  }

  /**
   * One that used it does so no longer.
   *
   * @param executor tells whoever waits for the last
   */
  void release(Executor executor) {
    boolean last;
    synchronized (this) {
      users--;
      last = retired && users == 0;
    }
    if (last) {
      Careful.hand(executor, () -> unused.complete(copies));
    }
  }

  /** Takes no more requests. */
  CompletableFuture<List<DDPM>> retire() {
    boolean idle;
    synchronized (this) {
      retired = true;
      idle = users == 0;
    }
    if (idle) {
      unused.complete(copies);
    }
    return unused;
  }
}
