package io.github.ddpm4j.service;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.service.RequestRefusedException.Reason;
import io.github.ddpm4j.service.ServiceListener.Outcome;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Draws images for many callers at once. One worker makes one call of a network after the other; in
 * each, requests at different steps of different samplers take their next step together. A request
 * joins between two calls and leaves when it is done, so that a short one does not wait for a long
 * one. With copies of a model on several devices, there is a worker for each.
 *
 * <pre>{@code
 * try (SamplingService service = SamplingService.of(ddpm).queue(200).build()) {
 *   ServedRequest request =
 *       service.submit(SamplingRequest.of(4, s -> s.sampler(Samplers.ddim(20)).seed(42)));
 *   try (Samples samples = request.result().join()) { … }
 * }
 * }</pre>
 *
 * <p>Images are those of {@code ddpm.sampling()} up to rounding, and bit by bit for a request that
 * is {@link SamplingRequest#alone}. A request can do no harm to another: what fails in its run ends
 * it alone. All methods may be called from any thread. The models stay the caller's, who closes
 * them after the service.
 */
public final class SamplingService implements AutoCloseable {

  /** The name of the model of {@link #of}: {@value}. */
  public static final String DEFAULT_MODEL = "default";

  /** The requests that may wait unless another number is set: {@value}. */
  public static final int DEFAULT_QUEUE = 256;

  /** The images of requests that have begun unless another number is set: {@value}. */
  public static final int DEFAULT_RESIDENT = 1024;

  /** How many times its own length a request may wait, by which requests are ordered. */
  private static final double PATIENCE = 4;

  private static final Logger logger = LoggerFactory.getLogger(SamplingService.class);

  /** What {@link #submit} does when as many requests wait as may. */
  public enum WhenFull {
    /** The request is refused. */
    REFUSE,
    /** The caller waits for room; a listener, for which the service would wait, is refused. */
    WAIT,
    /**
     * Of those of its tenant that wait and the new one, that which is due last is refused; or, if
     * its tenant has less than its share of the places, that of the tenant that has most.
     */
    SHED
  }

  /**
   * How a service stands.
   *
   * @param waiting the requests before their first step
   * @param running the requests between their first step and their last
   * @param imageSteps the image-steps that all of these are away from their ends; a step of a
   *     guided image counts as often as guidance asks about it
   * @param perImageStep the time of such an image-step lately; before the first as it was measured
   *     when the service started, or zero
   * @param isOpen whether it takes requests
   */
  public record Status(
      int waiting, int running, long imageSteps, Duration perImageStep, boolean isOpen) {}

  private final Map<String, ServedModel> models;
  private final Backlog backlog;
  private final Executor executor;
  private final Listeners listeners;
  private final List<Worker> workers;
  private final @Nullable Integer mostImages;
  private final int mostResident;
  private final UnaryOperator<Sampling> measured;
  private final Map<String, UnaryOperator<Sampling>> measuredEach;
  private final AtomicLong submitted = new AtomicLong();

  private SamplingService(Builder builder) {
    ServiceSettings settings = builder.settings.over(builder.configured);
    mostImages = settings.mostImages();
    mostResident = settings.mostResidentImages(DEFAULT_RESIDENT);
    measured = builder.measured;
    measuredEach = Map.copyOf(builder.measuredEach);
    models = new LinkedHashMap<>();
    builder.models.forEach((name, copies) -> models.put(name, served(name, copies)));
    int devices = builder.models.values().stream().mapToInt(List::size).max().orElseThrow();
    executor = builder.executor;
    listeners = new Listeners(builder.listeners);
    backlog =
        new Backlog(
            settings.queue(DEFAULT_QUEUE),
            settings.whenFull(WhenFull.REFUSE),
            mostResident,
            devices);
    backlog.expect(
        models.values().stream()
            .mapToDouble(model -> model.stepTime().nanos())
            .max()
            .orElseThrow());
    workers =
        IntStream.range(0, devices)
            .mapToObj(i -> new Worker(i, backlog, listeners, builder.beforeCalls))
            .toList();
    workers.forEach(Worker::start);
  }

  private ServedModel served(String name, List<DDPM> copies) {
    if (mostImages != null) {
      return new ServedModel(copies, mostImages);
    }
    UnaryOperator<Sampling> settings = measuredEach.getOrDefault(name, measured);
    BatchCurve curve;
    try {
      curve = BatchCurve.measure(copies.get(0), settings, Duration.ofMillis(200));
    } catch (IllegalArgumentException | IllegalStateException e) {
      throw new IllegalStateException(
          "the images of a call cannot be measured of the model "
              + name
              + ": "
              + e.getMessage()
              + "; set mostImages(n), or what its network must be given by measuredWith(\""
              + name
              + "\", settings)",
          e);
    }
    logger.info(
        "model {}: calls of up to {} images; image-steps by images: {}", name, curve.knee(), curve);
    return new ServedModel(copies, curve.knee(), curve.nanosPerImageStep());
  }

  /**
   * Sets up a service of one model.
   *
   * @param ddpm the model, named {@value #DEFAULT_MODEL}
   * @return a builder
   */
  public static Builder of(DDPM ddpm) {
    return new Builder().model(DEFAULT_MODEL, ddpm);
  }

  /**
   * Sets up a service of several models, which take turns.
   *
   * @return a builder, to which {@link Builder#model} adds models
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Takes a request. It is checked here as by {@code ddpm.sampling()}: what it asks of the model
   * that the model has not is refused with the same exception.
   *
   * @param request the request
   * @return the request as it is served
   * @throws RequestRefusedException if there is no room for it, it cannot be done before its
   *     deadline, or the service is shut down
   * @throws IllegalArgumentException if there is no such model, or the run cannot be started so
   * @throws IllegalStateException if the run cannot be started so
   * @throws InterruptedException if the thread is interrupted while it waits for room
   */
  public ServedRequest submit(SamplingRequest request) throws InterruptedException {
    Objects.requireNonNull(request, "request");
    long now = System.nanoTime();
    long id = submitted.getAndIncrement();
    ServedModel model = used(request.model());
    List<SamplingRun> runs = new ArrayList<>();
    boolean taken = false;
    try {
      backlog.requireOpen();
      for (DDPM copy : model.copies()) {
        Sampling sampling = copy.sampling();
        runs.add(
            request.start(
                request.isAlone() ? sampling : sampling.predictionsPerCall(model.mostImages())));
      }
      requireModest(runs.get(0));
      Served.Times times = backlog.times(id, request, runs.get(0), model, now, PATIENCE);
      Served served = new Served(request, runs, model, times, executor, backlog::wake);
      Optional<Served> shed = backlog.add(served, !isOnWorker());
      taken = true;
      shed.ifPresent(this::refuse);
      listeners.queued(served);
      return served;
    } catch (RequestRefusedException e) {
      listeners.refused(id, request, runs.isEmpty() ? 0 : runs.get(0).images(), now);
      throw e;
    } finally {
      if (!taken) {
        runs.forEach(run -> Careful.attempt("closing a run", run::close));
        model.release(executor);
      }
    }
  }

  /** Refuses what would take all memory. */
  private void requireModest(SamplingRun run) {
    if (run.images() > mostResident) {
      throw new IllegalArgumentException(
          "the request is for "
              + run.images()
              + " images, and the service keeps at most "
              + mostResident
              + "; ask for fewer at a time, or set mostResidentImages(n)");
    }
  }

  /** Ends a request that made room for another. */
  private void refuse(Served shed) {
    RequestRefusedException why =
        new RequestRefusedException(
            Reason.SHED,
            "the request waited, and made room for one of its tenant that is due before it, or of"
                + " a tenant of which fewer wait");
    if (shed.end(Outcome.REFUSED, null, why)) {
      listeners.ended(shed, Outcome.REFUSED);
    }
  }

  private ServedModel named(String name) {
    synchronized (models) {
      ServedModel model = models.get(name);
      if (model == null) {
        throw new IllegalArgumentException(
            "the service has the models " + models.keySet() + ", and none of them is " + name);
      }
      return model;
    }
  }

  private ServedModel used(String name) {
    while (true) {
      ServedModel model = named(name);
      if (model.isUsed()) {
        return model;
      }
    }
  }

  /**
   * Puts another model in the place of one. Requests that were taken are drawn from the old one,
   * and new ones from the new one; none is lost.
   *
   * @param name the name of a model of this service
   * @param ddpm the model to take its place
   * @return completes with the old model as soon as no request needs it, so that it can be closed
   * @throws IllegalArgumentException if there is no model of that name, or it has several copies
   * @throws IllegalStateException if the images of a call cannot be measured of it
   */
  public CompletableFuture<DDPM> replace(String name, DDPM ddpm) {
    return replace(name, List.of(ddpm)).thenApply(old -> old.get(0));
  }

  /**
   * Puts the copies of another model in the place of one, as {@link #replace(String, DDPM)}.
   *
   * @param name the name of a model of this service
   * @param copies as many as that model has, on the same devices in the same order
   * @return completes with the old copies as soon as no request needs them, so that they can be
   *     closed
   * @throws IllegalArgumentException if there is no model of that name, or it has another number of
   *     copies
   * @throws IllegalStateException if the images of a call cannot be measured of it
   */
  public CompletableFuture<List<DDPM>> replace(String name, List<DDPM> copies) {
    Objects.requireNonNull(name, "name");
    int before = named(name).copies().size();
    if (copies.size() != before) {
      throw new IllegalArgumentException(
          "model "
              + name
              + " must be replaced by a copy for each device that it is on, that is "
              + before
              + ", but there were "
              + copies.size());
    }
    ServedModel model = served(name, copies);
    ServedModel old;
    synchronized (models) {
      old = Objects.requireNonNull(models.put(name, model));
    }
    return old.retire();
  }

  /**
   * The models that new requests are drawn from.
   *
   * @return models by name, the first copy of each, in the order in which they were added
   */
  public Map<String, DDPM> models() {
    Map<String, DDPM> all = new LinkedHashMap<>();
    synchronized (models) {
      models.forEach((name, model) -> all.put(name, model.copies().get(0)));
    }
    return Collections.unmodifiableMap(all);
  }

  /**
   * How the service stands.
   *
   * @return figures of this moment
   */
  public Status status() {
    return backlog.status();
  }

  /**
   * Takes no more requests, and ends once those that were taken are done. Does not wait.
   *
   * @see #awaitEnd
   */
  public void shutdown() {
    backlog.drain();
  }

  /**
   * Waits for the end of the service.
   *
   * @param patience how long at most
   * @return whether it has ended
   * @throws InterruptedException if the thread is interrupted
   */
  public boolean awaitEnd(Duration patience) throws InterruptedException {
    long end = System.nanoTime() + Backlog.nanos(patience);
    for (Worker worker : workers) {
      if (!worker.awaitEnd(Duration.ofNanos(end - System.nanoTime()))) {
        return false;
      }
    }
    return true;
  }

  /**
   * Ends the service after the call of the network that is going on. Requests that are not done
   * fail with a {@link java.util.concurrent.CancellationException}. Does nothing the second time. A
   * listener that closes the service does not wait for the end.
   */
  @Override
  public void close() {
    backlog.stop();
    if (!isOnWorker()) {
      workers.forEach(Worker::join);
    }
  }

  /** Whether this is a worker's thread, such as in a listener; it waits for no other. */
  private boolean isOnWorker() {
    return workers.stream().anyMatch(Worker::isCurrent);
  }

  /** Sets up a service. */
  public static final class Builder {

    private final Map<String, List<DDPM>> models = new LinkedHashMap<>();
    private final List<ServiceListener> listeners = new ArrayList<>();
    private final ServiceSettings settings = new ServiceSettings();
    private ServiceSettings configured = new ServiceSettings();
    private UnaryOperator<Sampling> measured = UnaryOperator.identity();
    private final Map<String, UnaryOperator<Sampling>> measuredEach = new LinkedHashMap<>();
    private Executor executor = ForkJoinPool.commonPool();
    private Runnable beforeCalls = () -> {};

    private Builder() {}

    /**
     * Adds a model.
     *
     * @param name what requests call it
     * @param ddpm the model; it stays the caller's
     * @return this builder
     * @throws IllegalArgumentException if there is one of that name
     */
    public Builder model(String name, DDPM ddpm) {
      return model(name, List.of(ddpm));
    }

    /**
     * Adds a model of which there are copies, each on a device of its own. The first copies of all
     * models share a worker, the second ones another, and so on. A request is drawn on the device
     * that has room for it first, from beginning to end; when the network fails there, it begins
     * anew on another. Its settings are called once for each copy.
     *
     * @param name what requests call it
     * @param copies networks of the same weights, at least one; they stay the caller's
     * @return this builder
     * @throws IllegalArgumentException if there is one of that name, or there are no copies
     */
    public Builder model(String name, List<DDPM> copies) {
      if (copies.isEmpty()) {
        throw new IllegalArgumentException("model " + name + " needs at least one copy, but has 0");
      }
      if (models.putIfAbsent(Objects.requireNonNull(name, "name"), List.copyOf(copies)) != null) {
        throw new IllegalArgumentException("there are two models of the name " + name);
      }
      return this;
    }

    /**
     * The requests that may wait for their first step. Tenants share these places.
     *
     * @param most at least 1; {@value SamplingService#DEFAULT_QUEUE} by default
     * @return this builder
     * @throws IllegalArgumentException if it is less
     */
    public Builder queue(int most) {
      settings.set(ServiceSettings.QUEUE, "queue", most);
      return this;
    }

    /**
     * What happens to a request for which there is no room.
     *
     * @param whenFull refused by default
     * @return this builder
     */
    public Builder whenFull(WhenFull whenFull) {
      settings.set(Objects.requireNonNull(whenFull, "whenFull"));
      return this;
    }

    /**
     * The images of a call of the network, those that are guided counted as often as guidance asks
     * about them, which is mostly twice. A request for more is drawn in several batches, unless it
     * is {@link SamplingRequest#alone} or sets a batch size itself.
     *
     * @param most at least 1; measured when the service starts, for about a second a model, if this
     *     is not called
     * @return this builder
     * @throws IllegalArgumentException if it is less
     */
    public Builder mostImages(int most) {
      settings.set(ServiceSettings.MOST_IMAGES, "mostImages", most);
      return this;
    }

    /**
     * The images of all requests between their first step and their last, with those of batches
     * that are done, which are what takes memory. A request for more is refused.
     *
     * @param most at least 1; {@value SamplingService#DEFAULT_RESIDENT} by default
     * @return this builder
     * @throws IllegalArgumentException if it is less
     */
    public Builder mostResidentImages(int most) {
      settings.set(ServiceSettings.MOST_RESIDENT_IMAGES, "mostResidentImages", most);
      return this;
    }

    /**
     * Takes settings from properties, such as those of an application's configuration. What is set
     * on this builder goes before them, whichever comes first.
     *
     * <ul>
     *   <li>{@code ddpm4j.service.queue}: {@link #queue}, a number
     *   <li>{@code ddpm4j.service.when-full}: {@link #whenFull}, {@code refuse}, {@code wait} or
     *       {@code shed}
     *   <li>{@code ddpm4j.service.most-images}: {@link #mostImages}, a number, or {@code measure},
     *       the default
     *   <li>{@code ddpm4j.service.most-resident-images}: {@link #mostResidentImages}, a number
     * </ul>
     *
     * @param properties names that begin otherwise than {@value ServiceSettings#PREFIX} are others'
     *     and not looked at. Copied; takes the place of those of an earlier call
     * @return this builder
     * @throws IllegalArgumentException if a name that begins so is none of these, or a value is
     *     none that it may have
     */
    public Builder properties(Properties properties) {
      configured = ServiceSettings.of(properties);
      return this;
    }

    /**
     * What the images of a call are measured with, for a model that needs a condition.
     *
     * @param settings sets up a run of any number of images
     * @return this builder
     */
    public Builder measuredWith(UnaryOperator<Sampling> settings) {
      measured = Objects.requireNonNull(settings, "settings");
      return this;
    }

    /**
     * What the images of a call are measured with for one model, in the place of what holds for
     * all: {@link #measuredWith(UnaryOperator)}.
     *
     * @param model the name of a model, which may be added later
     * @param settings sets up a run of any number of images
     * @return this builder
     */
    public Builder measuredWith(String model, UnaryOperator<Sampling> settings) {
      measuredEach.put(
          Objects.requireNonNull(model, "model"), Objects.requireNonNull(settings, "settings"));
      return this;
    }

    /**
     * Where callers hear of their requests, and of models that were replaced.
     *
     * @param executor the common pool by default. What it takes it must run; what it rejects is
     *     handed over on the worker, without progress
     * @return this builder
     */
    public Builder executor(Executor executor) {
      this.executor = Objects.requireNonNull(executor, "executor");
      return this;
    }

    /**
     * Adds a listener.
     *
     * @param listener hears what the service does
     * @return this builder
     */
    public Builder listener(ServiceListener listener) {
      listeners.add(Objects.requireNonNull(listener, "listener"));
      return this;
    }

    /** What workers do before each call of a network, outside all that belongs to a request. */
    Builder beforeCalls(Runnable action) {
      beforeCalls = action;
      return this;
    }

    /**
     * Starts the service.
     *
     * @return a service that takes requests; the caller closes it
     * @throws IllegalStateException if there is no model, or none of a name that {@link
     *     #measuredWith(String, UnaryOperator)} has, or one draws by nothing that it is measured
     *     with
     */
    public SamplingService build() {
      if (models.isEmpty()) {
        throw new IllegalStateException("a service needs a model; call model(name, ddpm)");
      }
      for (String name : measuredEach.keySet()) {
        if (!models.containsKey(name)) {
          throw new IllegalStateException(
              "the service has the models "
                  + models.keySet()
                  + ", and none of them is "
                  + name
                  + ", which measuredWith names");
        }
      }
      return new SamplingService(this);
    }
  }
}
