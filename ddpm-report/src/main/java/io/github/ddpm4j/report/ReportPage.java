package io.github.ddpm4j.report;

import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.internal.files.WholeFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A page of pictures and tables in one self-contained HTML file, with embedded pictures.
 *
 * <pre>{@code
 * new ReportPage("Digits", "What 60 seconds of training give.")
 *     .picture("Samples", "64 generated digits", folder.resolve("samples.png"))
 *     .table("Settings", Map.of("timesteps", 1000))
 *     .save(folder.resolve("index.html"));
 * }</pre>
 *
 * <p>All text is escaped. Sections appear in the order in which they were added. Not thread-safe.
 */
public final class ReportPage {

  private static final String STYLE =
      """
      :root { color-scheme: light dark; --ink: #1d2430; --soft: #5d6675; --line: #dfe3e8; --paper: #fff; --good: #1a7f37; --bad: #b42318; }
      @media (prefers-color-scheme: dark) {
        :root { --ink: #e7eaef; --soft: #9aa4b2; --line: #333b47; --paper: #14181e; --good: #4ac26b; --bad: #ff8a7a; }
      }
      body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; color: var(--ink); background: var(--paper);
        font: 16px/1.5 system-ui, sans-serif; }
      h1 { margin: 0 0 .25rem; font-size: 1.9rem; }
      h2 { margin: 2.75rem 0 .25rem; font-size: 1.25rem; }
      h3 { margin: 1.75rem 0 .25rem; font-size: 1rem; }
      p { margin: 0 0 1rem; color: var(--soft); max-width: 46rem; }
      img { display: block; max-width: 100%; height: auto; border-radius: 4px; }
      img.pixels { image-rendering: pixelated; }
      .scroll { overflow-x: auto; }
      table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
      th, td { padding: .35rem 1.5rem .35rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
      td:last-child, th:last-child { padding-right: 0; }
      thead th { color: var(--soft); font-weight: 500; }
      tbody th { font-weight: 400; }
      .number { text-align: right; white-space: nowrap; }
      .good { color: var(--good); }
      .bad { color: var(--bad); font-weight: 600; }
      """;

  private String tab;
  private final StringBuilder style = new StringBuilder(STYLE);
  private final StringBuilder body = new StringBuilder();

  /**
   * Creates an empty page.
   *
   * @param title its heading
   * @param introduction the sentence below it
   */
  public ReportPage(String title, String introduction) {
    this.tab = title;
    body.append(
        String.format(
            Locale.ROOT, "<h1>%s</h1>\n<p>%s</p>\n", escaped(title), escaped(introduction)));
  }

  /**
   * Adds a pixel picture, which stays sharp when a browser enlarges it.
   *
   * @param heading its heading
   * @param caption the caption
   * @param png the picture, read now
   * @return this page
   * @throws IOException if the picture cannot be read
   */
  public ReportPage picture(String heading, String caption, Path png) throws IOException {
    return image(heading, caption, png, " class=\"pixels\"");
  }

  /**
   * Adds a plot, which a browser may smooth.
   *
   * @param heading its heading
   * @param caption the caption
   * @param png the picture, read now
   * @return this page
   * @throws IOException if the picture cannot be read
   */
  public ReportPage plot(String heading, String caption, Path png) throws IOException {
    return image(heading, caption, png, "");
  }

  private ReportPage image(String heading, String caption, Path png, String attributes)
      throws IOException {
    section(heading, caption);
    body.append(
        String.format(
            Locale.ROOT,
            "<img%s alt=\"%s\" src=\"data:image/png;base64,%s\">\n",
            attributes,
            escaped(caption),
            Base64.getEncoder().encodeToString(Files.readAllBytes(png))));
    return this;
  }

  /**
   * Adds a table of names and values.
   *
   * @param heading its heading
   * @param rows the values by name, in the order of the map
   * @return this page
   */
  public ReportPage table(String heading, Map<String, ?> rows) {
    section(heading, "");
    body.append("<div class=\"scroll\"><table>\n<tbody>\n");
    rows.forEach(
        (name, value) ->
            body.append(
                String.format(
                    Locale.ROOT,
                    "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n",
                    escaped(name),
                    escaped(String.valueOf(value)))));
    body.append("</tbody>\n</table></div>\n");
    return this;
  }

