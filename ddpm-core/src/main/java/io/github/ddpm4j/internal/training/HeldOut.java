package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Sampler;
import io.github.ddpm4j.internal.data.DataFingerprint;
import io.github.ddpm4j.internal.data.Datasets;
import io.github.ddpm4j.internal.data.Images;
import io.github.ddpm4j.internal.data.RecordNames;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Given;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.training.StepLayout.Column;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.training.Validation;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.apache.commons.rng.sampling.ArraySampler;
import org.jspecify.annotations.Nullable;

/**
 * The loss of held-out images, each at a level and with noise that it always has.
 *
 * <pre>
 *   L = 1/K Σ_k i(t_k) w(t_k) L_k(x_k, t_k, ε_k)      x_k: record ⌊k N / K⌋ of N
 * </pre>
 *
 * <p>w is the run's weighting, and i makes up for levels that are drawn unevenly, as in training.
 *
 * <p>The levels t_k are the middles of K strata of equal probability, of {@value #POOL} K draws of
 * the run's distribution, in an order that is drawn.
 */
final class HeldOut {

  /** How many draws a stratum is made of. */
  private static final int POOL = 16;

  private final DenoisingModel model;
  private final TrainingSettings run;
  private final Validation settings;
  private final Conditioning conditioning;
  private final @Nullable Teacher teacher;
  private final NDManager manager;
  private final NDManager reading;
  private final TimestepSampler.Draws draws;
  private final List<Level> levels;
  private final CounterRandom noise;
  private final int size;
  private final String fingerprint;

  /**
   * @param teacher that of the run; null if it has none
   * @param manager of the network's device
   * @param reading of the CPU
   * @throws IllegalArgumentException if the dataset is empty, or not the same each time it is read
   */
  HeldOut(
      DenoisingModel model,
      TrainingSettings run,
      Validation settings,
      Conditioning conditioning,
      @Nullable Teacher teacher,
      NDManager manager,
      NDManager reading) {
    this.model = model;
    this.run = run;
    this.settings = settings;
    this.conditioning = conditioning;
    this.teacher = teacher;
    this.manager = manager;
    this.reading = reading;
    this.draws = run.timestepSampler().begin(model.diffusion().schedule());
    this.levels = levels();
    this.noise = CounterRandom.of(settings.seed(), CounterRandom.Stream.VALIDATION_NOISE);
    RandomAccessDataset dataset = settings.dataset();
    this.size =
        Datasets.read(
            () -> {
              dataset.prepare();
              return Math.toIntExact(dataset.size());
            });
    if (size == 0) {
      throw new IllegalArgumentException(
          "the dataset of the validation is empty; it needs at least one image");
    }
    this.fingerprint = DataFingerprint.of(dataset, reading);
    if (DataFingerprint.isRandom(fingerprint)) {
      throw new IllegalArgumentException(
          "the dataset of the validation gives other images each time it is read, whose losses"
              + " cannot be compared; take the random transforms out of it");
    }
  }

  /** What the losses are comparable by, in a short text. */
  String identity() {
    return fingerprint + ", " + settings.images() + " images, seed " + settings.seed();
  }

  private List<Level> levels() {
    CounterRandom random =
        CounterRandom.of(settings.seed(), CounterRandom.Stream.VALIDATION_LEVELS);
    int count = settings.images();
    NoiseLevels pool = draws.draw(Math.multiplyExact(count, POOL), random.at(0, 0));
    List<Level> sorted =
        IntStream.range(0, pool.size())
            .mapToObj(pool::level)
            .sorted(Comparator.comparingDouble(level -> level.noise() / level.signal()))
            .toList();
    int[] order = IntStream.range(0, count).toArray();
    ArraySampler.shuffle(random.at(1, 0), order);
    return IntStream.of(order).mapToObj(k -> sorted.get(k * POOL + POOL / 2)).toList();
  }

