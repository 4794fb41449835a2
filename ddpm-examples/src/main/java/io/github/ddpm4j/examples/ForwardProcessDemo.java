package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.pooling.Pool;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Noises a picture: a strip of x_0 and of q(x_t | x_0) at a few timesteps, with the same ε in all
 * of them. Needs no network and no training.
 */
public final class ForwardProcessDemo {

  private static final int COLUMNS = 9;
  private static final long SEED = 0;

  /** Pictures are made smaller until the strip is no wider, or enlarged to the least side. */
  private static final int MAX_WIDTH = 1600;

  private static final int LEAST_SIDE = 128;

  private ForwardProcessDemo() {}

  /**
   * Runs the demo.
   *
   * @param args a picture file that Java reads, or nothing for a bundled digit
   * @throws IOException if the picture can't be read or the strip not be written
   */
  public static void main(String[] args) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray picture =
          args.length > 0
              ? Pictures.read(manager, Path.of(args[0]))
              : Digits.load().heldOut().ofLabels(3).toArray(manager).get(0);
      run(picture, Path.of(System.getProperty("ddpm4j.target", "target"), "forward.png"));
    }
  }

  static void run(NDArray picture, Path strip) throws IOException {
    Pictures.requireSavable(strip);
    // The means of squares, before it is noised: noise that is averaged would be less of it.
    long factor = (picture.getShape().get(2) * (COLUMNS + 1) + MAX_WIDTH - 1) / MAX_WIDTH;
    Shape square = new Shape(factor, factor);
    NDArray x0 =
        Pool.avgPool2d(picture.expandDims(0), square, square, new Shape(0, 0), false, false);
    NDArray noise =
        NoiseSource.seeded(SEED).array(x0.getManager(), 0, 0, x0.getShape(), DataType.FLOAT32);
    DDPM ddpm = DDPM.builder().timesteps(1000).build();
    System.out.printf(
        Locale.ROOT,
        "x_t = signal * x_0 + noise * epsilon%n%14s  signal   noise%n",
        "noising steps");
    NDList all = new NDList(x0);
    for (int k = 1; k <= COLUMNS; k++) {
      int t = (int) Math.max(1, Math.round(1000 * Math.pow((double) k / COLUMNS, 2))) - 1;
      all.add(ddpm.forwardProcess().sample(x0, new int[] {t}, noise));
      double signal = ddpm.schedule().signal(t);
      System.out.printf(
          Locale.ROOT, "%14d  %6.3f  %6.3f%n", t + 1, signal, ddpm.schedule().noise(t));
    }
    long side = Math.max(x0.getShape().get(2), x0.getShape().get(3));
    Pictures.of(NDArrays.concat(all))
        .strip()
        .enlarge((int) Math.max(1, LEAST_SIDE / side))
        .save(strip);
    System.out.println(strip);
  }
}
