package io.github.ddpm4j.report;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.image.Pictures;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;

/**
 * Plots signals, such as real ones in one row and drawn ones below them: a panel for each signal, a
 * curve for each of its channels, and one scale for all.
 *
 * <pre>{@code
 * new SignalPlot().row("real", real).row("drawn", drawn).save(Path.of("signals.png"));
 * }</pre>
 *
 * <p>Not thread-safe.
 */
public final class SignalPlot {

  private static final int WIDTH = 320;
  private static final int HEIGHT = 200;
  private static final float LINE = 1.6f;
  private static final List<Color> COLORS =
      List.of(new Color(0x1F4E9C), new Color(0xC8642B), new Color(0x4C8C4A), new Color(0x8A5BA6));

  /** The values of a panel, by channel. */
  private record Panel(String title, List<double[]> channels) {}

  private final List<List<Panel>> rows = new ArrayList<>();

  /** Creates a plot without rows. */
  public SignalPlot() {}

  /**
   * Adds a row.
   *
   * @param label what its panels are headed by
   * @param signals float32 or float64, shape (N, C, L), at least one; copied
   * @return this plot
   * @throws IllegalArgumentException if the shape or the type is another
   */
  public SignalPlot row(String label, NDArray signals) {
    Shape shape = signals.getShape();
    boolean floats =
        signals.getDataType() == DataType.FLOAT32 || signals.getDataType() == DataType.FLOAT64;
    if (shape.dimension() != 3 || shape.size() == 0 || !floats) {
      throw new IllegalArgumentException(
          "signals must be float32 or float64 of shape (N, C, L), but were "
              + signals.getDataType()
              + " of shape "
              + shape);
    }
    int channels = Math.toIntExact(shape.get(1));
    int length = Math.toIntExact(shape.get(2));
    try (NDManager scope = signals.getManager().newSubManager();
        NDArray doubles = signals.toType(DataType.FLOAT64, true)) {
      doubles.attach(scope);
      double[] flat = doubles.toDoubleArray();
      List<Panel> panels = new ArrayList<>();
      for (int i = 0; i < shape.get(0); i++) {
        List<double[]> values = new ArrayList<>();
        for (int c = 0; c < channels; c++) {
          int first = (i * channels + c) * length;
          values.add(Arrays.copyOfRange(flat, first, first + length));
        }
        panels.add(new Panel(label, values));
      }
      rows.add(panels);
    }
    return this;
  }

  /**
   * Writes the plot to a PNG file.
   *
   * @param file the file; missing folders are made, an existing file is replaced
   * @throws IllegalArgumentException if there are no rows, or they differ in length
   * @throws IOException if it can't be written, or Java has no font to write the numbers with
   */
  public void save(Path file) throws IOException {
    int columns = rows.isEmpty() ? 0 : rows.get(0).size();
    if (columns == 0 || rows.stream().anyMatch(row -> row.size() != columns)) {
      throw new IllegalArgumentException(
          "a plot needs rows of as many signals each, but they were "
              + rows.stream().map(List::size).toList());
    }
    try {
      Pictures.write(draw(columns), file);
    } catch (RuntimeException | LinkageError | InternalError e) {
      // Without fonts it is not one exception: it depends on the JDK.
      throw new IOException("no plot, perhaps for want of a font: " + e, e);
    }
  }

  private BufferedImage draw(int columns) {
    double[] all =
        rows.stream()
            .flatMap(List::stream)
            .flatMap(panel -> panel.channels.stream())
            .flatMapToDouble(Arrays::stream)
            .toArray();
    double least = Arrays.stream(all).min().orElseThrow();
    double greatest = Math.max(Arrays.stream(all).max().orElseThrow(), least + Float.MIN_NORMAL);
    BufferedImage image =
        new BufferedImage(columns * WIDTH, rows.size() * HEIGHT, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    for (int row = 0; row < rows.size(); row++) {
      for (int column = 0; column < columns; column++) {
        Graphics2D place =
            (Graphics2D) graphics.create(column * WIDTH, row * HEIGHT, WIDTH, HEIGHT);
        chart(rows.get(row).get(column), least, greatest).paint(place, WIDTH, HEIGHT);
        place.dispose();
      }
    }
    graphics.dispose();
    return image;
  }

  private static XYChart chart(Panel panel, double least, double greatest) {
    XYChart chart = new XYChartBuilder().width(WIDTH).height(HEIGHT).title(panel.title).build();
    PlotStyle.apply(chart);
    chart.getStyler().setLegendVisible(false);
    chart.getStyler().setYAxisMin(least);
    chart.getStyler().setYAxisMax(greatest);
    double[] places = IntStream.range(0, panel.channels.get(0).length).asDoubleStream().toArray();
    for (int c = 0; c < panel.channels.size(); c++) {
      String name = String.format(Locale.ROOT, "channel %d", c);
      PlotStyle.line(
          chart.addSeries(name, PlotStyle.unevenly(places), panel.channels.get(c)),
          COLORS.get(c % COLORS.size()),
          LINE);
    }
    return chart;
  }
}