  /**
   * Adds a verdict on generated images beside that on real images.
   *
   * @param heading its heading
   * @param caption the caption
   * @param generated the verdict on generated images
   * @param real the verdict on real images, {@link Judge#realAgainstReal}
   * @return this page
   */
  public ReportPage verdict(
      String heading, String caption, Judge.Verdict generated, Judge.Verdict real) {
    section(heading, caption);
    body.append("<div class=\"scroll\"><table>\n");
    head("", "generated", "real against real", "bound", "");
    body.append("<tbody>\n");
    List<Judge.Figure> others = real.figures();
    for (int i = 0; i < others.size(); i++) {
      Judge.Figure figure = generated.figures().get(i);
      row(figure.name(), List.of(figure.value(), others.get(i).value(), figure.bound()))
          .append(figure.kept() ? "<td class=\"good\">ok</td>" : "<td class=\"bad\">fails</td>")
          .append("</tr>\n");
    }
    body.append("</tbody>\n</table></div>\n");
    if (!generated.classShares().isEmpty()) {
      classShares(generated, real);
    }
    return this;
  }

  private void classShares(Judge.Verdict generated, Judge.Verdict real) {
    body.append("<h3>Class shares</h3>\n");
    body.append("<p>In percent, by the label of the nearest training image.</p>\n");
    body.append("<div class=\"scroll\"><table>\n");
    List<String> classes = new ArrayList<>(List.of(""));
    for (int label = 0; label < generated.classShares().size(); label++) {
      classes.add(Integer.toString(label));
    }
    head(classes.toArray(new String[0]));
    body.append("<tbody>\n");
    row("generated", percent(generated.classShares())).append("</tr>\n");
    row("real", percent(real.classShares())).append("</tr>\n");
    body.append("</tbody>\n</table></div>\n");
  }

  /**
   * Writes the page atomically.
   *
   * @param file the file; missing folders are created, an existing file is replaced
   * @throws IOException if writing fails
   */
  public void save(Path file) throws IOException {
    WholeFile.writeText(file, html());
  }

  /** Adds HTML as it is. */
  void add(String html) {
    body.append(html);
  }

  /** Adds to the style of the page. */
  void style(String css) {
    style.append(css);
  }

  /** What stands on the tab of a browser, in place of the heading. */
  void tab(String words) {
    tab = words;
  }

  /** The whole page. */
  String html() {
    return String.format(
        Locale.ROOT,
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>%s</title>
        <style>
        %s</style>
        </head>
        <body>
        %s</body>
        </html>
        """,
        escaped(tab),
        style,
        body);
  }

  /** Begins a section. */
  void section(String heading, String caption) {
    body.append("<h2>").append(escaped(heading)).append("</h2>\n");
    if (!caption.isEmpty()) {
      body.append("<p>").append(escaped(caption)).append("</p>\n");
    }
  }

  private void head(String... cells) {
    body.append("<thead><tr>");
    for (int i = 0; i < cells.length; i++) {
      body.append(i == 0 ? "<td></td>" : "<th class=\"number\">" + escaped(cells[i]) + "</th>");
    }
    body.append("</tr></thead>\n");
  }

  private StringBuilder row(String name, List<String> numbers) {
    return body.append("<tr><th scope=\"row\">")
        .append(escaped(name))
        .append("</th>")
        .append(
            numbers.stream()
                .map(number -> "<td class=\"number\">" + escaped(number) + "</td>")
                .collect(Collectors.joining()));
  }

  private static List<String> percent(List<Double> shares) {
    return shares.stream().map(share -> String.format(Locale.ROOT, "%.1f", 100 * share)).toList();
  }

  /** Text as HTML. */
  static String escaped(String text) {
    return text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("\"", "&quot;")
        .replace("'", "&#39;");
  }
}
