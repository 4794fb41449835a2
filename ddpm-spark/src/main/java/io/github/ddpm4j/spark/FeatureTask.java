package io.github.ddpm4j.spark;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.spark.Loaded.Lease;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import scala.Tuple2;

/**
 * The features of the pictures of a partition.
 *
 * @param features how to get them
 * @param block the pictures of a batch
 */
record FeatureTask(SparkFeatures features, int block) implements Serializable {

  private static final Loaded<Features> LOADED = new Loaded<>();

  /** Takes the features of a block. */
  private interface Taker {
    void take(PictureBlock block, double[][] rows);
  }

  /** Count, mean and covariance; none of no pictures. */
  Iterator<FeatureStatistics> statistics(Iterator<Tuple2<Long, byte[]>> sorted) {
    FeatureStatistics.Collector collector = FeatureStatistics.collector();
    visit(sorted, (block, rows) -> collector.add(rows));
    return collector.count() == 0
        ? List.<FeatureStatistics>of().iterator()
        : List.of(collector.statistics().named(features.name())).iterator();
  }

  /** A row for each picture, by its index. */
  Iterator<Tuple2<Long, double[]>> rows(Iterator<Tuple2<Long, byte[]>> sorted) {
    List<Tuple2<Long, double[]>> all = new ArrayList<>();
    visit(
        sorted,
        (block, rows) -> {
          for (int i = 0; i < rows.length; i++) {
            all.add(new Tuple2<>(block.indexes().get(i), rows[i]));
          }
        });
    return all.iterator();
  }

  /** The sums of class probabilities; none of no pictures. */
  Iterator<ProbabilitySums> probabilities(Iterator<Tuple2<Long, byte[]>> sorted) {
    List<ProbabilitySums> all = new ArrayList<>();
    visit(
        sorted,
        (block, rows) ->
            Arrays.stream(rows)
                .map(ProbabilitySums::of)
                .forEach(one -> all.add(all.isEmpty() ? one : all.remove(0).merge(one))));
    return all.iterator();
  }

  private void visit(Iterator<Tuple2<Long, byte[]>> sorted, Taker taker) {
    try (Lease<Features> lease =
        Failures.onExecutor(
            "loading the features " + features.name(),
            () -> LOADED.use(features.name(), features::load))) {
      Failures.onExecutor(
          "computing the features " + features.name(),
          () -> {
            Iterator<PictureBlock> blocks = PictureBlock.blocks(sorted, block);
            while (blocks.hasNext()) {
              PictureBlock next = blocks.next();
              try (NDManager manager = Machine.newManager(Device.cpu())) {
                taker.take(next, lease.get().of(next.array(manager)));
              }
            }
            return features;
          });
    }
  }
}
