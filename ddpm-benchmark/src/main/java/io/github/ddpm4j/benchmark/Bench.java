package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;

/**
 * What the measurements have in common: a device, a batch of images, and waiting for the device.
 */
final class Bench implements AutoCloseable {

  static final int TIMESTEPS = 1000;

  private final NDManager manager;
  private final Schedule schedule = Schedules.linear(TIMESTEPS);
  private final Random random = new Random(1);

  Bench(Device device) {
    manager = NDManager.newBaseManager(device);
  }

  NDManager manager() {
    return manager;
  }

  Schedule schedule() {
    return schedule;
  }

  /** Random images of the network's shape. */
  static NDArray images(NDManager manager, Optional<Shape> shape, int count) {
    Shape batch = new Shape(count).addAll(shape.orElseThrow());
    return manager.randomUniform(-1, 1, batch);
  }

  /** A random timestep for each image. */
  int[] timesteps(int count) {
    int[] t = new int[count];
    Arrays.setAll(t, i -> random.nextInt(TIMESTEPS));
    return t;
  }

  NoiseLevels levels(int count) {
    return NoiseLevels.of(schedule, timesteps(count));
  }

  /** A copy that goes with the manager, and with it whatever is made of it. */
  static NDArray copy(NDArray array, NDManager owner) {
    NDArray copy = array.duplicate();
    copy.attach(owner);
    return copy;
  }

  /** A GPU works on after a call has returned: reading a number waits for it. */
  static void await(NDArray array) {
    if (array.getDevice().isGpu()) {
      try (NDArray sum = array.sum()) {
        sum.toByteBuffer();
      }
    }
  }

  @Override
  public void close() {
    manager.close();
  }
}
