package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.ops.Upload;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a saved {@link SamplingRun} holds. The tensor "state" has the numbers: version, the seed in
 * halves, count, batch size, first image, row, and every {@link RunDigest}, in halves too.
 */
record RunFile(
    int firstImage,
    int row,
    List<NDArray> finished,
    @Nullable NDArray x,
    List<NDArray> past,
    @Nullable NDArray preview) {

  private static final String STATE = "state";
  private static final int VERSION = 5;

  /** What the numbers of the state say; where there is no name, they may differ. */
  private static final List<String> NAMES =
      Stream.concat(
              Stream.of("", "seed", "seed", "number of images", "batch size", "", ""),
              Arrays.stream(RunDigest.values())
                  .flatMap(digest -> Stream.of(digest.text(), digest.text())))
          .toList();

  static void write(
      Path file,
      NDManager manager,
      SamplingRun.Job job,
      int firstImage,
      @Nullable Chain chain,
      NDList finished)
      throws IOException {
    try (NDManager scope = manager.newSubManager()) {
      double[] numbers = state(scope, job, firstImage, chain == null ? 0 : chain.row());
      Map<String, NDArray> tensors = new LinkedHashMap<>();
      tensors.put(
          STATE, Upload.doubles(scope, numbers, new Shape(numbers.length), DataType.FLOAT64));
      for (int i = 0; i < finished.size(); i++) {
        tensors.put("finished." + i, finished.get(i));
      }
      if (chain != null) {
        tensors.put("x", chain.x());
        NDArray[] past = chain.past();
        for (int i = 0; i < past.length; i++) {
          if (past[i] != null) {
            tensors.put("past." + i, past[i]);
          }
        }
        NDArray preview = chain.preview();
        if (preview != null) {
          tensors.put("preview", preview);
        }
      }
      Safetensors.write(file, tensors, Map.of("format", "ddpm4j sampling run"));
    }
  }

  static RunFile read(Path file, NDManager manager, SamplingRun.Job job) throws IOException {
    if (Files.notExists(file)) {
      throw new NoSuchFileException(
          file.toString(),
          null,
          "does not exist, where a saved sampling run was looked for; SamplingRun.save writes such"
              + " files");
    }
    Map<String, NDArray> tensors = Safetensors.read(file, manager);
    NDArray state = tensors.get(STATE);
    if (state == null || state.size() == 0 || state.getDataType() != DataType.FLOAT64) {
      throw new IOException(
          file + " is not a saved sampling run; SamplingRun.save writes such files");
    }
    double[] numbers = state.toDoubleArray();
    if (numbers[0] != VERSION || numbers.length != NAMES.size()) {
      throw new IOException(
          file
              + " is a sampling run of format "
              + (int) numbers[0]
              + ", but this version reads format "
              + VERSION
              + "; finish it with the version that saved it");
    }
    double[] expected = state(manager, job, 0, 0);
    for (int i = 0; i < numbers.length; i++) {
      String name = NAMES.get(i);
      if (!name.isEmpty() && numbers[i] != expected[i]) {
        throw new IllegalArgumentException(
            file
                + " was saved by a run with another "
                + name
                + "; set this run up as that one was");
      }
    }
    RunFile saved =
        new RunFile(
            (int) numbers[5],
            (int) numbers[6],
            numbered(tensors, "finished."),
            tensors.get("x"),
            numbered(tensors, "past."),
            tensors.get("preview"));
    if (!saved.fits(job)) {
      throw new IOException(
          file + " is damaged: its images are not those that its numbers say; save the run again");
    }
    return saved;
  }

  /** Whether there are as many images, rows and estimates as the numbers say. */
  private boolean fits(SamplingRun.Job job) {
    long kept = finished.stream().mapToLong(array -> array.getShape().get(0)).sum();
    int inBatch = Math.min(job.batchSize(), job.count() - firstImage);
    return kept == firstImage
        && (firstImage % job.batchSize() == 0 || firstImage == job.count())
        && row >= 0
        && row <= job.plan().steps().size()
        && (x == null
            ? row == 0
            : x.getShape().get(0) == inBatch
                && past.size() == Math.min(row, job.plan().depth())
                && past.stream().allMatch(one -> one.getShape().equals(x.getShape())));
  }

  private static List<NDArray> numbered(Map<String, NDArray> tensors, String name) {
    List<NDArray> arrays = new ArrayList<>();
    for (NDArray one = tensors.get(name + 0); one != null; ) {
      arrays.add(one);
      one = tensors.get(name + arrays.size());
    }
    return arrays;
  }

  private static double[] state(NDManager owner, SamplingRun.Job job, int firstImage, int row) {
    long seed = job.seed() == null ? 0 : job.seed();
    return DoubleStream.concat(
            DoubleStream.of(
                VERSION, high(seed), low(seed), job.count(), job.batchSize(), firstImage, row),
            Arrays.stream(RunDigest.values())
                .mapToLong(digest -> digest.of(job, owner))
                .flatMap(digest -> LongStream.of(high(digest), low(digest)))
                .asDoubleStream())
        .toArray();
  }

  private static int high(long value) {
    return (int) (value >>> Integer.SIZE);
  }

  private static int low(long value) {
    return (int) value;
  }
}
