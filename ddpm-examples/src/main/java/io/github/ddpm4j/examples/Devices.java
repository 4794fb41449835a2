package io.github.ddpm4j.examples;

import ai.djl.Device;
import ai.djl.engine.Engine;
import java.io.PrintWriter;
import java.util.regex.Pattern;

/** The device that an option names. */
final class Devices {

  private static final Pattern NAME = Pattern.compile("cpu|gpu[0-9]+");

  private Devices() {}

  /**
   * The device of this name, or the CPU, saying so, where there is no such GPU.
   *
   * @throws IllegalArgumentException if the name is neither {@code cpu} nor {@code gpu0}, {@code
   *     gpu1}, …
   */
  static Device of(String name, PrintWriter out) {
    Device device = Device.fromName(checked(name));
    int gpus = Engine.getInstance().getGpuCount();
    if (device.isGpu() && device.getDeviceId() >= gpus) {
      out.printf(
          "There is no %s here (GPUs that the engine sees: %d); going on with the CPU.%n",
          name, gpus);
      return Device.cpu();
    }
    return device;
  }

  /**
   * The name, if it is one of a device that is here.
   *
   * @throws IllegalArgumentException if there is no such device, or the name is neither {@code cpu}
   *     nor {@code gpu0}, {@code gpu1}, …
   */
  static String present(String name) {
    Device device = Device.fromName(checked(name));
    if (device.isGpu()) {
      int gpus = Engine.getInstance().getGpuCount();
      if (device.getDeviceId() >= gpus) {
        throw new IllegalArgumentException(
            "--device must be one that is here, but was "
                + name
                + ", and the engine sees "
                + gpus
                + " GPUs; use cpu, or a libtorch built for the GPU");
      }
    }
    return name;
  }

  /**
   * The name, if it is one of a device.
   *
   * @throws IllegalArgumentException if the name is neither {@code cpu} nor {@code gpu0}, {@code
   *     gpu1}, …
   */
  static String checked(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException("--device must be cpu, gpu0, gpu1, ..., but was " + name);
    }
    return name;
  }
}
