package io.github.ddpm4j.internal.training;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.internal.checkpoint.AverageSnapshots;
import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointModel;
import io.github.ddpm4j.internal.data.DataFingerprint;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.Shutdown;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.Validation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A training run.
 *
 * <pre>
 *   repeat
 *     x_0 ~ q(x_0)
 *     t ~ Uniform({1, …, T})
 *     ε ~ N(0, I)
 *     take a gradient step on ∇_θ ‖ε − ε_θ(√ᾱ_t x_0 + √(1 − ᾱ_t) ε, t)‖²
 *   until converged                                              (Ho et al. 2020, algorithm 1)
 * </pre>
 */
public final class TrainingLoop implements AutoCloseable {

  /** How many steps a GPU may be ahead of what was read of them: {@value}. */
  public static final int GPU_LOG_ROWS = 50;

  /** What float32 still takes from 1: {@value}. */
  private static final double NOTICED = 0x1p-25;

  private static final Logger logger = LoggerFactory.getLogger(TrainingLoop.class);

  private final DenoisingModel model;
  private final TrainingSettings settings;
  private final TrainableDenoiser network;
  private final TrainableDenoiser averaged;
  private final RunControl control;
  private final boolean ownBatches;

  /** What the provenance says of the dataset. */
  private final String dataset;

  private final TimestepSampler.Draws draws;
  private final Noising noising;
  private final Conditioning conditioning;

  /** Null but in consistency tuning. */
  private final @Nullable LevelPairs pairs;

  /** Null but in consistency tuning with guidance. */
  private final @Nullable Teacher teacher;

  private final Listeners listeners;
  private final NDManager manager;

  /** Datasets are read on the CPU, where their indices must be; batches move to the network. */
  private final NDManager reading;

  private final TrainingData data;
  private final Step step;
  private final StepLog log;
  private final RunCheckpoints checkpoints;
  private final RunSnapshots snapshots;
  private final RunState runState;

  /** Null without any. */
  private final @Nullable Validations validations;

  /** Null without snapshots of them. */
  private final @Nullable PowerAverages powers;

  /** Null without checkpoints and snapshots. */
  private final @Nullable RunIdentity identity;

  /** Whether a step may leave everything as it was. */
  private final boolean skips;

  private double firstRate;

  /** Whether the loss is known to give one number per image. */
  private boolean tried;

  private TrainingLoop(
      DenoisingModel model,
      TrainableDenoiser network,
      TrainableDenoiser averaged,
      TrainingSettings settings,
      Dataset dataset,
      RunCheckpoints checkpoints,
      RunSnapshots snapshots,
      @Nullable Teacher teacher,
      RunControl control) {
    this.model = model;
    this.settings = settings;
    this.network = network;
    this.averaged = averaged;
    this.control = control;
    this.ownBatches = dataset instanceof RandomAccessDataset;
    this.skips = Verdict.skips(settings.guard(), Verdict.scales(network));
    this.draws =
        Given.returned(
            settings.timestepSampler().begin(model.diffusion().schedule()), "the timestep sampler");
    this.noising =
        new Noising(draws, settings.offsetNoise(), settings.inputPerturbation(), settings.seed());
    this.conditioning = new Conditioning(model, settings);
    this.pairs = LevelPairs.of(settings, model.diffusion());
    this.teacher = teacher;
    this.listeners = new Listeners(settings.listeners());
    this.manager = Machine.newManager(network.device().orElse(null));
    this.reading = Machine.newManager(Device.cpu());
    int rows = draws.learns() ? 1 : logRows();
    boolean fine = false;
    this.checkpoints = checkpoints;
    this.snapshots = snapshots;
    Step made = null;
    PowerAverages averages = null;
    try {
      network.imageShape().ifPresent(this::tryLoss);
      this.data =
          TrainingData.of(
              dataset,
              reading,
              settings.batchSize(),
              settings.seed(),
              network.imageShape(),
              DataBounds.of(model.diffusion(), settings),
              checkpoints.batchesBefore());
      this.dataset = DataFingerprint.words(dataset);
      StepState state = new StepState(network, averaged, rows, skips, manager);
      made =
          network instanceof ScriptedDenoiser scripted && scripted.isCompiled()
              ? new CompiledStep(model, scripted, settings, state, manager)
              : new EagerStep(model, network, settings, state);
      this.step = made;
      Diagnosis diagnosis =
          new Diagnosis(model, network, settings, dataset, noising, conditioning, manager, reading);
      this.log =
          new StepLog(
              state,
              rows,
              manager,
              draws,
              !settings.listeners().isEmpty(),
              settings.guard(),
              diagnosis::of);
      Validation held = settings.validation();
      this.validations =
          held == null
              ? null
              : new Validations(
                  held,
                  new HeldOut(model, settings, held, conditioning, teacher, manager, reading),
                  averaged,
                  manager);
      averages = snapshots.isUsed() ? new PowerAverages(state, manager) : null;
      this.powers = averages;
      this.runState =
          new RunState(
              state,
              averages == null ? Map.of() : averages.arrays(),
              log,
              draws,
              settings.listeners(),
              validations);
      this.identity =
          checkpoints.isUsed() || snapshots.isUsed()
              ? new RunIdentity(
                  model,
                  network,
                  settings,
                  DataFingerprint.of(dataset, reading),
                  validations == null ? RunIdentity.NONE : validations.identity())
              : null;
      if (identity != null) {
        if (checkpoints.isUsed()) {
          runState.requireSavable();
        }
        checkpoints.restore(identity, this::requireSameRates, runState);
        control.done(log.done());
        snapshots.beginAt(identity.name(), log.done());
      }
      fine = true;
    } finally {
      if (!fine) {
        if (made != null) {
          made.close();
        }
        if (averages != null) {
          averages.close();
        }
        reading.close();
        manager.close();
      }
    }
  }

