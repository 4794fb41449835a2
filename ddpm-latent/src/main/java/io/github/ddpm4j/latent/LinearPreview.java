package io.github.ddpm4j.latent;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Colours as a linear function of latents:
 *
 * <pre>colour = constant + Σ_c factor_c · z_c</pre>
 *
 * <p>It is fitted to flat latents, each channel 1 or −1, in all combinations. Their channels are
 * orthogonal, so that least squares are plain means: the constant is that of the colours, and
 * factor_c that of z_c · colour.
 */
final class LinearPreview {

  /** The side of the flat latents that are decoded. */
  private static final int SIDE = 4;

  private static final int MOST_CHANNELS = 8;

  private final ReentrantLock fitting = new ReentrantLock();

  /** For each colour the factors, and the constant last. */
  private volatile double @Nullable [][] fitted;

  NDArray of(NDArray latents, Autoencoder autoencoder) {
    autoencoder.requireLatents(latents);
    double[][] map = fit(autoencoder);
    int colours = map.length;
    int channels = autoencoder.latentChannels();
    Shape shape = latents.getShape();
    NDManager owner = latents.getManager();
    try (GradMode off = GradMode.off();
        NDManager scope = owner.newSubManager(latents.getDevice())) {
      double[] factors = new double[colours * channels];
      double[] constants = new double[colours];
      for (int i = 0; i < colours; i++) {
        System.arraycopy(map[i], 0, factors, i * channels, channels);
        constants[i] = map[i][channels];
      }
      NDArray of = Upload.doubles(scope, factors, new Shape(colours, channels), DataType.FLOAT32);
      NDArray constant = Upload.doubles(scope, constants, new Shape(colours, 1), DataType.FLOAT32);
      NDArray flat = latents.reshape(shape.get(0), channels, shape.get(2) * shape.get(3));
      flat.attach(scope);
      NDArray colour = of.matMul(flat).add(constant);
      NDArray picture = colour.reshape(shape.get(0), colours, shape.get(2), shape.get(3));
      picture.attach(owner);
      return picture;
    }
  }

  double[][] fit(Autoencoder autoencoder) {
    double[][] known = fitted;
    if (known == null) {
      GradMode.lock(fitting);
      try {
        known = fitted;
        if (known == null) {
          known = fitNow(autoencoder);
          fitted = known;
        }
      } finally {
        fitting.unlock();
      }
    }
    return known;
  }

  private static double[][] fitNow(Autoencoder autoencoder) {
    int channels = autoencoder.latentChannels();
    if (channels > MOST_CHANNELS) {
      throw new IllegalStateException(
          "latents of "
              + channels
              + " channels have no preview, which is fitted to all 2^"
              + channels
              + " combinations of signs; show autoencoder().decode(latents)");
    }
    int count = 1 << channels;
    double[][] map = new double[autoencoder.imageChannels()][channels + 1];
    try (NDManager manager = Machine.newManager(autoencoder.device())) {
      for (int i = 0; i < count; i++) {
        float[] colour = colour(manager, autoencoder, i);
        for (int k = 0; k < map.length; k++) {
          for (int c = 0; c < channels; c++) {
            map[k][c] += sign(i, c) * colour[k] / count;
          }
          map[k][channels] += (double) colour[k] / count;
        }
      }
    }
    return map;
  }

  /** The mean colour of flat latents. */
  private static float[] colour(NDManager manager, Autoencoder autoencoder, int number) {
    int channels = autoencoder.latentChannels();
    double[] values = new double[channels * SIDE * SIDE];
    for (int i = 0; i < values.length; i++) {
      values[i] = sign(number, i / (SIDE * SIDE));
    }
    try (NDManager scope = manager.newSubManager()) {
      NDArray flat =
          Upload.doubles(scope, values, new Shape(1, channels, SIDE, SIDE), DataType.FLOAT32);
      NDArray picture = autoencoder.decode(flat);
      int colours = Math.toIntExact(picture.getShape().get(1));
      return picture.reshape(colours, -1).mean(new int[] {1}).toFloatArray();
    }
  }

  private static int sign(int number, int channel) {
    return (number >> channel & 1) == 0 ? -1 : 1;
  }
}
