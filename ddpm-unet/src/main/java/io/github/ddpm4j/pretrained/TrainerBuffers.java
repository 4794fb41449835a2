package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.util.List;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The buffers that {@code GaussianDiffusion} of denoising-diffusion-pytorch leaves beside a
 * network: the schedule, and the weights of the loss, by which the prediction is told.
 *
 * <pre>
 * loss weight = 1 (pred_noise), SNR (pred_x0), SNR / (SNR + 1) (pred_v)      SNR = ᾱ / (1 − ᾱ)
 * </pre>
 */
final class TrainerBuffers {

  private static final String BETAS = "betas";
  private static final String LOSS_WEIGHT = "loss_weight";

  /** Buffers are float32. */
  private static final double TOLERANCE = 1e-4;

  private static final int MOST = 1 << 20;

  private TrainerBuffers() {}

  static boolean areIn(TensorSource source) {
    return source.tensors().containsKey(BETAS);
  }

  /** The schedule of the library that the betas are, or these betas. */
  static Schedule schedule(TensorSource source) throws IOException {
    double[] betas = values(source, BETAS);
    int timesteps = betas.length;
    try {
      for (Schedule candidate :
          List.of(
              Schedules.sigmoidJabri(timesteps),
              Schedules.cosine(timesteps),
              Schedules.scaledLinear(timesteps))) {
        if (same(betas, candidate::beta)) {
          return candidate;
        }
      }
      if (timesteps > 20) {
        Schedule linear = Schedules.linearScaled(timesteps);
        if (same(betas, linear::beta)) {
          return linear;
        }
      }
      return Schedules.ofBetas(betas);
    } catch (IllegalArgumentException e) {
      throw new IOException(source.about(BETAS) + " is not valid: " + e.getMessage(), e);
    }
  }

  /** What the weights of the loss belong to; null if to something else, as with min-SNR. */
  static @Nullable Prediction prediction(TensorSource source, Schedule schedule)
      throws IOException {
    if (!source.tensors().containsKey(LOSS_WEIGHT)) {
      return null;
    }
    double[] weights = values(source, LOSS_WEIGHT);
    if (weights.length != schedule.timesteps()) {
      throw new IOException(
          source.about(LOSS_WEIGHT)
              + " has "
              + weights.length
              + " values, but the schedule has "
              + schedule.timesteps()
              + " timesteps");
    }
    IntToDoubleFunction snr = t -> schedule.alphaBar(t) / (1 - schedule.alphaBar(t));
    if (same(weights, t -> 1)) {
      return Prediction.EPSILON;
    }
    if (same(weights, snr)) {
      return Prediction.X0;
    }
    return same(weights, t -> snr.applyAsDouble(t) / (snr.applyAsDouble(t) + 1))
        ? Prediction.VELOCITY
        : null;
  }

  private static boolean same(double[] values, IntToDoubleFunction expected) {
    return IntStream.range(0, values.length)
        .allMatch(
            t ->
                Math.abs(values[t] - expected.applyAsDouble(t))
                    <= TOLERANCE * Math.abs(expected.applyAsDouble(t)) + 1e-7);
  }

  private static double[] values(TensorSource source, String name) throws IOException {
    if (source.info(name).shape().size() < 1 || source.info(name).shape().size() > MOST) {
      throw new IOException(
          source.about(name)
              + " must have one value per timestep, but has the shape "
              + source.info(name).shape());
    }
    try (NDManager manager = NDManager.newBaseManager();
        NDArray array = source.readFloat32(name, manager)) {
      float[] floats = array.toFloatArray();
      return IntStream.range(0, floats.length).mapToDouble(t -> floats[t]).toArray();
    }
  }
}
