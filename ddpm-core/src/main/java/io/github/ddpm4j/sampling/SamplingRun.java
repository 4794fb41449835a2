package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A sampling run executed step by step, which can be watched, paused, cancelled, saved and resumed
 * elsewhere. Created by {@link Sampling#start(int)} and similar methods.
 *
 * <pre>{@code
 * try (SamplingRun run = ddpm.sampling().seed(42).start(16)) {
 *   while (run.hasNext()) {
 *     show(run.next().predictedX0());
 *   }
 *   try (Samples samples = run.finish()) { … }
 * }
 * }</pre>
 *
 * <p>A step is one row of the plan for one batch of images. Between steps, the run is paused and
 * holds its current batch and the finished images. The images do not depend on how the run is
 * executed.
 *
 * <p>Only one thread at a time may take steps; {@link #cancel()} can be called from any thread.
 */
public final class SamplingRun implements Iterator<SamplingRun.Event>, AutoCloseable {

  /** What the images of a run are made of. */
  record Job(
      DenoisingModel model,
      SamplingPlan plan,
      X0Limit limit,
      Guidance guidance,
      Condition condition,
      NoiseSource noise,
      @Nullable Long seed,
      int count,
      int batchSize,
      Origin origin) {}

  private final PlanExecutor executor;
  private final Job job;
  private final List<Consumer<Event>> listeners;
  private final @Nullable Duration timeLimit;
  private final long begun = System.nanoTime();
  private final NDManager results;
  private final NDList finished = new NDList();
  private @Nullable NDManager batch;
  private @Nullable Chain chain;
  private int firstImage;
  private boolean closed;
  private volatile boolean cancelled;

  SamplingRun(
      PlanExecutor executor,
      Job job,
      List<Consumer<Event>> listeners,
      @Nullable Duration timeLimit,
      NDManager results) {
    this.executor = executor;
    this.job = job;
    this.listeners = listeners;
    this.timeLimit = timeLimit;
    this.results = results;
  }

  /**
   * The total number of steps of the run.
   *
   * @return the rows of the plan times the batches
   */
  public int steps() {
    return job.plan.steps().size() * ((job.count + job.batchSize - 1) / job.batchSize);
  }

  /**
   * The number of completed steps.
   *
   * @return from 0 to {@link #steps()}
   */
  public int step() {
    int rows = job.plan.steps().size();
    return (firstImage + job.batchSize - 1) / job.batchSize * rows
        + (chain == null ? 0 : chain.row());
  }

  /**
   * Whether there are steps left.
   *
   * @return false once all images are finished
   */
  @Override
  public boolean hasNext() {
    return firstImage + (chain == null || chain.hasNext() ? 0 : chain.images()) < job.count;
  }

  /**
   * Takes one step. If the network fails or the step is refused, the state of the run is unchanged:
   * the step can be retried, or the run saved or closed. If the last step of a batch leaves
   * non-finite images, the run can only be closed or restored.
   *
   * @return the result of the step; its arrays are owned by the run and valid until the next step
   *     or the end of the run
   * @throws NoSuchElementException if there are no steps left
   * @throws CancellationException if the run was cancelled, its time limit has elapsed, or the
   *     thread is interrupted, whose flag stays set
   * @throws IllegalStateException if the run is closed, or the denoiser returns NaN
   */
  @Override
  public Event next() {
    return advance(List.of(this)).get(0);
  }

  /**
   * Takes one step of each of several runs in a single network call. The runs may be at different
   * steps of different plans, and each gets the same images as on its own, up to float rounding.
   *
   * @param runs runs of the same network, each with steps left; at least one
   * @return the result of each run's step, as from {@link #next()}
   * @throws IllegalArgumentException if there are no runs, a run occurs twice, or the networks,
   *     image shapes or types differ
   * @throws NoSuchElementException if a run has no steps left
   * @throws CancellationException as {@link #next()}; no run has advanced
   * @throws IllegalStateException if a run is closed, or the denoiser returns NaN for one of them;
   *     the others have advanced and can continue
   */
  public static List<Event> advance(List<SamplingRun> runs) {
    if (runs.isEmpty() || runs.stream().distinct().count() < runs.size()) {
      throw new IllegalArgumentException(
          "runs that advance together must be at least one, each named once, but were " + runs);
    }
    PlanExecutor executor = runs.get(0).executor;
    for (SamplingRun run : runs) {
      if (!run.executor.servesWith(executor)) {
        throw new IllegalArgumentException(
            "runs that advance together must sample from one network, but their networks differ;"
                + " advance them one by one");
      }
      run.requireGoing();
    }
    List<Chain> chains = runs.stream().map(SamplingRun::current).toList();
    requireAlike(chains);
    executor.advance(chains);
    List<Event> events = new ArrayList<>();
    RuntimeException failure = null;
    for (SamplingRun run : runs) {
      try {
        events.add(run.stepped());
      } catch (RuntimeException e) {
        // every run has moved, so each is looked after
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    if (failure != null) {
      throw failure;
    }
    return events;
  }

  private static void requireAlike(List<Chain> chains) {
    NDArray first = chains.get(0).x();
    for (Chain chain : chains) {
      NDArray x = chain.x();
      if (!x.getShape().slice(1).equals(first.getShape().slice(1))
          || x.getDataType() != first.getDataType()) {
        throw new IllegalArgumentException(
            "runs that advance together must be of images of one shape and type, but one has "
                + first.getShape().slice(1)
                + " "
                + first.getDataType()
                + " and another "
                + x.getShape().slice(1)
                + " "
                + x.getDataType()
                + "; advance them one by one");
      }
    }
  }

  private void requireGoing() {
    requireOpen();
    if (!hasNext()) {
      throw new NoSuchElementException(
          "all " + steps() + " steps of this run are done; finish() gives its images");
    }
    String reason = null;
    if (Thread.currentThread().isInterrupted()) {
      reason = "interrupted";
    } else if (cancelled) {
      reason = "cancelled";
    } else if (timeLimit != null
        && Duration.ofNanos(System.nanoTime() - begun).compareTo(timeLimit) > 0) {
      reason = "stopped by its time limit of " + timeLimit;
    }
    if (reason != null) {
      int rows = job.plan.steps().size();
      throw new CancellationException(
          "sampling was "
              + reason
              + " before step "
              + (step() % rows)
              + " of "
              + rows
              + " of the images from "
              + step() / rows * job.batchSize
              + "; no image was kept");
    }
  }

  /** The batch of the next step; started if necessary. */
  private Chain current() {
    Chain now = chain;
    if (now != null && !now.hasNext()) {
      leaveBatch();
      now = null;
    }
    if (now == null) {
      NDManager manager = results.newSubManager();
      batch = manager;
      int images = Math.min(job.batchSize, job.count - firstImage);
      now = chain(job.origin.start().of(manager, firstImage, images));
      chain = now;
    }
    return now;
  }

  private Chain chain(NDArray start) {
    return new Chain(
        job.model,
        new Chain.Terms(job.plan, job.limit, job.guidance, job.noise, job.origin.hook()),
        job.condition.select(
            IntStream.range(firstImage, firstImage + Math.toIntExact(start.getShape().get(0)))
                .toArray()),
        start,
        firstImage);
  }

  /** Completes the step of the current batch. */
  private Event stepped() {
    Chain now = inBatch();
    if (!now.hasNext()) {
      requireFinite(now);
    }
    Event event = now.event();
    listeners.forEach(listener -> listener.accept(event));
    return event;
  }

  private static void requireFinite(Chain ended) {
    if (!Images.Extent.of(ended.x()).isFinite()) {
      throw new IllegalStateException(
          "the images from "
              + ended.firstImage()
              + " are not finite after the last step: the denoiser returned NaN or infinity;"
              + " check its weights");
    }
  }

  private Chain inBatch() {
    Chain now = chain;
    if (now == null) {
      throw new IllegalStateException("the run has no batch");
    }
    return now;
  }

  /** Keeps the images of a finished batch and frees everything else. */
  private void leaveBatch() {
    Chain now = inBatch();
    requireFinite(now);
    NDArray images = now.x();
    images.attach(results);
    finished.add(images);
    firstImage += now.images();
    chain = null;
    closeBatch();
  }

  private void closeBatch() {
    if (batch != null) {
      batch.close();
      batch = null;
    }
  }

  /**
   * Takes the remaining steps and returns the images. This ends the run.
   *
   * @return the images; the caller closes them
   * @throws CancellationException as {@link #next()}
   * @throws IllegalStateException if the run is closed, or the denoiser returns NaN
   */
  public Samples finish() {
    requireOpen();
    while (hasNext()) {
      next();
    }
    if (chain != null) {
      leaveBatch();
    }
    NDArray all = finished.size() == 1 ? finished.get(0) : NDArrays.concat(finished);
    if (finished.size() > 1) {
      finished.close();
    }
    // Samples outlive whatever NDScope the run is in.
    NDScope.unregister(all);
    closed = true;
    return new Samples(results, all, job.model.diffusion().dataRange(), job.seed);
  }

  /**
   * Makes the next step throw a {@link CancellationException}. Can be called from any thread;
   * cannot be undone.
   */
  public void cancel() {
    cancelled = true;
  }

  /**
   * Saves the state of the run: the finished images, the current batch and the estimates stored for
   * its plan. {@link #restore} resumes from there, in this process or another, and gives the same
   * images.
   *
   * @param file the target file, in safetensors format; missing folders are created, an existing
   *     file is replaced
   * @throws IllegalStateException if the run is closed, or was given a {@link NoiseSource} instead
   *     of a seed, which cannot be saved
   * @throws IOException if writing fails; an existing file is left intact
   */
  public void save(Path file) throws IOException {
    requireOpen();
    if (job.seed == null) {
      throw new IllegalStateException(
          "a run over a noise source cannot be saved, since its noise cannot; use seed(...)");
    }
    RunFile.write(file, results, job, firstImage, chain, finished);
  }

  /**
   * Resumes a saved run. This run must be set up like the saved one: sampler, seed, number of
   * images, batch size, the images, mask or latents it starts from, condition, guidance, clipping
   * and data type, all of which are checked, and the network and functions of {@link
   * Guidance#classifier}, which are not.
   *
   * @param file a file written by {@link #save}
   * @return this run
   * @throws IllegalArgumentException if the saved run was set up differently, with the difference
   *     in the message; this run is unchanged
   * @throws IllegalStateException if the run is closed
   * @throws IOException if reading fails or the file is not a saved run
   */
  public SamplingRun restore(Path file) throws IOException {
    requireOpen();
    RunFile saved = RunFile.read(file, results, job);
    closeBatch();
    finished.close();
    finished.clear();
    finished.addAll(saved.finished());
    firstImage = saved.firstImage();
    chain = null;
    if (saved.x() != null) {
      NDManager manager = results.newSubManager();
      batch = manager;
      saved.x().attach(manager);
      Chain restored = chain(saved.x());
      restored.restore(saved.row(), saved.past(), saved.preview());
      restored.attach(manager);
      chain = restored;
    }
    return this;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(
          "this run is over: it was closed, or finish() has given its images; start another");
    }
  }

  @Override
  public String toString() {
    Shape shape = chain == null ? null : chain.x().getShape();
    return "SamplingRun[step "
        + step()
        + " of "
        + steps()
        + (shape == null ? "" : ", " + shape)
        + (closed ? ", over" : "")
        + "]";
  }

  /** Frees the memory held by the run. Does nothing after {@link #finish()}. */
  @Override
  public void close() {
    if (!closed) {
      closed = true;
      results.close();
    }
  }

  /**
   * One step of one batch of a sampling run.
   *
   * @param firstImage the index in the run of the first image of the batch
   * @param step the completed step, from 0
   * @param steps the number of steps of the plan
   * @param timestep the network's timestep
   * @param x the images after the step, shape (N, C, H, W); owned by the run, read-only, valid
   *     during the call
   * @param predictedX0 the denoised estimate x̂_0 of the step after clipping, same shape and
   *     ownership
   */
  public record Event(
      long firstImage, int step, int steps, double timestep, NDArray x, NDArray predictedX0) {}
}
