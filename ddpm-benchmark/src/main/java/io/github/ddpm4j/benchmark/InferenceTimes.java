package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samplers;
import java.util.Optional;
import java.util.stream.DoubleStream;

/** The first call, the forward pass, and sampling. */
final class InferenceTimes {

  private static final int CALLS = 50;
  private static final int WARM_UP_CALLS = 2;
  private static final int PICTURES = 16;
  private static final double PERCENT = 100;

  private final Subject subject;
  private final Effort effort;

  private InferenceTimes(Subject subject, Effort effort) {
    this.subject = subject;
    this.effort = effort;
  }

  /** Measures, in a process that has run no network yet; returns the number of parameters. */
  static long measure(
      Preset preset, Variant variant, Device device, Effort effort, Measurements measurements) {
    try (Bench bench = new Bench(device)) {
      Bench.await(bench.manager().ones(new Shape(1))); // the engine itself is loaded by now
      measurements.put(Measure.RSS_LOADED, Memory.megabytes());
      long start = System.nanoTime();
      try (Subject subject = new Subject(preset, variant, device)) {
        InferenceTimes times = new InferenceTimes(subject, effort);
        NDArray x = Bench.images(bench.manager(), subject.imageShape(), effort.batch());
        NoiseLevels levels = bench.levels(effort.batch());
        times.forward(x, levels);
        double first = Repeats.millisSince(start);
        Spread forward = effort.ofCalls().time(() -> times.forward(x, levels)).spread();
        measurements.put(Measure.FORWARD, forward);
        measurements.put(Measure.FIRST_CALL, Spread.of(first - forward.median()));
        times.sampling(measurements);
        return subject.unet().config().parameterCount();
      }
    }
  }

  private void forward(NDArray x, NoiseLevels levels) {
    try (NDManager call = x.getManager().newSubManager()) {
      Bench.await(subject.predict(Bench.copy(x, call), levels, Condition.none()));
    }
  }

  private void sampling(Measurements measurements) {
    Watched watched = new Watched(subject);
    DDPM ddpm = DDPM.builder().timesteps(Bench.TIMESTEPS).denoiser(watched).build();
    sample(ddpm, WARM_UP_CALLS);
    Repeats repeats = effort.ofSampling();
    DoubleStream.Builder outside = DoubleStream.builder();
    boolean more = true;
    while (more) {
      watched.inside = 0;
      long start = System.nanoTime();
      sample(ddpm, CALLS);
      double total = Repeats.millisSince(start);
      outside.add(PERCENT * (total - watched.inside) / total);
      more = repeats.add(total);
    }
    measurements.put(Measure.DDIM, repeats.spread());
    measurements.put(Measure.OUTSIDE, Spread.of(outside.build().toArray()));
  }

  private static void sample(DDPM ddpm, int calls) {
    ddpm.sampling().sampler(Samplers.ddim(calls)).seed(1).generate(PICTURES).close();
  }

  /** Adds up how long the network takes. */
  private static final class Watched implements Denoiser {

    private final Subject subject;
    private double inside;

    Watched(Subject subject) {
      this.subject = subject;
    }

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      long start = System.nanoTime();
      NDArray result = subject.predict(x, levels, condition);
      Bench.await(result);
      inside += Repeats.millisSince(start);
      return result;
    }

    @Override
    public Optional<Shape> imageShape() {
      return subject.imageShape();
    }

    @Override
    public Optional<Device> device() {
      return subject.device();
    }
  }
}
