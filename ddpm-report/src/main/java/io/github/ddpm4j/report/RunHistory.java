package io.github.ddpm4j.report;

import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/** What a report knows of a run, in memory that does not grow with it. */
final class RunHistory {

  static final int QUARTERS = 4;

  /** All by step; of a run that is resumed, from its beginning. */
  final Series loss = new Series();

  final Series gradientNorm = new Series();
  final Series learningRate = new Series();
  final Series seconds = new Series();
  final Series memory = new Series();
  final Series lossScale = new Series();
  final Series validation = new Series();

  /** Steps that updated nothing. */
  final Series skipped = new Series();

  final List<Series> quarters = new ArrayList<>();

  /** The steps that are done, of how many, and how many of them updated nothing. */
  long step;

  long steps;
  long skips;

  /** With all that was done between steps. */
  double secondsSoFar;

  /** The best validation; none before the first one. */
  long bestStep;

  double bestLoss = Double.NaN;

  /** Of the run, in words. */
  final Map<String, String> settings = new LinkedHashMap<>();

  RunHistory() {
    for (int q = 0; q < QUARTERS; q++) {
      quarters.add(new Series());
    }
  }

  /**
   * Takes in what is known of a step as soon as it is done.
   *
   * @param took how many seconds it took; NaN if that is not known
   */
  void begin(TrainingStepListener.Event event, double took) {
    step = event.step();
    steps = event.steps();
    seconds.add(step, took);
    learningRate.add(step, event.learningRate());
    event.validation().ifPresent(this::validated);
  }

  private void validated(Validation.Result result) {
    validation.add(result.step(), result.loss());
    if (result.isBest()) {
      bestStep = result.step();
      bestLoss = result.loss();
    }
  }

  /** Takes in what a device has to be asked for. */
  void read(TrainingStepListener.Event event, ToIntFunction<Level> quarter) {
    long of = event.step();
    lossScale.add(of, event.lossScale());
    if (event.isSkipped()) {
      skips++;
      skipped.add(of, 0);
      return;
    }
    loss.add(of, event.loss());
    gradientNorm.add(of, event.gradientNorm());
    NoiseLevels levels = event.levels();
    double[] losses = event.imageLosses();
    for (int i = 0; i < losses.length; i++) {
      quarters.get(quarter.applyAsInt(levels.level(i))).add(of, losses[i]);
    }
  }

  void save(DataOutput out) throws IOException {
    out.writeLong(step);
    out.writeLong(steps);
    out.writeLong(skips);
    out.writeDouble(secondsSoFar);
    out.writeLong(bestStep);
    out.writeDouble(bestLoss);
    for (Series series : all()) {
      series.save(out);
    }
    out.writeInt(settings.size());
    for (Map.Entry<String, String> setting : settings.entrySet()) {
      Words.write(out, setting.getKey());
      Words.write(out, setting.getValue());
    }
  }

  /** Goes on from what was saved, in place of what is there. */
  void restore(DataInput in) throws IOException {
    step = in.readLong();
    steps = in.readLong();
    skips = in.readLong();
    secondsSoFar = in.readDouble();
    bestStep = in.readLong();
    bestLoss = in.readDouble();
    for (Series series : all()) {
      series.restore(in);
    }
    settings.clear();
    int count = in.readInt();
    for (int i = 0; i < count; i++) {
      settings.put(Words.read(in), Words.read(in));
    }
  }

  private List<Series> all() {
    List<Series> all = new ArrayList<>(quarters);
    all.addAll(
        List.of(loss, gradientNorm, learningRate, seconds, memory, lossScale, validation, skipped));
    return all;
  }
}
