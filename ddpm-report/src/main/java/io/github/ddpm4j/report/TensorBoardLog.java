package io.github.ddpm4j.report;

import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.training.TrainingStepListener;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.DoubleSupplier;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a run tells TensorBoard. Each point is a mean over a stretch of steps, of which there are at
 * most {@value #MOST} in a run, so that the file of a long run does not grow beyond a few
 * megabytes. A file that cannot be written ends the log with a warning, and not the run.
 */
final class TensorBoardLog {

  static final int MOST = 10_000;

  private static final Logger LOG = LoggerFactory.getLogger(TensorBoardLog.class);

  private final Path folder;
  private final DoubleSupplier wallTime;
  private @Nullable EventFile file;
  private boolean failed;
  private final Map<String, double[]> means = new LinkedHashMap<>();

  /**
   * @param wallTime the time in seconds since 1970
   */
  TensorBoardLog(Path folder, DoubleSupplier wallTime) {
    this.folder = folder;
    this.wallTime = wallTime;
  }

  /** What writes to a file. */
  private interface Writing {
    void writeTo(EventFile file) throws IOException;
  }

  private void write(Writing writing) {
    if (failed) {
      return;
    }
    try {
      EventFile open = file == null ? EventFile.create(folder, wallTime.getAsDouble()) : file;
      file = open;
      writing.writeTo(open);
    } catch (IOException e) {
      failed = true;
      LOG.warn("{} cannot be written for TensorBoard, and training goes on without: {}", folder, e);
      close();
    }
  }

  /** Says that the run goes on after a step. */
  void resumeAfter(long step) {
    write(open -> open.resumeAt(wallTime.getAsDouble(), step + 1));
  }

  /** Takes in a step; {@code values} are those that are known of it by tag. */
  void step(
      TrainingStepListener.Event event, Map<String, Double> values, ToIntFunction<Level> quarter) {
    values.forEach(this::mean);
    mean("skipped", event.isSkipped() ? 1 : 0);
    if (!event.isSkipped()) {
      mean("loss", event.loss());
      mean("gradient_norm", event.gradientNorm());
      double[] losses = event.imageLosses();
      for (int i = 0; i < losses.length; i++) {
        mean(
            "loss_by_noise/quarter_" + (1 + quarter.applyAsInt(event.levels().level(i))),
            losses[i]);
      }
    }
    if (event.lossScale() != 1) {
      mean("loss_scale", event.lossScale());
    }
    long every = Math.max(1, (event.steps() + MOST - 1) / MOST);
    if (event.step() % every == 0 || event.step() == event.steps()) {
      point(event.step());
    }
    event.validation().ifPresent(v -> numbers(v.step(), Map.of("validation_loss", v.loss())));
  }

  private void mean(String tag, double value) {
    if (Double.isFinite(value)) {
      double[] sum = means.computeIfAbsent(tag, unused -> new double[2]);
      sum[0] += value;
      sum[1]++;
    }
  }

  private void point(long step) {
    Map<String, Double> values = new LinkedHashMap<>();
    means.forEach((tag, sum) -> values.put(tag, sum[0] / sum[1]));
    means.clear();
    numbers(step, values);
  }

  private void numbers(long step, Map<String, Double> values) {
    write(open -> open.numbers(wallTime.getAsDouble(), step, values));
  }

  void picture(SampleFrames.Frame frame) {
    byte[] png = Base64.getDecoder().decode(frame.png());
    write(
        open ->
            open.picture(
                wallTime.getAsDouble(),
                frame.step(),
                "samples",
                frame.width(),
                frame.height(),
                png));
  }

  void flush() {
    write(EventFile::flush);
  }

  void close() {
    EventFile open = file;
    file = null;
    if (open != null) {
      try {
        open.close();
      } catch (IOException e) {
        LOG.warn("{} was not written to its end for TensorBoard: {}", folder, e.toString());
      }
    }
  }
}
