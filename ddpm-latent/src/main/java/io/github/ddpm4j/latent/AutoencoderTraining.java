package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.OwnSampling;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.data.SeededSampler;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.random.Seeds;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Trains an {@link Autoencoder} by squared error and a Kullback-Leibler penalty (Kingma and Welling
 * 2014; Rombach et al. 2021, section 3.1), set up fluently:
 *
 * <pre>
 *   L = Σ (x − D(z))² + w · Σ ½ (μ² + σ² − 1 − ln σ²)      z = μ + σ · noise,   (μ, ln σ²) = E(x)
 * </pre>
 *
 * <p>where the sums go over a picture and its latents, and both are divided by the number of values
 * of a picture. Published autoencoders were also trained with a perceptual loss and an adversary,
 * which this has not: with it pictures of any size beyond a few pixels are blurred.
 *
 * <p>Weights are updated by Adam (β1 = 0.9, β2 = 0.999, ε = 1e-8) in float32, whatever the
 * autoencoder runs as. Each picture is visited once per epoch, in an order that is a function of
 * the seed, as the draws are.
 *
 * <pre>{@code
 * autoencoder.training().steps(2000).learningRate(1e-3).seed(1).fit(dataset);
 * autoencoder.save(folder);
 * }</pre>
 *
 * <p>Not thread-safe.
 */
public final class AutoencoderTraining {

  /** The default batch size where the dataset does not tell its own: {@value}. */
  public static final int DEFAULT_BATCH_SIZE = 32;

  /** The default learning rate: {@value}. */
  public static final double DEFAULT_LEARNING_RATE = 1e-4;

  /** The default weight of the penalty, that of the paper: {@value}. */
  public static final double DEFAULT_KL_WEIGHT = 1e-6;

  private static final Logger logger = LoggerFactory.getLogger(AutoencoderTraining.class);

  private final Autoencoder autoencoder;
  private int steps;
  private int batchSize;
  private Tracker rate = step -> (float) DEFAULT_LEARNING_RATE;
  private double klWeight = DEFAULT_KL_WEIGHT;
  private @Nullable Long seed;
  private final List<Consumer<Step>> listeners = new ArrayList<>();

  AutoencoderTraining(Autoencoder autoencoder) {
    this.autoencoder = autoencoder;
  }

  /**
   * A step that was taken.
   *
   * @param number its number, from 1
   * @param loss what was minimised, before the step
   * @param squaredError the mean squared difference of decoded pictures, per value
   * @param divergence the mean divergence of latents from the normal distribution, per value, in
   *     nats
   */
  public record Step(int number, double loss, double squaredError, double divergence) {}

