package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.training.StepLayout.Judged;
import io.github.ddpm4j.internal.training.StepLayout.LogColumn;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.DivergenceException;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.LossHistory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The losses and norms of a run. A step leaves them on the device; they are fetched when as many
 * steps are done as the device's log has rows, or when somebody asks. The last of too many bad
 * steps in a row ends the run: the program has updated nothing since.
 */
final class StepLog {

  private static final Logger logger = LoggerFactory.getLogger(StepLog.class);

  /** The losses of this many steps are room for, at first. */
  private static final int FIRST_ROOM = 1024;

  /** What a pass drew, and the loss of each image, on the device until it is read. */
  static final class Pass {
    private final NoiseLevels levels;
    private final NDArray losses;
    private double[] values = {};

    private Pass(NoiseLevels levels, NDArray losses) {
      this.levels = levels;
      this.losses = losses;
    }

    /** Fetches the losses, which are kept in Java from then on. */
    private double[] read() {
      values = StepState.toDoubles(losses);
      return values;
    }
  }

  private final StepState state;
  private final NDManager manager;
  private final int rows;
  private final TimestepSampler.Draws draws;
  private final boolean watched;
  private final Guard guard;
  private final IntFunction<String> diagnosis;

  /** What was drawn in the steps that are not read yet, pass by pass, and what came of it. */
  private final List<List<Pass>> passes = new ArrayList<>();

  private double[] losses = new double[FIRST_ROOM];
  private double[] norms = new double[FIRST_ROOM];
  private double[] rates = new double[FIRST_ROOM];
  private final BitSet skipped = new BitSet();

  /** Those of the skipped steps that count as no bad ones. */
  private final BitSet overflowed = new BitSet();

  /** What losses were multiplied by in the steps of this run; 0 in those before it. */
  private float[] scales = {};

  /** Steps that are done, and those of them whose loss and norm were read. */
  private int done;

  private int read;
  private @Nullable DivergenceException failure;
  private boolean ended;

  /**
   * @param rows how many steps the device's log holds
   * @param manager owns the losses of images until they are read
   * @param draws is told the losses, if it learns of them
   * @param watched whether somebody may ask for the losses of images
   * @param guard when bad steps end the run
   * @param diagnosis what there is to say of the batches of a step, from 1, that ends the run
   */
  StepLog(
      StepState state,
      int rows,
      NDManager manager,
      TimestepSampler.Draws draws,
      boolean watched,
      Guard guard,
      IntFunction<String> diagnosis) {
    this.guard = guard;
    this.diagnosis = diagnosis;
    this.state = state;
    this.rows = rows;
    this.manager = manager;
    this.draws = draws;
    this.watched = watched;
  }

  /** The number of steps that are done. */
  int done() {
    return done;
  }

  /** Whether the loss of a step was read. */
  boolean isRead(int step) {
    return step <= read;
  }

  /** The row of the step that comes. */
  int row() {
    return done % rows;
  }

  /** Begins a step of a learning rate; what {@link #keep} gets belongs to it. */
  List<Pass> begin(double rate) {
    if (done >= rates.length) {
      rates = Arrays.copyOf(rates, room());
    }
    rates[done] = rate;
    List<Pass> own = new ArrayList<>();
    passes.add(own);
    return own;
  }

  /** Keeps what a pass drew, and the losses of its images until they are read. */
  void keep(NoiseLevels levels, NDArray ofImages) {
    ofImages.attach(manager);
    passes.get(passes.size() - 1).add(new Pass(levels, ofImages));
  }

  /** Ends a step. */
  void end() {
    done++;
    if (done - read == rows) {
      readAll();
    }
  }

  double loss(int step) {
    if (step > read) {
      readAll();
    }
    return losses[step - 1];
  }

  double norm(int step) {
    if (step > read) {
      readAll();
    }
    return norms[step - 1];
  }

  /** Whether a step updated nothing. */
  boolean isSkipped(int step) {
    if (step > read) {
      readAll();
    }
    return skipped.get(step - 1);
  }

  /** What the loss of a step was multiplied by. */
  double scale(int step) {
    if (step > read) {
      readAll();
    }
    return step <= scales.length ? scales[step - 1] : 1;
  }

  /** How many steps updated nothing, as far as they were read. */
  int skips() {
    return skipped.cardinality();
  }

  /** The loss of each image of a step. */
  double[] imageLosses(int step, List<Pass> own) {
    if (step > read) {
      readAll();
    }
    return own.stream().flatMapToDouble(pass -> Arrays.stream(pass.values)).toArray();
  }

  static NoiseLevels levels(List<Pass> own) {
    return NoiseLevels.concat(own.stream().map(pass -> pass.levels).toList());
  }

