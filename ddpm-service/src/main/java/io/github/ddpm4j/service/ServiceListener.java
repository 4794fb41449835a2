package io.github.ddpm4j.service;

import java.time.Duration;

/**
 * Hears what a {@link SamplingService} does, for figures and traces. Its methods are called on the
 * threads of the service and of callers, several at once; what they throw is logged. Of one request
 * {@link #queued} comes first, then {@link #begun} if it takes a step, and {@link #ended} last; one
 * that is not taken has an end alone.
 */
public interface ServiceListener {

  /** How a request ended. */
  enum Outcome {
    /** With images. */
    DONE,
    /** Refused before its first step. */
    REFUSED,
    /** Cancelled by its caller, or by the end of the service. */
    CANCELLED,
    /** Past its deadline. */
    LATE,
    /** By a failure of its own. */
    FAILED
  }

  /**
   * A request was taken into the queue.
   *
   * @param id its {@link ServedRequest#id}
   * @param request the request
   */
  default void queued(long id, SamplingRequest request) {}

  /**
   * A request is about to take its first step.
   *
   * @param id its {@link ServedRequest#id}
   * @param request the request
   * @param waited from the submission until now
   */
  default void begun(long id, SamplingRequest request, Duration waited) {}

  /**
   * A call of the network is done.
   *
   * @param requests the number of requests that it advanced
   * @param images the images of the call, each counted as often as guidance asks about it, which is
   *     mostly twice for one that is guided
   * @param time how long it took, with what belongs to a step beside the network
   */
  default void called(int requests, int images, Duration time) {}

  /**
   * A request has ended.
   *
   * @param id its {@link ServedRequest#id}, of its own also for one that was never taken
   * @param request the request
   * @param outcome how
   * @param images the number of images that it asked for
   * @param waited from the submission to the first step, or to the end if there was none
   * @param total from the submission to the end
   */
  default void ended(
      long id,
      SamplingRequest request,
      Outcome outcome,
      int images,
      Duration waited,
      Duration total) {}
}
