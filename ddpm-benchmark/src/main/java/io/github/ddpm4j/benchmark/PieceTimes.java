package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.process.NoiseLevels;
import java.util.concurrent.atomic.AtomicLong;

/** The pieces of a training step. */
final class PieceTimes {

  private PieceTimes() {}

  /** Measures; returns the number of parameters. */
  static long measure(
      Preset preset, Variant variant, Device device, Effort effort, Measurements measurements) {
    try (Bench bench = new Bench(device);
        Subject subject = new Subject(preset, variant, device)) {
      NDArray x = Bench.images(bench.manager(), subject.imageShape(), effort.batch());
      NDArray noise = Bench.images(bench.manager(), subject.imageShape(), effort.batch());
      NoiseLevels levels = bench.levels(effort.batch());
      AtomicLong pass = new AtomicLong();
      measurements.put(
          Measure.FORWARD_BACKWARD,
          effort
              .ofCalls()
              .time(
                  () -> {
                    try (NDManager call = bench.manager().newSubManager()) {
                      NDArray own = Bench.copy(x, call);
                      StepTimes.backward(subject, own, levels, noise, pass.getAndIncrement());
                    }
                  })
              .spread());
      update(bench.manager(), subject, variant, effort, measurements);
      return subject.unet().config().parameterCount();
    }
  }

  /** The update of a variant, over weights of its own. */
  private static void update(
      NDManager manager,
      Subject subject,
      Variant variant,
      Effort effort,
      Measurements measurements) {
    Tensors tensors = Tensors.random(manager, subject.unet().weights().values());
    // The library's training makes the fused update whether or not the network is compiled.
    try (Update update =
        variant == Variant.PRIMITIVES
            ? new PerTensorUpdate(tensors)
            : new FusedUpdate(tensors, manager)) {
      measurements.put(
          Measure.OPTIMIZER,
          effort
              .ofCalls()
              .time(
                  () -> {
                    update.optimize();
                    Bench.await(tensors.weights().head());
                  })
              .spread());
      measurements.put(
          Measure.EMA,
          effort
              .ofCalls()
              .time(
                  () -> {
                    update.average();
                    Bench.await(tensors.averages().head());
                  })
              .spread());
    }
  }
}
