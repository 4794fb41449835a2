package io.github.ddpm4j.service;

import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * What is asked of a {@link SamplingService}. Immutable: each method gives a new request.
 *
 * <pre>{@code
 * SamplingRequest.of(4, s -> s.sampler(Samplers.ddim(20)).seed(42))
 *     .tenant("shop").deadline(Duration.ofSeconds(10))
 * }</pre>
 *
 * @see SamplingService#submit
 */
public final class SamplingRequest {

  /** The name of the tenant of requests that name none: {@value}. */
  public static final String DEFAULT_TENANT = "default";

  /** The greatest {@link #priority(int)} and, negated, the smallest: {@value}. */
  public static final int MOST_PRIORITY = 10;

  private final Function<Sampling, SamplingRun> start;
  private final String model;
  private final String tenant;
  private final int priority;
  private final Optional<Duration> deadline;
  private final boolean alone;
  private final int previewSteps;

  private SamplingRequest(
      Function<Sampling, SamplingRun> start,
      String model,
      String tenant,
      int priority,
      Optional<Duration> deadline,
      boolean alone,
      int previewSteps) {
    this.start = start;
    this.model = model;
    this.tenant = tenant;
    this.priority = priority;
    this.deadline = deadline;
    this.alone = alone;
    this.previewSteps = previewSteps;
  }

  /**
   * Asks for images from noise.
   *
   * @param count the number of images, at least 1
   * @param settings sets up the run: sampler, seed, condition, guidance and so on. It is called
   *     once, on the thread that submits the request, or once for each copy of the model
   * @return the request
   */
  public static SamplingRequest of(int count, UnaryOperator<Sampling> settings) {
    Objects.requireNonNull(settings, "settings");
    return starting(sampling -> settings.apply(sampling).start(count));
  }

  /**
   * Asks for whatever a run can start from: an image, a mask, latents.
   *
   * @param start sets a run up and starts it, as {@code s -> s.seed(1).startInpainting(images,
   *     mask)}. It is called once, or once for each copy of the model, on the thread that submits
   *     the request; what it is given must stay open until the request has ended. The run belongs
   *     to the service
   * @return the request
   */
  public static SamplingRequest starting(Function<Sampling, SamplingRun> start) {
    return new SamplingRequest(
        Objects.requireNonNull(start, "start"),
        SamplingService.DEFAULT_MODEL,
        DEFAULT_TENANT,
        0,
        Optional.empty(),
        false,
        0);
  }

  /**
   * Asks for a picture again, from what its file says of how it was drawn. The result is the
   * picture alone, drawn by itself: the same bits on the same machine if it was drawn so, too, and
   * the same up to rounding if it was drawn beside others.
   *
   * @param provenance that of {@link io.github.ddpm4j.image.Pictures#provenance}; {@link
   *     SamplingService#submit} refuses what {@link Sampling#startReproducing} does
   * @return the request
   * @throws IllegalArgumentException if the words do not tell all that takes part
   */
  public static SamplingRequest reproducing(Map<String, String> provenance) {
    Map<String, String> words = Map.copyOf(provenance);
    Sampling.requireReproducible(words);
    return starting(sampling -> sampling.startReproducing(words)).alone();
  }

  /**
   * Names the model to sample from.
   *
   * @param name that of {@link SamplingService.Builder#model}; {@value
   *     SamplingService#DEFAULT_MODEL} by default
   * @return a request for that model
   */
  public SamplingRequest model(String name) {
    return new SamplingRequest(
        start,
        Objects.requireNonNull(name, "name"),
        tenant,
        priority,
        deadline,
        alone,
        previewSteps);
  }

  /**
   * Says who asks. Tenants that have requests get the same share of the service and of its queue,
   * however many requests each has.
   *
   * @param name any name; {@value #DEFAULT_TENANT} by default
   * @return a request of that tenant
   */
  public SamplingRequest tenant(String name) {
    return new SamplingRequest(
        start,
        model,
        Objects.requireNonNull(name, "name"),
        priority,
        deadline,
        alone,
        previewSteps);
  }

  /**
   * How urgent the request is among those of its tenant: one step more halves the time that it may
   * wait before others of the same age and length go first.
   *
   * @param priority in [-{@value #MOST_PRIORITY}, {@value #MOST_PRIORITY}]; 0 by default
   * @return a request of that priority
   * @throws IllegalArgumentException if it is out of its range
   */
  public SamplingRequest priority(int priority) {
    if (Math.abs((long) priority) > MOST_PRIORITY) {
      throw new IllegalArgumentException(
          "priority must lie in [-"
              + MOST_PRIORITY
              + ", "
              + MOST_PRIORITY
              + "], but was "
              + priority);
    }
    return new SamplingRequest(start, model, tenant, priority, deadline, alone, previewSteps);
  }

  /**
   * When the images are of no use any more. A request that cannot be done in time is refused; one
   * that is late ends with a {@link java.util.concurrent.TimeoutException}.
   *
   * @param deadline from the call of {@link SamplingService#submit} on; positive
   * @return a request with that deadline
   * @throws IllegalArgumentException if it is not positive
   */
  public SamplingRequest deadline(Duration deadline) {
    if (deadline.isNegative() || deadline.isZero()) {
      throw new IllegalArgumentException("deadline must be positive, but was " + deadline);
    }
    return new SamplingRequest(
        start, model, tenant, priority, Optional.of(deadline), alone, previewSteps);
  }

  /**
   * Asks for calls of the network of its own, so that the images are those of {@code
   * ddpm.sampling()} bit by bit, in batches of as many. Beside others they are the same up to
   * rounding.
   *
   * @return a request that is not joined with others
   */
  public SamplingRequest alone() {
    return new SamplingRequest(start, model, tenant, priority, deadline, true, previewSteps);
  }

  /**
   * Asks for estimates of the images while they are made: {@link Progress#preview}.
   *
   * @param steps one every so many steps; 0, the default, for none
   * @return a request with previews
   * @throws IllegalArgumentException if {@code steps} is negative
   */
  public SamplingRequest previews(int steps) {
    if (steps < 0) {
      throw new IllegalArgumentException("steps must not be negative, but was " + steps);
    }
    return new SamplingRequest(start, model, tenant, priority, deadline, alone, steps);
  }

  SamplingRun start(Sampling sampling) {
    return Objects.requireNonNull(start.apply(sampling), "the request started no run");
  }

  String model() {
    return model;
  }

  String tenant() {
    return tenant;
  }

  int priority() {
    return priority;
  }

  Optional<Duration> deadline() {
    return deadline;
  }

  boolean isAlone() {
    return alone;
  }

  int previewSteps() {
    return previewSteps;
  }
}
