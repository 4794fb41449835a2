package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.ops.Upload;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;

/** The pictures that the quickstart writes. */
final class QuickstartPictures {

  private static final int GRID_COLUMNS = 8;
  private static final int GRID = 64;
  private static final int ROWS = 4;
  private static final int STRIP_COLUMNS = 11;
  private static final int LARGE = 10;
  private static final int SMALL = 7;
  private static final int[] DEPTHS = {99, 249, 499, 749};

  /** Deterministic, so that neighbouring columns differ by what is shown and not by noise. */
  private static final Sampler SAMPLER = Samplers.ddim(50);

  private final DDPM ddpm;
  private final LabeledImages real;
  private final long seed;
  private final Path folder;

  QuickstartPictures(DDPM ddpm, LabeledImages real, long seed, Path folder) {
    this.ddpm = ddpm;
    this.real = real;
    this.seed = seed;
    this.folder = folder;
  }

  /** A grid of the first generated digits. */
  void samples(NDArray drawn) throws IOException {
    Pictures.of(drawn.get(":" + GRID))
        .columns(GRID_COLUMNS)
        .enlarge(LARGE)
        .save(folder.resolve("samples.png"));
  }

  /** A grid of real digits, to compare with. */
  void real(NDManager manager) throws IOException {
    Pictures.of(real.slice(0, GRID).toArray(manager))
        .columns(GRID_COLUMNS)
        .enlarge(LARGE)
        .save(folder.resolve("real.png"));
  }

  /** Digits on the way from noise to picture: two rows each, x_t and under it x̂_0. */
  void denoising(NDManager manager) throws IOException {
    NDList xs = new NDList(initialNoise(manager));
    NDList x0s = new NDList();
    try (Samples last =
        ddpm.sampling()
            .sampler(SAMPLER)
            .seed(seed)
            .listener(
                event -> {
                  // x̂_0 belongs to the x that the step started from.
                  x0s.add(kept(manager, event.predictedX0()));
                  xs.add(kept(manager, event.x()));
                })
            .generate(ROWS)) {
      x0s.add(last.toNDArray(manager));
    }
    NDList cells = new NDList();
    for (int digit = 0; digit < ROWS; digit++) {
      for (NDList row : new NDList[] {xs, x0s}) {
        for (int column = 0; column < STRIP_COLUMNS; column++) {
          int step = column * (xs.size() - 1) / (STRIP_COLUMNS - 1);
          cells.add(row.get(step).get(digit));
        }
      }
    }
    save(cells, "denoising.png");
  }

  private NDArray initialNoise(NDManager manager) {
    Shape shape = ddpm.denoiser().orElseThrow().imageShape().orElseThrow();
    return Upload.normal(
        manager, NoiseSource.seeded(seed), 0, 0, new Shape(ROWS).addAll(shape), DataType.FLOAT32);
  }

  /** Real digits being noised, q(x_t | x_0), one row each with the same noise all along. */
  void forward(NDManager manager) throws IOException {
    NDArray x0 = real.slice(0, ROWS).toArray(manager);
    NDArray noise = initialNoise(manager);
    NDList columns = new NDList(x0);
    int last = ddpm.schedule().timesteps() - 1;
    for (int column = 1; column < STRIP_COLUMNS; column++) {
      int[] t = new int[ROWS];
      Arrays.fill(t, (int) Math.round(last * Math.pow((double) column / (STRIP_COLUMNS - 1), 2)));
      columns.add(ddpm.forwardProcess().sample(x0, t, noise));
    }
    NDList cells = new NDList();
    for (int digit = 0; digit < ROWS; digit++) {
      for (NDArray column : columns) {
        cells.add(column.get(digit));
      }
    }
    save(cells, "forward.png");
  }

  /** Between two real digits of different classes, one row per depth. */
  void interpolation(NDManager manager) throws IOException {
    int first = ofClass(3);
    int second = ofClass(6);
    NDArray from = real.slice(first, first + 1).toArray(manager).squeeze(0);
    NDArray to = real.slice(second, second + 1).toArray(manager).squeeze(0);
    double[] fractions =
        IntStream.range(0, STRIP_COLUMNS - 2)
            .mapToDouble(i -> (double) i / (STRIP_COLUMNS - 3))
            .toArray();
    NDList cells = new NDList();
    for (int depth : DEPTHS) {
      try (Samples between =
          ddpm.sampling().sampler(SAMPLER).seed(seed).interpolate(from, to, depth, fractions)) {
        cells.add(from);
        NDArray images = between.toNDArray(manager);
        for (int i = 0; i < fractions.length; i++) {
          cells.add(images.get(i));
        }
        cells.add(to);
      }
    }
    save(cells, "interpolation.png");
  }

  private int ofClass(int label) {
    return IntStream.range(0, real.size())
        .filter(i -> real.label(i) == label)
        .findFirst()
        .orElseThrow();
  }

  private void save(NDList cells, String file) throws IOException {
    Pictures.of(NDArrays.stack(cells))
        .columns(STRIP_COLUMNS)
        .enlarge(SMALL)
        .save(folder.resolve(file));
  }

  private static NDArray kept(NDManager manager, NDArray array) {
    NDArray copy = array.duplicate();
    copy.attach(manager);
    return copy;
  }
}
