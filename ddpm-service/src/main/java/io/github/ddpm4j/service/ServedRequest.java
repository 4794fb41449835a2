package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.Samples;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeoutException;

/** A request that a {@link SamplingService} has taken. */
public interface ServedRequest {

  /**
   * The images.
   *
   * <p>Fails with a {@link java.util.concurrent.CancellationException} if the request is cancelled
   * or the service closed, a {@link java.util.concurrent.TimeoutException} past the deadline, a
   * {@link RequestRefusedException} if it had to make room for another, and otherwise with what
   * failed in the run. Cancelling the future cancels the request.
   *
   * @return a future of the images; whoever takes them closes them
   */
  CompletableFuture<Samples> result();

  /**
   * Waits for the images. A thread that is interrupted cancels the request.
   *
   * @return the images; the caller closes them
   * @throws InterruptedException if the thread is interrupted while it waits
   * @throws java.util.concurrent.TimeoutException past the deadline of the request
   * @throws RuntimeException that with which {@link #result} fails otherwise
   */
  Samples await() throws InterruptedException, TimeoutException;

  /**
   * The steps as they are done. A subscriber that is slow misses some; it holds nobody up. Ends
   * with the request.
   *
   * @return a publisher for any number of subscribers
   */
  Flow.Publisher<Progress> progress();

  /**
   * What a {@link ServiceListener} knows the request by.
   *
   * @return a number that no other request of the service has
   */
  long id();

  /**
   * The number of steps that are done.
   *
   * @return from 0 to {@link #steps()}
   */
  int step();

  /**
   * The number of steps.
   *
   * @return at least 1
   */
  int steps();

  /** Ends the request before its next step. Does nothing once it has ended. */
  void cancel();
}
