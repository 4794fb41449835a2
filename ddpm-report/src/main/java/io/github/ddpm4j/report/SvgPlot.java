package io.github.ddpm4j.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A plot of lines in a page, which is as wide as there is room. Its lines are an SVG picture that
 * is stretched, and its words are text of the page, which is not.
 */
final class SvgPlot {

  /** The sides of the picture in its own units. */
  private static final int SIDE = 1000;

  /** A place in the plot, in the units of the axes. */
  record Place(double x, double y) {}

  private final String id;
  private final String title;
  private final String description;
  private final Axis x;
  private final Axis y;
  private final StringBuilder lines = new StringBuilder();
  private final List<String> legend = new ArrayList<>();

  /**
   * @param id a word that no other plot of the page has
   * @param title what it shows
   * @param description what is to be seen, for those who do not see it
   */
  SvgPlot(String id, String title, String description, Axis x, Axis y) {
    this.id = id;
    this.title = title;
    this.description = description;
    this.x = x;
    this.y = y;
  }

  /**
   * Adds a line.
   *
   * @param style the class of its style
   * @param name what it is called in the legend
   */
  SvgPlot line(String style, String name, List<Place> places) {
    StringBuilder path = new StringBuilder();
    for (Place place : places) {
      path.append(path.isEmpty() ? "M" : "L").append(at(place));
    }
    return path(style, name, path, "M1 5H19");
  }

  /** Adds dots, as {@link #line}. */
  SvgPlot dots(String style, String name, List<Place> places) {
    StringBuilder path = new StringBuilder();
    for (Place place : places) {
      path.append("M").append(at(place)).append("h0");
    }
    return path("dots " + style, name, path, "M10 5h0");
  }

  private SvgPlot path(String style, String name, StringBuilder path, String sample) {
    lines.append(
        String.format(
            Locale.ROOT, "<path class=\"%s\" d=\"%s\"/>\n", ReportPage.escaped(style), path));
    legend.add(
        String.format(
            Locale.ROOT,
            "<li><svg aria-hidden=\"true\" viewBox=\"0 0 20 10\"><path class=\"%s\" d=\"%s\"/></svg>%s</li>",
            ReportPage.escaped(style),
            sample,
            ReportPage.escaped(name)));
    return this;
  }

  private String at(Place place) {
    return String.format(
        Locale.ROOT, "%.1f %.1f", SIDE * x.place(place.x()), SIDE - SIDE * y.place(place.y()));
  }

  String html() {
    StringBuilder grid = new StringBuilder();
    StringBuilder words = new StringBuilder();
    for (double tick : y.ticks()) {
      double place = y.place(tick);
      grid.append(String.format(Locale.ROOT, "M0 %.1fH%d", SIDE - SIDE * place, SIDE));
      words.append(label("y", "bottom", place, tick));
    }
    for (double tick : x.ticks()) {
      words.append(label("x", "left", x.place(tick), tick));
    }
    return String.format(
        Locale.ROOT,
        """
        <figure class="plot">
        <figcaption>%2$s</figcaption>
        <ul class="legend">%6$s</ul>
        <div class="frame">
        <svg role="img" aria-labelledby="%1$s-title %1$s-description" viewBox="0 0 1000 1000" preserveAspectRatio="none">
        <title id="%1$s-title">%2$s</title>
        <desc id="%1$s-description">%3$s</desc>
        <path class="grid" d="%4$s"/>
        %5$s</svg>
        <div aria-hidden="true">%7$s</div>
        </div>
        </figure>
        """,
        id,
        ReportPage.escaped(title),
        ReportPage.escaped(description),
        grid,
        lines,
        String.join("", legend),
        words);
  }

  private static String label(String style, String side, double place, double value) {
    return String.format(
        Locale.ROOT,
        "<span class=\"%s\" style=\"%s:%.2f%%\">%s</span>",
        style,
        side,
        100 * place,
        Axis.number(value));
  }
}
