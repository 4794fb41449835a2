package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.spi.Ops;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.NullMarked;

/**
 * Runs the network of a {@link UNet} by operations of the caller's, for the benchmark's baseline.
 *
 * <p>It lies in the package of the network, whose insides it needs, and in the examples, since
 * users need none of this: the benchmark runs on the class path, where packages may be split.
 */
@NullMarked
public final class OpByOp {

  private final UNet unet;
  private final Network network;
  private final Map<String, NDArray> weights;

  /**
   * Takes the weights of a network.
   *
   * @param unet the network, which stays the caller's
   */
  public OpByOp(UNet unet) {
    this.unet = unet;
    network = new Network(unet.config());
    weights = unet.weights();
  }

  /**
   * Predicts for a batch.
   *
   * @param ops the operations
   * @param x the noisy images, shape (N, C, H, W)
   * @param levels how noisy each image is
   * @return the prediction, shape of {@code x}
   */
  public NDArray forward(Ops<NDArray> ops, NDArray x, NoiseLevels levels) {
    Shape shape = new Shape(levels.size(), unet.config().baseChannels());
    NDArray features =
        Upload.doubles(x.getManager(), unet.levelFeatures(levels), shape, DataType.FLOAT32);
    return network.forward(
        ops,
        name -> Objects.requireNonNull(weights.get(name), name),
        new Inputs<>(x, features, Map.of()));
  }
}
