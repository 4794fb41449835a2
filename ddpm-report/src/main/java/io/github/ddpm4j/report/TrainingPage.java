package io.github.ddpm4j.report;

import io.github.ddpm4j.evaluation.TrainingDoctor;
import io.github.ddpm4j.report.SvgPlot.Place;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;

/** The page about a run, as it stands. */
final class TrainingPage {

  private static final String STYLE = resource("training-report.css");
  private static final String SCRIPT = resource("training-report.js");

  private static final Pattern FRAME =
      Pattern.compile(
          "<img [^<>]*data-step=\"(\\d{1,18})\"[^<>]* src=\"data:image/png;base64,([A-Za-z0-9+/=]+)\">");

  /** The width in pixels to which small grids are enlarged. */
  private static final int GRID_WIDTH = 640;

  /** How a run stands. */
  enum State {
    RUNNING("running"),
    FINISHED("finished"),
    STOPPED("stopped early"),
    CANCELLED("cancelled"),
    FAILED("failed");

    private final String words;

    State(String words) {
      this.words = words;
    }
  }

  /**
   * What the page is told beside the history.
   *
   * @param title its heading
   * @param state how the run stands
   * @param message why it failed or was cancelled; empty otherwise
   * @param quarters what the quarters of the schedule are called
   * @param frames grids of samples, the first first
   * @param diagnosis null before there is one
   * @param data names and values about the data
   * @param settings names and values
   * @param texts by their headings
   * @param written when it is written
   * @param every how often it is
   */
  record Facts(
      String title,
      State state,
      String message,
      List<String> quarters,
      List<SampleFrames.Frame> frames,
      TrainingDoctor.@Nullable Diagnosis diagnosis,
      Map<String, String> data,
      Map<String, String> settings,
      Map<String, String> texts,
      Instant written,
      Duration every) {}

  private final RunHistory history;
  private final Facts facts;
  private final ReportPage page;

  private TrainingPage(RunHistory history, Facts facts) {
    this.history = history;
    this.facts = facts;
    this.page = new ReportPage(facts.title(), "");
  }

  static String html(RunHistory history, Facts facts) {
    return new TrainingPage(history, facts).html();
  }

  /** The grids in a page, in Base64 by step. */
  static Map<Long, String> pictures(String html) {
    Map<Long, String> pictures = new LinkedHashMap<>();
    Matcher frame = FRAME.matcher(html);
    while (frame.find()) {
      pictures.put(Long.parseLong(frame.group(1)), frame.group(2));
    }
    return pictures;
  }

  private String html() {
    page.style(STYLE);
    page.tab(percent() + " · " + facts.title());
    head();
    samples();
    loss();
    doctor();
    optimizer();
    machine();
    table("Data", facts.data());
    facts.texts().forEach(this::text);
    table("Settings", facts.settings());
    page.add("<script>\n" + SCRIPT + "</script>\n");
    return page.html();
  }

  private String percent() {
    return history.steps == 0
        ? "0\u00a0%"
        : String.format(Locale.ROOT, "%d\u00a0%%", 100 * history.step / history.steps);
  }

  private void head() {
    String state = facts.state().name().toLowerCase(Locale.ROOT);
    add(
        """
        <p class="state %s"><strong>%s</strong> %s of %s steps, %s</p>
        <progress max="%d" value="%d" aria-label="Steps done"></progress>
        """,
        state,
        facts.state().words,
        Axis.count(history.step),
        Axis.count(history.steps),
        percent(),
        Math.max(1, history.steps),
        history.step);
    if (!facts.message().isEmpty()) {
      add("<p class=\"message\" role=\"alert\">%s</p>\n", escaped(facts.message()));
    }
    if (facts.state() == State.RUNNING) {
      add("<p id=\"stale\" class=\"message\" role=\"status\" hidden></p>\n");
    }
    keyFigures();
    Instant written = facts.written().truncatedTo(ChronoUnit.SECONDS);
    add(
        "<p class=\"written\">Written at <time id=\"written\" datetime=\"%1$s\">%2$s UTC</time>.",
        written, written.toString().replace('T', ' ').replace("Z", ""));
    if (facts.state() == State.RUNNING) {
      long seconds = Math.max(2, facts.every().toSeconds());
      add(
          " <label id=\"reloading\" hidden><input type=\"checkbox\" id=\"reload\" data-seconds=\"%1$d\" checked>"
              + " Reload every %1$d s</label>",
          seconds);
    }
    page.add("</p>\n");
  }

