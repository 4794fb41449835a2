package io.github.ddpm4j.unet.internal.running;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.torch.Hardware;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a network runs, once what the user asked for has been held against engine and device.
 *
 * @param execution compiled or operation by operation
 * @param type what it computes in
 */
public record RunMode(Execution execution, Script.Type type) {

  private static final Logger logger = LoggerFactory.getLogger(UNet.class);

  private static final String PYTORCH = "PyTorch";

  /** The precisions that the user was told to be slow here. */
  public static final Set<Precision> warned = ConcurrentHashMap.newKeySet();

  /**
   * What a network starts with if nothing is asked for.
   *
   * @param manager that of its weights
   * @return the mode
   */
  public static RunMode standard(NDManager manager) {
    boolean pytorch = manager.getEngine().getEngineName().equals(PYTORCH);
    return new RunMode(pytorch ? Execution.COMPILED : Execution.EAGER, Script.Type.FLOAT32);
  }

  /**
   * What was asked for, on the engine and device of a manager.
   *
   * @param execution compiled or operation by operation
   * @param precision what to compute in
   * @param manager that of the weights
   * @return the mode
   * @throws IllegalArgumentException if it cannot be had, naming what can
   */
  public static RunMode of(Execution execution, Precision precision, NDManager manager) {
    boolean compiled = execution == Execution.COMPILED;
    String engine = manager.getEngine().getEngineName();
    if (compiled && !engine.equals(PYTORCH)) {
      throw new IllegalArgumentException(
          "execution COMPILED needs the engine PyTorch, but the engine is "
              + engine
              + "; choose execution EAGER");
    }
    if (!compiled && (precision == Precision.BFLOAT16 || precision == Precision.FLOAT16)) {
      throw new IllegalArgumentException(
          "execution EAGER computes in float32, but precision was "
              + precision
              + "; choose execution COMPILED or precision FLOAT32");
    }
    Script.Type type =
        switch (precision) {
          case FLOAT32 -> Script.Type.FLOAT32;
          case BFLOAT16 -> bfloat16(manager.getDevice());
          case FLOAT16 -> float16(manager.getDevice());
          case AUTO -> fastest(compiled, manager.getDevice());
        };
    return new RunMode(execution, type);
  }

  private static Script.Type bfloat16(Device device) {
    warnIfSlow(Precision.BFLOAT16, Hardware.hasBfloat16(device), device);
    return Script.Type.BFLOAT16;
  }

  private static Script.Type float16(Device device) {
    warnIfSlow(Precision.FLOAT16, Hardware.hasFloat16(device), device);
    return Script.Type.FLOAT16;
  }

  /**
   * Warns once of a precision: whoever asks for it does so for each network.
   *
   * @param precision the precision
   * @param fast whether the device has instructions for it
   * @param device the device
   */
  public static void warnIfSlow(Precision precision, boolean fast, Device device) {
    if (!fast && warned.add(precision)) {
      logger.warn(
          "precision {} is slower than FLOAT32 on {}, which is not known to have instructions"
              + " for it; precision AUTO takes what is faster",
          precision,
          device);
    }
  }

  private static Script.Type fastest(boolean compiled, Device device) {
    Script.Type type = compiled ? Script.Type.of(Hardware.fastest(device)) : Script.Type.FLOAT32;
    logger.info(
        "precision AUTO is {} on {}, {}",
        type,
        device,
        compiled
            ? switch (type) {
              case FLOAT32 -> "which has no instructions for bfloat16";
              case BFLOAT16 -> "which has instructions for bfloat16";
              case FLOAT16 -> "which has instructions for float16, but not for bfloat16";
            }
            : "since execution is EAGER");
    return type;
  }

  /**
   * Whether the network runs as a program.
   *
   * @return whether it does
   */
  public boolean isCompiled() {
    return execution == Execution.COMPILED;
  }

  /**
   * What {@link Precision#AUTO} became.
   *
   * @return any precision but that
   */
  public Precision precision() {
    return switch (type) {
      case FLOAT32 -> Precision.FLOAT32;
      case BFLOAT16 -> Precision.BFLOAT16;
      case FLOAT16 -> Precision.FLOAT16;
    };
  }

  /**
   * How images lie in memory in inference. Measured: on the CPU channels that come last take 7 %
   * off in float32 and add in bfloat16; in training their normalisation costs more than their
   * convolutions save.
   *
   * @param device that of the weights
   * @param inFloat32 how in float32 on the CPU
   * @return that, or with the channels first
   */
  public ImageLayout layout(Device device, ImageLayout inFloat32) {
    boolean chosen = type == Script.Type.FLOAT32 && !device.isGpu();
    return chosen ? inFloat32 : ImageLayout.CHANNELS_FIRST;
  }
}
