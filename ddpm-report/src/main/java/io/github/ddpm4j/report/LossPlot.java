package io.github.ddpm4j.report;

import io.github.ddpm4j.image.Pictures;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.geom.Path2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.XYStyler;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Plots the loss of a training run: each step in light colour, the moving mean over it, on a
 * logarithmic axis.
 *
 * <p>Java can't write text on a machine without fonts. There the plot has its two lines and its
 * grid, but no numbers.
 */
final class LossPlot {

  private static final Logger LOG = LoggerFactory.getLogger(LossPlot.class);

  private static final int WIDTH = 960;
  private static final int HEIGHT = 480;

  /** The moving mean is over this share of the run. */
  private static final int WINDOWS_IN_A_RUN = 50;

  /** More points than this are not told apart on the plot, and are thinned out. */
  private static final int MOST_POINTS = 4 * WIDTH;

  private static final Color RAW = new Color(0xB8CBE6);
  private static final Color MEAN = new Color(0x1F4E9C);

  private final double[] steps;
  private final double[] raw;
  private final double[] mean;
  private final int window;

  private LossPlot(double[] losses) {
    window = Math.max(1, losses.length / WINDOWS_IN_A_RUN);
    double[] means = movingMean(losses, window);
    int stride = (losses.length + MOST_POINTS - 1) / MOST_POINTS;
    int[] shown =
        IntStream.range(0, losses.length)
            .filter(i -> i % stride == 0 && losses[i] > 0 && means[i] > 0)
            .toArray();
    steps = Arrays.stream(shown).mapToDouble(i -> i + 1).toArray();
    raw = Arrays.stream(shown).mapToDouble(i -> losses[i]).toArray();
    mean = Arrays.stream(shown).mapToDouble(i -> means[i]).toArray();
  }

  /**
   * Writes the plot as a PNG file.
   *
   * @param losses the loss of each step, from the first; steps of loss 0 are left out
   * @param file the file; missing folders are made, an existing file is replaced
   * @throws IOException if it can't be written
   * @throws IllegalArgumentException if no loss is above 0, or one is not finite
   */
  static void save(double[] losses, Path file) throws IOException {
    Pictures.write(of(losses).draw(), file);
  }

  static LossPlot of(double[] losses) {
    for (int i = 0; i < losses.length; i++) {
      if (!Double.isFinite(losses[i])) {
        throw new IllegalArgumentException(
            "losses must be finite, but that of step " + (i + 1) + " was " + losses[i]);
      }
    }
    LossPlot plot = new LossPlot(losses);
    if (plot.steps.length == 0) {
      throw new IllegalArgumentException(
          "a plot needs a loss above 0, but there is none in " + losses.length + " steps");
    }
    return plot;
  }

  BufferedImage draw() {
    try {
      return drawChart();
    } catch (RuntimeException | LinkageError | InternalError e) {
      // Not one exception: it depends on the JDK and on how far it came the first time.
      LOG.warn("No font to write with ({}): the plot of the loss has no numbers", e.toString());
      return drawWithoutText();
    }
  }

  private BufferedImage drawChart() {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .xAxisTitle("training step")
            .yAxisTitle("loss")
            .build();
    PlotStyle.apply(chart);
    XYStyler styler = chart.getStyler();
    styler.setYAxisLogarithmic(true);
    styler.setLegendPosition(Styler.LegendPosition.InsideNE);
    styler.setXAxisMin(0.0);
    addLine(chart, "each step", raw, RAW, 1);
    addLine(chart, "mean of " + window, mean, MEAN, 2.5f);
    return BitmapEncoder.getBufferedImage(chart);
  }

  private void addLine(XYChart chart, String name, double[] values, Color color, float width) {
    PlotStyle.line(chart.addSeries(name, PlotStyle.unevenly(steps), values), color, width);
  }

  BufferedImage drawWithoutText() {
    BufferedImage picture = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_3BYTE_BGR);
    Graphics2D graphics = picture.createGraphics();
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON);
    graphics.setColor(Color.WHITE);
    graphics.fillRect(0, 0, WIDTH, HEIGHT);
    int margin = 24;
    graphics.translate(margin, margin);
    int width = WIDTH - 2 * margin;
    int height = HEIGHT - 2 * margin;
    double least = Math.log10(Arrays.stream(raw).min().orElse(1));
    double most = Math.log10(Arrays.stream(raw).max().orElse(1));
    double range = most > least ? most - least : 1;
    graphics.setColor(PlotStyle.GRID);
    for (double power = Math.ceil(least); power <= most; power++) {
      int y = (int) Math.round(height * (most - power) / range);
      graphics.drawLine(0, y, width, y);
    }
    graphics.setColor(PlotStyle.INK);
    graphics.drawLine(0, 0, 0, height);
    graphics.drawLine(0, height, width, height);
    for (double[] values : new double[][] {raw, mean}) {
      Path2D line = new Path2D.Double();
      for (int i = 0; i < values.length; i++) {
        double x = (double) width * i / Math.max(1, values.length - 1);
        double y = height * (most - Math.log10(values[i])) / range;
        if (i == 0) {
          line.moveTo(x, y);
        } else {
          line.lineTo(x, y);
        }
      }
      graphics.setColor(values == raw ? RAW : MEAN);
      graphics.setStroke(new BasicStroke(values == raw ? 1 : 2.5f));
      graphics.draw(line);
    }
    graphics.dispose();
    return picture;
  }

  /** The mean of the last {@code window} losses, of fewer at the start. */
  static double[] movingMean(double[] losses, int window) {
    double[] sums = new double[losses.length + 1];
    for (int i = 0; i < losses.length; i++) {
      sums[i + 1] = sums[i] + losses[i];
    }
    double[] means = new double[losses.length];
    for (int i = 0; i < losses.length; i++) {
      int from = Math.max(0, i - window + 1);
      means[i] = (sums[i + 1] - sums[from]) / (i + 1 - from);
    }
    return means;
  }
}
