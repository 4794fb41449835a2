package io.github.ddpm4j.benchmark;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.TrainingStepListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a checkpoint takes from a training run: how long the run waits for it before its next step,
 * the time of that step, which has the file written beside it, of steps that do not, of a copy of
 * as much memory, and of the steps of a run that was resumed.
 */
final class CheckpointTimes {

  /** Long enough for a checkpoint to be on the disk before the last of these steps. */
  private static final int EVERY = 6;

  private static final int MOST_STEPS = 100_000;

  /** Weights, averages, and two moments. */
  private static final int ARRAYS = 4;

  private CheckpointTimes() {}

  /** Measures; returns the number of parameters. */
  static long measure(
      Preset preset, Variant variant, Device device, Effort effort, Measurements measurements) {
    try {
      Path folder = Files.createTempDirectory("ddpm4j-checkpoints");
      try {
        return measure(preset, variant, device, effort, measurements, folder);
      } finally {
        delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static long measure(
      Preset preset,
      Variant variant,
      Device device,
      Effort effort,
      Measurements measurements,
      Path folder) {
    int count = effort.quick() ? 1 : effort.repeats();
    long parameters;
    Steps first = new Steps(count);
    try (Subject subject = new Subject(preset, variant, device)) {
      train(
          subject,
          effort,
          training ->
              training
                  .checkpoints(every(folder))
                  .learningRate(first.timed(Constants.LEARNING_RATE))
                  .listener(first));
      parameters = subject.unet().config().parameterCount();
      measurements.put(Measure.COPY, copy(device, parameters, effort));
    }
    Steps second = new Steps(count);
    try (Subject subject = new Subject(preset, variant, device)) {
      train(
          subject,
          effort,
          training -> training.checkpoints(every(folder)).resume().listener(second));
    }
    measurements.put(Measure.STEP_ALONE, Spread.of(array(first.alone)));
    measurements.put(Measure.STEP_WITH_CHECKPOINT, Spread.of(array(first.waiting)));
    measurements.put(Measure.WAIT, Spread.of(array(first.waits)));
    measurements.put(Measure.STEP_RESUMED, Spread.of(array(second.alone)));
    return parameters;
  }

  private static Checkpoints every(Path folder) {
    return Checkpoints.in(folder).everySteps(EVERY);
  }

  private interface Settings {
    Training of(Training training);
  }

  private static void train(Subject subject, Effort effort, Settings settings) {
    try (NDManager cpu = NDManager.newBaseManager(Device.cpu())) {
      cpu.getEngine().setRandomSeed(1); // a run is resumed on the same data
      NDArray images = Bench.images(cpu, subject.imageShape(), effort.batch());
      Dataset dataset =
          new ArrayDataset.Builder().setData(images).setSampling(effort.batch(), true).build();
      DDPM ddpm = DDPM.builder().timesteps(Bench.TIMESTEPS).denoiser(subject.unet()).build();
      Training training =
          ddpm.training()
              .batchSize(effort.batch())
              .steps(MOST_STEPS)
              .optimizer(AdamOptimizer.adamW(Constants.WEIGHT_DECAY))
              .learningRate(Constants.LEARNING_RATE)
              .gradientClip(Constants.GRADIENT_CLIP)
              .ema(Constants.EMA_DECAY)
              .seed(1);
      settings.of(training).fit(dataset).close();
    }
  }

  /** How long it takes to copy as many floats as a checkpoint holds. */
  private static Spread copy(Device device, long parameters, Effort effort) {
    try (NDManager manager = NDManager.newBaseManager(device)) {
      NDArray state = manager.zeros(new Shape(ARRAYS * parameters));
      return effort.ofCalls().time(() -> state.duplicate().close()).spread();
    }
  }

  private static double[] array(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  /** Takes the time from step to step, apart for those after a checkpoint fell due. */
  private static final class Steps implements TrainingStepListener {

    private final int count;
    private final List<Double> waiting = new ArrayList<>();
    private final List<Double> alone = new ArrayList<>();
    private final List<Double> waits = new ArrayList<>();
    private boolean timed;
    private long last;

    /** When a step ended after which a checkpoint was due; 0 after others. */
    private long due;

    Steps(int count) {
      this.count = count;
    }

    /** A constant rate that is asked for when a step begins, and sees how long that was held up. */
    Tracker timed(float rate) {
      timed = true;
      return step -> {
        if (due != 0) {
          waits.add(Repeats.millisSince(due));
          due = 0;
        }
        return rate;
      };
    }

    @Override
    public void onStep(TrainingStepListener.Event event) {
      event.loss(); // waits for the device
      double duration = Repeats.millisSince(last);
      boolean warm = last != 0 && event.step() > EVERY;
      last = System.nanoTime();
      if (warm && event.step() % EVERY == 1) {
        waiting.add(duration);
      } else if (warm && event.step() % EVERY == 0) {
        alone.add(duration);
      }
      boolean waited = !timed || waits.size() >= count;
      if (waiting.size() >= count && alone.size() >= count && waited) {
        event.stop();
      } else if (warm && event.step() % EVERY == 0) {
        due = last;
      }
    }
  }
}
