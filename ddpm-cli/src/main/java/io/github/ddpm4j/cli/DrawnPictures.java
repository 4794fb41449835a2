package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import picocli.CommandLine.Model.CommandSpec;

/**
 * The pictures that sample draws of a model, as their files would be read.
 *
 * @param model the model; not closed
 * @param settings how they are drawn
 * @param count the number of pictures of all shards, from the first on
 * @param shard which of their blocks are drawn here
 */
record DrawnPictures(LoadedModel model, SamplerSettings settings, long count, Shard shard)
    implements PictureBatches {

  private SampleBlocks blocks() {
    return new SampleBlocks(settings.seed(), SampleCommand.BLOCK);
  }

  /** The number of blocks of all shards. */
  long blocksOfAll() {
    return blocks().of(count - 1) + 1;
  }

  /** The blocks that are drawn here. */
  private LongStream own() {
    return LongStream.range(0, blocksOfAll()).filter(shard::has);
  }

  /** The pictures of a block; the last one may have fewer than the others. */
  private long wanted(long block) {
    return Math.min(blocks().length(), count - blocks().first(block));
  }

  @Override
  public long size() {
    return own().map(this::wanted).sum();
  }

  @Override
  public void forEachBatch(CommandSpec spec, NDManager manager, Consumer<NDArray> taker) {
    try (DrawingProgress progress = new DrawingProgress(spec, size());
        NDManager scope = manager.newSubManager()) {
      NDList some = new NDList();
      long held = 0;
      for (long block : own().toArray()) {
        some.add(draw(scope, progress, block));
        held += wanted(block);
        if (held >= LENGTH) {
          take(some, taker);
          held = 0;
        }
      }
      if (held > 0) {
        take(some, taker);
      }
    }
  }

  private static void take(NDList some, Consumer<NDArray> taker) {
    try (NDArray batch = NDArrays.concat(some)) {
      some.forEach(NDArray::close);
      some.clear();
      taker.accept(batch);
    }
  }

  private NDArray draw(NDManager manager, DrawingProgress progress, long block) {
    SampleBlocks blocks = blocks();
    long wanted = wanted(block);
    Sampling sampling = settings.of(model, blocks.first(block), blocks.length());
    try (Samples drawn = blocks.draw(progress.watch(sampling, blocks.length(), wanted), block);
        NDArray images = drawn.toNDArray(manager);
        NDArray some = images.get("0:" + wanted)) {
      return inEightBits(manager, some, model.ddpm().dataRange());
    }
  }

  /** Images in [-1, 1], each channel as a PNG file holds it. */
  private static NDArray inEightBits(NDManager manager, NDArray images, DataRange range) {
    NDList channels = new NDList();
    for (int c = 0; c < images.getShape().get(1); c++) {
      NDList levels = new NDList();
      try (NDArray channel = images.get(":, " + c + ":" + (c + 1))) {
        Pictures.of(channel)
            .dataRange(range.channel(c))
            .toImages()
            .forEach(picture -> levels.add(Pictures.toArray(manager, picture)));
      }
      channels.add(NDArrays.stack(levels));
      levels.close();
    }
    NDArray whole = NDArrays.concat(channels, 1);
    channels.close();
    return whole;
  }
}
