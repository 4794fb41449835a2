package io.github.ddpm4j.report;

import io.github.ddpm4j.evaluation.BitsPerDimResult.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Plots as PNG files. Missing folders are created; an existing file is replaced atomically.
 *
 * <p>Java cannot render text on a machine without fonts. {@link #loss} and {@link #rateDistortion}
 * then draw their lines and axes without numbers.
 */
public final class Plots {

  private Plots() {}

  /**
   * Plots the loss of a training run on a logarithmic axis: each step in a light colour, with the
   * moving mean on top.
   *
   * @param losses the loss of each step, from the first; steps of loss 0 are left out
   * @param file the file
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if no loss is above 0, or one is not finite
   */
  public static void loss(double[] losses, Path file) throws IOException {
    LossPlot.save(losses, file);
  }

  /**
   * Plots rate and distortion (Ho et al. 2020, figure 5): distortion along the reverse process,
   * rate along it, and distortion against rate, side by side.
   *
   * @param steps the steps of a likelihood evaluation, from noise to image
   * @param file the file
   * @throws IOException if writing fails
   * @throws IllegalArgumentException if there are fewer than two steps
   */
  public static void rateDistortion(List<Step> steps, Path file) throws IOException {
    RateDistortionPlot.save(steps, file);
  }

  /**
   * Plots curves over a common axis, with a marker at each point; both axes start at 0.
   *
   * @param xTitle the title of the x axis
   * @param x the x values
   * @param curves the curves by name, one y value per x value
   * @param file the file
   * @throws IOException if writing fails, or Java has no font for the numbers
   */
  public static void curves(String xTitle, double[] x, Map<String, double[]> curves, Path file)
      throws IOException {
    CurvePlot.save(xTitle, x, curves, file);
  }
}
