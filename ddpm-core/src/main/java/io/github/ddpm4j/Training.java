package io.github.ddpm4j;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.DataType;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.OwnSampling;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.internal.ops.Float32;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.training.Persistence;
import io.github.ddpm4j.internal.training.Remains;
import io.github.ddpm4j.internal.training.RunControl;
import io.github.ddpm4j.internal.training.TrainingLoop;
import io.github.ddpm4j.internal.training.TrainingOutcome;
import io.github.ddpm4j.internal.training.TrainingSettings;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.sampling.ConsistencySampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.DivergenceException;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.NoiseAssignment;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Future;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A training run (Ho et al. 2020, algorithm 1), set up fluently: {@code
 * ddpm.training().batchSize(128).steps(800_000).fit(dataset)}.
 *
 * <p>The run uses the network's device: {@code UNet.builder().device(…)} selects CPU or GPU, and
 * batches are moved there.
 *
 * <p>The network is updated in place; the result also holds the averaged weights. Batch order,
 * timesteps, noise, dropout masks and dropped conditions are functions of (seed, step), so two runs
 * with the same seed, machine and thread count give identical weights.
 *
 * <p>A class-conditional network takes its classes from the dataset's labels; all other
 * conditioning comes from {@link #condition}. A self-conditioned network (Chen et al. 2022, "Analog
 * Bits", section 3) sees its own denoised estimate in half of the steps: an extra forward pass,
 * without dropout or gradients, gives x̂_0, clipped to the data range.
 *
 * <p>A run ends early, after the step that it is in, if {@link TrainingStepListener.Event#stop()}
 * or {@link Run#stop()} is called: its result is what was done so far. Interrupting the thread, or
 * {@link Run#cancel}, ends it with a {@link CancellationException}; the interrupt flag stays set.
 * However a run fails, the network keeps the weights of the last completed step, and {@link
 * TrainedModel#soFar} has the averaged ones.
 *
 * <p>A compiled network, as {@code UNet} is by default, runs a whole step in one engine call, from
 * noising the images to updating the averages; with {@link #accumulation}, in one call per batch
 * and one for the update. On a GPU a step does not wait for its result: losses are fetched every 50
 * steps, or when a listener asks for one. On the CPU they are available at once.
 *
 * <p>Not thread-safe: set up a run on one thread. Runs of different networks can train concurrently
 * in one JVM. Runs of uncompiled networks take turns, since the engine has one gradient collector
 * per process. While a run trains a network, other threads cannot use it.
 */
public final class Training {

  /** The batch size where neither the run nor the dataset tells one: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 128;

  /** The paper's learning rate for CIFAR-10: {@value}. */
  public static final double DEFAULT_LEARNING_RATE = 2e-4;

  /** The default global gradient norm for clipping, as in the authors' code: {@value}. */
  public static final double DEFAULT_GRADIENT_CLIP = 1;

  private static final String PYTORCH = "PyTorch";

  private static final Logger logger = LoggerFactory.getLogger(Training.class);

  private final DenoisingModel model;
  private final TrainableDenoiser denoiser;
  private final Life life;
  private final List<TrainingStepListener> listeners = new ArrayList<>();
  private Loss loss = Losses.simple();
  private Weighting weighting = Weighting.uniform();
  private TimestepSampler timestepSampler = TimestepSampler.uniform();
  private double offsetNoise;
  private double inputPerturbation;
  private NoiseAssignment noiseAssignment = NoiseAssignment.independent();

  /** 0 leaves it to the dataset. */
  private int batchSize;

  private boolean anyRange;
  private int accumulation = 1;
  private int steps;
  private int epochs;
  private AdamOptimizer optimizer = AdamOptimizer.PAPER;
  private Tracker learningRate = Tracker.fixed((float) DEFAULT_LEARNING_RATE);
  private int warmup;
  private double gradientClip = DEFAULT_GRADIENT_CLIP;
  private Guard guard = Guard.stop();
  private Ema ema = Ema.of(Ema.DEFAULT_DECAY);
  private @Nullable BiFunction<NDArray, NDList, Condition> condition;
  private double conditionDropout;
  private @Nullable Long seed;
  private Recomputation recomputation = Recomputation.none();
  private @Nullable Validation validation;
  private int logRows;
  private Persistence persistence = Persistence.NONE;

  /** Null but for consistency tuning. */
  private @Nullable ConsistencyTuning consistency;

  /**
   * Sets up a run with the defaults.
   *
   * @param denoiser the model's network, to be trained; not closed by the run
   * @param life how its weights were made, to which the run adds
   */
  Training(DenoisingModel model, TrainableDenoiser denoiser, Life life) {
    this.model = model;
    this.denoiser = denoiser;
    this.life = life;
  }

  /**
   * The training objective.
   *
   * @param loss the default is {@link Losses#simple()}
   * @return this run
   */
  public Training loss(Loss loss) {
    this.loss = Objects.requireNonNull(loss, "loss");
    return this;
  }

  /**
   * The weight of an image's loss as a function of its noise level.
   *
   * @param weighting the default is {@link Weighting#uniform()}: the unweighted loss of the
   *     network's own output
   * @return this run
   */
  public Training weighting(Weighting weighting) {
    this.weighting = Objects.requireNonNull(weighting, "weighting");
    return this;
  }

  /**
   * The distribution from which noise levels are drawn.
   *
   * @param sampler the default is {@link TimestepSampler#uniform()}
   * @return this run
   */
  public Training timestepSampler(TimestepSampler sampler) {
    this.timestepSampler = Objects.requireNonNull(sampler, "timestepSampler");
    return this;
  }

  /**
   * Adds offset noise: one random value shared by all pixels of a channel, in both x_t and the
   * target, so that the network learns to change the brightness of the whole image (Guttenberg
   * 2023, "Diffusion with offset noise").
   *
   * <pre>
   *   ε ~ N(0, I) + s · N(0, 1)      the second once per channel
   * </pre>
   *
   * @param s the standard deviation of the offset, at least 0 and finite; 0 by default, typically
   *     0.1
   * @return this run
   * @throws IllegalArgumentException if {@code s} is negative or not finite, in float32 too
   */
  public Training offsetNoise(double s) {
    this.offsetNoise = atLeastZero("offsetNoise", s);
    return this;
  }

  /**
   * Perturbs the network's input, but not its target, so that the network learns to tolerate the
   * errors that accumulate in sampling (Ning et al. 2023, algorithm 1).
   *
   * <pre>
   *   x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · (ε + γ · ξ)      ξ ~ N(0, I);   the target uses ε
   * </pre>
   *
   * @param gamma γ, at least 0 and finite; 0 by default, 0.1 in the paper
   * @return this run
   * @throws IllegalArgumentException if {@code gamma} is negative or not finite, in float32 too
   */
  public Training inputPerturbation(double gamma) {
    this.inputPerturbation = atLeastZero("inputPerturbation", gamma);
    return this;
  }

  /**
   * Which noise of a batch goes to which image. A {@link #validation} draws independent noise all
   * the same, so that its loss is of another kind than that of training: it is greater, and neither
   * its least nor the two compared tell how well the assigned noise was learned.
   *
   * @param assignment the default is {@link NoiseAssignment#independent()}; {@link #fit} refuses
   *     others where the network is conditioned, but {@link NoiseAssignment#byClass} where it is
   *     conditioned on classes alone
   * @return this run
   */
  public Training noiseAssignment(NoiseAssignment assignment) {
    this.noiseAssignment = Objects.requireNonNull(assignment, "noiseAssignment");
    return this;
  }

  /**
   * The number of images per forward pass. By default it is that of the dataset, {@code
   * setSampling(batchSize, true)}. A run visits every image once per epoch in an order that is a
   * function of the seed: a dataset that was built to be read in order is refused unless this
   * method is called, one with a {@code Sampler} of the user's always. Ignored for datasets that
   * are not a {@link ai.djl.training.dataset.RandomAccessDataset}: those supply their own batches.
   *
   * @param batchSize at least 1, at most the size of the dataset; replaces that of the dataset
   * @return this run
   * @throws IllegalArgumentException if {@code batchSize} is less than 1
   */
  public Training batchSize(int batchSize) {
    this.batchSize = atLeastOne("batchSize", batchSize);
    return this;
  }

  /**
   * Trains also on data that lie wholly in [0, 1] where the data range is [−1, 1]. By default they
   * are refused, since nearly always they were to be mapped to it. One bright picture says little,
   * so the first {@value io.github.ddpm4j.internal.data.PictureRange#IMAGES} images decide, or all
   * of a smaller dataset. Data outside the data range are refused all the same, unless the model
   * does not clip to it either ({@link DDPM.Builder#clip}), as one of latents.
   *
   * @return this run
   */
  public Training anyRange() {
    this.anyRange = true;
    return this;
  }

  /**
   * The number of batches per step, over which gradients are averaged.
   *
   * @param batches at least 1; the default is 1
   * @return this run
   * @throws IllegalArgumentException if {@code batches} is less than 1
   */
  public Training accumulation(int batches) {
    this.accumulation = atLeastOne("accumulation", batches);
    return this;
  }

  /**
   * The number of training steps (weight updates). There is no default: set either this or {@link
   * #epochs}. The paper trains CIFAR-10 for 800,000 steps.
   *
   * @param steps at least 1; replaces {@link #epochs}
   * @return this run
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Training steps(int steps) {
    this.steps = atLeastOne("steps", steps);
    this.epochs = 0;
    return this;
  }

  /**
   * The number of passes over the dataset, converted to steps and rounded up. Requires a dataset of
   * known size, a {@link RandomAccessDataset}.
   *
   * @param epochs at least 1; replaces {@link #steps}
   * @return this run
   * @throws IllegalArgumentException if {@code epochs} is less than 1
   */
  public Training epochs(int epochs) {
    this.epochs = atLeastOne("epochs", epochs);
    this.steps = 0;
    return this;
  }

  /**
   * The optimizer.
   *
   * @param optimizer the default is {@link AdamOptimizer#PAPER}
   * @return this run
   */
  public Training optimizer(AdamOptimizer optimizer) {
    this.optimizer = Objects.requireNonNull(optimizer, "optimizer");
    return this;
  }

  /**
   * A constant learning rate.
   *
   * @param rate positive; the default is {@value #DEFAULT_LEARNING_RATE}
   * @return this run
   * @throws IllegalArgumentException if {@code rate} is not positive and finite, in float32 too
   */
  public Training learningRate(double rate) {
    if (!(rate > 0) || Double.isInfinite(rate)) {
      throw new IllegalArgumentException(
          "learningRate must be positive and finite, but was " + rate);
    }
    return learningRate(Tracker.fixed((float) Float32.requireNormal("learningRate", rate)));
  }

  /**
   * A learning-rate schedule.
   *
   * @param rate any DJL tracker, queried with the number of completed steps
   * @return this run
   */
  public Training learningRate(Tracker rate) {
    this.learningRate = Objects.requireNonNull(rate, "learningRate");
    return this;
  }

  /**
   * Warms up the learning rate linearly over the first steps: step s uses s / warmup of it. The
   * authors use 5,000 of 800,000 steps.
   *
   * @param steps at least 0; the default is 0
   * @return this run
   * @throws IllegalArgumentException if {@code steps} is negative
   */
  public Training warmup(int steps) {
    if (steps < 0) {
      throw new IllegalArgumentException("warmup must be at least 0 steps, but was " + steps);
    }
    this.warmup = steps;
    return this;
  }

  /**
   * Clips the gradient to a global 2-norm.
   *
   * @param norm the largest norm, positive; {@link Double#POSITIVE_INFINITY} for no clipping; the
   *     default is {@value #DEFAULT_GRADIENT_CLIP}
   * @return this run
   * @throws IllegalArgumentException if {@code norm} is not positive, or its square is below the
   *     normal numbers of float32
   */
  public Training gradientClip(double norm) {
    if (!(norm > 0)) {
      throw new IllegalArgumentException(
          "gradientClip must be positive (infinity for none), but was " + norm);
    }
    this.gradientClip = Float32.requireSquare("gradientClip", norm);
    return this;
  }

  /**
   * What the run does about a step whose loss or gradient is not finite, or explodes.
   *
   * @param guard the default is {@link Guard#stop()}: the run ends at the first that is not finite
   * @return this run
   */
  public Training guard(Guard guard) {
    this.guard = Objects.requireNonNull(guard, "guard");
    return this;
  }

  /**
   * The decay of the exponential moving average of the weights, with warm-up.
   *
   * @param decay in [0, 1); the default is {@value Ema#DEFAULT_DECAY}
   * @return this run
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1)
   */
  public Training ema(double decay) {
    return ema(Ema.of(decay));
  }

  /**
   * The exponential moving average (EMA) of the weights.
   *
   * @param ema the averaging settings
   * @return this run
   */
  public Training ema(Ema ema) {
    this.ema = Objects.requireNonNull(ema, "ema");
    return this;
  }

  /**
   * Sets the function that computes the conditioning of a batch. By default, the dataset's labels
   * are the classes if the network has classes. An example, for a super-resolution network:
   *
   * <pre>{@code
   * training.condition((images, labels) -> Condition.images(blurred(images)))
   * }</pre>
   *
   * <p>The function receives the clean images, float32, shape (N, C, H, W), on the network's
   * device, and the labels as stored in the dataset, on the CPU. Both are freed after the step; new
   * arrays should be attached to the images' manager, so that they are freed with them. It returns
   * a condition for the same N images, with every kind that the network was built for except the
   * previous x̂_0.
   *
   * @param condition computes the condition from clean images and labels
   * @return this run
   */
  public Training condition(BiFunction<NDArray, NDList, Condition> condition) {
    this.condition = Objects.requireNonNull(condition, "condition");
    return this;
  }

  /**
   * Drops the condition of some images at random, so that the network also learns the unconditional
   * model that classifier-free guidance needs (Ho and Salimans 2022, algorithm 1). The choice of
   * images is a function of (seed, step, image in the step).
   *
   * @param probability the probability of dropping an image's condition, in [0, 1]; 0 by default,
   *     typically 0.1 or 0.2 for guidance
   * @return this run
   * @throws IllegalArgumentException if it is outside [0, 1]
   */
  public Training conditionDropout(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException(
          "conditionDropout must be in [0, 1], but was " + probability);
    }
    this.conditionDropout = probability;
    return this;
  }

  /**
   * Requires the weights to be on a device; moves nothing. A run always uses the device of the
   * network's weights, and data is moved there. Naming the device makes a run on the wrong device
   * fail at once instead of running slowly.
   *
   * @param device the required device
   * @return this run
   * @throws IllegalArgumentException if the weights are on another device
   */
  public Training requireDevice(Device device) {
    Objects.requireNonNull(device, "device");
    for (Map.Entry<String, NDArray> weight : denoiser.weights().entrySet()) {
      Device own = weight.getValue().getDevice();
      if (!own.equals(device)) {
        throw new IllegalArgumentException(
            "training was to run on "
                + device
                + ", but the weight "
                + weight.getKey()
                + " is on "
                + own
                + "; build or load the network there, as by UNet.builder().device(...) or"
                + " DDPM.load(folder, device)");
      }
    }
    return this;
  }

  /**
   * Computes parts of the network again for the gradient instead of holding them in memory.
   *
   * @param recomputation what is recomputed; the default is {@link Recomputation#none()}
   * @return this run
   */
  public Training recomputation(Recomputation recomputation) {
    this.recomputation = Objects.requireNonNull(recomputation, "recomputation");
    return this;
  }

  /**
   * The seed of batch order, timesteps, noise and dropout. If unset, a random seed is drawn, logged
   * at INFO level and recorded in the result.
   *
   * @param seed any number
   * @return this run
   */
  public Training seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * Validates on held-out images now and then, and ends the run early if that is asked for.
   *
   * @param validation on which images, how often, and what follows from it
   * @return this run
   */
  public Training validation(Validation validation) {
    this.validation = Objects.requireNonNull(validation, "validation");
    return this;
  }

  /**
   * Adds a listener. Can be called several times.
   *
   * @param listener called after every step
   * @return this run
   */
  public Training listener(TrainingStepListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * Writes checkpoints with the defaults: every {@value Checkpoints#DEFAULT_MINUTES} minutes and at
   * the end, of which {@value Checkpoints#DEFAULT_KEPT} are kept.
   *
   * @param folder the folder of the checkpoints of this run
   * @return this run
   */
  public Training checkpoints(Path folder) {
    return checkpoints(Checkpoints.in(folder));
  }

  /**
   * Writes checkpoints as the run goes on, and one when it ends, is stopped, interrupted or
   * cancelled. {@link #fit} refuses a folder that has checkpoints of an earlier run, unless {@link
   * #resume} is called.
   *
   * @param checkpoints where and how often
   * @return this run
   */
  public Training checkpoints(Checkpoints checkpoints) {
    persistence = persistence.with(Objects.requireNonNull(checkpoints, "checkpoints"));
    return this;
  }

  /**
   * Goes on from the newest whole checkpoint of {@link #checkpoints(Path)}, or begins if there is
   * none: a run that may be killed at any moment is set up once and started again and again. The
   * run must be set up as it was, listeners with a state included; its seed may be left out.
   *
   * @param allowed what may be set otherwise than in the run that wrote the checkpoint
   * @return this run
   */
  public Training resume(Checkpoints.Change... allowed) {
    Objects.requireNonNull(allowed, "allowed");
    persistence = persistence.resuming(null, List.of(allowed));
    return this;
  }

  /**
   * Goes on from a checkpoint.
   *
   * @param checkpoint the file
   * @param allowed what may be set otherwise than in the run that wrote it
   * @return this run
   */
  public Training resumeFrom(Path checkpoint, Checkpoints.Change... allowed) {
    Objects.requireNonNull(allowed, "allowed");
    persistence =
        persistence.resuming(Objects.requireNonNull(checkpoint, "checkpoint"), List.of(allowed));
    return this;
  }

  /**
   * Keeps two averages of power functions and stores them now and then, so that the length of the
   * average can be chosen after the run.
   *
   * @param averages where and how often
   * @return this run
   */
  public Training postHocEma(PostHocEma averages) {
    persistence =
        persistence.withSnapshots(Objects.requireNonNull(averages, "averages").snapshots());
    return this;
  }

  /** Makes the run one of consistency tuning, with its own defaults. */
  Training consistency(ConsistencyTuning tuning) {
    this.consistency = Objects.requireNonNull(tuning, "tuning");
    this.loss = Losses.pseudoHuber(ConsistencyTuning.DEFAULT_HUBER);
    this.timestepSampler =
        TimestepSampler.logNormal(
            ConsistencyTuning.DEFAULT_MEAN, ConsistencyTuning.DEFAULT_DEVIATION);
    return learningRate(ConsistencyTuning.DEFAULT_LEARNING_RATE);
  }

  /** Lets steps run as far ahead of reading their losses as on a GPU; 0 leaves it to the device. */
  Training logRows(int rows) {
    this.logRows = rows;
    return this;
  }

  /**
   * Trains the network on a dataset.
   *
   * @param dataset images as the first array of each record, float32, shape (C, H, W), in the data
   *     range; labels are the classes if the network has classes, shape () or (1) per record,
   *     unless {@link #condition} is set
   * @return the trained model; the caller closes it
   * @throws CancellationException if the thread is interrupted, or the virtual machine shuts down
   *     and {@link DDPM#endStepsOnShutdown} was called. It is a subclass of {@code
   *     IllegalStateException}: catch it first
   * @throws IllegalStateException if neither {@link #steps} nor {@link #epochs} was set, the
   *     network is being trained by another run, or its weights are not in DJL's PyTorch engine, on
   *     whose operators the step is built
   * @throws IllegalArgumentException if the dataset was built for another order (see {@link
   *     #batchSize}), it or a batch of it is empty, the dataset is smaller than a batch, its size
   *     is unknown but needed by {@link #epochs}, or its images have the wrong shape or type, lie
   *     outside the data range or in a part of it (see {@link #anyRange}) or are not finite; or
   *     neither the labels nor {@link #condition} supply the network's conditioning, or conditions
   *     are given to an unconditional network; or noise is assigned that would tell of a condition;
   *     or the network predicts a variance that is not trained, because the model's variance is
   *     fixed or the loss ignores it
   * @throws java.io.UncheckedIOException if checkpoints cannot be written or read, or the data
   *     cannot be read
   * @throws DivergenceException if the loss or its gradient becomes NaN or infinite, or explodes,
   *     as often in a row as {@link #guard} allows
   */
  public TrainedModel fit(Dataset dataset) {
    return train(checked(dataset), dataset, new RunControl(() -> {}));
  }

  /**
   * Trains the network on a dataset on a thread of its own. Returns once settings, network and
   * dataset are checked and the first step begins; the settings are those of this moment.
   *
   * <pre>{@code
   * try (Training.Run run = ddpm.training().steps(800_000).start(data)) {
   *   while (!run.isDone() && !stopPressed()) {
   *     show(run.step(), run.steps());
   *   }
   *   run.stop();
   *   try (TrainedModel trained = run.result()) { … }
   * }
   * }</pre>
   *
   * @param dataset as for {@link #fit}; its images are read on the run's thread
   * @return the run; the caller closes it
   * @throws IllegalStateException as {@link #fit}, as far as it is known before the first step
   * @throws IllegalArgumentException as {@link #fit}, as far as it is known before the first step
   */
  public Run start(Dataset dataset) {
    TrainingSettings settings = checked(dataset);
    return BackgroundRun.start(settings.steps(), control -> train(settings, dataset, control));
  }

  /**
   * A training run on a thread of its own, started by {@link #start}. As a future it gives the
   * trained model. All methods can be called from any thread.
   */
  public sealed interface Run extends Future<TrainedModel>, AutoCloseable permits BackgroundRun {

    /**
     * The number of completed steps.
     *
     * @return from 0 to {@link #steps()}
     */
    int step();

    /**
     * The number of steps that are planned.
     *
     * @return at least 1
     */
    int steps();

    /**
     * Ends the run after its step, at least after the first; the result is what was done so far.
     */
    void stop();

    /**
     * Ends the run after its step, without a result: {@link #result()} and {@link #get()} wait for
     * that end, and then throw a {@link CancellationException}, of which {@link TrainedModel#soFar}
     * has the averaged weights.
     *
     * @param mayInterruptIfRunning without effect: a step is never interrupted
     * @return false if the run had ended before
     */
    @Override
    boolean cancel(boolean mayInterruptIfRunning);

    /**
     * Waits for the end of the run.
     *
     * @return the trained model, the same at each call; the caller closes it
     * @throws InterruptedException if the waiting thread is interrupted; the run goes on
     * @throws RuntimeException what {@link #fit} would have thrown
     */
    TrainedModel result() throws InterruptedException;

    /**
     * Ends the run after its step, if it has not ended, and waits for it. Frees the trained model
     * unless somebody has asked for it.
     *
     * @throws IllegalStateException if called on the run's own thread, by a listener
     */
    @Override
    void close();
  }

  /** The settings of a run over a dataset, as far as they can be checked before it. */
  TrainingSettings checked(Dataset dataset) {
    Objects.requireNonNull(dataset, "dataset");
    if (steps == 0 && epochs == 0) {
      throw new IllegalStateException(
          "the number of training steps is not set; call steps(n) or epochs(n) before fit()");
    }
    if (persistence.resume() && persistence.checkpoints() == null) {
      throw new IllegalStateException(
          "resume() needs to know where the checkpoints are; call checkpoints(folder), or"
              + " resumeFrom(file)");
    }
    requireFolders();
    requirePyTorch();
    requireTunable();
    int ofRun = batchSizeOver(dataset);
    return settings(ofRun, stepsOver(dataset, ofRun));
  }

  /** What of a run has no place in consistency tuning. */
  private void requireTunable() {
    if (consistency == null) {
      return;
    }
    if (!weighting.equals(Weighting.uniform()) || offsetNoise > 0 || inputPerturbation > 0) {
      throw new IllegalArgumentException(
          "consistency tuning weighs levels by 1 / (t - r) and has the same noise at both, but"
              + " weighting was "
              + weighting
              + ", offsetNoise "
              + offsetNoise
              + " and inputPerturbation "
              + inputPerturbation
              + "; leave them as they are by default");
    }
    requireGreatestLevel(consistency);
    requireLevelsApart(consistency);
    Set<Condition.Kind> kinds = denoiser.conditionKinds();
    if (kinds.contains(Condition.Kind.PREVIOUS_X0)) {
      throw new IllegalArgumentException(
          "a self-conditioned network cannot be tuned for consistency: in a single call it has no"
              + " estimate to see; tune one without selfConditioning()");
    }
    if (consistency.guidance() == 1) {
      return;
    }
    if (kinds.isEmpty()) {
      throw new IllegalArgumentException(
          "guidance was "
              + consistency.guidance()
              + ", but the network takes no condition towards which to guide; leave it at 1");
    }
    if (History.neverDroppedConditions(life.provenance())) {
      throw new IllegalArgumentException(
          "guidance was "
              + consistency.guidance()
              + ", for which the network must have learned to do without a condition, but its"
              + " provenance says that it never did; train it with conditionDropout(0.1) before, or"
              + " leave guidance at 1");
    }
  }

  /** Drawing makes its first call at the greatest level, and its second one below. */
  private void requireGreatestLevel(ConsistencyTuning tuning) {
    Schedule schedule = model.diffusion().schedule();
    double last = Level.last(schedule).sigma();
    if (!(Math.min(tuning.sigmaMax(), last) > ConsistencySampler.DEFAULT_SIGMA_MIDDLE)) {
      throw new IllegalArgumentException(
          "drawing with a tuned model starts at its greatest noise / signal, which must be more"
              + " than "
              + ConsistencySampler.DEFAULT_SIGMA_MIDDLE
              + ", that of the second call, but sigmaMax was "
              + tuning.sigmaMax()
              + " and the schedule ends at "
              + last
              + "; use a greater sigmaMax, and a schedule that leads to noise");
    }
  }

  /** Levels and their images are float32; what the network says of them has its own rounding. */
  private void requireLevelsApart(ConsistencyTuning tuning) {
    DataType type =
        denoiser instanceof ScriptedDenoiser scripted && scripted.isCompiled()
            ? scripted.computesIn()
            : DataType.FLOAT32;
    int most = type == DataType.BFLOAT16 ? 10 : type == DataType.FLOAT16 ? 13 : 20;
    if (Math.pow(tuning.q(), tuning.stages()) > Math.scalb(1.0, most)) {
      throw new IllegalArgumentException(
          "q to the power of stages must be at most 2^"
              + most
              + " for a network that computes in "
              + type.name().toLowerCase(Locale.ROOT)
              + ", whose rounding is beyond there more than what the two levels differ by, but was "
              + tuning.q()
              + " to the power of "
              + tuning.stages()
              + "; use fewer stages, or a network that computes in float32");
    }
  }

  /** The model that the run leaves: one that is tuned says for which sampler. */
  private DenoisingModel leaving() {
    Diffusion diffusion = model.diffusion();
    Map<String, String> words =
        consistency == null
            ? TunedFor.notIn(diffusion.metadata())
            : TunedFor.in(
                diffusion.metadata(),
                Samplers.consistency(2).sigmaMax(consistency.sigmaMax()).toString());
    return DenoisingModel.of(diffusion.with(diffusion.classNames(), words), denoiser);
  }

  /** Files of both kinds have the same names. */
  private void requireFolders() {
    if (persistence.checkpoints() != null && persistence.snapshots() != null) {
      Path one = persistence.checkpoints().folder().toAbsolutePath().normalize();
      if (one.equals(persistence.snapshots().folder().toAbsolutePath().normalize())) {
        throw new IllegalArgumentException(
            "checkpoints and postHocEma need a folder each, but both were " + one);
      }
    }
  }

  /** Trains on this thread, heard and watched through a control. */
  TrainedModel train(TrainingSettings settings, Dataset dataset, RunControl control) {
    Runnable release = denoiser.beginTraining();
    try {
      life.leavesItsFile();
      DenoisingModel leaving = leaving();
      TrainingOutcome outcome = TrainingLoop.run(leaving, denoiser, settings, dataset, control);
      boolean done = false;
      try {
        TrainedModel trained = new TrainedModel(leaving.diffusion(), outcome);
        life.goesOn(trained.raw().provenance());
        done = true;
        return trained;
      } finally {
        if (!done) {
          outcome.averaged().close();
        }
      }
    } catch (Throwable e) {
      // The steps that were done have trained the weights all the same.
      Remains.of(e)
          .ifPresent(remains -> life.goesOn(TrainedModel.notes(remains.settings(), "last")));
      throw e;
    } finally {
      release.run();
    }
  }

  private int batchSizeOver(Dataset dataset) {
    Optional<OwnSampling> own =
        dataset instanceof RandomAccessDataset indexed ? OwnSampling.of(indexed) : Optional.empty();
    int unknown = batchSize == 0 ? DEFAULT_BATCH_SIZE : batchSize;
    return own.map(sampling -> sampling.batchSizeOfRun(batchSize)).orElse(unknown);
  }

  private int stepsOver(Dataset dataset, int batchSize) {
    if (epochs == 0) {
      return steps;
    }
    if (!(dataset instanceof RandomAccessDataset indexed)) {
      throw new IllegalArgumentException(
          "epochs("
              + epochs
              + ") needs a dataset that tells its size, a RandomAccessDataset, but it is a "
              + dataset.getClass().getName()
              + "; call steps(n)");
    }
    Datasets.read(
        () -> {
          indexed.prepare();
          return indexed;
        });
    long images = Math.multiplyExact(indexed.size(), (long) epochs);
    long ofStep = Math.multiplyExact((long) batchSize, (long) accumulation);
    long count = Math.max(1, (images + ofStep - 1) / ofStep);
    if (count > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "epochs(" + epochs + ") makes " + count + " steps, more than a run can have; use fewer");
    }
    return (int) count;
  }

  private long seed() {
    return seed == null && persistence.isResuming()
        ? TrainingLoop.seedBefore(persistence)
            .orElseGet(() -> Seeds.orDrawn(null, logger, "training"))
        : Seeds.orDrawn(seed, logger, "training");
  }

  /** A snapshot of the settings: later changes apply to the next run. */
  private TrainingSettings settings(int batchSize, int steps) {
    return new TrainingSettings(
        loss,
        weighting,
        timestepSampler,
        offsetNoise,
        inputPerturbation,
        noiseAssignment,
        batchSize,
        anyRange,
        accumulation,
        steps,
        optimizer,
        learningRate,
        warmup,
        gradientClip,
        guard,
        ema,
        condition,
        conditionDropout,
        seed(),
        recomputation,
        validation,
        listeners,
        logRows,
        persistence,
        History.runs(life.provenance()),
        consistency == null ? null : consistency.over(steps));
  }

  /** Steps are programs of TorchScript. */
  private void requirePyTorch() {
    denoiser
        .weights()
        .forEach(
            (name, weight) -> {
              String engine = weight.getManager().getEngine().getEngineName();
              if (!engine.equals(PYTORCH)) {
                throw new IllegalStateException(
                    "training needs the engine PyTorch, but the weight "
                        + name
                        + " is of the engine "
                        + engine
                        + "; take that engine off the class path, or set the system property"
                        + " ai.djl.default_engine=PyTorch, and build the network anew");
              }
            });
  }

  private static double atLeastZero(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " must be finite and at least 0, but was " + value);
    }
    return Float32.requireZeroOrNormal(name, value);
  }

  private static int atLeastOne(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }
}
