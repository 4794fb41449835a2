package io.github.ddpm4j.training;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.LossInput.Coefficient;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.model.TrainingPass;
import io.github.ddpm4j.prediction.LinearForm;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A training run (Ho et al. 2020, algorithm 1), set up fluently: {@code
 * ddpm.training().batchSize(128).steps(800_000).fit(dataset)}.
 *
 * <p>It runs where the network is: {@code UNet.builder().device(…)} decides between CPU and GPU,
 * and batches are moved there.
 *
 * <p>The network is updated in place; the result carries the averaged weights beside it. The batch
 * order, timesteps, noise, dropout masks and the conditions that are left out are functions of
 * (seed, step), so two runs with the same seed, machine and thread count give identical weights.
 *
 * <p>A network with classes learns them from the labels of the data; what else it is conditioned on
 * comes from {@link #condition}. One that is conditioned on its own estimate of the clean image
 * (Chen et al. 2022, "Analog Bits", section 3) sees it in half of the steps: there it predicts once
 * more before, without dropout and without gradients, and x̂_0 clipped to the data range is the
 * estimate.
 *
 * <p>Interrupting the thread ends {@link #fit} between two steps with a {@link
 * CancellationException}: the network keeps the weights of the last whole step and the interrupt
 * flag stays set. To end early and keep the averaged weights too, call {@link
 * TrainingEvent#stop()}.
 *
 * <p>A compiled network, as {@code UNet} is by default, takes a step in one call of the engine,
 * from the noising of the images to the update of the averages; with {@link #accumulation} in one
 * call per batch and one for the update. No result is fetched from a GPU for it: losses come every
 * {@value #GPU_LOG_ROWS} steps, or when a listener asks for one. (On the CPU they are there.)
 *
 * <p>Not thread-safe: one thread sets up a run. Several runs of different networks may train at
 * once in one JVM. Those of networks that are not compiled take turns, since the engine's gradient
 * collector is one per process. While a run trains a network, other threads cannot use it.
 *
 * @param <R> what {@link #fit} returns
 */
public final class Training<R> {

  /** Images per step unless {@link #batchSize(int)} says otherwise: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 128;

  /** The learning rate of the paper for CIFAR-10: {@value}. */
  public static final double DEFAULT_LEARNING_RATE = 2e-4;

  /** The global norm that gradients are clipped to, as in the authors' code: {@value}. */
  public static final double DEFAULT_GRADIENT_CLIP = 1;

  private static final String PYTORCH = "PyTorch";

  private static final Logger logger = LoggerFactory.getLogger(Training.class);

  /** How many steps a GPU may be ahead of what was read of them. */
  private static final int GPU_LOG_ROWS = 50;

  /** The engine's gradient collector is one per process. */
  private static final ReentrantLock collecting = new ReentrantLock(true);

  private final Diffusion diffusion;
  private final TrainableDenoiser denoiser;
  private final Function<TrainingOutcome, R> toResult;
  private final List<TrainingStepListener> listeners = new ArrayList<>();
  private Loss loss = Losses.simple();
  private Weighting weighting = Weighting.uniform();
  private TimestepSampler timestepSampler = TimestepSampler.uniform();
  private double offsetNoise;
  private double inputPerturbation;
  private int batchSize = DEFAULT_BATCH_SIZE;
  private int accumulation = 1;
  private int steps;
  private AdamOptimizer optimizer = AdamOptimizer.PAPER;
  private Tracker learningRate = Tracker.fixed((float) DEFAULT_LEARNING_RATE);
  private int warmup;
  private double gradientClip = DEFAULT_GRADIENT_CLIP;
  private Ema ema = Ema.of(Ema.DEFAULT_DECAY);
  private @Nullable BiFunction<NDArray, NDList, Condition> condition;
  private double conditionDropout;
  private @Nullable Long seed;
  private int logRows;

  /**
   * Sets up a run with the defaults. Users call {@code ddpm.training()}.
   *
   * @param diffusion what the model is apart from its network
   * @param denoiser the network to train; not closed by the run
   * @param toResult makes the result of what the run leaves
   */
  public Training(
      Diffusion diffusion, TrainableDenoiser denoiser, Function<TrainingOutcome, R> toResult) {
    this.diffusion = diffusion;
    this.denoiser = denoiser;
    this.toResult = toResult;
  }

  /**
   * The objective.
   *
   * @param loss the default is {@link Losses#simple()}
   * @return this run
   */
  public Training<R> loss(Loss loss) {
    this.loss = Objects.requireNonNull(loss, "loss");
    return this;
  }

  /**
   * How much the loss of an image counts, by how noisy the image is.
   *
   * @param weighting the default is {@link Weighting#uniform()}: every prediction has the plain
   *     loss of its own output
   * @return this run
   */
  public Training<R> weighting(Weighting weighting) {
    this.weighting = Objects.requireNonNull(weighting, "weighting");
    return this;
  }

  /**
   * How the run chooses how noisy each image is.
   *
   * @param sampler the default is {@link TimestepSampler#uniform()}
   * @return this run
   */
  public Training<R> timestepSampler(TimestepSampler sampler) {
    this.timestepSampler = Objects.requireNonNull(sampler, "timestepSampler");
    return this;
  }

  /**
   * Adds the same number to all of the noise of a channel of an image, in x_t and in the target, so
   * that the network learns to change the brightness of a whole picture (Guttenberg 2023,
   * "Diffusion with offset noise").
   *
   * <pre>
   *   ε ~ N(0, I) + s · N(0, 1)      the second once per channel
   * </pre>
   *
   * @param s the standard deviation of what is added, at least 0 and finite; 0 by default, 0.1
   *     where it is used
   * @return this run
   * @throws IllegalArgumentException if {@code s} is negative or not finite
   */
  public Training<R> offsetNoise(double s) {
    this.offsetNoise = atLeastZero("offsetNoise", s);
    return this;
  }

  /**
   * Adds more noise to what the network sees than to what it shall say, so that it learns to go on
   * from images that are not quite what they should be, as in sampling (Ning et al. 2023, algorithm
   * 1).
   *
   * <pre>
   *   x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · (ε + γ · ξ)      ξ ~ N(0, I);   the target is made of ε
   * </pre>
   *
   * @param gamma γ, at least 0 and finite; 0 by default, 0.1 in the paper
   * @return this run
   * @throws IllegalArgumentException if {@code gamma} is negative or not finite
   */
  public Training<R> inputPerturbation(double gamma) {
    this.inputPerturbation = atLeastZero("inputPerturbation", gamma);
    return this;
  }

  /**
   * Images per forward pass. Datasets that are not {@link
   * ai.djl.training.dataset.RandomAccessDataset} bring their own batches, and this is ignored.
   *
   * @param batchSize at least 1, at most the size of the dataset; the default is {@value
   *     #DEFAULT_BATCH_SIZE}
   * @return this run
   * @throws IllegalArgumentException if {@code batchSize} is less than 1
   */
  public Training<R> batchSize(int batchSize) {
    this.batchSize = atLeastOne("batchSize", batchSize);
    return this;
  }

  /**
   * How many batches make up one step: their gradients are averaged.
   *
   * @param batches at least 1, the default
   * @return this run
   * @throws IllegalArgumentException if {@code batches} is less than 1
   */
  public Training<R> accumulation(int batches) {
    this.accumulation = atLeastOne("accumulation", batches);
    return this;
  }

  /**
   * How many updates to make. There is no default; the paper trains CIFAR-10 for 800,000.
   *
   * @param steps at least 1
   * @return this run
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Training<R> steps(int steps) {
    this.steps = atLeastOne("steps", steps);
    return this;
  }

  /**
   * The optimizer.
   *
   * @param optimizer the default is {@link AdamOptimizer#PAPER}
   * @return this run
   */
  public Training<R> optimizer(AdamOptimizer optimizer) {
    this.optimizer = Objects.requireNonNull(optimizer, "optimizer");
    return this;
  }

  /**
   * A constant learning rate.
   *
   * @param rate positive; the default is {@value #DEFAULT_LEARNING_RATE}
   * @return this run
   * @throws IllegalArgumentException if {@code rate} is not positive and finite
   */
  public Training<R> learningRate(double rate) {
    if (!(rate > 0) || Double.isInfinite(rate)) {
      throw new IllegalArgumentException(
          "learningRate must be positive and finite, but was " + rate);
    }
    return learningRate(Tracker.fixed((float) rate));
  }

  /**
   * A learning rate that changes.
   *
   * @param rate any DJL tracker, asked with the number of steps done before
   * @return this run
   */
  public Training<R> learningRate(Tracker rate) {
    this.learningRate = Objects.requireNonNull(rate, "learningRate");
    return this;
  }

  /**
   * Lets the learning rate grow linearly to its value over the first steps: step s has s / warmup
   * of it. The authors use 5,000 of 800,000 steps.
   *
   * @param steps at least 0, the default
   * @return this run
   * @throws IllegalArgumentException if {@code steps} is negative
   */
  public Training<R> warmup(int steps) {
    if (steps < 0) {
      throw new IllegalArgumentException("warmup must be at least 0 steps, but was " + steps);
    }
    this.warmup = steps;
    return this;
  }

  /**
   * Clips the global 2-norm of the gradient.
   *
   * @param norm the largest norm, positive; {@link Double#POSITIVE_INFINITY} for no clipping; the
   *     default is {@value #DEFAULT_GRADIENT_CLIP}
   * @return this run
   * @throws IllegalArgumentException if {@code norm} is not positive
   */
  public Training<R> gradientClip(double norm) {
    if (!(norm > 0)) {
      throw new IllegalArgumentException(
          "gradientClip must be positive (infinity for none), but was " + norm);
    }
    this.gradientClip = norm;
    return this;
  }

  /**
   * The decay of the averaged weights, with warm-up.
   *
   * @param decay in [0, 1); the default is {@value Ema#DEFAULT_DECAY}
   * @return this run
   * @throws IllegalArgumentException if {@code decay} is outside [0, 1)
   */
  public Training<R> ema(double decay) {
    return ema(Ema.of(decay));
  }

  /**
   * The average of the weights.
   *
   * @param ema how to average
   * @return this run
   */
  public Training<R> ema(Ema ema) {
    this.ema = Objects.requireNonNull(ema, "ema");
    return this;
  }

  /**
   * Makes the conditions of a batch. Without it the labels of the data are the classes, if the
   * network has classes. An example, for a network that makes images larger:
   *
   * <pre>{@code
   * training.condition((images, labels) -> Condition.images(blurred(images)))
   * }</pre>
   *
   * <p>The function gets the clean images, float32, shape (N, C, H, W), on the network's device,
   * and the labels as the dataset has them, on the CPU; both are gone after the step, and what it
   * makes should belong to the manager of the images so that it goes with them. It returns a
   * condition of the same N images, by every kind that the network was built for, but the previous
   * x̂_0.
   *
   * @param condition makes the condition of clean images and labels
   * @return this run
   */
  public Training<R> condition(BiFunction<NDArray, NDList, Condition> condition) {
    this.condition = Objects.requireNonNull(condition, "condition");
    return this;
  }

  /**
   * Leaves some images without their condition, so that the network learns to do without it too, as
   * classifier-free guidance needs it (Ho and Salimans 2022, algorithm 1). Which images these are
   * is a function of (seed, step, image in the step).
   *
   * @param probability that an image goes without, in [0, 1]; 0 by default, 0.1 or 0.2 for guidance
   * @return this run
   * @throws IllegalArgumentException if it is outside [0, 1]
   */
  public Training<R> conditionDropout(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException(
          "conditionDropout must be in [0, 1], but was " + probability);
    }
    this.conditionDropout = probability;
    return this;
  }

  /**
   * States where the run must take place. A run is always where the network's weights are, and data
   * is moved there; naming the device makes a run that would be elsewhere fail at once instead of
   * being slow.
   *
   * @param device the device that the weights must be on
   * @return this run
   * @throws IllegalArgumentException if the weights are on another device
   */
  public Training<R> device(Device device) {
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
   * The seed of batch order, timesteps, noise and dropout. Without one a random seed is drawn,
   * logged at INFO level and kept in the result.
   *
   * @param seed any number
   * @return this run
   */
  public Training<R> seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * Watches the run; may be called for several listeners.
   *
   * @param listener called after every step
   * @return this run
   */
  public Training<R> listener(TrainingStepListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /** Lets steps be as far ahead of what was read of them as on a GPU; 0 leaves it to the device. */
  Training<R> logRows(int rows) {
    this.logRows = rows;
    return this;
  }

  /**
   * Trains.
   *
   * @param dataset images as the first array of each record, float32, shape (C, H, W), in the data
   *     range; labels are the classes if the network has classes, shape () or (1) of each record,
   *     unless {@link #condition} says otherwise
   * @return the result; the caller closes it
   * @throws IllegalStateException if {@link #steps} was not set, the network is being trained by
   *     another run, or its weights are not those of DJL's engine PyTorch, whose operators a step
   *     is made of
   * @throws IllegalArgumentException if the dataset or a batch of it is empty, the dataset is
   *     smaller than a batch, or its images have another shape or type, lie outside the data range
   *     or are not finite; or the network is conditioned on what neither the labels nor {@link
   *     #condition} tell, or on nothing where there are conditions
   * @throws NonFiniteLossException if the loss or its gradient becomes NaN or infinite
   * @throws CancellationException if the thread is interrupted
   */
  public R fit(Dataset dataset) {
    if (steps == 0) {
      throw new IllegalStateException(
          "the number of training steps is not set; call steps(n) before fit()");
    }
    requirePyTorch();
    long runSeed = seed != null ? seed : new SecureRandom().nextLong();
    if (seed == null) {
      logger.info("training with seed {}", runSeed);
    }
    Runnable release = denoiser.beginTraining();
    try {
      return fit(dataset, runSeed);
    } finally {
      release.run();
    }
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

  private R fit(Dataset dataset, long runSeed) {
    TrainableDenoiser averaged = denoiser.copy();
    boolean done = false;
    Runnable release = averaged.beginTraining();
    try (Run run = new Run(dataset, averaged, runSeed)) {
      LossHistory losses = run.execute();
      release.run();
      R result =
          toResult.apply(
              new TrainingOutcome(
                  denoiser, averaged, losses, runSeed, settings(dataset, losses, runSeed)));
      done = true;
      return result;
    } finally {
      release.run();
      if (!done) {
        averaged.close();
      }
    }
  }

  /** Numbers as {@code Long} and {@code Double}, as they come back from a model file. */
  private Map<String, Object> settings(Dataset dataset, LossHistory losses, long runSeed) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("steps", (long) losses.steps());
    if (dataset instanceof RandomAccessDataset) {
      settings.put("batchSize", (long) batchSize);
    }
    settings.put("accumulation", (long) accumulation);
    settings.put("loss", loss.toString());
    if (!weighting.equals(Weighting.uniform())) {
      settings.put("weighting", weighting.toString());
    }
    if (!timestepSampler.equals(TimestepSampler.uniform())) {
      settings.put("timestepSampler", timestepSampler.toString());
    }
    if (offsetNoise > 0) {
      settings.put("offsetNoise", offsetNoise);
    }
    if (inputPerturbation > 0) {
      settings.put("inputPerturbation", inputPerturbation);
    }
    settings.put("optimizer", optimizer.toString());
    settings.put("firstLearningRate", (double) learningRate.getNewValue(0));
    settings.put("warmup", (long) warmup);
    if (Double.isFinite(gradientClip)) {
      settings.put("gradientClip", gradientClip);
    }
    if (conditionDropout > 0) {
      settings.put("conditionDropout", conditionDropout);
    }
    settings.put("emaDecay", ema.decay());
    settings.put("emaWarmup", ema.warmup());
    settings.put("seed", runSeed);
    settings.put("meanLossOfLast100Steps", losses.mean(100));
    return settings;
  }

  private static double atLeastZero(String name, double value) {
    if (!(value >= 0) || Double.isInfinite(value)) {
      throw new IllegalArgumentException(name + " must be finite and at least 0, but was " + value);
    }
    return value;
  }

  private static int atLeastOne(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }

  /** What a pass drew, and the loss of each image, on the device until it is read. */
  private static final class Pass {
    private final NoiseLevels levels;
    private final NDArray losses;
    private double[] values = {};

    Pass(NoiseLevels levels, NDArray losses) {
      this.levels = levels;
      this.losses = losses;
    }

    /** Fetches the losses, which are kept in Java from then on. */
    double[] read() {
      values = StepState.toDoubles(losses);
      return values;
    }
  }

  /** The state of one run. */
  private final class Run implements AutoCloseable {
    private final NDManager manager;

    /** Datasets are read on the CPU, where their indices must be; batches move to the network. */
    private final NDManager reading = NDManager.newBaseManager(Device.cpu());

    private final TrainingData data;
    private final TrainableDenoiser averaged;
    private final @Nullable ScriptedDenoiser scripted = StepProgram.scripted(denoiser);
    private final Program program;
    private final StepState state;

    /** Where gradients are added up, if a program makes them batch by batch. */
    private final NDList sums;

    private final long seed;
    private final Noising noising;
    private final Conditioning conditioning;

    /** How many images the step that is being done has had. */
    private long imagesOfStep;

    private final double[] losses = new double[steps];
    private final double[] norms = new double[steps];

    /** What was drawn in the steps that are not read yet, pass by pass, and what came of it. */
    private final List<List<Pass>> passes = new ArrayList<>();

    private final int rows;

    /** What a compiled loss asks for per image. */
    private final Set<Coefficient> coefficients = EnumSet.noneOf(Coefficient.class);

    /** Steps that are done, and those of them whose loss and norm were read. */
    private int done;

    private int read;
    private @Nullable NonFiniteLossException failure;
    private boolean stop;

    /** Whether the log is freed. */
    private boolean ended;

    Run(Dataset dataset, TrainableDenoiser averaged, long seed) {
      this.seed = seed;
      this.averaged = averaged;
      this.noising =
          new Noising(diffusion, timestepSampler, weighting, offsetNoise, inputPerturbation, seed);
      this.conditioning = new Conditioning(denoiser, diffusion, condition, conditionDropout, seed);
      requireVarianceTrained();
      this.manager = NDManager.newBaseManager(denoiser.device().orElse(null));
      this.rows = noising.learns() ? 1 : logRows > 0 ? logRows : logRows(manager.getDevice());
      boolean fine = false;
      try {
        denoiser.imageShape().ifPresent(this::requireLossPerImage);
        this.data =
            TrainingData.of(
                dataset, reading, batchSize, seed, denoiser.imageShape(), diffusion.dataRange());
        this.state = new StepState(denoiser, averaged, rows, manager);
        this.sums = scripted != null && accumulation > 1 ? state.zeros(manager) : new NDList();
        this.program =
            StepProgram.compile(
                optimizer, gradientClip, accumulation, loss, diffusion, denoiser, coefficients);
        fine = true;
      } finally {
        if (!fine) {
          reading.close();
          manager.close();
        }
      }
    }

    /** Tried on two images: a loss of another shape would broadcast, and train something else. */
    private void requireLossPerImage(Shape image) {
      try (GradMode off = GradMode.off();
          NDManager probe = manager.newSubManager()) {
        NDArray zeros = probe.zeros(new Shape(2).addAll(image));
        NDArray output = denoiser.predictsVariance() ? zeros.concat(zeros, 1) : zeros;
        Shape shape =
            loss.perImage(
                    EagerOps.inference(),
                    seen(output, zeros, zeros, zeros, NoiseLevels.of(diffusion.schedule(), 0, 0)))
                .getShape();
        if (!shape.equals(new Shape(2))) {
          throw new IllegalArgumentException(
              "loss "
                  + loss
                  + " must give one number per image, shape (N), but gave "
                  + shape
                  + " for 2 images; end it with ops.meanPerImage(…)");
        }
      }
    }

    /** The network says what the variance is made of, and the loss trains it. */
    private void requireVarianceTrained() {
      Variance variance = diffusion.variance();
      if (variance.isLearned() && !denoiser.predictsVariance()) {
        throw new IllegalArgumentException(
            "variance "
                + variance
                + " is the network's to say, but the network predicts none; build it with"
                + " UNet.builder().learnedVariance(), or DDPM with Variance.FIXED_LARGE");
      }
      if (variance.isLearned() && !loss.trainsVariance()) {
        throw new IllegalArgumentException(
            "variance "
                + variance
                + " is not trained by loss "
                + loss
                + ", which looks at the prediction alone; use Losses.hybrid() or Losses.vlb(), or"
                + " build DDPM with Variance.FIXED_LARGE");
      }
      if (!variance.isLearned() && denoiser.predictsVariance()) {
        logger.warn(
            "the network predicts the variance too, but that of the model is {}: the outputs for"
                + " the variance stay as they are",
            variance);
      }
    }

    LossHistory execute() {
      try {
        while (done < steps && !stop) {
          rethrowFailure();
          if (Thread.currentThread().isInterrupted()) {
            // A step that failed before is the news, and left other weights.
            readLog();
            throw new CancellationException(
                "training was interrupted after step "
                    + done
                    + " of "
                    + steps
                    + "; the network holds the weights of that step, the averaged weights are"
                    + " dropped");
          }
          step();
        }
        readLog();
      } catch (Throwable e) {
        // So that listeners may ask for the losses of steps that were done.
        attempt(this::readLog, e);
        tellEnd(e);
        throw e;
      }
      tellEnd(null);
      return new LossHistory(Arrays.copyOf(losses, done));
    }

    /** Every listener hears of the end, whatever the others throw; the first failure counts. */
    private void tellEnd(@Nullable Throwable failed) {
      Throwable first = failed;
      for (TrainingStepListener listener : listeners) {
        first = attempt(() -> listener.onEnd(done), first);
      }
      if (failed == null && first instanceof Error error) {
        throw error;
      }
      if (failed == null && first instanceof RuntimeException exception) {
        throw exception;
      }
    }

    /** Runs a task that may fail; returns the first failure, with later ones suppressed in it. */
    private static @Nullable Throwable attempt(Runnable task, @Nullable Throwable first) {
      try {
        task.run();
        return first;
      } catch (RuntimeException | Error e) {
        if (first == null) {
          return e;
        }
        if (first != e) {
          first.addSuppressed(e);
        }
        return first;
      }
    }

    private void step() {
      double rate = rate();
      int row = done % rows;
      List<Pass> own = new ArrayList<>();
      passes.add(own);
      imagesOfStep = 0;
      try (NDManager step = manager.newSubManager();
          NDManager host = reading.newSubManager()) {
        if (scripted == null) {
          NDArray total = collected(step);
          try (NDList gradients = gradients()) {
            update(total, gradients, numbers(host, rate, row));
          }
        } else if (accumulation == 1) {
          run(StepProgram.STEP, scripted, step, host, done, null, rate, row);
        } else {
          NDArray total = step.zeros(new Shape());
          for (int i = 0; i < accumulation; i++) {
            long pass = (long) done * accumulation + i;
            try (NDManager batch = step.newSubManager()) {
              run(StepProgram.ACCUMULATE, scripted, batch, host, pass, total, rate, row);
            }
          }
          update(total, sums, numbers(host, rate, row));
        }
      }
      done++;
      if (done - read == rows) {
        readLog();
      }
      int number = done;
      TrainingEvent event =
          new TrainingEvent(
              number,
              steps,
              () -> lossOf(number),
              () -> normOf(number),
              number <= read,
              () -> levelsOf(own),
              () -> imageLossesOf(number, own),
              rate,
              ema.decayAfter(number),
              averaged,
              () -> stop = true);
      listeners.forEach(listener -> listener.onStep(event));
    }

    /**
     * One batch through a method of the program, whose arrays are attached to {@code owner}.
     *
     * @param total where the losses of the step are added up, if there are several batches
     */
    private void run(
        String method,
        ScriptedDenoiser network,
        NDManager owner,
        NDManager host,
        long pass,
        @Nullable NDArray total,
        double rate,
        int row) {
      try (Batch batch = data.next()) {
        NDArray images = batch.getData().head().toDevice(owner.getDevice(), false);
        images.attach(owner);
        Noising.Draw draw = noising.draw(owner, images.getShape(), pass);
        NDArray perImage = rows(network, owner, draw.levels());
        double[] seeds = new double[network.dropoutLayers()];
        Arrays.setAll(seeds, layer -> EagerOps.dropoutSeed(seed, pass, layer));
        NDArray numbers = numbers(host, rate, row, seeds);
        Condition of = conditionOf(batch, images, draw);
        NDList others = new NDList(numbers);
        if (total == null) {
          others.add(state.broken());
          others.add(state.log());
        } else {
          others.add(total);
        }
        others.add(draw.inputNoise());
        others.add(draw.noise());
        others.add(perImage);
        others.addAll(network.conditionInputs(of, images));
        NDArray each =
            program
                .callRecording(
                    method,
                    images,
                    total == null ? state.lists() : List.of(state.weights(), sums),
                    others.toArray(new NDArray[0]))
                .head();
        keep(draw.levels(), each);
      }
    }

    /** Keeps what a pass drew, and the losses of its images until they are read. */
    private void keep(NoiseLevels levels, NDArray losses) {
      losses.attach(manager);
      passes.get(passes.size() - 1).add(new Pass(levels, losses));
    }

    /** Per image the factors of x_t and of the target, and the level as the network takes it. */
    private NDArray rows(ScriptedDenoiser network, NDManager owner, NoiseLevels levels) {
      int images = levels.size();
      double[] features = network.levelFeatures(diffusion.asked(levels));
      int width = features.length / images;
      double[] values = new double[images * (StepProgram.LEVELS + width)];
      for (int i = 0; i < images; i++) {
        LinearForm target = noising.target(levels, i);
        int start = i * (StepProgram.LEVELS + width);
        values[start + StepProgram.SIGNAL] = levels.signal(i);
        values[start + StepProgram.NOISE] = levels.noise(i);
        values[start + StepProgram.TARGET_X0] = target.first();
        values[start + StepProgram.TARGET_NOISE] = target.second();
        values[start + StepProgram.WEIGHT] = noising.weight(levels, i);
        values[start + StepProgram.IMPORTANCE] = noising.importance(levels, i);
        values[start + StepProgram.INPUT_SCALE] = noising.inputScale(levels, i);
        for (Coefficient coefficient : coefficients) {
          values[start + StepProgram.column(coefficient)] =
              coefficient.at(diffusion, levels.timestep(i));
        }
        System.arraycopy(features, i * width, values, start + StepProgram.LEVELS, width);
      }
      Shape shape = new Shape(images, StepProgram.LEVELS + width);
      return Upload.doubles(owner, values, shape, DataType.FLOAT32);
    }

    /** A number per image for arrays of the type float32. */
    private static NDArray each(NDManager owner, int images, IntToDoubleFunction value) {
      double[] values = IntStream.range(0, images).mapToDouble(value).toArray();
      return Upload.doubles(owner, values, new Shape(images), DataType.FLOAT32);
    }

    /** What changes from step to step, on the CPU. */
    private NDArray numbers(NDManager host, double rate, int row, double... seeds) {
      double[] numbers = new double[StepProgram.SEEDS + seeds.length];
      numbers[StepProgram.LEARNING_RATE] = rate;
      numbers[StepProgram.EPSILON] = optimizer.correctedEpsilon(done + 1L);
      numbers[StepProgram.EMA_WEIGHT] = 1 - ema.decayAfter(done + 1L);
      numbers[StepProgram.COUNT] = done + 1.0;
      numbers[StepProgram.ROW] = row;
      System.arraycopy(seeds, 0, numbers, StepProgram.SEEDS, seeds.length);
      return Upload.doubles(host, numbers, new Shape(numbers.length), DataType.FLOAT64);
    }

    private void update(NDArray total, NDList gradients, NDArray numbers) {
      program
          .call(
              StepProgram.UPDATE,
              total,
              state.lists(gradients),
              numbers,
              state.broken(),
              state.log())
          .close();
    }

    /**
     * Adds the gradients of the step's batches to those of the weights, operation by operation;
     * returns the mean loss.
     */
    private NDArray collected(NDManager step) {
      NDArray total = step.zeros(new Shape());
      for (int i = 0; i < accumulation; i++) {
        long pass = (long) done * accumulation + i;
        try (Batch batch = data.next();
            NDManager own = step.newSubManager()) {
          NDArray images = batch.getData().head().toDevice(own.getDevice(), false);
          images.attach(own);
          Noising.Draw draw = noising.draw(own, images.getShape(), pass);
          NoiseLevels levels = draw.levels();
          NDArray xt = noising.xt(images, draw);
          NDArray target = noising.target(images, draw);
          NDArray weights = each(own, levels.size(), n -> noising.weight(levels, n));
          NDArray importance = each(own, levels.size(), n -> noising.importance(levels, n));
          Condition of = conditionOf(batch, images, draw);
          collecting.lock();
          try (GradientCollector collector =
              Engine.getEngine(manager.getEngine().getEngineName()).newGradientCollector()) {
            NDArray output =
                denoiser.predictForTraining(
                    noising.input(xt, levels),
                    diffusion.asked(levels),
                    of,
                    new TrainingPass(seed, pass));
            EagerOps ops = EagerOps.training(seed, pass);
            NDArray each =
                loss.perImage(ops, seen(output, target, images, xt, levels)).mul(weights);
            NDArray share = ops.scale(each.mul(importance).mean(), 1.0 / accumulation);
            collector.backward(share);
            try (GradMode off = GradMode.off()) {
              total.addi(share);
              keep(levels, each.stopGradient());
            }
          } finally {
            collecting.unlock();
          }
        }
      }
      return total;
    }

    private Seen<NDArray> seen(
        NDArray output, NDArray target, NDArray images, NDArray xt, NoiseLevels levels) {
      int channels = Math.toIntExact(images.getShape().get(1));
      EagerOps ops = EagerOps.inference();
      return new Seen<>(
          denoiser.predictsVariance() ? ops.firstChannels(output, channels) : output,
          target,
          diffusion.variance().isLearned()
              ? Optional.of(ops.lastChannels(output, channels))
              : Optional.empty(),
          images,
          xt,
          coefficient ->
              PerImage.column(
                  images,
                  IntStream.range(0, levels.size())
                      .mapToDouble(i -> coefficient.at(diffusion, levels.timestep(i)))
                      .toArray()),
          diffusion);
    }

    /** What a batch is conditioned on, the network's own estimate included. */
    private Condition conditionOf(Batch batch, NDArray images, Noising.Draw draw) {
      Condition of = conditioning.of(images, batch.getLabels(), done, imagesOfStep);
      imagesOfStep += draw.levels().size();
      if (!conditioning.estimates(done)) {
        return of;
      }
      try (NDArray xt = noising.xt(images, draw)) {
        return conditioning.withEstimate(of, xt, draw.levels(), noising);
      }
    }

    private double lossOf(int step) {
      if (step > read) {
        readLog();
      }
      return losses[step - 1];
    }

    private double[] imageLossesOf(int step, List<Pass> own) {
      if (step > read) {
        readLog();
      }
      return own.stream().flatMapToDouble(pass -> Arrays.stream(pass.values)).toArray();
    }

    private static NoiseLevels levelsOf(List<Pass> own) {
      return NoiseLevels.concat(own.stream().map(pass -> pass.levels).toList());
    }

    private double normOf(int step) {
      if (step > read) {
        readLog();
      }
      return norms[step - 1];
    }

    /** Fetches the losses and norms of the steps since the last time. */
    private void readLog() {
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
                + " could not be read before the run ended; look for the failure that fit() threw,"
                + " or ask in the listener's onStep");
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

    private void learn(Pass pass) {
      try (NDArray each = pass.losses) {
        if (noising.learns()) {
          noising.learn(pass.levels, pass.read());
        } else if (!listeners.isEmpty()) {
          pass.read(); // a listener may ask
        }
      }
    }

    /** The program has updated nothing from the first such value on. */
    private void requireFinite(String what, double value) {
      if (!Double.isFinite(value)) {
        done = read;
        failure =
            new NonFiniteLossException(
                read + 1L,
                what,
                value,
                timestepsOf(passes.get(0)),
                read == 0 ? Double.NaN : losses[read - 1]);
        throw failure;
      }
    }

    /** The timesteps of all images of a step; the nearest, where they are fractional. */
    private static int[] timestepsOf(List<Pass> step) {
      return step.stream()
          .map(pass -> pass.levels)
          .flatMapToInt(
              levels ->
                  IntStream.range(0, levels.size()).map(i -> (int) Math.rint(levels.timestep(i))))
          .toArray();
    }

    /** A listener that asked may have kept the failure to itself. */
    private void rethrowFailure() {
      NonFiniteLossException known = failure;
      if (known != null) {
        throw known;
      }
    }

    private double rate() {
      double rate = learningRate.getNewValue(done);
      if (!(rate >= 0) || Double.isInfinite(rate)) {
        throw new IllegalStateException(
            "the learning rate must be finite and at least 0, but the tracker gave "
                + rate
                + " for step "
                + (done + 1));
      }
      return rate * Math.min(1, (done + 1.0) / Math.max(1, warmup));
    }

    /** Views of the gradients, which every call attaches to the weights' manager anew. */
    private NDList gradients() {
      NDList gradients = new NDList();
      state.weights().forEach(weight -> gradients.add(weight.getGradient()));
      return gradients;
    }

    @Override
    public void close() {
      ended = true;
      if (scripted == null) {
        // A run that ended between backward and update must not leave its gradients to the next.
        try (GradMode update = GradMode.off();
            NDList gradients = gradients()) {
          for (NDArray gradient : gradients) {
            try (NDArray zeros = gradient.zerosLike()) {
              gradient.set(new NDIndex("..."), zeros);
            }
          }
        }
      }
      program.close();
      reading.close();
      manager.close();
    }
  }

  /** On a GPU reading waits for the device, so many steps are read at once. */
  private static int logRows(Device device) {
    return device.isGpu() ? GPU_LOG_ROWS : 1;
  }
}
