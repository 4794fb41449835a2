package io.github.ddpm4j;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.training.TrainingLoop;
import io.github.ddpm4j.internal.training.TrainingOutcome;
import io.github.ddpm4j.internal.training.TrainingSettings;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.training.NonFiniteLossException;
import io.github.ddpm4j.training.TrainingStepListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
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
 * TrainingStepListener.Event#stop()}.
 *
 * <p>A compiled network, as {@code UNet} is by default, takes a step in one call of the engine,
 * from the noising of the images to the update of the averages; with {@link #accumulation} in one
 * call per batch and one for the update. No result is fetched from a GPU for it: losses come every
 * 50 steps, or when a listener asks for one. (On the CPU they are there.)
 *
 * <p>Not thread-safe: one thread sets up a run. Several runs of different networks may train at
 * once in one JVM. Those of networks that are not compiled take turns, since the engine's gradient
 * collector is one per process. While a run trains a network, other threads cannot use it.
 */
public final class Training {

  /** Images per step unless {@link #batchSize(int)} says otherwise: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 128;

  /** The learning rate of the paper for CIFAR-10: {@value}. */
  public static final double DEFAULT_LEARNING_RATE = 2e-4;

  /** The global norm that gradients are clipped to, as in the authors' code: {@value}. */
  public static final double DEFAULT_GRADIENT_CLIP = 1;

  private static final String PYTORCH = "PyTorch";

  private static final Logger logger = LoggerFactory.getLogger(Training.class);

  private final DenoisingModel model;
  private final TrainableDenoiser denoiser;
  private final List<TrainingStepListener> listeners = new ArrayList<>();
  private Loss loss = Losses.simple();
  private Weighting weighting = Weighting.uniform();
  private TimestepSampler timestepSampler = TimestepSampler.uniform();
  private double offsetNoise;
  private double inputPerturbation;
  private int batchSize = DEFAULT_BATCH_SIZE;
  private int accumulation = 1;
  private int steps;
  private int epochs;
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
   * Sets up a run with the defaults.
   *
   * @param denoiser the network of the model, to be trained; not closed by the run
   */
  Training(DenoisingModel model, TrainableDenoiser denoiser) {
    this.model = model;
    this.denoiser = denoiser;
  }

  /**
   * The objective.
   *
   * @param loss the default is {@link Losses#simple()}
   * @return this run
   */
  public Training loss(Loss loss) {
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
  public Training weighting(Weighting weighting) {
    this.weighting = Objects.requireNonNull(weighting, "weighting");
    return this;
  }

  /**
   * How the run chooses how noisy each image is.
   *
   * @param sampler the default is {@link TimestepSampler#uniform()}
   * @return this run
   */
  public Training timestepSampler(TimestepSampler sampler) {
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
  public Training offsetNoise(double s) {
    this.offsetNoise = atLeastZero("offsetNoise", s);
    return this;
  }

  /**
   * Perturbs the network's input, but not its target, so that it learns to cope with the errors
   * that sampling accumulates (Ning et al. 2023, algorithm 1).
   *
   * <pre>
   *   x_t = √ᾱ_t · x_0 + √(1 − ᾱ_t) · (ε + γ · ξ)      ξ ~ N(0, I);   the target is made of ε
   * </pre>
   *
   * @param gamma γ, at least 0 and finite; 0 by default, 0.1 in the paper
   * @return this run
   * @throws IllegalArgumentException if {@code gamma} is negative or not finite
   */
  public Training inputPerturbation(double gamma) {
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
  public Training batchSize(int batchSize) {
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
  public Training accumulation(int batches) {
    this.accumulation = atLeastOne("accumulation", batches);
    return this;
  }

  /**
   * How many updates to make. There is no default: either this or {@link #epochs} must be set. The
   * paper trains CIFAR-10 for 800,000 steps.
   *
   * @param steps at least 1; takes the place of {@link #epochs}
   * @return this run
   * @throws IllegalArgumentException if {@code steps} is less than 1
   */
  public Training steps(int steps) {
    this.steps = atLeastOne("steps", steps);
    this.epochs = 0;
    return this;
  }

  /**
   * How often to go through the dataset: as many steps as see {@code epochs} times its size of
   * images, the last step rounded up. Needs a dataset of known size, a {@link RandomAccessDataset}.
   *
   * @param epochs at least 1; takes the place of {@link #steps}
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
   * @throws IllegalArgumentException if {@code rate} is not positive and finite
   */
  public Training learningRate(double rate) {
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
  public Training learningRate(Tracker rate) {
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
  public Training warmup(int steps) {
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
  public Training gradientClip(double norm) {
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
  public Training ema(double decay) {
    return ema(Ema.of(decay));
  }

  /**
   * The average of the weights.
   *
   * @param ema how to average
   * @return this run
   */
  public Training ema(Ema ema) {
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
  public Training condition(BiFunction<NDArray, NDList, Condition> condition) {
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
  public Training conditionDropout(double probability) {
    if (!(probability >= 0 && probability <= 1)) {
      throw new IllegalArgumentException(
          "conditionDropout must be in [0, 1], but was " + probability);
    }
    this.conditionDropout = probability;
    return this;
  }

  /**
   * Refuses to run elsewhere than on a device; it moves nothing. A run is always where the
   * network's weights are, and data is moved there; naming the device makes a run that would be
   * elsewhere fail at once instead of being slow.
   *
   * @param device the device that the weights must be on
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
   * The seed of batch order, timesteps, noise and dropout. Without one a random seed is drawn,
   * logged at INFO level and kept in the result.
   *
   * @param seed any number
   * @return this run
   */
  public Training seed(long seed) {
    this.seed = seed;
    return this;
  }

  /**
   * Watches the run; may be called for several listeners.
   *
   * @param listener called after every step
   * @return this run
   */
  public Training listener(TrainingStepListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /** Lets steps be as far ahead of what was read of them as on a GPU; 0 leaves it to the device. */
  Training logRows(int rows) {
    this.logRows = rows;
    return this;
  }

  /**
   * Trains.
   *
   * @param dataset images as the first array of each record, float32, shape (C, H, W), in the data
   *     range; labels are the classes if the network has classes, shape () or (1) of each record,
   *     unless {@link #condition} says otherwise
   * @return the models that the run leaves; the caller closes them
   * @throws CancellationException if the thread is interrupted. It is an {@code
   *     IllegalStateException} too: catch it first
   * @throws IllegalStateException if neither {@link #steps} nor {@link #epochs} was set, the
   *     network is being trained by another run, or its weights are not those of DJL's engine
   *     PyTorch, whose operators a step is made of
   * @throws IllegalArgumentException if the dataset or a batch of it is empty, the dataset is
   *     smaller than a batch, its size is unknown where {@link #epochs} needs it, or its images
   *     have another shape or type, lie outside the data range or are not finite; or the network is
   *     conditioned on what neither the labels nor {@link #condition} tell, or on nothing where
   *     there are conditions; or it predicts a variance that nothing trains, since the model's is
   *     fixed or the loss looks at the prediction alone
   * @throws NonFiniteLossException if the loss or its gradient becomes NaN or infinite
   */
  public TrainedModel fit(Dataset dataset) {
    if (steps == 0 && epochs == 0) {
      throw new IllegalStateException(
          "the number of training steps is not set; call steps(n) or epochs(n) before fit()");
    }
    requirePyTorch();
    TrainingSettings settings = settings(stepsOver(dataset));
    Runnable release = denoiser.beginTraining();
    try {
      TrainingOutcome outcome = TrainingLoop.run(model, denoiser, settings, dataset);
      boolean done = false;
      try {
        TrainedModel trained = new TrainedModel(model.diffusion(), outcome);
        done = true;
        return trained;
      } finally {
        if (!done) {
          outcome.averaged().close();
        }
      }
    } finally {
      release.run();
    }
  }

  private int stepsOver(Dataset dataset) {
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

  /** What the run is set to: changes from now on are for the next. */
  private TrainingSettings settings(int ofRun) {
    return new TrainingSettings(
        loss,
        weighting,
        timestepSampler,
        offsetNoise,
        inputPerturbation,
        batchSize,
        accumulation,
        ofRun,
        optimizer,
        learningRate,
        warmup,
        gradientClip,
        ema,
        condition,
        conditionDropout,
        Seeds.orDrawn(seed, logger, "training"),
        listeners,
        logRows);
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
    return value;
  }

  private static int atLeastOne(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }
}
