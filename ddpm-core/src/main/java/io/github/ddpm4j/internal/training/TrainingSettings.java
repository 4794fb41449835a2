package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.training.tracker.Tracker;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.training.AdamOptimizer;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.Ema;
import io.github.ddpm4j.training.Guard;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.NoiseAssignment;
import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a run is set to, as it stood when the run began.
 *
 * @param loss the objective
 * @param weighting how much an image counts, by its level
 * @param timestepSampler how levels are drawn
 * @param offsetNoise the deviation of the noise that all pixels of a channel share
 * @param inputPerturbation the deviation of the noise that x_t has beyond the target's
 * @param noiseAssignment which noise of a batch goes to which image
 * @param batchSize images per forward pass
 * @param anyRange whether data that fill but a part of the data range are meant
 * @param accumulation batches per step
 * @param steps how many updates, at least 1
 * @param optimizer the optimizer
 * @param learningRate the learning rate, asked with the number of steps done before
 * @param warmup over how many steps the rate grows
 * @param gradientClip the largest norm of the gradient, or infinity
 * @param guard what is done about bad steps
 * @param ema the average of the weights
 * @param condition makes the condition of images and labels; null for the labels themselves
 * @param conditionDropout the probability that an image goes without its condition
 * @param seed the seed of everything that is drawn
 * @param recomputation what is computed again for the gradient
 * @param validation of held-out images; null for none
 * @param listeners who watches
 * @param logRows how far steps may be ahead of what was read of them; 0 leaves it to the device
 * @param persistence what of the run outlives the process
 * @param before the runs that made the weights so far, as far as they are known, the first first
 * @param consistency what is compared with what in consistency tuning; null for other runs
 */
public record TrainingSettings(
    Loss loss,
    Weighting weighting,
    TimestepSampler timestepSampler,
    double offsetNoise,
    double inputPerturbation,
    NoiseAssignment noiseAssignment,
    int batchSize,
    boolean anyRange,
    int accumulation,
    int steps,
    AdamOptimizer optimizer,
    Tracker learningRate,
    int warmup,
    double gradientClip,
    Guard guard,
    Ema ema,
    @Nullable BiFunction<NDArray, NDList, Condition> condition,
    double conditionDropout,
    long seed,
    Recomputation recomputation,
    @Nullable Validation validation,
    List<TrainingStepListener> listeners,
    int logRows,
    Persistence persistence,
    List<Map<String, Object>> before,
    @Nullable ConsistencyTuning consistency) {

  /**
   * Copies the lists.
   *
   * @param loss see above
   * @param weighting see above
   * @param timestepSampler see above
   * @param offsetNoise see above
   * @param inputPerturbation see above
   * @param noiseAssignment see above
   * @param batchSize see above
   * @param anyRange see above
   * @param accumulation see above
   * @param steps see above
   * @param optimizer see above
   * @param learningRate see above
   * @param warmup see above
   * @param gradientClip see above
   * @param guard see above
   * @param ema see above
   * @param condition see above
   * @param conditionDropout see above
   * @param seed see above
   * @param recomputation see above
   * @param validation see above
   * @param listeners see above
   * @param logRows see above
   * @param persistence see above
   * @param before see above
   * @param consistency see above
   */
  public TrainingSettings {
    listeners = List.copyOf(listeners);
    before = List.copyOf(before);
  }

  /**
   * Asks the tracker, which may count: once a step.
   *
   * @param done the number of steps done before
   * @return the learning rate of the step without its warm-up, finite and at least 0
   * @throws IllegalStateException if the tracker gives another
   */
  double trackedRate(int done) {
    double rate = learningRate.getNewValue(done);
    if (!(rate >= 0) || Double.isInfinite(rate)) {
      throw new IllegalStateException(
          "the learning rate must be finite and at least 0, but the tracker gave "
              + rate
              + " for step "
              + (done + 1));
    }
    return rate;
  }

  /** The share of the rate that a step has in the warm-up, and 1 after it. */
  double warmth(int done) {
    return Math.min(1, (done + 1.0) / Math.max(1, warmup));
  }

  /** The images of a step, as far as the run makes the batches. */
  double imagesPerStep() {
    return (double) batchSize * accumulation;
  }

  /**
   * The settings in the words of a model file, as its provenance. Numbers are {@code Long} and
   * {@code Double}, as they come back from it.
   *
   * @param losses what the run left
   * @param ownBatches whether the run, and not the dataset, made the batches
   * @param data what is said of the dataset
   * @param firstRate the learning rate of the first step, without its warm-up
   */
  Map<String, Object> describe(
      LossHistory losses, boolean ownBatches, String data, double firstRate) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("steps", (long) losses.steps());
    if (ownBatches) {
      settings.put("batchSize", (long) batchSize);
    }
    settings.put("data", data);
    settings.put("accumulation", (long) accumulation);
    settings.put("loss", loss.toString());
    if (!weighting.equals(Weighting.uniform())) {
      settings.put("weighting", weighting.toString());
    }
    if (!timestepSampler.equals(TimestepSampler.uniform())) {
      settings.put("timestepSampler", timestepSampler.toString());
    }
    if (consistency != null) {
      settings.put(TunedFor.CONSISTENCY, consistency.toString());
      settings.put(TunedFor.SIGMA_MAX, consistency.sigmaMax());
    }
    if (offsetNoise > 0) {
      settings.put("offsetNoise", offsetNoise);
    }
    if (inputPerturbation > 0) {
      settings.put("inputPerturbation", inputPerturbation);
    }
    if (!noiseAssignment.isIndependent()) {
      settings.put("noiseAssignment", noiseAssignment.toString());
    }
    settings.put("optimizer", optimizer.toString());
    // Trackers give floats, of which these are the digits.
    settings.put("firstLearningRate", Double.parseDouble(Float.toString((float) firstRate)));
    settings.put("warmup", (long) warmup);
    if (Double.isFinite(gradientClip)) {
      settings.put("gradientClip", gradientClip);
    }
    if (!guard.equals(Guard.stop())) {
      settings.put("guard", guard.toString());
      settings.put("skippedSteps", (long) losses.skipped().length);
    }
    if (conditionDropout > 0) {
      settings.put("conditionDropout", conditionDropout);
    }
    settings.put("ema", ema.toString());
    settings.put("seed", seed);
    double mean = losses.mean(100);
    if (!Double.isNaN(mean)) {
      // All of them may have been skipped, and JSON has no NaN.
      settings.put("meanLossOfLast100Steps", mean);
    }
    History.add(settings, before);
    return settings;
  }
}
