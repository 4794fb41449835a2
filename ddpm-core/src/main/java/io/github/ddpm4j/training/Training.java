package io.github.ddpm4j.training;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
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
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.NoiseLevels;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.model.TrainingPass;
import io.github.ddpm4j.noise.CounterRandom;
import io.github.ddpm4j.ops.EagerOps;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.torch.GradMode;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.apache.commons.rng.UniformRandomProvider;
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
 * order, timesteps, noise and dropout masks are functions of (seed, step), so two runs with the
 * same seed, machine and thread count give identical weights.
 *
 * <p>Interrupting the thread ends {@link #fit} between two steps with a {@link
 * CancellationException}: the network keeps the weights of the last whole step and the interrupt
 * flag stays set. To end early and keep the averaged weights too, call {@link
 * TrainingEvent#stop()}.
 *
 * <p>Not thread-safe: one thread sets up a run. Several runs of different networks may train at
 * once in one JVM; they take turns, since the engine records gradients for one of them at a time.
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

  private static final Logger logger = LoggerFactory.getLogger(Training.class);

  /** The engine's gradient collector is one per process. */
  private static final ReentrantLock collecting = new ReentrantLock(true);

  private final Diffusion diffusion;
  private final TrainableDenoiser denoiser;
  private final Function<TrainingOutcome, R> toResult;
  private final List<TrainingListener> listeners = new ArrayList<>();
  private Loss loss = Losses.simple();
  private int batchSize = DEFAULT_BATCH_SIZE;
  private int accumulation = 1;
  private int steps;
  private Adam optimizer = Adam.PAPER;
  private Tracker learningRate = Tracker.fixed((float) DEFAULT_LEARNING_RATE);
  private int warmup;
  private double gradientClip = DEFAULT_GRADIENT_CLIP;
  private Ema ema = Ema.of(Ema.DEFAULT_DECAY);
  private @Nullable Long seed;

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
   * @param optimizer the default is {@link Adam#PAPER}
   * @return this run
   */
  public Training<R> optimizer(Adam optimizer) {
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
  public Training<R> listener(TrainingListener listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * Trains.
   *
   * @param dataset images as the first array of each record, float32, shape (C, H, W), in the data
   *     range; labels are ignored
   * @return the result; the caller closes it
   * @throws IllegalStateException if {@link #steps} was not set
   * @throws IllegalArgumentException if the dataset is empty or smaller than a batch, or its images
   *     have another shape or type, lie outside the data range or are not finite
   * @throws NonFiniteLossException if the loss or its gradient becomes NaN or infinite
   * @throws CancellationException if the thread is interrupted
   */
  public R fit(Dataset dataset) {
    if (steps == 0) {
      throw new IllegalStateException(
          "the number of training steps is not set; call steps(n) before fit()");
    }
    long runSeed = seed != null ? seed : new SecureRandom().nextLong();
    if (seed == null) {
      logger.info("training with seed {}", runSeed);
    }
    TrainableDenoiser averaged = denoiser.copy();
    boolean done = false;
    try (Run run = new Run(dataset, averaged, runSeed)) {
      LossHistory losses = run.execute();
      R result =
          toResult.apply(
              new TrainingOutcome(
                  denoiser, averaged, losses, runSeed, settings(dataset, losses, runSeed)));
      done = true;
      return result;
    } finally {
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
    settings.put("optimizer", optimizer.toString());
    settings.put("firstLearningRate", (double) learningRate.getNewValue(0));
    settings.put("warmup", (long) warmup);
    if (Double.isFinite(gradientClip)) {
      settings.put("gradientClip", gradientClip);
    }
    settings.put("emaDecay", ema.decay());
    settings.put("emaWarmup", ema.warmup());
    settings.put("seed", runSeed);
    settings.put("meanLossOfLast100Steps", losses.mean(100));
    return settings;
  }

  private static int atLeastOne(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + " must be at least 1, but was " + value);
    }
    return value;
  }

  /** The state of one run. */
  private final class Run implements AutoCloseable {
    private final NDManager manager;

    /** Datasets are read on the CPU, where their indices must be; batches move to the network. */
    private final NDManager reading = NDManager.newBaseManager(Device.cpu());

    private final TrainingData data;
    private final TrainableDenoiser averaged;
    private final Collection<NDArray> weights;
    private final AdamState adam;
    private final ForwardProcess forward = ForwardProcess.of(diffusion.schedule());
    private final long seed;
    private final CounterRandom timesteps;
    private final CounterRandom noise;
    private final double[] losses = new double[steps];

    private int done;
    private boolean stop;
    private int[] lastTimesteps = {};

    Run(Dataset dataset, TrainableDenoiser averaged, long seed) {
      this.seed = seed;
      this.averaged = averaged;
      this.timesteps = CounterRandom.of(seed, CounterRandom.Stream.TIMESTEPS);
      this.noise = CounterRandom.of(seed, CounterRandom.Stream.TRAINING_NOISE);
      this.weights = denoiser.weights().values();
      this.manager = NDManager.newBaseManager(denoiser.device().orElse(null));
      boolean fine = false;
      try {
        this.data =
            TrainingData.of(
                dataset, reading, batchSize, seed, denoiser.imageShape(), diffusion.dataRange());
        this.adam = new AdamState(optimizer, weights, manager);
        fine = true;
      } finally {
        if (!fine) {
          reading.close();
          manager.close();
        }
      }
    }

    LossHistory execute() {
      try {
        while (done < steps && !stop) {
          if (Thread.currentThread().isInterrupted()) {
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
      } finally {
        listeners.forEach(listener -> listener.onEnd(done));
      }
      return new LossHistory(Arrays.copyOf(losses, done));
    }

    private void step() {
      // 1. gradients of the loss, averaged over the batches of the step
      double loss = 0;
      for (int i = 0; i < accumulation; i++) {
        loss += backward((long) done * accumulation + i) / accumulation;
      }
      double rate = rate();
      double norm;
      List<NDArray> gradients = gradients();
      try (GradMode update = GradMode.off()) {
        // 2. the global norm
        norm = norm(gradients);
        if (!Double.isFinite(norm)) {
          throw notFinite("gradient norm", norm);
        }
        // 3. the update
        adam.step(gradients, rate, norm > gradientClip ? gradientClip / norm : 1);
      } finally {
        gradients.forEach(NDArray::close);
      }
      losses[done] = loss;
      done++;
      // 4. the average
      average(ema.decayAfter(done));
      TrainingEvent event =
          new TrainingEvent(done, steps, loss, rate, norm, averaged, () -> stop = true);
      listeners.forEach(listener -> listener.onStep(event));
    }

    /** Adds the gradients of one batch to those of the weights; returns its loss. */
    private double backward(long pass) {
      try (Batch batch = data.next();
          NDManager step = manager.newSubManager()) {
        NDArray images = batch.getData().head().toDevice(step.getDevice(), false);
        images.attach(step);
        int[] t = drawTimesteps(pass, Math.toIntExact(images.getShape().get(0)));
        NDArray epsilon = drawNoise(step, images.getShape(), pass);
        NDArray xt = forward.sample(images, t, epsilon);
        NDArray target = diffusion.prediction().target(diffusion.schedule(), t, images, epsilon);
        NoiseLevels levels = NoiseLevels.of(diffusion.schedule(), t);
        collecting.lock();
        try (GradientCollector collector = Engine.getEngine(engine()).newGradientCollector()) {
          NDArray output =
              denoiser.predictForTraining(
                  xt, levels, Condition.none(), new TrainingPass(seed, pass));
          EagerOps ops = EagerOps.training(seed, pass);
          NDArray mean = loss.perImage(ops, output, target).mean();
          double value = mean.getFloat();
          lastTimesteps = t;
          if (!Double.isFinite(value)) {
            throw notFinite("loss", value);
          }
          collector.backward(ops.scale(mean, 1.0 / accumulation));
          return value;
        } finally {
          collecting.unlock();
        }
      }
    }

    private String engine() {
      return manager.getEngine().getEngineName();
    }

    private int[] drawTimesteps(long pass, int images) {
      UniformRandomProvider random = timesteps.at(pass, 0);
      int[] t = new int[images];
      for (int i = 0; i < images; i++) {
        t[i] = random.nextInt(diffusion.schedule().timesteps());
      }
      return t;
    }

    /** Place i of the batch has noise of its own, whatever the size of the batch. */
    private NDArray drawNoise(NDManager step, Shape shape, long pass) {
      return Upload.normal(
          step,
          (place, draw, target) -> noise.normal(draw, place, target),
          0,
          pass,
          shape,
          DataType.FLOAT32);
    }

    private NonFiniteLossException notFinite(String what, double value) {
      return new NonFiniteLossException(
          done + 1L, what, value, lastTimesteps, done == 0 ? Double.NaN : losses[done - 1]);
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
    private List<NDArray> gradients() {
      return weights.stream().map(NDArray::getGradient).toList();
    }

    private double norm(List<NDArray> gradients) {
      try (NDManager step = manager.newSubManager()) {
        NDList squares = new NDList(gradients.size());
        for (NDArray gradient : gradients) {
          try (NDArray square = gradient.square()) {
            NDArray sum = square.sum();
            sum.attach(step);
            squares.add(sum);
          }
        }
        NDArray all = NDArrays.stack(squares);
        return Math.sqrt(all.sum().getFloat());
      }
    }

    private void average(double decay) {
      try (GradMode update = GradMode.off()) {
        Map<String, NDArray> averages = averaged.weights();
        denoiser
            .weights()
            .forEach(
                (name, weight) -> {
                  NDArray average = averages.get(name);
                  if (average == null) {
                    throw new IllegalStateException(
                        "the copy of the network lacks the weight " + name);
                  }
                  // ā ← ā + (1 − d)(w − ā)
                  try (NDArray difference = weight.sub(average)) {
                    average.addi(difference.muli(1 - decay));
                  }
                });
      }
    }

    @Override
    public void close() {
      // A run that ended between backward and update must not leave its gradients to the next one.
      try (GradMode update = GradMode.off()) {
        for (NDArray gradient : gradients()) {
          try (NDArray zeros = gradient.zerosLike()) {
            gradient.set(new NDIndex("..."), zeros);
          }
          gradient.close();
        }
      }
      reading.close();
      manager.close();
    }
  }
}
