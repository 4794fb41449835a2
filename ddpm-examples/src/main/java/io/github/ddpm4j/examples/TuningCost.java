package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.IntStream;

/**
 * How long tuning takes beside the training that the model has had, by steps of each with as many
 * pictures.
 *
 * @param seconds those of a step of tuning, on one thread
 * @param trainingSeconds those of a step of training
 * @param share of the time of training
 */
record TuningCost(double seconds, double trainingSeconds, double share) {

  /** Measures some steps of each, over a copy of the model. */
  static TuningCost of(TuningTask task, int steps, int batch, int measured) throws IOException {
    try (DDPM model = task.load()) {
      long pictures = number(model, "steps") * number(model, "batchSize");
      double training = seconds(task, model.training().batchSize(batch), measured);
      Training run = model.consistencyTuning(task.tuning()).batchSize(batch);
      double tuning = seconds(task, run, measured);
      double share = tuning * steps * batch / (training * pictures);
      return new TuningCost(tuning, training, share);
    }
  }

  private static long number(DDPM model, String name) {
    return Objects.requireNonNull((Number) model.provenance().get(name), name).longValue();
  }

  /** The time of the processor that this thread has had: others on the machine don't count. */
  static long nanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** The median of the steps after the first, which compiles. */
  private static double seconds(TuningTask task, Training run, int measured) {
    List<Long> ends = new ArrayList<>();
    run.steps(measured + 1).seed(1).listener(step -> ends.add(nanos()));
    task.fit().apply(run).close();
    return IntStream.rangeClosed(1, measured)
        .mapToDouble(i -> (ends.get(i) - ends.get(i - 1)) / 1e9)
        .sorted()
        .skip(measured / 2)
        .findFirst()
        .orElseThrow();
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "A step of tuning takes %.2f s, one of training %.2f s. Tuning takes %.2f of the time of"
            + " training.",
        seconds,
        trainingSeconds,
        share);
  }
}
