package io.github.ddpm4j.spark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.BitsPerDim;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.spark.Loaded.Lease;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.Function;
import org.jspecify.annotations.Nullable;
import scala.Tuple2;

/**
 * The likelihood of the pictures of a partition.
 *
 * @param model the model
 * @param setUp sets a run up
 * @param block the pictures of a batch
 */
record LikelihoodTask(SparkModel model, Function<BitsPerDim, BitsPerDim> setUp, int block)
    implements Serializable {

  /** One result; none of no pictures. */
  Iterator<BitsPerDimResult> call(Iterator<Tuple2<Long, byte[]>> sorted) {
    List<BitsPerDimResult> all = new ArrayList<>();
    try (Lease<DDPM> lease = model.use()) {
      Iterator<PictureBlock> blocks = PictureBlock.blocks(sorted, block);
      while (blocks.hasNext()) {
        PictureBlock next = blocks.next();
        BitsPerDimResult one =
            Failures.onExecutor(
                "bits per dimension of pictures from " + next.indexes().get(0) + " on",
                () -> of(lease.get(), next));
        all.add(all.isEmpty() ? one : all.remove(0).merge(one));
      }
    }
    return all.iterator();
  }

  /** Noise is by the index of a picture, and indexes may have gaps. */
  private BitsPerDimResult of(DDPM ddpm, PictureBlock pictures) throws Exception {
    @Nullable BitsPerDimResult all = null;
    try (NDManager manager = Machine.newManager(Device.cpu())) {
      NDArray images = ChannelRanges.fromUnit(pictures.array(manager), ddpm.dataRange());
      List<Long> indexes = pictures.indexes();
      for (int first = 0, end; first < indexes.size(); first = end) {
        end = first + 1;
        while (end < indexes.size() && indexes.get(end) == indexes.get(end - 1) + 1) {
          end++;
        }
        BitsPerDimResult one =
            setUp
                .call(ddpm.bitsPerDim())
                .firstImage(indexes.get(first))
                .batchSize(block)
                .of(images.get(first + ":" + end));
        all = all == null ? one : all.merge(one);
      }
    }
    if (all == null) {
      throw new IllegalStateException("a block has at least one picture");
    }
    return all;
  }
}
