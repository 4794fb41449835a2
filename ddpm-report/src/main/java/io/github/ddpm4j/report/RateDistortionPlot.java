package io.github.ddpm4j.report;

import io.github.ddpm4j.evaluation.BitsPerDimResult.Step;
import io.github.ddpm4j.image.Pictures;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Path2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.XYStyler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Plots what a model's bits are worth (Ho et al. 2020, figure 5): distortion along the reverse
 * process, rate along it, and distortion by rate.
 *
 * <p>Java can't write text on a machine without fonts. There the plots have their lines and axes,
 * but no numbers.
 */
final class RateDistortionPlot {

  private static final Logger LOG = LoggerFactory.getLogger(RateDistortionPlot.class);

  private static final Color STRONG = new Color(0x1F4E9C);
  private static final int WIDTH = 480;
  private static final int HEIGHT = 400;
  private static final float LINE = 2.5f;
  private static final int MARGIN = 24;

  /** One line: its axes and its points. */
  private record Panel(String across, String up, List<Double> xs, List<Double> ys) {}

  private final List<Panel> panels;

  private RateDistortionPlot(List<Step> all) {
    // Without its second point the run is not evenly spaced. Where it is, XChart takes every k-th
    // of its steps for ticks, such as 67 and 134, in place of round numbers.
    List<Step> steps = new ArrayList<>(all);
    if (steps.size() > 2) {
      steps.remove(1);
    }
    List<Double> done = each(steps, step -> all.get(0).lastTimestep() - step.lastTimestep());
    List<Double> rates = each(steps, Step::rate);
    List<Double> distortions = each(steps, Step::distortion);
    String along = "reverse steps done";
    String rate = "rate (bits/dim)";
    String distortion = "distortion (RMSE, of 255)";
    panels =
        List.of(
            new Panel(along, distortion, done, distortions),
            new Panel(along, rate, done, rates),
            new Panel(rate, distortion, rates, distortions));
  }

  /**
   * Writes the three plots side by side as a PNG file.
   *
   * @param steps the steps of a likelihood, from noise to image
   * @param file the file; missing folders are made, an existing file is replaced
   * @throws IOException if it can't be written
   * @throws IllegalArgumentException if there are fewer than two steps
   */
  static void save(List<Step> steps, Path file) throws IOException {
    Pictures.write(of(steps).draw(), file);
  }

  static RateDistortionPlot of(List<Step> steps) {
    if (steps.size() < 2) {
      throw new IllegalArgumentException(
          "a plot of rate and distortion needs at least 2 steps, but had " + steps.size());
    }
    return new RateDistortionPlot(steps);
  }

  private static List<Double> each(List<Step> steps, ToDoubleFunction<Step> value) {
    return steps.stream().mapToDouble(value).boxed().toList();
  }

  private BufferedImage draw() {
    try {
      return joined(panels.stream().map(RateDistortionPlot::chart).toList());
    } catch (RuntimeException | LinkageError | InternalError e) {
      // Not one exception: it depends on the JDK and on how far it came the first time.
      LOG.warn("No font to write with ({}): the plots of rate have no numbers", e.toString());
      return drawWithoutText();
    }
  }

  BufferedImage drawWithoutText() {
    return joined(panels.stream().map(RateDistortionPlot::line).toList());
  }

  private static BufferedImage chart(Panel panel) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .xAxisTitle(panel.across())
            .yAxisTitle(panel.up())
            .build();
    PlotStyle.apply(chart);
    XYStyler styler = chart.getStyler();
    styler.setLegendVisible(false);
    styler.setXAxisMin(0.0);
    styler.setYAxisMin(0.0);
    PlotStyle.line(chart.addSeries("model", panel.xs(), panel.ys()), STRONG, LINE);
    return BitmapEncoder.getBufferedImage(chart);
  }

  private static BufferedImage line(Panel panel) {
    BufferedImage picture = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = picture.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, WIDTH, HEIGHT);
    int width = WIDTH - 2 * MARGIN;
    int height = HEIGHT - 2 * MARGIN;
    graphics.translate(MARGIN, MARGIN);
    graphics.setColor(PlotStyle.INK);
    graphics.drawLine(0, 0, 0, height);
    graphics.drawLine(0, height, width, height);
    double most = greatest(panel.xs());
    double top = greatest(panel.ys());
    Path2D path = new Path2D.Double();
    for (int i = 0; i < panel.xs().size(); i++) {
      double x = width * panel.xs().get(i) / most;
      double y = height * (1 - panel.ys().get(i) / top);
      if (i == 0) {
        path.moveTo(x, y);
      } else {
        path.lineTo(x, y);
      }
    }
    graphics.setColor(STRONG);
    graphics.setStroke(new BasicStroke(LINE));
    graphics.draw(path);
    graphics.dispose();
    return picture;
  }

  private static double greatest(List<Double> values) {
    return Math.max(Double.MIN_NORMAL, values.stream().mapToDouble(v -> v).max().orElse(1));
  }

  private static BufferedImage joined(List<BufferedImage> parts) {
    BufferedImage all =
        new BufferedImage(WIDTH * parts.size(), HEIGHT, BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = all.createGraphics();
    for (int i = 0; i < parts.size(); i++) {
      graphics.drawImage(parts.get(i), i * WIDTH, 0, null);
    }
    graphics.dispose();
    return all;
  }
}
