package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.translate.TranslateException;
import com.google.gson.JsonObject;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.LongStream;
import picocli.CommandLine.Model.CommandSpec;

/**
 * The pictures of a folder, resized, in [-1, 1]: all of them, or as many as are wanted, drawn at
 * random and in the order of the folder.
 */
final class FolderPictures implements PictureBatches {

  private final Path folder;
  private final RandomAccessDataset data;
  private final long all;

  /** How many of them are taken by all shards. */
  private final long taken;

  private final long seed;

  private FolderPictures(Path folder, RandomAccessDataset data, long all, long taken, long seed) {
    this.folder = folder;
    this.data = data;
    this.all = all;
    this.taken = taken;
    this.seed = seed;
  }

  /**
   * Looks through a folder.
   *
   * @param most the greatest number of pictures that are taken
   * @param seed that of the choice, if there are more
   * @param shard which of those are taken here
   */
  static FolderPictures of(Path folder, Shape shape, long most, long seed, Shard shard)
      throws IOException {
    PictureFolder data =
        PictureFolder.builder(folder, shape).setSampling(LENGTH, false).failOnBroken().build();
    data.prepare(null);
    long all = data.size();
    if (all <= most && shard.count() == 1) {
      return new FolderPictures(folder, data, all, all, seed);
    }
    List<Long> chosen = chosen(all, Math.min(all, most), seed);
    long taken = chosen.size();
    List<Long> own =
        LongStream.range(0, taken).filter(shard::has).mapToObj(i -> chosen.get((int) i)).toList();
    if (own.isEmpty()) {
      throw shard.none(taken, "pictures of " + folder);
    }
    return new FolderPictures(folder, data.subDataset(own), all, taken, seed);
  }

  /** Numbers below another in their order, any of them as likely as the others. */
  static List<Long> chosen(long all, long most, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Long> chosen = new ArrayList<>();
    // Knuth, The Art of Computer Programming, section 3.4.2, algorithm S.
    for (long i = 0; i < all; i++) {
      if (random.nextDouble() * (all - i) < most - chosen.size()) {
        chosen.add(i);
      }
    }
    return chosen;
  }

  @Override
  public long size() {
    return data.size();
  }

  /** Whether there are more than all shards take. */
  boolean isPart() {
    return taken < all;
  }

  /** How many are taken, and from what: "8 of 16 real pictures, at random by seed 0". */
  String said(String kind) {
    return taken + " of " + all + " " + kind + ", at random by seed " + seed;
  }

  /** How many are taken, for a program. */
  JsonObject toJson() {
    JsonObject json = new JsonObject();
    json.addProperty("taken", taken);
    json.addProperty("of", all);
    return json;
  }

  @Override
  public void forEachBatch(CommandSpec spec, NDManager manager, Consumer<NDArray> taker)
      throws IOException {
    AtomicLong done = new AtomicLong();
    try (Progress progress = Ddpm.progress(spec, "features", "pictures").silentIfShort()) {
      forEachBatch(
          manager,
          batch -> {
            taker.accept(batch);
            progress.to(done.addAndGet(batch.getShape().get(0)), size(), "");
          });
    }
  }

  private void forEachBatch(NDManager manager, Consumer<NDArray> taker) throws IOException {
    try {
      for (Batch batch : data.getData(manager)) {
        try (batch) {
          taker.accept(batch.getData().head());
        }
      }
    } catch (TranslateException e) {
      throw new IOException(folder + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** All of them as one array. */
  NDArray read(NDManager manager) throws IOException {
    NDList batches = new NDList();
    forEachBatch(
        manager,
        batch -> {
          NDArray kept = batch.duplicate();
          kept.attach(manager);
          batches.add(kept);
        });
    return NDArrays.concat(batches);
  }
}
