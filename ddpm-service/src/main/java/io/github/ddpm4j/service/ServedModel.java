package io.github.ddpm4j.service;

import io.github.ddpm4j.DDPM;
import java.util.concurrent.CompletableFuture;

/** A model of a service, counted by the requests that draw from it. */
final class ServedModel {

  private final DDPM ddpm;
  private final int mostImages;
  private final CompletableFuture<DDPM> unused = new CompletableFuture<>();
  private int users;
  private boolean retired;

  ServedModel(DDPM ddpm, int mostImages) {
    this.ddpm = ddpm;
    this.mostImages = mostImages;
  }

  DDPM ddpm() {
    return ddpm;
  }

  /** The most images of a call. */
  int mostImages() {
    return mostImages;
  }

  /** Whether it is still the one to draw from; if so, it is used once more. */
  synchronized boolean isUsed() {
    if (retired) {
      return false;
    }
    users++;
    return true;
  }

  void release() {
    boolean last;
    synchronized (this) {
      users--;
      last = retired && users == 0;
    }
    if (last) {
      unused.complete(ddpm);
    }
  }

  /** Takes no more requests. */
  CompletableFuture<DDPM> retire() {
    boolean idle;
    synchronized (this) {
      retired = true;
      idle = users == 0;
    }
    if (idle) {
      unused.complete(ddpm);
    }
    return unused;
  }
}
