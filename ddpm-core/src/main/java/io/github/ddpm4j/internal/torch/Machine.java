package io.github.ddpm4j.internal.torch;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDManager;
import org.jspecify.annotations.Nullable;

/**
 * The engine and its devices. What is missing of them is said here, in one sentence with the way
 * out, where libtorch and DJL answer with pages of text or with the first operation that fails.
 */
public final class Machine {

  /** What DJL takes if there is no other: it sends operations to a server and has no arrays. */
  private static final String NO_ENGINE = "RPC";

  private static final int MOST_OF_A_CAUSE = 200;

  private Machine() {}

  /**
   * The engine.
   *
   * @return DJL's default engine
   * @throws IllegalStateException if there is none, or its native library cannot be loaded
   */
  public static Engine engine() {
    Engine engine;
    try {
      engine = found();
    } catch (EngineException | LinkageError e) {
      throw unusable(e);
    }
    if (engine.getEngineName().equals(NO_ENGINE)) {
      throw new IllegalStateException(
          "there is no engine of DJL on the class path; add ai.djl.pytorch:pytorch-engine,"
              + " pytorch-jni and the pytorch-native-… of this system, as README does");
    }
    return engine;
  }

  /**
   * DJL looks for engines once, with the class loader of the thread that happens to be first. In
   * the pool of an application server that may be one which knows none, and there would be none
   * until the process ends.
   */
  private static Engine found() {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    if (knowsDjl(before)) {
      return Engine.getInstance();
    }
    thread.setContextClassLoader(Machine.class.getClassLoader());
    try {
      return Engine.getInstance();
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static boolean knowsDjl(@Nullable ClassLoader loader) {
    try {
      return Class.forName(Engine.class.getName(), false, loader) == Engine.class;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  private static IllegalStateException unusable(Throwable cause) {
    String told = String.valueOf(cause.getMessage()).lines().findFirst().orElse("");
    return new IllegalStateException(
        "DJL's engine cannot be loaded ("
            + told.substring(0, Math.min(told.length(), MOST_OF_A_CAUSE))
            + "); add ai.djl.pytorch:pytorch-jni and the pytorch-native-… of this system to the class"
            + " path, or let DJL download them once with a network",
        cause);
  }

  /**
   * A device that is there.
   *
   * @param device the device that was asked for, or null for the engine's default
   * @return the device
   * @throws IllegalArgumentException if it is a GPU that the engine does not see
   * @throws IllegalStateException if there is no engine
   */
  public static Device device(@Nullable Device device) {
    Engine engine = engine();
    if (device == null) {
      return engine.defaultDevice();
    }
    if (device.isGpu() && device.getDeviceId() >= engine.getGpuCount()) {
      throw new IllegalArgumentException(
          "device must be one that is here, but was "
              + device
              + ", and the engine sees "
              + engine.getGpuCount()
              + " GPUs; use Device.cpu(), or a libtorch built for the GPU (leave pytorch-native-cpu"
              + " off the class path)");
    }
    return device;
  }

  /**
   * A manager of arrays, which is not a child of another.
   *
   * @param device where its arrays lie, or null for the engine's default
   * @return the manager; the caller closes it
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws IllegalStateException if there is no engine
   */
  public static NDManager newManager(@Nullable Device device) {
    return NDManager.newBaseManager(device(device));
  }
}
