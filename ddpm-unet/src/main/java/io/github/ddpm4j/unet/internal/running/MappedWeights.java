package io.github.ddpm4j.unet.internal.running;

import ai.djl.Device;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.unet.UNet;
import java.util.Collection;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Weights that are pages of files, on their way from those who load a network into it. */
public final class MappedWeights {

  private static final Logger logger = LoggerFactory.getLogger(MappedWeights.class);

  private static volatile @Nullable BiConsumer<UNet, Map<String, MappedTensor>> way;

  private MappedWeights() {}

  /**
   * Checks what else was asked for.
   *
   * @param device where weights are to lie
   * @param holding what they are to be held in
   * @param changed whether a LoRA is to change them
   * @throws IllegalArgumentException if mapped weights cannot be so
   */
  public static void requireAlone(Device device, UNet.Precision holding, boolean changed) {
    String other =
        holding != UNet.Precision.FLOAT32 ? "hold(" + holding + ")" : changed ? "lora(...)" : "";
    if (!other.isEmpty()) {
      throw new IllegalArgumentException(
          "mapped weights stay as their files have them: leave out " + other + " or mapped()");
    }
    if (device.isGpu()) {
      throw new IllegalArgumentException(
          "weights are mapped on the CPU alone, but the device is "
              + device
              + ": leave out mapped() or choose Device.cpu()");
    }
  }

  /**
   * Says how weights come into a U-Net, which shows nobody outside this module. Called by its
   * class.
   *
   * @param put puts weights into a network, by their names
   */
  public static void way(BiConsumer<UNet, Map<String, MappedTensor>> put) {
    way = put;
  }

  /**
   * Puts weights into a U-Net, in the place of those that it has.
   *
   * @param unet the network, which owns them from now on
   * @param weights by name, attached to its manager
   */
  public static void put(UNet unet, Map<String, MappedTensor> weights) {
    Objects.requireNonNull(way, "way").accept(unet, weights);
  }

  /**
   * Logs how much of a file was mapped.
   *
   * @param where the file
   * @param weights those that were mapped
   * @param all the shapes of all weights
   */
  public static void tell(String where, Collection<MappedTensor> weights, Collection<Shape> all) {
    long bytes = 0;
    long values = 0;
    for (MappedTensor weight : weights) {
      long size = weight.array().getShape().size();
      values += size;
      bytes += size * weight.type().getNumOfBytes();
    }
    long read = all.stream().mapToLong(Shape::size).sum() - values;
    if (values == 0) {
      logger.warn(
          "{}: no weight could be mapped, and all {} numbers were read: they are of other types"
              + " than float32, float16 and bfloat16, or lie at odd places; save the file again",
          where,
          read);
    } else {
      logger.info("{}: {} bytes of weights are mapped, {} numbers were read", where, bytes, read);
    }
  }
}
