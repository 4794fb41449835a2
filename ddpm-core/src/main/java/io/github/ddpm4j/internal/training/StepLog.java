package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.NonFiniteLossException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The losses and norms of a run. A step leaves them on the device; they are fetched when as many
 * steps are done as the device's log has rows, or when somebody asks. The first value that is not
 * finite ends the run: the program has updated nothing since.
 */
final class StepLog {

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

  /** What was drawn in the steps that are not read yet, pass by pass, and what came of it. */
  private final List<List<Pass>> passes = new ArrayList<>();

  private double[] losses = new double[FIRST_ROOM];
  private double[] norms = new double[FIRST_ROOM];
  private double[] rates = new double[FIRST_ROOM];

  /** Steps that are done, and those of them whose loss and norm were read. */
  private int done;

  private int read;
  private @Nullable NonFiniteLossException failure;
  private boolean ended;

  /**
   * @param rows how many steps the device's log holds
   * @param manager owns the losses of images until they are read
   * @param draws is told the losses, if it learns of them
   * @param watched whether somebody may ask for the losses of images
   */
  StepLog(
      StepState state, int rows, NDManager manager, TimestepSampler.Draws draws, boolean watched) {
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
      int row = read % rows;
      requireFinite("loss", log[2 * row]);
      requireFinite("gradient norm", log[2 * row + 1]);
      losses[read] = log[2 * row];
      norms[read] = log[2 * row + 1];
      for (Pass pass : passes.remove(0)) {
        learn(pass);
      }
    }
  }

  private int room() {
    return (int) Math.min(Integer.MAX_VALUE - Long.SIZE, Math.max(done + 1L, 2L * done));
  }

  private void learn(Pass pass) {
    try (NDArray each = pass.losses) {
      if (draws.learns()) {
        draws.learn(pass.levels, pass.read());
      } else if (watched) {
        pass.read();
      }
    }
  }

  private void requireFinite(String what, double value) {
    if (!Double.isFinite(value)) {
      done = read;
      failure =
          new NonFiniteLossException(
              read + 1L,
              what,
              value,
              timesteps(passes.get(0)),
              read == 0 ? Double.NaN : losses[read - 1]);
      throw failure;
    }
  }

  /** The timesteps of all images of a step; the nearest, where they are fractional. */
  private static int[] timesteps(List<Pass> step) {
    return Arrays.stream(levels(step).each(level -> Math.rint(level.timestep())))
        .mapToInt(timestep -> (int) timestep)
        .toArray();
  }

  /** A listener that asked may have kept the failure to itself. */
  void rethrowFailure() {
    NonFiniteLossException known = failure;
    if (known != null) {
      throw known;
    }
  }

  /** The losses that were read; of all steps that are done, unless the device failed. */
  LossHistory history() {
    return new LossHistory(Arrays.copyOf(losses, read));
  }

  /**
   * What happened so far, step by step.
   *
   * @param losses the losses
   * @param norms the norms of the gradient
   * @param rates the learning rates, warm-up included
   */
  @SuppressWarnings("ArrayRecordComponent") // handed over once, between two runs
  record Past(double[] losses, double[] norms, double[] rates) {}

  /** Fetches what is not read yet. */
  Past past() {
    readAll();
    return new Past(
        Arrays.copyOf(losses, done), Arrays.copyOf(norms, done), Arrays.copyOf(rates, done));
  }

  /** Goes on after what happened in another run. */
  void goOn(Past past) {
    losses = past.losses.clone();
    norms = past.norms.clone();
    rates = past.rates.clone();
    done = losses.length;
    read = done;
  }

  /** From now on the device's log is gone. */
  void close() {
    ended = true;
  }
}
