package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * What listeners are told of a step.
 *
 * @param number the number of the step, from 1
 * @param steps the number of steps of the run
 * @param log where losses are read, when they are asked for
 * @param passes what the step drew
 * @param isLossKnown whether the loss was read already
 * @param learningRate the rate, warm-up included
 * @param emaDecay the factor of the old average
 * @param averaged the network over the averages
 * @param validation the validation after it, if there was one
 * @param settings tells the settings of the run so far
 * @param stopping ends the run
 */
record LoopEvent(
    int number,
    long steps,
    StepLog log,
    List<StepLog.Pass> passes,
    boolean isLossKnown,
    double learningRate,
    double emaDecay,
    Denoiser averaged,
    Optional<Validation.Result> validation,
    Supplier<Map<String, Object>> settings,
    Runnable stopping)
    implements TrainingStepListener.Event {

  @Override
  public long step() {
    return number;
  }

  @Override
  public double loss() {
    return log.loss(number);
  }

  @Override
  public NoiseLevels levels() {
    return StepLog.levels(passes);
  }

  @Override
  public double[] imageLosses() {
    return log.imageLosses(number, passes);
  }

  @Override
  public double gradientNorm() {
    return log.norm(number);
  }

  @Override
  public boolean isSkipped() {
    return log.isSkipped(number);
  }

  @Override
  public double lossScale() {
    return log.scale(number);
  }

  @Override
  public Map<String, Object> provenance() {
    return Collections.unmodifiableMap(settings.get());
  }

  @Override
  public void stop() {
    stopping.run();
  }
}