  private void keyFigures() {
    Map<String, String> figures = new LinkedHashMap<>();
    if (!history.loss.isEmpty()) {
      figures.put(
          "Loss, mean of the last " + Axis.count(history.loss.smoothedOver()),
          Axis.number(last(history.loss.smoothed())));
    }
    if (history.bestStep > 0) {
      figures.put(
          "Best validation, at step " + Axis.count(history.bestStep),
          Axis.number(history.bestLoss));
    }
    double seconds = history.seconds.isEmpty() ? 0 : last(history.seconds.smoothed());
    if (seconds > 0) {
      figures.put("Speed", speed(seconds));
    }
    figures.put("Time so far", Progress.time(history.secondsSoFar));
    if (facts.state() == State.RUNNING && seconds > 0) {
      double each = history.secondsSoFar / (double) history.seconds.count();
      double left = (double) (history.steps - history.step);
      figures.put("Time left", Progress.time(each * left));
    }
    if (!history.memory.isEmpty()) {
      figures.put("Memory", Axis.number(Math.rint(last(history.memory.points()))) + " MiB");
    }
    if (history.skips > 0) {
      figures.put("Skipped steps", Axis.count(history.skips));
    }
    page.add("<dl class=\"figures\">\n");
    figures.forEach(
        (name, value) -> add("<div><dt>%s</dt><dd>%s</dd></div>\n", escaped(name), escaped(value)));
    page.add("</dl>\n");
  }

  private static String speed(double seconds) {
    return seconds <= 1
        ? Axis.number(rounded(1 / seconds)) + " steps/s"
        : Axis.number(rounded(seconds)) + " s/step";
  }

  private static double rounded(double value) {
    return value < 10 ? Math.rint(100 * value) / 100 : Math.rint(10 * value) / 10;
  }

  private static double last(List<Series.Point> points) {
    return points.get(points.size() - 1).mean();
  }

  private void samples() {
    List<SampleFrames.Frame> frames = facts.frames();
    if (frames.isEmpty()) {
      return;
    }
    page.section(
        "Samples",
        "Drawn with the averaged weights, from the same noise each time: a place in the grid shows"
            + " one picture as it grows.");
    page.add("<div id=\"frames\">\n");
    for (int i = 0; i < frames.size(); i++) {
      SampleFrames.Frame frame = frames.get(i);
      int scale = Math.max(1, GRID_WIDTH / frame.width());
      add(
          "<img %salt=\"Samples after step %s\" data-step=\"%d\" width=\"%d\" height=\"%d\"%s"
              + " src=\"data:image/png;base64,%s\">\n",
          scale > 1 ? "class=\"pixels\" " : "",
          Axis.count(frame.step()),
          frame.step(),
          scale * frame.width(),
          scale * frame.height(),
          i + 1 < frames.size() ? " hidden" : "",
          frame.png());
    }
    page.add("</div>\n");
    SampleFrames.Frame shown = frames.get(frames.size() - 1);
    add(
        """
        <div class="controls" id="controls" hidden>
        <button type="button" id="play">Play</button>
        <label for="when">Training step</label>
        <input type="range" id="when" min="0" max="%1$d" value="%1$d">
        <output id="shown" for="when">%2$s</output>
        </div>
        """,
        frames.size() - 1, Axis.count(shown.step()));
  }

  private void loss() {
    if (history.loss.isEmpty()) {
      return;
    }
    page.section("Loss", "Over the training steps, as all curves.");
    page.add("<div class=\"wide\">\n");
    rawAndMean("loss", "Loss of each step", history.loss);
    page.add("</div>\n<div class=\"plots\">\n");
    byNoise();
    validation();
    page.add("</div>\n");
  }

