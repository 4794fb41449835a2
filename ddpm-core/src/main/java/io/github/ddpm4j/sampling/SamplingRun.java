package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
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
 * <p>One thread at a time uses a run, and another that comes in between is refused; {@link
 * #cancel()}, {@link #close()} and what tells of the run can be called from any thread.
 */
public final class SamplingRun implements Iterator<SamplingRun.Event>, AutoCloseable {

  /** How a run stands. */
  public enum State {
    /** There are steps left. */
    RUNNING,
    /** All steps are done; {@link #finish()} gives the images, or has given them. */
    FINISHED,
    /** Cancelled, past its time limit or closed before its end. No step follows. */
    CANCELLED,
    /**
     * Something of its own failed: images that are not finite, a listener, noise, guidance. It
     * stands before the step that failed, and goes on only by {@link #restore}.
     */
    FAILED;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** What the images of a run are made of. */
  record Job(
      DenoisingModel model,
      SamplingPlan plan,
      X0Limit limit,
      Guidance guidance,
      Condition condition,
      NoiseSource noise,
      boolean noisePath,
      @Nullable Long seed,
      int count,
      int batchSize,
      Origin origin,
      SampleNotes notes,
      @Nullable Kept kept) {}

  /**
   * The only images of a run that are given out.
   *
   * @param from the index of the first in the run
   * @param to the index after the last
   * @param seed that of their noise
   */
  record Kept(int from, int to, long seed) {}

  private final PlanExecutor executor;
  private final Job job;
  private final List<Consumer<Event>> listeners;
  private final @Nullable Duration timeLimit;
  private final Sampling.@Nullable Decoding decoding;
  private final long begun = System.nanoTime();
  private final NDManager results;
  private final NDList finished = new NDList();

  /** Of each row, for each image. A service asks for the next of many runs at each call. */
  private final int[] predictions;

  private @Nullable NDManager batch;
  private @Nullable Chain chain;
  private int firstImage;

  /** Held by the thread that uses the run. */
  private final ReentrantLock turn = new ReentrantLock();

  private volatile @Nullable Thread user;
  private final AtomicInteger done = new AtomicInteger();
  private volatile boolean closed;
  private volatile boolean cancelled;
  private volatile @Nullable Throwable failure;

  SamplingRun(
      PlanExecutor executor,
      Job job,
      List<Consumer<Event>> listeners,
      @Nullable Duration timeLimit,
      Sampling.@Nullable Decoding decoding,
      NDManager results) {
    this.executor = executor;
    this.job = job;
    this.listeners = listeners;
    this.timeLimit = timeLimit;
    this.decoding = decoding;
    this.results = results;
    this.predictions = job.guidance.predictions(job.condition, job.plan);
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
    return done.get();
  }

  /**
   * The number of images that the run makes.
   *
   * @return at least 1
   */
  public int images() {
    return job.count;
  }

  /**
   * The number of images that the next step is about.
   *
   * @return at most the batch size; 0 if all steps are done
   */
  public int imagesOfNextStep() {
    int batches = step() / job.plan.steps().size();
    return Math.min(job.batchSize, job.count - Math.min(job.count, batches * job.batchSize));
  }

  /**
   * The number of predictions that networks make for the next step: one for each of its images, and
   * more where guidance asks about each more than once. It is what a call takes time and memory
   * for.
   *
   * @return {@link #imagesOfNextStep} times at most {@link #predictionsPerImage}; 0 if all steps
   *     are done
   */
  public int predictionsOfNextStep() {
    return imagesOfNextStep() * predictions[step() % predictions.length];
  }

  /**
   * The most predictions that networks make for an image in one step.
   *
   * @return 1 without guidance, 2 with classifier-free guidance of a scale other than 1, and one
   *     more for each further condition or second model
   */
  public int predictionsPerImage() {
    return Arrays.stream(predictions).max().orElseThrow();
  }

  /**
   * How the run stands.
   *
   * @return running until all steps are done, it is cancelled or closed, or fails
   */
  public State state() {
    if (failure != null) {
      return State.FAILED;
    }
    if (step() == steps()) {
      return State.FINISHED;
    }
    return cancelled || isLate() ? State.CANCELLED : State.RUNNING;
  }

  private boolean isLate() {
    return timeLimit != null
        && Duration.ofNanos(System.nanoTime() - begun).compareTo(timeLimit) > 0;
  }

  /**
   * Whether the run goes on: {@link #next()} would take a step.
   *
   * @return true if the {@link #state()} is {@link State#RUNNING}
   */
  @Override
  public boolean hasNext() {
    return state() == State.RUNNING;
  }

  /**
   * Takes one step. If it throws, the run stands before the step. After a failure of the network
   * the step can be tried again. A failure of the run itself ends it: a listener, noise or function
   * of guidance that throws, or images that are not finite after the last step of a batch. It can
   * then be saved, restored or closed.
   *
   * @return the result of the step; its arrays are owned by the run and valid until the next step
   *     or the end of the run
   * @throws NoSuchElementException if there are no steps left
   * @throws CancellationException if the run was cancelled, its time limit has elapsed, or the
   *     thread is interrupted, whose flag stays set; an interrupted run goes on elsewhere
   * @throws IllegalStateException if the run is closed, has failed or is in use by another thread,
   *     or the denoiser returns NaN
   */
  @Override
  public Event next() {
    return advance(List.of(this)).get(0);
  }

  /**
   * Takes one step of each of several runs in a single network call. The runs may be at different
   * steps of different plans, and each gets the same images as on its own, up to float rounding.
   *
   * <p>All runs take the step or none does. Where one of them is the reason, the exception says
   * which, by its index and description, and its {@link #state()} tells, too: the others go on
   * without it. A listener that heard of a step which another run then refused hears of it again.
   *
   * @param runs runs of the same network, each with steps left; at least one
   * @return the result of each run's step, as from {@link #next()}
   * @throws IllegalArgumentException if there are no runs, a run occurs twice, or the networks,
   *     image shapes or types differ
   * @throws NoSuchElementException if a run has no steps left
   * @throws CancellationException if a run was cancelled or its time limit has elapsed, or the
   *     thread is interrupted
   * @throws IllegalStateException if a run is closed, has failed or fails now, or is in use by
   *     another thread
   */
  public static List<Event> advance(List<SamplingRun> runs) {
    Objects.requireNonNull(runs, "runs");
    List<SamplingRun> all = List.copyOf(runs);
    if (all.isEmpty() || all.stream().distinct().count() < all.size()) {
      throw new IllegalArgumentException(
          "runs that advance together must be at least one, each named once, but were " + runs);
    }
    int held = 0;
    try {
      for (; held < all.size(); held++) {
        all.get(held).begin(place(all, held));
      }
      for (int i = 0; i < all.size(); i++) {
        if (!all.get(i).executor.servesWith(all.get(0).executor)) {
          throw new IllegalArgumentException(
              "runs that advance together must sample from one network, but their networks differ;"
                  + " advance them one by one");
        }
        all.get(i).requireGoing(place(all, i));
      }
      return step(all);
    } finally {
      while (held > 0) {
        all.get(--held).end();
      }
    }
  }

  /**
   * Whether {@link #advance} takes this run and another together, as far as what they draw decides
   * it: one network, and images of one shape and type.
   *
   * @param other another run
   * @return whether the two are not the same run and fit into one call
   */
  public boolean advancesWith(SamplingRun other) {
    return this != other
        && executor.servesWith(other.executor)
        && job.origin.image().equals(other.job.origin.image())
        && job.origin.type() == other.job.origin.type();
  }

  /** Which of several runs a message is about; nothing is to be said of a lone one. */
  private static String place(List<SamplingRun> runs, int index) {
    return runs.size() == 1
        ? ""
        : "of the "
            + runs.size()
            + " runs that advance together, that at index "
            + index
            + ", "
            + runs.get(index)
            + ", stops all, and the others can go on without it: ";
  }

  /** Takes one step of runs that are held and can go on. */
  private static List<Event> step(List<SamplingRun> runs) {
    try {
      return allOrNone(runs);
    } catch (ChainFailure e) {
      Throwable cause = e.failure();
      runs.get(e.index).failure = cause;
      if (runs.size() == 1 || cause instanceof Error) {
        throw e.unwrapped();
      }
      throw new IllegalStateException(place(runs, e.index) + cause.getMessage(), cause);
    }
  }

  private static List<Event> allOrNone(List<SamplingRun> runs) {
    int count = runs.size();
    List<Chain> chains = ChainFailure.each(count, i -> runs.get(i).current());
    requireAlike(chains);
    List<Chain.Move> moves = runs.get(0).executor.moves(chains);
    boolean taken = false;
    try {
      ChainFailure.each(count, i -> finite(chains.get(i), moves.get(i)));
      List<Event> events =
          ChainFailure.each(count, i -> runs.get(i).told(chains.get(i).event(moves.get(i))));
      for (int i = 0; i < count; i++) {
        chains.get(i).take(moves.get(i));
        runs.get(i).done.incrementAndGet();
      }
      taken = true;
      return events;
    } finally {
      if (!taken) {
        PlanExecutor.refuse(chains, moves);
      }
    }
  }

  private Event told(Event event) {
    listeners.forEach(listener -> listener.accept(event));
    return event;
  }

  /** The images of a last row go to the user, who could not see what became of them. */
  private static Chain.Move finite(Chain chain, Chain.Move move) {
    if (chain.row() + 1 == chain.rows()) {
      requireFinite(chain.firstImage(), move.x());
    }
    return move;
  }

  private static void requireFinite(long firstImage, NDArray images) {
    if (!Images.Extent.of(images).isFinite()) {
      throw new IllegalStateException(
          "the images from "
              + firstImage
              + " are not finite after the last step: the denoiser returned NaN or infinity;"
              + " check its weights");
    }
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

  /** Makes this thread the run's user. */
  private void begin(String place) {
    if (turn.isHeldByCurrentThread() || !turn.tryLock()) {
      Thread other = user;
      throw new IllegalStateException(
          place
              + "this run is in use on thread "
              + (other == null ? "?" : other.getName())
              + "; one thread at a time uses a run, and others may only cancel() or close() it");
    }
    user = Thread.currentThread();
  }

  private void end() {
    user = null;
    turn.unlock();
  }

  private void requireGoing(String place) {
    requireOpen(place);
    Throwable failed = failure;
    if (failed != null) {
      throw new IllegalStateException(
          place
              + "this run failed before step "
              + standing()
              + ": "
              + failed.getMessage()
              + "; restore a saved run, or start another",
          failed);
    }
    if (step() == steps()) {
      throw new NoSuchElementException(
          place + "all " + steps() + " steps of this run are done; finish() gives its images");
    }
    String reason = null;
    if (Thread.currentThread().isInterrupted()) {
      reason = "interrupted";
    } else if (cancelled) {
      reason = "cancelled";
    } else if (isLate()) {
      reason = "stopped by its time limit of " + timeLimit;
    }
    if (reason != null) {
      throw new CancellationException(
          place + "sampling was " + reason + " before step " + standing() + "; no image was kept");
    }
  }

  private String standing() {
    int rows = job.plan.steps().size();
    return step() % rows + " of " + rows + " of the images from " + step() / rows * job.batchSize;
  }

  /** The batch of the next step; started if necessary. */
  private Chain current() {
    Chain now = chain;
    if (now != null && !now.hasNext()) {
      leaveBatch(now);
      now = null;
    }
    if (now == null) {
      int images = Math.min(job.batchSize, job.count - firstImage);
      NDManager manager = results.newSubManager();
      boolean started = false;
      try {
        now = chain(job.origin.start().of(manager, firstImage, images), firstImage);
        started = true;
      } finally {
        if (!started) {
          manager.close();
        }
      }
      batch = manager;
      chain = now;
    }
    return now;
  }

  private Chain chain(NDArray start, int first) {
    return new Chain(
        job.model,
        new Chain.Terms(job.plan, job.limit, job.guidance, job.noise, job.origin.hook()),
        job.condition.select(
            IntStream.range(first, first + Math.toIntExact(start.getShape().get(0))).toArray()),
        start,
        first);
  }

  /** Keeps the images of a finished batch and frees everything else. */
  private void leaveBatch(Chain now) {
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
   * Takes the remaining steps and returns the images, decoded where the run was set up with a
   * {@link Sampling.Decoding}. This ends the run.
   *
   * @return the images; the caller closes them
   * @throws CancellationException as {@link #next()}
   * @throws IllegalStateException as {@link #next()}
   */
  public Samples finish() {
    begin("");
    try {
      requireOpen("");
      while (step() < steps()) {
        requireGoing("");
        step(List.of(this));
      }
      return results();
    } finally {
      end();
    }
  }

  private Samples results() {
    Chain last = chain;
    if (last != null) {
      leaveBatch(last);
    }
    DataRange range = job.model.diffusion().dataRange();
    NDArray all;
    if (decoding != null) {
      all = decoded(decoding);
      range = decoding.range();
      finished.close();
    } else {
      all = finished.size() == 1 ? finished.get(0) : NDArrays.concat(finished);
      if (finished.size() > 1) {
        finished.close();
      }
    }
    Long seed = job.seed;
    Kept kept = job.kept;
    if (kept != null) {
      seed = kept.seed;
      try (NDArray batch = all;
          NDArray one = batch.get("{}:{}", kept.from, kept.to)) {
        all = one.duplicate();
      }
      all.attach(results);
    }
    // Samples outlive whatever NDScope the run is in.
    NDScope.unregister(all);
    closed = true;
    if (decoding != null) {
      boolean freed = false;
      try {
        decoding.close();
        freed = true;
      } finally {
        if (!freed) {
          results.close(); // nobody gets the images
        }
      }
    }
    return new Samples(results, all, range, seed, job.notes);
  }

  /** The pictures of all finished latents, which are decoded one after the other. */
  private NDArray decoded(Sampling.Decoding pictures) {
    try (GradMode inference = GradMode.off();
        NDManager scope = results.newSubManager()) {
      NDList all = new NDList();
      for (NDArray latents : finished) {
        for (int i = 0; i < latents.getShape().get(0); i++) {
          try (NDManager step = scope.newSubManager()) {
            NDArray one = latents.get("{}:{}", i, i + 1);
            one.attach(step);
            NDArray picture = Given.returned(pictures.decode(one), "the decoding");
            requireDecoded(all.size(), picture);
            picture.attach(scope);
            all.add(picture);
          }
        }
      }
      NDArray together = all.size() == 1 ? all.get(0) : NDArrays.concat(all);
      together.attach(results);
      return together;
    }
  }

  private static void requireDecoded(int image, NDArray picture) {
    if (!Images.Extent.of(picture).isFinite()) {
      throw new IllegalStateException(
          "the picture of image "
              + image
              + " is not finite, although its latents are: the decoder returned NaN or infinity;"
              + " check its weights");
    }
  }

  /**
   * Ends the run between two steps: {@link #hasNext()} is false from now on, and {@link #next()}
   * and {@link #finish()} throw a {@link CancellationException}. Can be called from any thread;
   * cannot be undone. Does nothing once all steps are done.
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
   * @throws IllegalStateException if the run is closed or in use by another thread, or was given a
   *     {@link NoiseSource} instead of a seed, which cannot be saved
   * @throws IOException if writing fails; an existing file is left intact
   */
  public void save(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    boolean inside = turn.isHeldByCurrentThread(); // a listener may save: the run before the step
    if (!inside) {
      begin("");
    }
    try {
      requireOpen("");
      if (job.seed == null) {
        throw new IllegalStateException(
            "a run over a noise source cannot be saved, since its noise cannot; use seed(...)");
      }
      RunFile.write(file, results, job, firstImage, chain, finished);
    } finally {
      if (!inside) {
        end();
      }
    }
  }

  /**
   * Resumes a saved run. This run must be set up like the saved one: sampler, seed, number of
   * images, batch size, the images, mask or latents it starts from, condition, guidance, clipping
   * and data type, all of which are checked, as are the weights of second models of {@link
   * Guidance#autoguidance}, and the network, functions of {@link Guidance#classifier} and operators
   * of a {@link Measurement}, which are not.
   *
   * @param file a file written by {@link #save}
   * @return this run, which goes on from there even if it had failed
   * @throws IllegalArgumentException if the saved run was set up differently, with the difference
   *     in the message; this run is unchanged
   * @throws IllegalStateException if the run is closed or in use by another thread
   * @throws IOException if reading fails or the file is not a saved run; this run is unchanged
   */
  public SamplingRun restore(Path file) throws IOException {
    Objects.requireNonNull(file, "file");
    begin("");
    try {
      requireOpen("");
      goOn(file);
      return this;
    } finally {
      end();
    }
  }

  private void goOn(Path file) throws IOException {
    NDManager reading = results.newSubManager();
    RunFile saved;
    Chain restored = null;
    boolean whole = false;
    try {
      saved = RunFile.read(file, reading, job);
      NDArray x = saved.x();
      if (x != null) {
        restored = chain(x, saved.firstImage());
        restored.restore(saved.row(), saved.past(), saved.preview());
        restored.attach(reading);
      }
      whole = true;
    } finally {
      if (!whole) {
        reading.close();
      }
    }
    closeBatch();
    finished.close();
    finished.clear();
    finished.addAll(saved.finished());
    finished.attach(results);
    batch = reading;
    chain = restored;
    firstImage = saved.firstImage();
    int rows = job.plan.steps().size();
    done.set((firstImage + job.batchSize - 1) / job.batchSize * rows + saved.row());
    failure = null;
  }

  private void requireOpen(String place) {
    if (closed) {
      throw new IllegalStateException(
          place
              + "this run is over: it was closed, or finish() has given its images; start another");
    }
  }

  @Override
  public String toString() {
    return "SamplingRun[step "
        + step()
        + " of "
        + steps()
        + ", "
        + job.count
        + (job.count == 1 ? " image, " : " images, ")
        + (job.seed == null ? "" : "seed " + job.seed + ", ")
        + state()
        + "]";
  }

  /**
   * Frees the memory held by the run. A step that another thread has begun ends first, and is the
   * last: {@link #finish()} there throws a {@link CancellationException}. Does nothing after {@link
   * #finish()}. The arrays of an {@link Event} end with the run, so to stop a thread that reads
   * them, {@link #cancel()} and let that thread close.
   *
   * @throws IllegalStateException if this thread is taking a step of the run
   */
  @Override
  public void close() {
    if (turn.isHeldByCurrentThread()) {
      throw new IllegalStateException(
          "this run is taking a step on this thread, "
              + Thread.currentThread().getName()
              + ", and cannot be closed before that is done; cancel() it, or close it after the"
              + " step returns");
    }
    cancelled = true;
    GradMode.lock(turn);
    try {
      if (!closed) {
        closed = true;
        results.close();
        if (decoding != null) {
          decoding.close();
        }
      }
    } finally {
      turn.unlock();
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