  /** Fetches the losses and norms of the steps since the last time. */
  void readAll() {
    rethrowFailure();
    if (read == done) {
      return;
    }
    if (ended) {
      throw new IllegalStateException(
          "the losses of steps "
              + (read + 1)
              + " to "
              + done
              + " could not be read before the run ended; look for the failure that fit() threw, or"
              + " ask in the listener's onStep");
    }
    if (done > losses.length) {
      losses = Arrays.copyOf(losses, room());
      norms = Arrays.copyOf(norms, room());
    }
    float[] log = state.readLog();
    for (; read < done; read++) {
      int from = (read % rows) * LogColumn.values().length;
      double[] row = new double[LogColumn.values().length];
      for (int i = 0; i < row.length; i++) {
        row[i] = log[from + i];
      }
      boolean none = row[LogColumn.SKIPPED.place()] != 0;
      boolean overflow = row[LogColumn.SKIPPED.place()] > 1;
      if (none && !overflow && badBefore(read) + 1 >= guard.mostInARow()) {
        fail(row);
      }
      keepScale(row[LogColumn.LOSS_SCALE.place()], overflow);
      losses[read] = row[LogColumn.LOSS.place()];
      norms[read] = row[LogColumn.NORM.place()];
      skipped.set(read, none);
      overflowed.set(read, overflow);
      for (Pass pass : passes.remove(0)) {
        learn(pass, none);
      }
    }
  }

  /** The scale of the step that is read, where there is one: 0 elsewhere. */
  private void keepScale(double scale, boolean overflow) {
    if (scale > 0) {
      if (read >= scales.length) {
        scales = Arrays.copyOf(scales, room());
      }
      scales[read] = (float) scale;
    }
    if (overflow) {
      logger.debug(
          "step {} is skipped: its gradient, times {}, is beyond float16", read + 1, scale);
    }
  }

  /** How many bad steps in a row there were just before one, which is counted from 0. */
  private int badBefore(int step) {
    int bad = 0;
    for (int i = step - 1; i >= 0 && skipped.get(i); i--) {
      bad += overflowed.get(i) ? 0 : 1;
    }
    return bad;
  }

  private int room() {
    return (int) Math.min(Integer.MAX_VALUE - Long.SIZE, Math.max(done + 1L, 2L * done));
  }

  /** A step that is skipped teaches nothing. */
  private void learn(Pass pass, boolean skipped) {
    try (NDArray each = pass.losses) {
      if (draws.learns() && !skipped) {
        draws.learn(pass.levels, pass.read());
      } else if (watched) {
        pass.read();
      }
    }
  }

  /** Ends the run at the step that is read next. */
  private void fail(double[] row) {
    done = read;
    int before = badBefore(read);
    int good = skipped.previousClearBit(read - 1) + 1;
    int[] timesteps = timesteps(passes.get(0));
    double last = good == 0 ? Double.NaN : losses[good - 1];
    failure =
        new DivergenceException(
            Diagnosis.message(
                guard, read + 1, row, timesteps, before, last, rates[read], diagnosis),
            read + 1L,
            timesteps,
            last);
    throw failure;
  }

  /** The timesteps of all images of a step; the nearest, where they are fractional. */
  private static int[] timesteps(List<Pass> step) {
    return Arrays.stream(levels(step).each(level -> Math.rint(level.timestep())))
        .mapToInt(timestep -> (int) timestep)
        .toArray();
  }

  /** A listener that asked may have kept the failure to itself. */
  void rethrowFailure() {
    DivergenceException known = failure;
    if (known != null) {
      throw known;
    }
  }

  /** The losses that were read; of all steps that are done, unless the device failed. */
  LossHistory history() {
    return new LossHistory(
        Arrays.copyOf(losses, read), skipped.stream().map(step -> step + 1).toArray());
  }

  /**
   * What happened so far, step by step.
   *
   * @param losses the losses
   * @param norms the norms of the gradient
   * @param rates the learning rates, warm-up included
   * @param skipped the steps that updated nothing, from 0
   * @param overflowed those of them whose gradient was beyond float16
   */
  @SuppressWarnings("ArrayRecordComponent") // handed over once, between two runs
  record Past(double[] losses, double[] norms, double[] rates, int[] skipped, int[] overflowed) {

    /**
     * What steps are judged by after a run that skipped none by itself: what was usual is the mean
     * of its last steps.
     */
    float[] judged() {
      float[] judged = Verdict.first();
      judged[Judged.UPDATES.place()] = losses.length - skipped.length;
      judged[Judged.USUAL_LOSS.place()] = usual(losses);
      judged[Judged.USUAL_NORM.place()] = usual(norms);
      return judged;
    }

    private float usual(double[] values) {
      BitSet bad = new BitSet();
      Arrays.stream(skipped).forEach(bad::set);
      return (float)
          IntStream.range(Math.max(0, values.length - Guard.WINDOW), values.length)
              .filter(step -> !bad.get(step))
              .mapToDouble(step -> Math.abs(values[step]))
              .average()
              .orElse(0);
    }
  }

  /** Fetches what is not read yet. */
  Past past() {
    readAll();
    return new Past(
        Arrays.copyOf(losses, done),
        Arrays.copyOf(norms, done),
        Arrays.copyOf(rates, done),
        skipped.stream().toArray(),
        overflowed.stream().toArray());
  }

  /** Goes on after what happened in another run. */
  void goOn(Past past) {
    losses = past.losses.clone();
    norms = past.norms.clone();
    rates = past.rates.clone();
    Arrays.stream(past.skipped).forEach(skipped::set);
    Arrays.stream(past.overflowed).forEach(overflowed::set);
    done = losses.length;
    read = done;
  }

  /** From now on the device's log is gone. */
  void close() {
    ended = true;
  }
}