  private void rawAndMean(String id, String title, Series series) {
    List<Series.Point> points = series.points();
    List<Place> raw = new ArrayList<>();
    for (Series.Point point : points) {
      raw.add(new Place(point.step(), point.least()));
      if (point.most() > point.least()) {
        raw.add(new Place(point.step(), point.most()));
      }
    }
    List<Place> mean = places(series.smoothed(), Series.Point::mean);
    double least = points.stream().mapToDouble(Series.Point::least).min().orElseThrow();
    double most = points.stream().mapToDouble(Series.Point::most).max().orElseThrow();
    page.add(
        new SvgPlot(
                id,
                title,
                String.format(
                    Locale.ROOT,
                    "Up to step %s. The mean of the last %s steps is %s; the least of all is %s, the greatest %s.",
                    Axis.count(history.step),
                    Axis.count(series.smoothedOver()),
                    Axis.number(mean.get(mean.size() - 1).y()),
                    Axis.number(least),
                    Axis.number(most)),
                steps(),
                Axis.over(least, most))
            .line("raw", "each step", raw)
            .line("mean", "mean of " + Axis.count(series.smoothedOver()), mean)
            .html());
  }

  private Axis steps() {
    return Axis.fromZero((double) history.step);
  }

  private static List<Place> places(
      List<Series.Point> points, ToDoubleFunction<Series.Point> value) {
    return points.stream()
        .map(point -> new Place(point.step(), value.applyAsDouble(point)))
        .toList();
  }

  private void byNoise() {
    List<List<Place>> lines = new ArrayList<>();
    StringBuilder words = new StringBuilder("The last means: ");
    for (int q = 0; q < RunHistory.QUARTERS; q++) {
      List<Place> line = places(history.quarters.get(q).smoothed(), Series.Point::mean);
      lines.add(line);
      if (!line.isEmpty()) {
        words
            .append(facts.quarters().get(q))
            .append(' ')
            .append(Axis.number(line.get(line.size() - 1).y()))
            .append("; ");
      }
    }
    double[] values = lines.stream().flatMap(List::stream).mapToDouble(Place::y).sorted().toArray();
    if (values.length == 0) {
      return;
    }
    SvgPlot plot =
        new SvgPlot(
            "noise",
            "Loss by noise",
            words.substring(0, words.length() - 2) + ".",
            steps(),
            Axis.over(values[0], values[values.length - 1]));
    for (int q = 0; q < lines.size(); q++) {
      if (!lines.get(q).isEmpty()) {
        plot.line("q" + (q + 1), facts.quarters().get(q), lines.get(q));
      }
    }
    page.add(plot.html());
  }

  private void validation() {
    if (history.validation.isEmpty()) {
      return;
    }
    List<Place> places = places(history.validation.points(), Series.Point::mean);
    double[] values = places.stream().mapToDouble(Place::y).sorted().toArray();
    boolean any = history.bestStep > 0;
    SvgPlot plot =
        new SvgPlot(
            "validation",
            "Validation",
            "The last loss of held-out images is "
                + Axis.number(places.get(places.size() - 1).y())
                + (any
                    ? ", the best "
                        + Axis.number(history.bestLoss)
                        + " at step "
                        + Axis.count(history.bestStep)
                    : "")
                + ".",
            steps(),
            Axis.over(
                any ? Math.min(values[0], history.bestLoss) : values[0],
                values[values.length - 1]));
    plot.line("mean", "held-out images, averaged weights", places);
    if (any) {
      plot.dots(
          "best",
          "best, " + Axis.number(history.bestLoss),
          List.of(new Place((double) history.bestStep, history.bestLoss)));
    }
    page.add(plot.html());
  }

  private void doctor() {
    TrainingDoctor.Diagnosis diagnosis = facts.diagnosis();
    if (diagnosis == null) {
      return;
    }
    page.section("What the doctor says", "");
    page.add("<div class=\"scroll\"><table class=\"findings\">\n<tbody>\n");
    for (TrainingDoctor.Finding finding : diagnosis.findings()) {
      add(
          "<tr><td class=\"%s\">%s</td><th scope=\"row\">%s</th><td>%s</td><td>%s</td></tr>\n",
          finding.concern() ? "bad" : "good",
          finding.concern() ? "check" : "ok",
          escaped(finding.subject()),
          escaped(finding.advice()),
          escaped(finding.figures()));
    }
    page.add("</tbody>\n</table></div>\n");
  }

