package io.github.ddpm4j.unet;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.torch.Hardware;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a network runs, once what the user asked for has been held against engine and device.
 *
 * @param execution compiled or operation by operation
 * @param type what it computes in
 */
record RunMode(Execution execution, Script.Type type) {

  private static final Logger logger = LoggerFactory.getLogger(UNet.class);

  private static final String PYTORCH = "PyTorch";

  /** Whether the user was told that bfloat16 is slow here. */
  static final AtomicBoolean warned = new AtomicBoolean();

  /** What a network starts with if nothing is asked for. */
  static RunMode standard(NDManager manager) {
    boolean pytorch = manager.getEngine().getEngineName().equals(PYTORCH);
    return new RunMode(pytorch ? Execution.COMPILED : Execution.EAGER, Script.Type.FLOAT32);
  }

  /**
   * What was asked for, on the engine and device of a manager.
   *
   * @throws IllegalArgumentException if it cannot be had, naming what can
   */
  static RunMode of(Execution execution, Precision precision, NDManager manager) {
    boolean compiled = execution == Execution.COMPILED;
    String engine = manager.getEngine().getEngineName();
    if (compiled && !engine.equals(PYTORCH)) {
      throw new IllegalArgumentException(
          "execution COMPILED needs the engine PyTorch, but the engine is "
              + engine
              + "; choose execution EAGER");
    }
    if (!compiled && precision == Precision.BFLOAT16) {
      throw new IllegalArgumentException(
          "execution EAGER computes in float32, but precision was BFLOAT16; choose execution"
              + " COMPILED or precision FLOAT32");
    }
    Script.Type type =
        switch (precision) {
          case FLOAT32 -> Script.Type.FLOAT32;
          case BFLOAT16 -> bfloat16(manager.getDevice());
          case AUTO -> fastest(compiled, manager.getDevice());
        };
    return new RunMode(execution, type);
  }

  private static Script.Type bfloat16(Device device) {
    warnIfSlow(Hardware.hasBfloat16(device), device);
    return Script.Type.BFLOAT16;
  }

  /** Once: whoever asks for it does so for each network. */
  static void warnIfSlow(boolean fast, Device device) {
    if (!fast && warned.compareAndSet(false, true)) {
      logger.warn(
          "precision BFLOAT16 is slower than FLOAT32 on {}, which is not known to have instructions"
              + " for it; precision AUTO takes what is faster",
          device);
    }
  }

  private static Script.Type fastest(boolean compiled, Device device) {
    boolean fast = compiled && Hardware.hasBfloat16(device);
    Script.Type type = fast ? Script.Type.BFLOAT16 : Script.Type.FLOAT32;
    logger.info(
        "precision AUTO is {} on {}, {}",
        type,
        device,
        compiled
            ? "which has " + (fast ? "" : "no ") + "instructions for bfloat16"
            : "since execution is EAGER");
    return type;
  }

  boolean isCompiled() {
    return execution == Execution.COMPILED;
  }

  /** What {@link Precision#AUTO} became. */
  Precision precision() {
    return type == Script.Type.BFLOAT16 ? Precision.BFLOAT16 : Precision.FLOAT32;
  }

  /**
   * Whether images lie in memory with the channels last in inference. Measured: on the CPU it takes
   * 7 % off in float32 and adds in bfloat16; in training its normalisation costs more than its
   * convolutions save.
   */
  boolean channelsLast(Device device) {
    return type == Script.Type.FLOAT32 && !device.isGpu();
  }
}
