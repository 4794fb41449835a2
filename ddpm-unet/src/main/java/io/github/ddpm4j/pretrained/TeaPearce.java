package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.ContextUNet;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.NameTable.Line;
import io.github.ddpm4j.unet.internal.peers.Transform;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * {@code ContextUnet} of Conditional Diffusion MNIST (Pearce), alone or within its {@code DDPM}.
 *
 * <p>The code has T + 1 values of β, from 10⁻⁴ to 0.02 in equal steps, and ᾱ is the product over
 * all of them up to t. It trains at t from 1 to T, so that the first level has two of them:
 *
 * <pre>
 * β'_0 = 1 − (1 − β_0) (1 − β_1)      β'_t = β_{t+1}      t = 0 … T − 1
 * </pre>
 */
final class TeaPearce implements PeerFamily {

  /** What the script trains with. */
  private static final int TIMESTEPS = 400;

  private static final double FIRST_BETA = 1e-4;
  private static final double LAST_BETA = 0.02;
  private static final double EPSILON = 1e-5;

  /** The network within the code's DDPM, whose buffers are beside it. */
  private static final String WITHIN = "nn_model.";

  private static final String ROOTS = "sqrt_beta_t";
  private static final int MOST = 1_000_000;

  /** Buffers are float32. */
  private static final double TOLERANCE = 1e-5;

  @Override
  public String title() {
    return "Conditional Diffusion MNIST";
  }

  @Override
  public String signature() {
    return "timeembed1.model.0.weight";
  }

  @Override
  public boolean isIdle(String name) {
    return name.endsWith(".num_batches_tracked");
  }

  /** The network has only the sizes that its shapes tell, and T. */
  static ContextUNet.Config config(PeerShapes shapes, Schedule schedule) throws IOException {
    return new ContextUNet.Config(
        shapes.size("init_conv.conv1.0.weight", 1),
        shapes.size("init_conv.conv1.0.weight", 0),
        shapes.size("contextembed1.model.0.weight", 1),
        schedule.timesteps());
  }

  static NameTable table(ContextUNet.Config config) {
    return NameTable.of(
        config.weightShapes(),
        name -> {
          String layer = name.substring(0, name.lastIndexOf('.'));
          return layer.endsWith(".conv1.1") || layer.endsWith(".conv2.1")
              ? new Line(
                  List.of(layer + ".weight", layer + ".bias"),
                  List.of(
                      layer + ".weight",
                      layer + ".bias",
                      layer + ".running_mean",
                      layer + ".running_var"),
                  Transform.batchNorm(EPSILON))
              : Line.of(name, name, Transform.copy());
        });
  }

  @Override
  public Facts facts(TensorSource file, String prefix, Given given) throws IOException {
    Schedule schedule;
    String outer =
        prefix.endsWith(WITHIN) ? prefix.substring(0, prefix.length() - WITHIN.length()) : prefix;
    if (file.tensors().containsKey(outer + ROOTS)) {
      schedule = schedule(file, outer + ROOTS);
    } else {
      schedule = schedule(linear(TIMESTEPS));
      if (given.options().schedule == null) {
        given.assume(
            "the schedule of the script, " + TIMESTEPS + " steps, of which the file has no word");
      }
    }
    DataRange range = new DataRange(0, 1);
    if (given.options().range == null) {
      given.assume("images in " + range + ", as the script has them");
    }
    return new Facts(
        schedule, Prediction.EPSILON, Variance.FIXED_LARGE, range, false, null, Recipes.whole(), 0);
  }

  private static Schedule schedule(TensorSource file, String name) throws IOException {
    long values = file.info(name).shape().size();
    if (values < 2 || values > MOST) {
      throw new IOException(
          file.about(name)
              + " must have one value per timestep and one more, but has the shape "
              + file.info(name).shape());
    }
    double[] betas;
    try (NDManager manager = NDManager.newBaseManager();
        NDArray array = file.readFloat32(name, manager)) {
      float[] roots = array.toFloatArray();
      betas =
          IntStream.range(0, roots.length).mapToDouble(i -> (double) roots[i] * roots[i]).toArray();
    }
    double[] exact = linear(betas.length - 1);
    boolean linear =
        IntStream.range(0, betas.length)
            .allMatch(i -> Math.abs(betas[i] - exact[i]) <= TOLERANCE * exact[i]);
    try {
      return schedule(linear ? exact : betas);
    } catch (IllegalArgumentException e) {
      throw new IOException(file.about(name) + " is not valid: " + e.getMessage(), e);
    }
  }

  private static double[] linear(int timesteps) {
    return IntStream.rangeClosed(0, timesteps)
        .mapToDouble(t -> FIRST_BETA + (LAST_BETA - FIRST_BETA) * t / timesteps)
        .toArray();
  }

  /** Without the first, which is a part of the second. */
  private static Schedule schedule(double[] betas) {
    double[] own = Arrays.copyOfRange(betas, 1, betas.length);
    own[0] = 1 - (1 - betas[0]) * (1 - betas[1]);
    return Schedules.ofBetas(own);
  }
}
