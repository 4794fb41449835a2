package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.image.Pictures;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportPageTest {

  private final Path folder;

  ReportPageTest(@TempDir Path folder) {
    this.folder = folder;
  }

  @Test
  void save_holdsEverything() throws IOException {
    Path png = folder.resolve("picture.png");
    Pictures.write(new BufferedImage(1, 1, BufferedImage.TYPE_BYTE_GRAY), png);
    Judge.Verdict good = verdict(0, List.of(0.1, 0.15));
    Judge.Verdict bad = verdict(0.5, List.of(0.1, 0.15));
    Path file = folder.resolve("new/index.html");

    new ReportPage("Digits", "All of it.")
        .picture("Samples", "64 digits", png)
        .plot("Loss", "falls", png)
        .table("Settings", Map.of("timesteps", 1000))
        .verdict("Verdict", "500 digits", bad, good)
        .save(file);
    Files.delete(png);

    assertThat(Files.readString(file))
        .startsWith("<!DOCTYPE html>\n<html lang=\"en\">")
        .contains(
            "<h2>Samples</h2>\n<p>64 digits</p>\n"
                + "<img class=\"pixels\" alt=\"64 digits\" src=\"data:image/png;base64,iVBOR")
        .contains("<h2>Loss</h2>\n<p>falls</p>\n<img alt=\"falls\" src=\"data:image/png;base64,")
        .contains("<tr><th scope=\"row\">timesteps</th><td>1000</td></tr>")
        .contains(
            "<tr><th scope=\"row\">MMD, share of the way to noise</th>"
                + "<td class=\"number\">0.5000</td><td class=\"number\">0.0000</td>"
                + "<td class=\"number\">at most 0.010</td><td class=\"bad\">fails</td></tr>")
        .contains("<td class=\"good\">ok</td></tr>")
        .contains(
            "<tr><th scope=\"row\">generated</th><td class=\"number\">10.0</td>"
                + "<td class=\"number\">15.0</td></tr>")
        .doesNotContain("http", "src=\"p", "%n", "%s")
        .endsWith("</html>\n");
  }

  private static Judge.Verdict verdict(double mmd, List<Double> classShares) {
    return new Judge.Verdict(mmd, 1, 1, 0.5, 1, classShares, 1);
  }

  @Test
  void verdict_withoutClasses_hasNoSharesOfThem() throws IOException {
    Path file = folder.resolve("index.html");
    Judge.Verdict verdict = verdict(0, List.of());

    new ReportPage("Page", "").verdict("Verdict", "", verdict, verdict).save(file);

    assertThat(Files.readString(file)).contains("recall (k=3)").doesNotContain("lass shares");
  }

  @Test
  void save_escapesText() throws IOException {
    Path file = folder.resolve("index.html");

    new ReportPage("<script>", "a & b").table("\"x\"", Map.of("<i>", "it's 100%")).save(file);

    assertThat(Files.readString(file))
        .contains("<title>&lt;script&gt;</title>", "<h1>&lt;script&gt;</h1>", "<p>a &amp; b</p>")
        .contains("<h2>&quot;x&quot;</h2>")
        .contains("<tr><th scope=\"row\">&lt;i&gt;</th><td>it&#39;s 100%</td></tr>");
  }

  @Test
  void save_replacesAndLeavesNothingBeside() throws IOException {
    Path file = Files.writeString(folder.resolve("index.html"), "old");

    new ReportPage("New", "").save(file);

    assertThat(Files.readString(file)).contains("<h1>New</h1>");
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void save_toAFolder_isRefused() {
    assertThatThrownBy(() -> new ReportPage("Page", "").save(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a file in it");
  }

  @Test
  void picture_missing_isRefused() {
    Path nowhere = folder.resolve("nowhere.png");

    assertThatThrownBy(() -> new ReportPage("Page", "").picture("Samples", "none", nowhere))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(nowhere.toString());
  }
}
