package io.github.ddpm4j.report;

import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.training.TrainingStepListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;

/** Writes a grid of samples every few steps. */
final class SampleGrids implements TrainingStepListener {

  private final SampleDraw drawing;
  private final Path folder;

  SampleGrids(SampleDraw drawing, Path folder) {
    this.drawing = drawing;
    this.folder = folder;
  }

  @Override
  public void onStep(Event event) {
    if (!drawing.isDue(event)) {
      return;
    }
    Path file = folder.resolve(String.format(Locale.ROOT, "samples-%06d.png", event.step()));
    try (Samples samples = drawing.draw(event)) {
      samples.saveGrid(file, drawing.columns());
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }
}