  /**
   * The mean loss.
   *
   * @param network the network, without dropout
   */
  double loss(TrainableDenoiser network) {
    Order order = new Order(size, settings.images(), run.batchSize());
    try (GradMode off = GradMode.off();
        NDManager host = reading.newSubManager()) {
      Iterator<Batch> batches =
          Datasets.read(() -> settings.dataset().getData(host, order).iterator());
      double sum = 0;
      int done = 0;
      while (done < settings.images()) {
        // A dataset may have asked the order for batches that come later.
        List<Long> records = order.batch(done);
        try (Batch batch = Datasets.next(settings.dataset(), batches, () -> records, host);
            NDManager own = manager.newSubManager()) {
          RecordNames names = RecordNames.of(settings.dataset(), records);
          double[] losses = losses(network, batch, names, done, own);
          for (double loss : losses) {
            sum += loss;
          }
          done += losses.length;
        }
      }
      return sum / done;
    }
  }

  private double[] losses(
      TrainableDenoiser network, Batch batch, RecordNames names, int first, NDManager own) {
    NDArray read = Datasets.images(batch, names, network.imageShape());
    String name = "validation data (" + names.all() + ")";
    Images.requireFloat32(name, read, model.diffusion().dataRange());
    Images.requireBatch(name, read, network.imageShape());
    DataBounds.of(model.diffusion(), run).require(name, read);
    NDArray images = read.toDevice(own.getDevice(), false);
    images.attach(own);
    int count = Math.toIntExact(images.getShape().get(0));
    NoiseLevels chosen = NoiseLevels.of(levels.subList(first, first + count));
    NoiseSource source = (image, draw, target) -> noise.normal(image, draw, target);
    NDArray epsilon = source.array(own, first, 0, images.getShape(), DataType.FLOAT32);
    Condition condition = conditioning.whole(images, batch.getLabels(), names);
    TrainingBatch asked = batch(images, chosen, epsilon, condition);
    ImageNumbers numbers =
        new ImageNumbers(
            model.diffusion(),
            run.weighting(),
            draws,
            asked.levels(),
            asked.earlier() == null ? null : asked.earlier().levels());
    NDArray each =
        Objective.of(model, run)
            .of(
                EagerOps.inference(),
                new ArrayColumns(images, numbers),
                asked.values(),
                x -> predicted(network, x, model.told(asked.levels()), condition),
                x -> predicted(network, x, asked.askedEarlier(model), condition))
            .each();
    if (!each.getShape().equals(new Shape(count))) {
      throw new IllegalArgumentException(
          "loss " + run.loss() + " must give one number per image, but gave " + each.getShape());
    }
    double[] losses = StepState.toDoubles(each);
    double[] importance = numbers.of(Column.IMPORTANCE);
    Arrays.setAll(losses, k -> importance[k] * losses[k]);
    return losses;
  }

  /** The images as a batch of the run's objective, in consistency tuning at its last stage. */
  private TrainingBatch batch(
      NDArray images, NoiseLevels levels, NDArray epsilon, Condition condition) {
    TrainingBatch plain =
        new TrainingBatch(
            new TrainableDenoiser.Pass(settings.seed(), 0),
            images,
            levels,
            epsilon,
            epsilon,
            condition);
    LevelPairs pairs = LevelPairs.of(run, model.diffusion());
    TrainingBatch paired = pairs == null ? plain : pairs.pairedAtEnd(plain);
    return teacher == null ? paired : teacher.guided(paired);
  }

  private static NDArray predicted(
      TrainableDenoiser network, NDArray x, NoiseLevels levels, Condition condition) {
    return Given.returned(
        network.predict(x, levels, condition), "the denoiser of " + network.getClass());
  }

  /** Records evenly spread over the dataset, in batches. */
  private static final class Order implements Sampler, Iterator<List<Long>> {
    private final long size;
    private final int images;
    private final int batchSize;
    private int done;

    Order(long size, int images, int batchSize) {
      this.size = size;
      this.images = images;
      this.batchSize = batchSize;
    }

    @Override
    public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
      return this;
    }

    @Override
    public int getBatchSize() {
      return batchSize;
    }

    @Override
    public boolean hasNext() {
      return done < images;
    }

    @Override
    public List<Long> next() {
      List<Long> batch = batch(done);
      done += batch.size();
      return batch;
    }

    /** The records of the batch that begins with an image. */
    List<Long> batch(int first) {
      return LongStream.range(first, Math.min(images, first + (long) batchSize))
          .mapToObj(k -> k * size / images)
          .toList();
    }
  }
}
