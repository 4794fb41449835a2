package io.github.ddpm4j.report;

import io.github.ddpm4j.evaluation.BitsPerDimResult.Step;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Plots as PNG files. Missing folders are made, an existing file is replaced, whole or not at all.
 *
 * <p>Java can't write text on a machine without fonts. There {@link #loss} and {@link
 * #rateDistortion} draw their lines and axes without numbers.
 */
public final class Plots {

  private Plots() {}

  /**
   * The loss of a training run: each step in light colour, the moving mean over it, on a
   * logarithmic axis.
   *
   * @param losses the loss of each step, from the first; steps of loss 0 are left out
   * @param file the file
   * @throws IOException if it can't be written
   * @throws IllegalArgumentException if no loss is above 0, or one is not finite
   */
  public static void loss(double[] losses, Path file) throws IOException {
    LossPlot.save(losses, file);
  }

  /**
   * What a model's bits are worth (Ho et al. 2020, figure 5): distortion along the reverse process,
   * rate along it, and distortion by rate, side by side.
   *
   * @param steps the steps of a likelihood, from noise to image
   * @param file the file
   * @throws IOException if it can't be written
   * @throws IllegalArgumentException if there are fewer than two steps
   */
  public static void rateDistortion(List<Step> steps, Path file) throws IOException {
    RateDistortionPlot.save(steps, file);
  }

  /**
   * A few curves over one axis, with a mark at each point; both axes begin at 0.
   *
   * @param xTitle what the axis is
   * @param x the places on it
   * @param curves by name, one value per place
   * @param file the file
   * @throws IOException if it can't be written, or Java has no font to write the numbers with
   */
  public static void curves(String xTitle, double[] x, Map<String, double[]> curves, Path file)
      throws IOException {
    CurvePlot.save(xTitle, x, curves, file);
  }
}
