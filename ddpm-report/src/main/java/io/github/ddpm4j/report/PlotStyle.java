package io.github.ddpm4j.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.util.Locale;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** What the plots have in common. */
final class PlotStyle {

  static final Color GRID = new Color(0xE2E2E2);
  static final Color INK = new Color(0x333333);

  private PlotStyle() {}

  static void apply(XYChart chart) {
    XYStyler styler = chart.getStyler();
    styler.setLocale(Locale.ROOT);
    styler.setLegendBorderColor(GRID);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(GRID);
    styler.setPlotGridLinesStroke(new BasicStroke(1));
    styler.setChartFontColor(INK);
    styler.setAxisTickLabelsColor(INK);
    styler.setAxisTitleFont(styler.getAxisTitleFont().deriveFont(Font.PLAIN));
    styler.setAxisTickLabelsFont(styler.getAxisTickLabelsFont().deriveFont(Font.PLAIN));
  }

  /**
   * Places along an axis for XChart, which puts its marks at multiples of any number where
   * distances are even, and at those of 1, 2 and 5 elsewhere: the last is moved by a hundredth of
   * the distance.
   */
  static double[] unevenly(double[] places) {
    double[] moved = places.clone();
    int last = moved.length - 1;
    if (last > 0) {
      moved[last] += 0.01 * (moved[last] - moved[last - 1]);
    }
    return moved;
  }

  static void line(XYSeries series, Color color, float width) {
    series.setMarker(SeriesMarkers.NONE);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(width, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
  }
}
