package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.spark.SparkTraining.Moments;
import io.github.ddpm4j.spark.SparkTraining.Round;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rounds on two threads of this machine against runs of the library itself. */
class SparkTrainingTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static SparkSession spark;
  private static Dataset<Row> pictures;

  @BeforeAll
  static void pictures() throws IOException {
    model = Local.model(shared.resolve("model"), 1);
    spark = Local.spark();
    pictures =
        SparkSampling.of(spark, SparkModel.shared(model)).labels(0, 1).pictures(0, 24).cache();
  }

  private interface SetUp {
    SparkTraining of(SparkTraining training);
  }

  /** Trains from the model that all begin with, and gives the weights. */
  private static float[] fit(Dataset<Row> of, SetUp setUp) throws IOException {
    try (DDPM ddpm = DDPM.load(model)) {
      SparkTraining training =
          SparkTraining.of(spark, ddpm)
              .batchSize(4)
              .seed(5)
              .setUp((run, round) -> run.learningRate(1e-3).anyRange());
      setUp.of(training).fit(of);
      return FlatWeights.of(ddpm.denoiser(TrainableDenoiser.class));
    }
  }

  /** A worker's steps by the library alone, from the weights of the model. */
  private static float[] alone(int worker, int workers, long seed, int steps) throws IOException {
    try (DDPM ddpm = DDPM.load(model)) {
      return alone(ddpm, worker, workers, seed, steps);
    }
  }

  private static float[] alone(DDPM ddpm, int worker, int workers, long seed, int steps)
      throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDList images = new NDList();
      List<Integer> labels = new ArrayList<>();
      for (Row row : pictures.orderBy("index").collectAsList()) {
        if (row.<Long>getAs("index") % workers == worker) {
          var in = new ByteArrayInputStream(row.<byte[]>getAs("png"));
          images.add(Pictures.toArray(manager, ImageIO.read(in)));
          labels.add(row.getAs("label"));
        }
      }
      NDArray classes = manager.create(labels.stream().mapToInt(label -> label).toArray());
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(ai.djl.ndarray.NDArrays.stack(images))
              .optLabels(classes)
              .setSampling(4, false)
              .build();
      try (TrainedModel done =
          ddpm.training()
              .batchSize(4)
              .learningRate(1e-3)
              .anyRange()
              .seed(seed)
              .steps(steps)
              .fit(data)) {
        assertThat(done.losses().steps()).isEqualTo(steps);
        return FlatWeights.of(ddpm.denoiser(TrainableDenoiser.class));
      }
    }
  }

  private static float[] start() throws IOException {
    try (DDPM ddpm = DDPM.load(model)) {
      return FlatWeights.of(ddpm.denoiser(TrainableDenoiser.class));
    }
  }

  /** H = 1 is the average of steps, H = 3 that of runs. */
  @Test
  void round_isTheMeanOfRunsOfTheLibrary() throws IOException {
    for (int steps : new int[] {1, 3}) {
      RoundTask seeds = new RoundTask(null, null, steps, 4, 5, Moments.ANEW);
      float[] expected = start();
      OuterStep.average()
          .take(
              expected,
              new float[expected.length],
              List.of(alone(0, 2, seeds.seed(0, 0), steps), alone(1, 2, seeds.seed(1, 0), steps)));
      assertThat(expected).isNotEqualTo(start());
      float[] found = fit(pictures, t -> t.workers(2).rounds(1).localSteps(steps));
      assertThat(found).isEqualTo(expected);
    }
  }

  @Test
  void seeds_ofWorkersAndRounds_differ() {
    RoundTask seeds = new RoundTask(null, null, 3, 4, 5, Moments.ANEW);
    RoundTask others = new RoundTask(null, null, 3, 4, 6, Moments.ANEW);
    assertThat(List.of(seeds.seed(0, 0), seeds.seed(0, 1), seeds.seed(1, 0), others.seed(0, 0)))
        .doesNotHaveDuplicates();
  }

  /** Other numbers are drawn in each round, though moments begin anew. */
  @Test
  void secondRound_isOfItsOwnSeed() throws IOException {
    RoundTask seeds = new RoundTask(null, null, 1, 4, 5, Moments.ANEW);
    float[] first = fit(pictures, t -> t.workers(1).rounds(1).localSteps(1));
    try (DDPM ddpm = DDPM.load(model)) {
      FlatWeights.set(ddpm.denoiser(TrainableDenoiser.class), first);
      assertThat(fit(pictures, t -> t.workers(1).rounds(2).localSteps(1)))
          .isEqualTo(alone(ddpm, 0, 1, seeds.seed(0, 1), 1));
    }
  }

  /** Moments that travel leave nothing of the rounds to be seen, with one worker. */
  @Test
  void travellingMoments_ofOneWorker_areOneRun() throws IOException {
    RoundTask seeds = new RoundTask(null, null, 3, 4, 5, Moments.TRAVEL);
    assertThat(fit(pictures, t -> t.workers(1).rounds(2).localSteps(3).moments(Moments.TRAVEL)))
        .isEqualTo(alone(0, 1, seeds.seed(0, 0), 6));
    assertThat(fit(pictures, t -> t.workers(1).rounds(2).localSteps(3)))
        .isNotEqualTo(alone(0, 1, seeds.seed(0, 0), 6));
  }

  @Test
  void rounds_ofAnyPartitions_andAfterAKilledDriver_areTheSameBits() throws IOException {
    for (Moments moments : Moments.values()) {
      SetUp all = t -> t.workers(3).rounds(3).localSteps(2).outer(OuterStep.diloco());
      float[] whole = fit(pictures, t -> all.of(t).moments(moments));
      assertThat(fit(pictures.repartition(5), t -> all.of(t).moments(moments))).isEqualTo(whole);
      Path file = folder.resolve(moments + ".rounds");
      List<Integer> done = new ArrayList<>();
      SetUp kept =
          t -> all.of(t).moments(moments).checkpoint(file).listener(r -> done.add(r.number()));
      fit(pictures, t -> kept.of(t).rounds(1));
      assertThat(fit(pictures, kept)).isEqualTo(whole);
      assertThat(done).containsExactly(0, 1, 2);
      assertThat(fit(pictures, kept)).isEqualTo(whole);
      assertThat(done).hasSize(3);
    }
  }

  @Test
  void checkpoint_ofOthersOrDamaged_isRefused() throws IOException {
    Path file = folder.resolve("rounds");
    SetUp kept = t -> t.workers(1).rounds(1).localSteps(1).checkpoint(file);
    fit(pictures, kept);
    assertThatThrownBy(() -> fit(pictures, t -> kept.of(t).seed(6)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(file + " holds rounds of another training, seed 5, workers 1")
        .hasMessageEndingWith("; set it as it was, or choose another file");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length / 2] ^= 1;
    Files.write(file, bytes);
    assertThatThrownBy(() -> fit(pictures, kept))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " is damaged; delete it to begin anew");
    Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length / 2));
    assertThatThrownBy(() -> fit(pictures, kept))
        .hasMessage(file + " is damaged; delete it to begin anew");
  }

  @Test
  void round_isTold() throws IOException {
    List<Round> told = new ArrayList<>();
    float[] weights = fit(pictures, t -> t.workers(2).rounds(1).localSteps(1).listener(told::add));
    assertThat(told).hasSize(1);
    assertThat(told.get(0).bytes()).isEqualTo(2L * weights.length * Float.BYTES);
    assertThat(told.get(0).loss()).isBetween(0.0, 100.0);
    assertThat(told.get(0).time()).isPositive();
  }

  @Test
  void arguments_areChecked() {
    assertThatThrownBy(() -> fit(pictures, t -> t))
        .hasMessage("the number of rounds is not set; call rounds(n) before fit()");
    assertThatThrownBy(() -> fit(pictures, t -> t.workers(0)))
        .hasMessage("workers must be at least 1, but was 0");
    assertThatThrownBy(() -> fit(pictures, t -> t.workers(8).rounds(1)))
        .isInstanceOf(ExecutorException.class)
        .hasMessageMatching(
            "executor driver: round 0 of worker \\d failed: the worker has 3 pictures, fewer than a"
                + " batch of 4; use fewer workers, smaller batches or more pictures");
  }
}
