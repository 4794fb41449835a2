package io.github.ddpm4j.report;

import io.github.ddpm4j.image.Pictures;
import java.awt.Color;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Plots a few curves over one axis, with a mark at each point. */
final class CurvePlot {

  private static final int WIDTH = 720;
  private static final int HEIGHT = 400;
  private static final float LINE = 2.5f;
  private static final int MARK = 7;

  private static final List<Color> COLORS =
      List.of(new Color(0x1F4E9C), new Color(0xC8642B), new Color(0x4C8C4A), new Color(0x8A5BA6));

  private CurvePlot() {}

  /**
   * Writes the plot as a PNG file.
   *
   * @param xTitle what the axis is
   * @param x the places on it
   * @param curves by name, one value per place
   * @param file the file; missing folders are made, an existing file is replaced
   * @throws IOException if it can't be written, or Java has no font to write the numbers with
   */
  static void save(String xTitle, double[] x, Map<String, double[]> curves, Path file)
      throws IOException {
    try {
      XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).xAxisTitle(xTitle).build();
      PlotStyle.apply(chart);
      chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideS);
      chart.getStyler().setLegendLayout(Styler.LegendLayout.Horizontal);
      chart.getStyler().setMarkerSize(MARK);
      chart.getStyler().setYAxisMin(0.0);
      chart.getStyler().setXAxisMin(0.0);
      int index = 0;
      for (Map.Entry<String, double[]> curve : curves.entrySet()) {
        XYSeries series = chart.addSeries(curve.getKey(), PlotStyle.unevenly(x), curve.getValue());
        Color color = COLORS.get(index++ % COLORS.size());
        PlotStyle.line(series, color, LINE);
        series.setMarker(SeriesMarkers.CIRCLE);
        series.setMarkerColor(color);
      }
      Pictures.write(BitmapEncoder.getBufferedImage(chart), file);
    } catch (RuntimeException | LinkageError | InternalError e) {
      // Without fonts it is not one exception: it depends on the JDK.
      throw new IOException("no plot, perhaps for want of a font: " + e, e);
    }
  }
}