  private void optimizer() {
    if (history.gradientNorm.isEmpty() && history.learningRate.isEmpty()) {
      return;
    }
    page.section("Optimiser", "");
    page.add("<div class=\"plots\">\n");
    if (!history.gradientNorm.isEmpty()) {
      rawAndMean("gradient", "Gradient norm, before clipping", history.gradientNorm);
    }
    List<Place> rates = places(history.learningRate.points(), Series.Point::mean);
    fromZero("rate", "Learning rate", "rate", rates, List.of());
    if (history.lossScale.points().stream().anyMatch(point -> point.most() != 1)) {
      List<Series.Point> scales = history.lossScale.points();
      double[] values =
          scales.stream()
              .flatMapToDouble(point -> DoubleStream.of(point.least(), point.most()))
              .sorted()
              .toArray();
      page.add(
          new SvgPlot(
                  "scale",
                  "Scale of the loss in float16",
                  "The last one is " + Axis.number(scales.get(scales.size() - 1).mean()) + ".",
                  steps(),
                  Axis.over(values[0], values[values.length - 1]))
              .line("mean", "scale", places(scales, Series.Point::mean))
              .html());
    }
    if (!history.skipped.isEmpty()) {
      List<Place> places = places(history.skipped.points(), point -> 0);
      page.add(
          new SvgPlot(
                  "skipped",
                  "Skipped steps",
                  Axis.count(history.skips) + " steps updated nothing.",
                  steps(),
                  new Axis(-1, 1, false, List.of()))
              .dots("bad", Axis.count(history.skips) + " skipped", places)
              .html()
              .replace("class=\"plot\"", "class=\"plot low\""));
    }
    page.add("</div>\n");
  }

  private static List<Place> speeds(List<Series.Point> seconds) {
    return seconds.stream()
        .filter(point -> point.mean() > 0)
        .map(point -> new Place(point.step(), 1 / point.mean()))
        .toList();
  }

  private void machine() {
    if (history.seconds.isEmpty()) {
      return;
    }
    page.section("Machine", "");
    page.add("<div class=\"plots\">\n");
    fromZero(
        "speed",
        "Steps per second",
        "each step",
        speeds(history.seconds.points()),
        speeds(history.seconds.smoothed()));
    List<Place> sizes = places(history.memory.points(), Series.Point::most);
    fromZero("memory", "Resident memory, MiB", "memory", sizes, List.of());
    page.add("</div>\n");
  }

  /** A plot of values that are at least 0. */
  private void fromZero(
      String id, String title, String name, List<Place> places, List<Place> mean) {
    if (places.isEmpty()) {
      return;
    }
    double most = places.stream().mapToDouble(Place::y).max().orElseThrow();
    SvgPlot plot =
        new SvgPlot(
            id,
            title,
            String.format(
                Locale.ROOT,
                "%s at the end, at most %s.",
                Axis.number(places.get(places.size() - 1).y()),
                Axis.number(most)),
            steps(),
            Axis.fromZero(most));
    if (mean.isEmpty()) {
      plot.line("mean", name, places);
    } else {
      plot.line("raw", name, places).line("mean", "moving mean", mean);
    }
    page.add(plot.html());
  }

  private void table(String heading, Map<String, String> rows) {
    if (!rows.isEmpty()) {
      page.table(heading, rows);
    }
  }

  private void text(String heading, String text) {
    page.section(heading, "");
    add("<pre>%s</pre>\n", escaped(text));
  }

  private void add(String format, Object... values) {
    page.add(String.format(Locale.ROOT, format, values));
  }

  private static String escaped(String text) {
    return ReportPage.escaped(text);
  }

  private static String resource(String name) {
    try (InputStream in =
        Objects.requireNonNull(TrainingPage.class.getResourceAsStream(name), name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(name, e);
    }
  }
}
