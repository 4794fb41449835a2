package io.github.ddpm4j.cli;

import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import java.util.function.Consumer;
import picocli.CommandLine.Model.CommandSpec;

/** Shows how many pictures of several runs are drawn, step by step. */
final class DrawingProgress implements AutoCloseable {

  private final Progress progress;
  private long total;
  private double before;

  /** Shows nothing before a run that is watched takes its first step. */
  DrawingProgress(CommandSpec spec, long total) {
    this.progress = Ddpm.progress(spec, "drawing", "pictures").silentIfShort();
    this.total = total;
  }

  /** Pictures that need not be drawn. */
  void leaveOut(long pictures) {
    total -= pictures;
  }

  /**
   * Watches a run.
   *
   * @param drawn the pictures that it draws
   * @param wanted those of them that count
   * @return the run
   */
  Sampling watch(Sampling sampling, long drawn, long wanted) {
    return sampling.listener(listener(drawn, wanted));
  }

  /** The same of a run in the space of latents. */
  Drawing watch(Drawing drawing, long drawn, long wanted) {
    return drawing.listener(listener(drawn, wanted));
  }

  private Consumer<SamplingRun.Event> listener(long drawn, long wanted) {
    double start = before;
    before += wanted;
    return event -> {
      double share = (event.step() + 1.0) / event.steps();
      double done = event.firstImage() + share * event.x().getShape().get(0);
      progress.to(start + done * wanted / drawn, (double) total, "");
    };
  }

  /**
   * Watches a run of one batch.
   *
   * @param wanted those of its pictures that count
   * @return the run
   */
  Sampling watchBatch(Sampling sampling, long wanted) {
    double start = before;
    before += wanted;
    return sampling.listener(
        event ->
            progress.to(start + wanted * (event.step() + 1.0) / event.steps(), (double) total, ""));
  }

  @Override
  public void close() {
    progress.close();
  }
}
