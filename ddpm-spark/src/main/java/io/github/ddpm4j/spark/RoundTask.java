package io.github.ddpm4j.spark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.spark.Loaded.Lease;
import io.github.ddpm4j.spark.SparkTraining.Moments;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.Checkpoints.Change;
import io.github.ddpm4j.training.Checkpoints.OnFailure;
import java.io.IOException;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.api.java.function.Function2;
import scala.Tuple2;

/**
 * The part of a worker in a round: a function of weights, the worker's state, its pictures, worker
 * and round, and of nothing else.
 *
 * @param model the network, whose weights do not matter
 * @param setUp sets a run up, told the round
 * @param steps the steps of a round
 * @param batchSize the pictures of a step
 * @param seed the seed of the whole
 * @param moments what becomes of Adam's moments
 */
record RoundTask(
    SparkModel model,
    Function2<Training, Integer, Training> setUp,
    int steps,
    int batchSize,
    long seed,
    Moments moments)
    implements Serializable {

  /**
   * What a worker has come to.
   *
   * @param weights its weights
   * @param state what travels to its next round; nothing if moments start anew
   * @param loss the mean loss of its steps
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Result(float[] weights, byte[] state, double loss) implements Serializable {}

  /** On an executor: does the part. */
  Result run(int worker, int round, float[] weights, byte[] state, Iterator<Picture> pictures) {
    try (Lease<DDPM> lease = model.use()) {
      return Failures.onExecutor(
          "round " + round + " of worker " + worker,
          () -> trained(lease.get(), worker, round, weights, state, pictures));
    }
  }

  private Result trained(
      DDPM shared, int worker, int round, float[] weights, byte[] state, Iterator<Picture> pictures)
      throws Exception {
    TrainableDenoiser network = shared.denoiser(TrainableDenoiser.class).copy();
    Path folder = Files.createTempDirectory("ddpm4j-round");
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      FlatWeights.set(network, weights);
      DDPM own = shared.withDenoiser(network);
      Training run = setUp.call(own.training(), round).batchSize(batchSize);
      boolean travel = moments == Moments.TRAVEL;
      run.steps(Math.toIntExact(travel ? (round + 1L) * steps : steps));
      run.seed(seed(worker, travel ? 0 : round));
      if (travel) {
        run.checkpoints(
            Checkpoints.in(folder.resolve("left"))
                .everySteps(Long.MAX_VALUE)
                .keepLast(1)
                .onFailure(OnFailure.STOP));
        if (round > 0) {
          run.resumeFrom(
              WorkerState.checkpoint(state, network, weights, folder, (long) round * steps),
              Change.STEPS,
              Change.LEARNING_RATE);
        }
      }
      try (TrainedModel done = run.fit(dataset(own, manager, pictures))) {
        return new Result(
            FlatWeights.of(network),
            travel ? WorkerState.of(folder.resolve("left")) : new byte[0],
            done.losses().mean(steps));
      }
    } finally {
      network.close();
      delete(folder);
    }
  }

  private Dataset dataset(DDPM ddpm, NDManager manager, Iterator<Picture> pictures)
      throws IOException {
    PictureBlock all = new PictureBlock(new ArrayList<>(), new ArrayList<>());
    List<Integer> labels = new ArrayList<>();
    while (pictures.hasNext()) {
      Picture next = pictures.next();
      all.add(new Tuple2<>(next.index(), next.png()));
      labels.add(next.label());
    }
    if (labels.size() < batchSize) {
      throw new IllegalArgumentException(
          "the worker has "
              + labels.size()
              + " pictures, fewer than a batch of "
              + batchSize
              + "; use fewer workers, smaller batches or more pictures");
    }
    NDArray images = ChannelRanges.fromUnit(all.array(manager), ddpm.dataRange());
    ArrayDataset.Builder data =
        new ArrayDataset.Builder().setData(images).setSampling(batchSize, false);
    if (ddpm.model().denoiser().conditionKinds().contains(Condition.Kind.LABELS)) {
      data.optLabels(manager.create(labels.stream().mapToInt(label -> label).toArray()));
    }
    return data.build();
  }

  /** The seed of a run of the library. */
  long seed(int worker, int round) {
    byte[] digest =
        WholeFile.sha256()
            .digest((seed + " " + worker + " " + round).getBytes(StandardCharsets.UTF_8));
    return ByteBuffer.wrap(digest).getLong();
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }

  /**
   * A picture of a worker's share.
   *
   * @param index its index
   * @param png the bytes of its file
   * @param label its class; -1 for none
   */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Picture(long index, byte[] png, int label) implements Serializable {}
}