  /**
   * Trains a network in place.
   *
   * @param model the model; its network is {@code network}
   * @param network the network, which the run claims
   * @param settings what the run is set to
   * @param dataset the images
   * @param control what other threads see and ask
   * @return what the run leaves; the caller owns the averaged network in it
   * @throws IllegalArgumentException if network, loss, settings and data do not fit together
   * @throws io.github.ddpm4j.training.DivergenceException if losses or gradients are bad
   * @throws CancellationException if the thread is interrupted, the run cancelled, or the virtual
   *     machine shut down
   */
  public static TrainingOutcome run(
      DenoisingModel model,
      TrainableDenoiser network,
      TrainingSettings settings,
      Dataset dataset,
      RunControl control) {
    if (settings.consistency() == null) {
      Objective.requireVarianceTrained(model, settings.loss());
    }
    TrainableDenoiser averaged = network.copy();
    boolean done = false;
    try (RunCheckpoints checkpoints = RunCheckpoints.of(settings.persistence());
        RunSnapshots snapshots = RunSnapshots.of(settings.persistence());
        Teacher teacher = Teacher.of(model, network, settings)) {
      Runnable release = averaged.beginTraining();
      try (TrainingLoop loop =
          new TrainingLoop(
              model,
              network,
              averaged,
              settings,
              dataset,
              checkpoints,
              snapshots,
              teacher,
              control)) {
        TrainingOutcome outcome = loop.run();
        done = true;
        return outcome;
      } finally {
        release.run();
      }
    } finally {
      if (!done) {
        averaged.close();
      }
    }
  }

  /**
   * Before any step, and on the first batch only if the network does not tell its images' shape.
   */
  private void tryLoss(Shape image) {
    Objective.of(model, settings).requireOnePerImage(image, manager);
    tried = true;
  }

  /** The seed of the run that is to be resumed. */
  public static Optional<Long> seedBefore(Persistence persistence) {
    return RunCheckpoints.seed(persistence);
  }

  /** Asks the tracker, which may count, for the rates of the steps that are done. */
  private void requireSameRates(double[] rates) {
    for (int done = 0; done < rates.length; done++) {
      double tracked = settings.trackedRate(done);
      double rate = tracked * settings.warmth(done);
      if (done == 0) {
        firstRate = tracked;
      }
      if (rate != rates[done] && checkpoints.requiresSameRates()) {
        throw new IllegalArgumentException(
            "the checkpoint is that of another run: the learning rate of step "
                + (done + 1)
                + " was "
                + rates[done]
                + " and is "
                + rate
                + "; set it as it was, or allow the change by resume(Change.LEARNING_RATE)");
      }
    }
  }

  private CheckpointFile.Contents copy(NDManager own) {
    snapshots.settle();
    return runState.copy(
        own,
        description(),
        // Not what was read: a step may have been broken off between two of its batches.
        (long) log.done() * settings.accumulation());
  }