  /**
   * The number of steps. There is no default.
   *
   * @param count at least 1
   * @return this run
   * @throws IllegalArgumentException if it is less than 1
   */
  public AutoencoderTraining steps(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("steps must be at least 1, but was " + count);
    }
    steps = count;
    return this;
  }

  /**
   * The pictures of a step.
   *
   * @param pictures at least 1; by default that of the dataset
   * @return this run
   * @throws IllegalArgumentException if it is less than 1
   */
  public AutoencoderTraining batchSize(int pictures) {
    if (pictures < 1) {
      throw new IllegalArgumentException("batchSize must be at least 1, but was " + pictures);
    }
    batchSize = pictures;
    return this;
  }

  /**
   * The learning rate.
   *
   * @param value positive; {@value #DEFAULT_LEARNING_RATE} by default
   * @return this run
   * @throws IllegalArgumentException if it is not positive and finite
   */
  public AutoencoderTraining learningRate(double value) {
    if (!(value > 0 && value < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("learningRate must be positive, but was " + value);
    }
    rate = step -> (float) value;
    return this;
  }

  /**
   * A learning rate that changes.
   *
   * @param tracker asked before each step, with the number of steps done
   * @return this run
   */
  public AutoencoderTraining learningRate(Tracker tracker) {
    rate = Objects.requireNonNull(tracker, "tracker");
    return this;
  }

  /**
   * The weight w of the penalty. The larger it is, the closer latents are to noise, and the less
   * they tell.
   *
   * @param weight at least 0; {@value #DEFAULT_KL_WEIGHT} by default
   * @return this run
   * @throws IllegalArgumentException if it is negative or not finite
   */
  public AutoencoderTraining klWeight(double weight) {
    if (!(weight >= 0 && weight < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("klWeight must be at least 0, but was " + weight);
    }
    klWeight = weight;
    return this;
  }

  /**
   * The seed of the order and of what is drawn.
   *
   * @param value any number; by default a random one, which is logged
   * @return this run
   */
  public AutoencoderTraining seed(long value) {
    seed = value;
    return this;
  }

  /**
   * Adds a listener.
   *
   * @param listener called after every step, on the thread that trains
   * @return this run
   */
  public AutoencoderTraining listener(Consumer<Step> listener) {
    listeners.add(Objects.requireNonNull(listener, "listener"));
    return this;
  }

  /**
   * Trains the autoencoder in place, and then sets its {@linkplain Autoencoder#scale scale} to 1 /
   * s, where s is the deviation of the latents of the first batch, as the paper has it (section G
   * of its appendix): networks that work on latents see numbers of variance 1. Others who use the
   * autoencoder wait until this has ended.
   *
   * @param dataset pictures in [−1, 1] as the first array of each record, float32, shape (C, H, W);
   *     labels are not looked at
   * @return the autoencoder
   * @throws IllegalStateException if {@link #steps} was not set, the autoencoder is closed or its
   *     weights are held in 16 bits, or the loss became NaN or infinite, with the weights as they
   *     were before that step
   * @throws IllegalArgumentException if the dataset is smaller than a batch or was built to be read
   *     in order, pictures have another shape, type or range, or all latents are the same number
   * @throws java.io.UncheckedIOException if the data cannot be read
   * @throws CancellationException if the thread is interrupted, between two steps
   */
  public Autoencoder fit(RandomAccessDataset dataset) {
    if (steps == 0) {
      throw new IllegalStateException("the length of the run is not set; call steps(n)");
    }
    int batch = batchSizeOver(dataset);
    int size =
        Datasets.read(
            () -> {
              dataset.prepare();
              return Math.toIntExact(dataset.size());
            });
    if (batch > size) {
      throw new IllegalArgumentException(
          "batchSize must be at most the size of the dataset, " + size + ", but was " + batch);
    }
    long own = Seeds.orDrawn(seed, logger, "training the autoencoder");
    try (Usage.Hold hold = autoencoder.weighted().changing();
        NDManager manager = Machine.newManager(autoencoder.device());
        NDManager reading = Machine.newManager(Device.cpu())) {
      train(dataset, size, batch, own, manager, reading);
    }
    return autoencoder;
  }

  private int batchSizeOver(RandomAccessDataset dataset) {
    int unknown = batchSize == 0 ? DEFAULT_BATCH_SIZE : batchSize;
    return OwnSampling.of(dataset).map(own -> own.batchSizeOfRun(batchSize)).orElse(unknown);
  }

  private void train(
      RandomAccessDataset dataset,
      int size,
      int batch,
      long seed,
      NDManager manager,
      NDManager reading) {
    NoiseSource noise = CounterRandom.of(seed, CounterRandom.Stream.TRAINING_NOISE)::normal;
    SeededSampler order = new SeededSampler(size, batch, seed, 0);
    Iterator<Batch> batches = Datasets.read(() -> dataset.getData(reading, order).iterator());
    Map<String, NDArray> weights = autoencoder.weighted().weights();
    List<NDArray> frozen =
        weights.values().stream().filter(weight -> !weight.hasGradient()).toList();
    frozen.forEach(weight -> weight.setRequiresGradient(true));
    try (GradMode off = GradMode.off();
        NDManager firstOnes = manager.newSubManager();
        AutoencoderStep step =
            new AutoencoderStep(autoencoder.network(), weights, klWeightPerMean(), manager)) {
      NDArray first = null;
      for (int done = 0; done < steps; done++) {
        if (Thread.currentThread().isInterrupted()) {
          throw new CancellationException(
              "training the autoencoder was interrupted after " + done + " steps");
        }
        try (NDManager own = manager.newSubManager();
            NDManager host = reading.newSubManager();
            Batch records = Datasets.next(dataset, batches, order::last, reading)) {
          NDArray images = images(records, RecordNames.of(dataset, order.last()), own);
          if (first == null) {
            first = images.duplicate();
            first.attach(firstOnes);
          }
          NDArray drawn = noise(noise, own, done, images);
          AutoencoderStep.Numbers numbers =
              step.take(images, drawn, rate.getNewValue(done), done + 1, host);
          requireFinite(numbers, done + 1);
          Step said =
              new Step(done + 1, numbers.loss(), numbers.squaredError(), numbers.divergence());
          listeners.forEach(listener -> listener.accept(said));
        }
      }
      measureScale(Objects.requireNonNull(first), noise);
    } finally {
      frozen.forEach(weight -> weight.setRequiresGradient(false));
    }
  }

  /** Sums of pictures and latents, both over the values of a picture, as weights of their means. */
  private double klWeightPerMean() {
    double values =
        (double) autoencoder.imageChannels() * autoencoder.factor() * autoencoder.factor();
    return klWeight * autoencoder.latentChannels() / values;
  }

  private NDArray images(Batch records, RecordNames names, NDManager own) {
    String name = "training data (" + names.all() + ")";
    NDArray read = Datasets.images(records, names, Optional.empty());
    Images.requireFloat32(name, read, DataRange.DEFAULT);
    Images.requireBatch(name, read, Optional.empty());
    Images.requireInRange(name, read, DataRange.DEFAULT);
    NDArray images = read.toDevice(own.getDevice(), true);
    images.attach(own);
    autoencoder.requireImages(images);
    return images;
  }

  private NDArray noise(NoiseSource noise, NDManager own, long pass, NDArray images) {
    Shape shape = images.getShape();
    int factor = autoencoder.factor();
    Shape latents =
        new Shape(
            shape.get(0),
            autoencoder.latentChannels(),
            shape.get(2) / factor,
            shape.get(3) / factor);
    // The counters of a batch: the pass, and the place in it.
    NoiseSource ofPass = (place, draw, target) -> noise.normal(pass, place, target);
    return ofPass.array(own, 0, 0, latents, DataType.FLOAT32);
  }

  private static void requireFinite(AutoencoderStep.Numbers numbers, int step) {
    if (!Double.isFinite(numbers.norm()) || !Double.isFinite(numbers.loss())) {
      throw new IllegalStateException(
          "the loss of step "
              + step
              + " is "
              + numbers.loss()
              + " with a gradient of norm "
              + numbers.norm()
              + "; the weights are those before the step: train with a lower learning rate");
    }
  }

  private void measureScale(NDArray first, NoiseSource noise) {
    double before = autoencoder.scale();
    try (NDManager own = first.getManager().newSubManager();
        Autoencoder.Latents latents = autoencoder.encode(first)) {
      NDArray drawn = latents.draw(noise(noise, own, steps, first));
      drawn.attach(own);
      double deviation = deviation(drawn.toFloatArray()) / before;
      if (!(deviation > 0)) {
        throw new IllegalArgumentException(
            "latents must differ to have a scale, but their deviation is "
                + deviation
                + "; train on pictures that differ, with a lower klWeight");
      }
      autoencoder.scale(1 / deviation);
    }
  }

  private static double deviation(float... values) {
    double mean = 0;
    for (float value : values) {
      mean += value;
    }
    mean /= values.length;
    double squares = 0;
    for (float value : values) {
      squares += (value - mean) * (value - mean);
    }
    return Math.sqrt(squares / (values.length - 1));
  }
}
