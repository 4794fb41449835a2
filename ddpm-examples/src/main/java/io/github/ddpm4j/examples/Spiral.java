package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Points of a spiral, vectors of two values, and {@link DenseNetwork}, a network of the user's own:
 * an animation of how noise takes the spiral apart, left, and of how the network puts it together.
 */
public final class Spiral {
  private static final int POINTS = 1000;
  private static final int SIDE = 128;
  private static final double REACH = 2.5;

  private Spiral() {}

  /**
   * Runs the example.
   *
   * @param args nothing
   * @throws IOException if the animation can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    run(Path.of(System.getProperty("ddpm4j.target", "target"), "spiral.gif"), 6000, 50);
  }

  static void run(Path file, int steps, int timesteps) throws IOException {
    Pictures.requireSavable(file);
    try (NDManager manager = NDManager.newBaseManager();
        DenseNetwork network = new DenseNetwork(2, 128)) {
      NDArray way = manager.linspace(0, 1, POINTS).sqrt();
      NDArray angle = way.mul((float) (4 * Math.PI));
      NDArray spiral = NDArrays.stack(new NDList(way.mul(angle.cos()), way.mul(angle.sin())), 1);
      var data = new ArrayDataset.Builder().setData(spiral).setSampling(250, true).build();
      DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(timesteps)).denoiser(network).build();
      var training = ddpm.training().steps(steps).learningRate(2e-3).ema(0.995).seed(1);
      float[] frames = new float[timesteps * SIDE * 2 * SIDE];
      NDArray x0 = spiral.reshape(POINTS, 2, 1, 1);
      NDArray epsilon = NoiseSource.seeded(2).array(manager, 0, 0, x0.getShape(), DataType.FLOAT32);
      try (var trained = training.fit(data);
          var run = trained.ddpm().sampling().seed(1).batchSize(POINTS).start(POINTS)) {
        int[] levels = new int[POINTS];
        for (int t = 0; t < timesteps; t++) {
          Arrays.fill(levels, t);
          draw(frames, 2 * t * SIDE + 0, ddpm.forwardProcess().sample(x0, levels, epsilon));
          draw(frames, 2 * t * SIDE + 1, run.next().x());
        }
      }
      NDArray pictures = manager.create(frames, new Shape(timesteps, 1, SIDE, 2 * SIDE));
      Pictures.animate(Pictures.of(pictures).dataRange(0, 1).toImages(), 100, file);
    }
    System.out.println(file);
  }

  /** Points in a half of a frame, whose first row is given; what is beyond reach is not seen. */
  private static void draw(float[] frames, int first, NDArray points) {
    float[] values = points.toFloatArray();
    for (int i = 0; i < values.length; i += 2) {
      int x = (int) Math.floor((values[i] / REACH + 1) / 2 * SIDE);
      int y = (int) Math.floor((values[i + 1] / REACH + 1) / 2 * SIDE);
      if (Math.min(x, y) >= 0 && Math.max(x, y) < SIDE) {
        frames[(first + 2 * y) * SIDE + x] = 1;
      }
    }
  }
}