  private CheckpointFile.Contents snapshot(NDManager own) {
    return AverageSnapshots.snapshot(
        Objects.requireNonNull(identity, "identity").name(),
        Description.of("the run", description()).object(CheckpointModel.MODEL),
        RunState.onCpu(own, Objects.requireNonNull(powers, "powers").arrays()));
  }

  /** What the run is, with what it has done so far; fails if a step did. */
  private Map<String, Object> description() {
    Map<String, Object> training = new LinkedHashMap<>();
    training.put("weights", "averaged");
    training.putAll(settingsSoFar());
    return RunCheckpoints.with(
        Objects.requireNonNull(identity, "identity").description(), training);
  }

  /** Fails if a step did. */
  private Map<String, Object> settingsSoFar() {
    log.readAll();
    return settings.describe(log.history(), ownBatches, dataset, firstRate);
  }

  private TrainingOutcome run() {
    try {
      control.begin();
      steps();
      TrainingOutcome outcome = outcome();
      listeners.tellEnd(log.done(), null);
      return outcome;
    } catch (Throwable e) {
      if (log.done() > 0) {
        Listeners.attempt(() -> Remains.keep(e, model.diffusion(), outcome()), e);
      }
      throw e;
    }
  }

  private void steps() {
    try {
      while (log.done() < settings.steps() && !isEnded()) {
        log.rethrowFailure();
        requireGoing();
        LoopEvent event;
        try {
          event = step();
        } finally {
          Shutdown.leave();
        }
        control.done(log.done());
        listeners.tellStep(event);
        snapshots.afterStep(log.done(), this::snapshot);
        checkpoints.afterStep(log.done(), this::copy);
      }
      log.readAll();
      snapshots.atEnd(log.done(), this::snapshot);
      checkpoints.atEnd(log.done(), this::copy);
    } catch (Throwable e) {
      // So that listeners may ask for the losses of steps that were done.
      Listeners.attempt(log::readAll, e);
      if (e instanceof CancellationException) {
        Listeners.attempt(() -> snapshots.atEnd(log.done(), this::snapshot), e);
        Listeners.attempt(() -> checkpoints.atEnd(log.done(), this::copy), e);
      }
      listeners.tellEnd(log.done(), e);
      throw e;
    }
  }

  /** Whether somebody has ended the run, or its validations have. */
  private boolean isEnded() {
    return log.done() > 0
        && (control.isStopped() || (validations != null && validations.isExhausted()));
  }

  /** What the run leaves; from here on, the averages may be those of another step. */
  private TrainingOutcome outcome() {
    LossHistory losses = log.history();
    Map<String, Object> words =
        new LinkedHashMap<>(settings.describe(losses, ownBatches, dataset, firstRate));
    if (validations != null) {
      validations.giveBest().ifPresent(best -> words.put("averagedWeightsOfStep", best.step()));
    }
    return new TrainingOutcome(
        network,
        averaged,
        losses,
        validations == null ? List.of() : validations.results(),
        settings.seed(),
        words);
  }

  private LoopEvent step() {
    int done = log.done();
    if (validations != null && validations.isDueBefore(done)) {
      // Also tells what is wrong with its images before any step.
      validate(validations);
    }
    double tracked = settings.trackedRate(done);
    if (done == 0) {
      begun(tracked);
    }
    double rate = tracked * settings.warmth(done);
    double decay = settings.ema().decayAfter(done + 1L, settings.imagesPerStep());
    long update = update();
    StepLayout.Numbers numbers =
        new StepLayout.Numbers(
            rate, settings.optimizer().correctedEpsilon(update), 1 - decay, update, log.row());
    List<StepLog.Pass> passes = log.begin(rate);
    try (NDManager scope = manager.newSubManager();
        NDManager host = reading.newSubManager()) {
      Step.Begun begun = new Step.Begun(numbers, host, scope.zeros(new Shape()));
      long images = 0;
      for (int i = 0; i < settings.accumulation(); i++) {
        long pass = (long) done * settings.accumulation() + i;
        // 1. x_0 ~ q(x_0)
        try (Batch records = read(data::next);
            NDManager own = scope.newSubManager()) {
          // 2. t ~ q(t), ε ~ N(0, I)
          TrainingBatch batch = drawn(own, records, pass, done, images);
          images += batch.levels().size();
          // 3. ∇_θ ‖ε − ε_θ(x_t, t)‖²
          NDArray losses = take(begun, batch);
          log.keep(batch.levels(), losses);
        }
      }
      // 4. θ ← θ − η …
      step.end(begun);
      if (powers != null) {
        powers.track(done + 1L, host);
      }
    }
    log.end();
    Optional<Validation.Result> validation = validated();
    return new LoopEvent(
        log.done(),
        settings.steps(),
        log,
        passes,
        log.isRead(log.done()),
        rate,
        decay,
        averaged,
        validation,
        this::settingsSoFar,
        control::stop);
  }

