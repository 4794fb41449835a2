package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.InceptionScore;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Random;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Figures over partitions against those of one machine. */
class SparkEvaluationTest {

  private static final double TOLERANCE = 1e-9;
  private static final int COUNT = 37;

  @TempDir private static Path shared;
  private static SparkSession spark;
  private static Dataset<Row> one;
  private static Dataset<Row> other;
  private static double[][] rows;
  private static double[][] otherRows;
  private static float[] pixels;

  @BeforeAll
  static void pictures() throws IOException {
    spark = Local.spark();
    one = folder("one", 1, 256);
    other = folder("other", 2, 200);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = array(manager, "one");
      pixels = images.toFloatArray();
      rows = Features.pixels().of(images);
      otherRows = Features.pixels().of(array(manager, "other"));
    }
  }

  /** Grey 4x4 pictures whose paths are in the order of their numbers. */
  private static Dataset<Row> folder(String name, int seed, int levels) throws IOException {
    Random random = new Random(seed);
    for (int i = 0; i < COUNT; i++) {
      BufferedImage picture = new BufferedImage(4, 4, BufferedImage.TYPE_BYTE_GRAY);
      for (int k = 0; k < 16; k++) {
        picture.getRaster().setSample(k % 4, k / 4, 0, random.nextInt(levels));
      }
      Pictures.write(picture, file(name, i));
    }
    return SparkEvaluation.folder(spark, shared.resolve(name).toString()).cache();
  }

  private static Path file(String name, int i) {
    return shared.resolve(name).resolve(String.format(Locale.ROOT, "%03d.png", i));
  }

  private static NDArray array(NDManager manager, String name) throws IOException {
    NDList all = new NDList();
    for (int i = 0; i < COUNT; i++) {
      all.add(Pictures.read(manager, file(name, i)));
    }
    return ai.djl.ndarray.NDArrays.stack(all);
  }

  private static SparkEvaluation evaluation() {
    return SparkEvaluation.of(SparkFeatures.pixels()).block(4);
  }

  /** Sums and squares of pixels, as probabilities of three classes. */
  private static SparkFeatures probabilities() {
    return SparkFeatures.of("probabilities", SparkEvaluationTest::classes);
  }

  private static Features classes() {
    return Features.function(
        images -> images.reshape(new Shape(images.getShape().get(0), 16)).get(":, 0:3").softmax(1));
  }

  @Test
  void statistics_ofAnyPartitions_areThoseOfOneMachine() {
    FeatureStatistics expected = FeatureStatistics.of(rows);
    for (int partitions : new int[] {1, 3, 7}) {
      FeatureStatistics found = evaluation().statistics(one.repartition(partitions));
      assertThat(found.count()).isEqualTo(COUNT);
      assertThat(found.features()).isEqualTo("pixels");
      assertThat(found.mean()).containsExactly(expected.mean(), within(TOLERANCE));
      for (int k = 0; k < 16; k++) {
        assertThat(found.covariance()[k])
            .containsExactly(expected.covariance()[k], within(TOLERANCE));
      }
    }
  }

  @Test
  void frechetDistance_isThatOfOneMachine() {
    assertThat(evaluation().frechetDistance(one.repartition(5), other.repartition(2)))
        .isCloseTo(
            FrechetDistance.between(FeatureStatistics.of(rows), FeatureStatistics.of(otherRows)),
            within(TOLERANCE));
  }

  @Test
  void rows_areTheSameBits() {
    double[][] found = evaluation().rows(one.repartition(5), 100);
    assertThat(found).isDeepEqualTo(rows);
    double[][] of = evaluation().rows(other.repartition(3), 100);
    assertThat(KernelDistance.between(found, of))
        .isEqualTo(KernelDistance.between(rows, otherRows));
    assertThat(PrecisionRecall.of(found, of, Bootstrap.none()).precision().value())
        .isEqualTo(PrecisionRecall.of(rows, otherRows, Bootstrap.none()).precision().value());
    assertThat(evaluation().rows(one.repartition(5), 6))
        .isDeepEqualTo(java.util.Arrays.copyOf(rows, 6));
  }

  /** Features that depend on the whole batch, as those of a network do by rounding. */
  @Test
  void features_seeTheSameBatches() {
    SparkFeatures ofBatch =
        SparkFeatures.of(
            "batch",
            () -> images -> Features.pixels().of(images.sub(images.mean(new int[] {0}, true))));
    double[][] expected = new double[COUNT][];
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray all = manager.create(pixels, new Shape(COUNT, 1, 4, 4));
      for (int first = 0; first < COUNT; first += 4) {
        NDArray batch = all.get(first + ":" + Math.min(COUNT, first + 4));
        double[][] of = Features.pixels().of(batch.sub(batch.mean(new int[] {0}, true)));
        System.arraycopy(of, 0, expected, first, of.length);
      }
    }
    for (int partitions : new int[] {1, 5}) {
      assertThat(SparkEvaluation.of(ofBatch).block(4).rows(one.repartition(partitions), COUNT))
          .isDeepEqualTo(expected);
    }
  }

  @Test
  void inceptionScore_isThatOfOneMachine() {
    double[][] all;
    try (NDManager manager = NDManager.newBaseManager()) {
      all = classes().of(manager.create(pixels, new Shape(COUNT, 1, 4, 4)));
    }
    double expected = InceptionScore.estimate(all, 1, Bootstrap.none()).value();
    assertThat(expected).isGreaterThan(1.01);
    SparkEvaluation evaluation = SparkEvaluation.of(probabilities()).block(5);
    assertThat(evaluation.inceptionScore(one.repartition(4)))
        .isCloseTo(expected, within(TOLERANCE));
    assertThatThrownBy(() -> evaluation().inceptionScore(one))
        .isInstanceOf(ExecutorException.class)
        .hasMessageStartingWith(
            "executor driver: computing the features pixels failed: probabilities must be at least"
                + " 0 and sum up to 1");
  }

  @Test
  void bitsPerDim_ofAnyPartitions_areThoseOfOneMachine() throws IOException {
    Path model = Local.model(shared.resolve("model"), 1);
    Dataset<Row> drawn = SparkSampling.of(spark, SparkModel.shared(model)).pictures(16, 20).cache();
    BitsPerDimResult expected;
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      NDList all = new NDList();
      for (Row row : drawn.orderBy("index").collectAsList()) {
        var in = new java.io.ByteArrayInputStream(row.<byte[]>getAs("png"));
        all.add(Pictures.toArray(manager, javax.imageio.ImageIO.read(in)));
      }
      expected =
          ddpm.bitsPerDim()
              .seed(3)
              .timesteps(5)
              .firstImage(16)
              .batchSize(16)
              .of(ai.djl.ndarray.NDArrays.stack(all));
    }
    for (int partitions : new int[] {1, 5}) {
      BitsPerDimResult found =
          SparkEvaluation.bitsPerDim(
              drawn.repartition(partitions),
              SparkModel.shared(model),
              run -> run.seed(3).timesteps(5));
      assertThat(found.images()).isEqualTo(20);
      assertThat(found.total().value()).isCloseTo(expected.total().value(), within(TOLERANCE));
      assertThat(found.total().standardError())
          .isCloseTo(expected.total().standardError(), within(TOLERANCE));
      assertThat(found.steps()).hasSameSizeAs(expected.steps());
    }
  }

  @Test
  void pictures_thatAreNone_areRefused() {
    assertThatThrownBy(() -> evaluation().statistics(one.limit(0)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("there are no pictures; an evaluation needs at least one");
    assertThatThrownBy(() -> evaluation().rows(one.limit(0), 5))
        .hasMessage("there are no pictures; an evaluation needs at least one");
    assertThatThrownBy(() -> evaluation().statistics(one.union(one.where("index = 6"))))
        .hasMessage(
            "executor driver: computing the features pixels failed: indexes must differ, but 6 is"
                + " there twice");
    assertThatThrownBy(() -> evaluation().rows(one, 0))
        .hasMessage("most must be at least 1, but was 0");
    assertThatThrownBy(() -> evaluation().block(0))
        .hasMessage("block must be at least 1, but was 0");
  }
}
