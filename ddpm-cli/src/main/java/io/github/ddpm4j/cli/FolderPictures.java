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
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/**
 * The pictures of a folder, resized, in [-1, 1]: all of them, or as many as are wanted, drawn at
 * random and in the order of the folder.
 */
final class FolderPictures {

  /** A multiple of those of the networks that give features. */
  static final int BATCH = 64;

  private final Path folder;
  private final RandomAccessDataset data;
  private final long all;
  private final long seed;

  private FolderPictures(Path folder, RandomAccessDataset data, long all, long seed) {
    this.folder = folder;
    this.data = data;
    this.all = all;
    this.seed = seed;
  }

  /**
   * Looks through a folder.
   *
   * @param most the greatest number of pictures that are taken
   * @param seed that of the choice, if there are more
   */
  static FolderPictures of(Path folder, Shape shape, long most, long seed) throws IOException {
    PictureFolder data =
        PictureFolder.builder(folder, shape).setSampling(BATCH, false).failOnBroken().build();
    data.prepare(null);
    long all = data.size();
    return new FolderPictures(
        folder, all <= most ? data : data.subDataset(chosen(all, most, seed)), all, seed);
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

  /** The number of those that are taken. */
  long size() {
    return data.size();
  }

  /** Whether there are more. */
  boolean isPart() {
    return size() < all;
  }

  /** How many are taken, and from what: "8 of 16 real pictures, at random by seed 0". */
  String said(String kind) {
    return size() + " of " + all + " " + kind + ", at random by seed " + seed;
  }

  /** How many are taken, for a program. */
  JsonObject toJson() {
    JsonObject json = new JsonObject();
    json.addProperty("taken", size());
    json.addProperty("of", all);
    return json;
  }

  /** Gives the pictures in batches, each of which is closed when it was taken. */
  void forEachBatch(NDManager manager, Consumer<NDArray> taker) throws IOException {
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