  private Optional<Validation.Result> validated() {
    if (validations == null || !validations.isDueAfter(log.done())) {
      return Optional.empty();
    }
    // A step that ended the run, and is not known yet, has no validation after it.
    log.readAll();
    return Optional.of(validate(validations));
  }

  private Validation.Result validate(Validations due) {
    return read(() -> due.validate(log.done()));
  }

  /**
   * The number of the update that comes, as the optimizer counts them: without skipped steps. On a
   * GPU those are known once they were read, which is waited for while its ε depends on them.
   */
  private long update() {
    AdamOptimizer optimizer = settings.optimizer();
    long most = log.done() + 1L - log.skips();
    if (skips && (float) optimizer.correctedEpsilon(most) != (float) optimizer.epsilon()) {
      log.readAll();
    }
    return log.done() + 1L - log.skips();
  }

  private void begun(double rate) {
    firstRate = rate;
    double decay = settings.optimizer().weightDecay();
    if (decay > 0 && (float) (1 - rate * decay) == 1) {
      logger.warn(
          "a weight decay of {} with a learning rate of {} changes no weight: 1 - {} is 1 in float32;"
              + " set it to 0, or to more than {}",
          decay,
          rate,
          rate * decay,
          NOTICED / rate);
    }
  }

  /**
   * A batch with all that is drawn for it, in a manager of its own.
   *
   * @param done the number of steps done before
   * @param before the number of images that the step has had before
   */
  private TrainingBatch drawn(NDManager own, Batch records, long pass, int done, long before) {
    NDArray images = records.getData().head().toDevice(own.getDevice(), false);
    images.attach(own);
    if (!tried) {
      tryLoss(images.getShape().slice(1));
    }
    TrainingBatch batch = noising.draw(images, pass);
    if (pairs != null) {
      batch = pairs.paired(batch, done);
    }
    batch = conditioning.conditioned(batch, records.getLabels(), data.names(), done, before);
    return teacher == null ? batch : teacher.guided(batch);
  }

  private NDArray take(Step.Begun begun, TrainingBatch batch) {
    try {
      return step.take(begun, batch, numbersOf(batch));
    } catch (IllegalArgumentException e) {
      throw conditioning.named(e, batch, data.names());
    }
  }

  private ImageNumbers numbersOf(TrainingBatch batch) {
    return new ImageNumbers(
        model.diffusion(),
        settings.weighting(),
        draws,
        batch.levels(),
        batch.earlier() == null ? null : batch.earlier().levels());
  }

  /** Begins a step, unless somebody has ended the run. */
  private void requireGoing() {
    String reason =
        Thread.currentThread().isInterrupted()
            ? "interrupted"
            : control.isCancelled()
                ? "cancelled"
                : Shutdown.enter() ? null : "ended by the shutdown of the virtual machine";
    if (reason != null) {
      // A step that failed before is the news, and left other weights.
      log.readAll();
      throw ended(reason);
    }
  }

  private CancellationException ended(String reason) {
    return new CancellationException(
        "training was "
            + reason
            + " after step "
            + log.done()
            + " of "
            + settings.steps()
            + "; the network holds the weights of that step"
            + (log.done() > 0 ? ", and TrainedModel.soFar(exception) the averaged ones" : ""));
  }

  /** Many files cannot be read on a thread that is interrupted, which is then the reason. */
  private <T> T read(Supplier<T> reading) {
    try {
      return reading.get();
    } catch (RuntimeException e) {
      if (Thread.currentThread().isInterrupted()) {
        CancellationException interrupted = ended("interrupted");
        interrupted.addSuppressed(e);
        throw interrupted;
      }
      throw e;
    }
  }

  private int logRows() {
    if (settings.logRows() > 0) {
      return settings.logRows();
    }
    return manager.getDevice().isGpu() ? GPU_LOG_ROWS : 1;
  }

  @Override
  public void close() {
    log.close();
    try (PowerAverages closing = powers) {
      step.close();
    } finally {
      reading.close();
      manager.close();
    }
  }
}
