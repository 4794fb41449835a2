package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.training.GradientCollector;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.process.ForwardProcess;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.TrainingStepListener;

/** The whole training step: data, noise, forward, loss, backward, clipping, AdamW, average. */
final class StepTimes {

  private static final int IMAGES = 64;
  private static final int MOST_STEPS = 100_000;

  private StepTimes() {}

  /** Measures; returns the number of parameters. */
  static long measure(
      Preset preset, Variant variant, Device device, Effort effort, Measurements measurements) {
    try (Bench bench = new Bench(device);
        Subject subject = new Subject(preset, variant, device)) {
      Steps steps = new Steps(effort.ofCalls(), device);
      if (variant == Variant.PRIMITIVES) {
        byHand(bench, subject, effort, steps);
      } else {
        byLibrary(subject, variant, effort, steps);
      }
      Spread step = steps.repeats.spread();
      measurements.put(Measure.STEP, step);
      measurements.put(Measure.FIRST_STEP, Spread.of(steps.first - step.median()));
      return subject.unet().config().parameterCount();
    }
  }

  /** As users train. */
  private static void byLibrary(Subject subject, Variant variant, Effort effort, Steps steps) {
    try (NDManager cpu = NDManager.newBaseManager(Device.cpu())) {
      int count = Math.max(IMAGES, effort.batch());
      NDArray images = Bench.images(cpu, subject.imageShape(), count);
      Dataset dataset =
          new ArrayDataset.Builder().setData(images).setSampling(effort.batch(), true).build();
      DDPM.builder()
          .timesteps(Bench.TIMESTEPS)
          .denoiser(subject.unet())
          .build()
          .training()
          .batchSize(effort.batch())
          .steps(MOST_STEPS)
          .optimizer(AdamOptimizer.adamW(Constants.WEIGHT_DECAY))
          .learningRate(Constants.LEARNING_RATE)
          .gradientClip(Constants.GRADIENT_CLIP)
          .ema(Constants.EMA_DECAY)
          .recomputation(variant.recomputation())
          .seed(1)
          .listener(steps)
          .fit(dataset)
          .close();
    }
  }

  /** As one writes it with DJL alone. */
  private static void byHand(Bench bench, Subject subject, Effort effort, Steps steps) {
    NDArray images = Bench.images(bench.manager(), subject.imageShape(), effort.batch());
    NDList gradients = new NDList();
    boolean more = true;
    int step = 0;
    PerTensorUpdate update = null;
    while (more) {
      int[] t = bench.timesteps(effort.batch());
      try (NDManager own = bench.manager().newSubManager()) {
        NDArray noise = own.randomNormal(images.getShape());
        NDArray xt = ForwardProcess.of(bench.schedule()).sample(Bench.copy(images, own), t, noise);
        backward(subject, xt, NoiseLevels.of(bench.schedule(), t), noise, step++);
      }
      if (update == null) {
        subject.unet().weights().values().forEach(w -> gradients.add(w.getGradient()));
        update =
            new PerTensorUpdate(
                Tensors.of(bench.manager(), subject.unet().weights().values(), gradients));
      }
      update.optimize(update.clip(bench.manager()));
      update.average();
      more = steps.stepDone();
    }
    gradients.close();
  }

  /** Adds the gradients of the mean squared error to those of the weights; returns the error. */
  static float backward(
      Subject subject, NDArray xt, NoiseLevels levels, NDArray noise, long index) {
    TrainableDenoiser.Pass pass = new TrainableDenoiser.Pass(1, index);
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray output = subject.predictForTraining(xt, levels, pass);
      EagerOps ops = EagerOps.training(pass.seed(), pass.index());
      NDArray loss = Losses.simple().perImage(ops, output, noise).mean();
      collector.backward(loss);
      return loss.getFloat();
    }
  }

  /** Takes the time from step to step. */
  private static final class Steps implements TrainingStepListener {

    private final Repeats repeats;
    private final boolean gpu;
    private long last = System.nanoTime();
    private double first = -1;

    Steps(Repeats repeats, Device device) {
      this.repeats = repeats;
      this.gpu = device.isGpu();
    }

    @Override
    public void onStep(TrainingStepListener.Event event) {
      if (gpu) {
        event.loss(); // waits for the device
      }
      if (!stepDone()) {
        event.stop();
      }
    }

    /** Whether there should be another step. */
    boolean stepDone() {
      double duration = Repeats.millisSince(last);
      last = System.nanoTime();
      if (first < 0) {
        first = duration;
        return true;
      }
      return repeats.add(duration);
    }
  }
}
