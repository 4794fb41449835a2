package io.github.ddpm4j.report;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.training.TrainingStepListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.UnaryOperator;

/** Writes a grid of samples every few steps. */
final class SampleGrids implements TrainingStepListener {

  private final DDPM ddpm;
  private final Path folder;
  private final int every;
  private final int columns;
  private final int count;
  private final UnaryOperator<Sampling> settings;

  SampleGrids(
      DDPM ddpm, Path folder, int every, int columns, int count, UnaryOperator<Sampling> settings) {
    this.ddpm = ddpm;
    this.folder = folder;
    this.every = every;
    this.columns = columns;
    this.count = count;
    this.settings = settings;
  }

  @Override
  public void onStep(Event event) {
    if (event.step() % every != 0 && event.step() != event.steps()) {
      return;
    }
    Path file = folder.resolve(String.format(Locale.ROOT, "samples-%06d.png", event.step()));
    DDPM now = ddpm.withDenoiser(event.averaged());
    try (Samples samples = settings.apply(now.sampling().seed(1)).generate(count)) {
      samples.saveGrid(file, columns);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }
}
