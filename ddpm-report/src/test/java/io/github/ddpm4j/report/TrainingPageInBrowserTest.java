package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.ddpm4j.evaluation.TrainingDoctor.Diagnosis;
import io.github.ddpm4j.evaluation.TrainingDoctor.Finding;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The page in a real browser, where there is one. Its pictures are left in target/browser. */
@Tag("browser")
class TrainingPageInBrowserTest {

  private static final int PHONE = 375;

  @TempDir private static Path folder;

  private static Chromium browser;

  @BeforeAll
  static void open() throws Exception {
    Optional<Path> binary = Chromium.installed();
    assumeTrue(
        binary.isPresent(),
        "no Chromium on the PATH: the page is not seen in a browser (apt-get install chromium)");
    browser = new Chromium(binary.get(), folder.resolve("browser"));
  }

  @AfterAll
  static void close() throws Exception {
    if (browser != null) {
      browser.close();
    }
  }

  private static Path page(TrainingPage.State state, String message, int grids) throws IOException {
    RunHistory history = new RunHistory();
    history.steps = 800_000;
    history.step = 620_000;
    history.secondsSoFar = 51_234;
    for (int step = 1; step <= history.step; step += 50) {
      double fall = 0.03 + 1 / (1 + step / 500.0);
      double noise = 1 + 0.3 * Math.sin(step * 12.9898) * Math.sin(step * 78.233);
      history.loss.add(step, step == 300_001 ? 9 : fall * noise);
      history.gradientNorm.add(step, 3 * fall * noise * noise);
      history.learningRate.add(step, 2e-4 * Math.min(1, step / 50_000.0));
      history.seconds.add(step, 0.08 * noise);
      history.memory.add(step, 3_000 + step / 10_000.0);
      history.lossScale.add(step, 65_536 >> (step / 200_000));
      for (int q = 0; q < RunHistory.QUARTERS; q++) {
        history.quarters.get(q).add(step, fall * noise * Math.pow(0.3, q));
      }
    }
    for (int step = 10_000; step <= history.step; step += 10_000) {
      history.validation.add(step, 0.03 + 600.0 / step + step / 5e7);
    }
    history.bestStep = 170_000;
    history.bestLoss = 0.0369;
    history.skips = 3;
    for (long step : new long[] {90_000, 200_000, 400_000}) {
      history.skipped.add(step, 0);
    }
    SampleFrames frames = new SampleFrames();
    for (int i = 0; i < grids; i++) {
      BufferedImage grid = new BufferedImage(265, 133, BufferedImage.TYPE_3BYTE_BGR);
      Graphics2D graphics = grid.createGraphics();
      graphics.setColor(Color.getHSBColor(0.6f * i / grids, 0.6f, 0.9f));
      graphics.fillOval(10, 10, 10 + 10 * i, 10 + 10 * i);
      graphics.dispose();
      ByteArrayOutputStream png = new ByteArrayOutputStream();
      ImageIO.write(grid, "png", png);
      frames.add(1 + 60_000L * i, 265, 133, Base64.getEncoder().encodeToString(png.toByteArray()));
    }
    String html =
        TrainingPage.html(
            history,
            new TrainingPage.Facts(
                "Flowers & <insects>, 64x64",
                state,
                message,
                List.of(
                    "least noise, ln SNR 10.1 to 1.7",
                    "ln SNR 1.7 to 0.0",
                    "ln SNR 0.0 to −1.8",
                    "most noise, ln SNR −1.8 to −19.8"),
                frames.all(),
                new Diagnosis(
                    List.of(
                        new Finding(
                            "loss, 1st quarter (least noise)",
                            false,
                            "0.03 over the last 155 steps, 0.031 over the 155 before (-3.2 %)",
                            "flat within its own noise"),
                        new Finding(
                            "averaged weights",
                            true,
                            "52.6 % of them are the initial weights, and they lag 47 steps behind",
                            "still in part what training began with: some 395 more steps"))),
                Map.of("classes", "3: <b>rose</b>, tulip, " + "x".repeat(200)),
                Map.of("training: optimizer", "Adam(0.9, 0.999, 1.0E-8)"),
                Map.of("What the data doctor says", "! five broken files:\n  " + "y".repeat(200)),
                Instant.now(),
                Duration.ofSeconds(2)));
    return Files.writeString(folder.resolve("a page & more.html"), html);
  }

  private static void fitsAndIsQuiet(String name) throws Exception {
    assertThat(
            browser.value(
                "String(document.documentElement.scrollWidth - document.documentElement.clientWidth)"))
        .as("pixels beyond the window")
        .isEqualTo("0");
    Path pictures = Files.createDirectories(Path.of("target", "browser"));
    browser.picture(pictures.resolve(name + ".png"));
    assertThat(browser.complaints).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"1200, false", "1200, true", "375, false", "375, true"})
  void page_lightAndDarkNarrowAndWide_fitsAndIsQuiet(int width, boolean dark) throws Exception {
    browser.open(page(TrainingPage.State.RUNNING, "", 11), width, 900, dark);

    String background = browser.value("getComputedStyle(document.body).backgroundColor");
    assertThat(background).isEqualTo(dark ? "rgb(20, 24, 30)" : "rgb(255, 255, 255)");
    assertThat(browser.value("String(document.querySelectorAll('b').length)")).isEqualTo("0");
    // No word of an axis lies over its neighbour.
    assertThat(
            browser.value(
                """
                String([...document.querySelectorAll('.frame')].flatMap(frame => {
                  const boxes = [...frame.querySelectorAll('.x')].map(s => s.getBoundingClientRect());
                  return boxes.slice(1).filter((box, i) => box.left < boxes[i].right + 2);
                }).length)"""))
        .isEqualTo("0");
    fitsAndIsQuiet((width == PHONE ? "narrow" : "wide") + (dark ? "-dark" : "-light"));
  }

  @Test
  void slider_byKeyboard_movesThePicture() throws Exception {
    browser.open(page(TrainingPage.State.FINISHED, "", 11), 1200, 900, false);
    String shown =
        "[...document.querySelectorAll('#frames img')].filter(i => i.offsetParent).map(i => i.alt + i.naturalWidth).join()";
    assertThat(browser.value(shown)).isEqualTo("Samples after step 600,001265");
    browser.value("document.getElementById('when').focus()");

    browser.press("ArrowLeft", 37);

    assertThat(browser.value(shown)).isEqualTo("Samples after step 540,001265");
    assertThat(browser.value("document.getElementById('shown').textContent")).isEqualTo("540,001");
    assertThat(browser.value("document.getElementById('when').getAttribute('aria-valuetext')"))
        .isEqualTo("step 540,001, picture 10 of 11");
    browser.press("Home", 36);
    assertThat(browser.value(shown)).isEqualTo("Samples after step 1265");

    // It is where it was when the page comes anew, as in a run that goes on.
    browser.open(page(TrainingPage.State.RUNNING, "", 11), 1200, 900, false);
    assertThat(browser.value(shown)).isEqualTo("Samples after step 1265");
    assertThat(browser.value("document.activeElement.id")).isEqualTo("when");
    browser.press("End", 35);
    assertThat(browser.value(shown)).isEqualTo("Samples after step 600,001265");
    assertThat(browser.complaints).isEmpty();
  }

  /** What a screen reader is told: of the browser itself. */
  @Test
  void page_hasNamesForAllThatIsShown() throws Exception {
    browser.open(page(TrainingPage.State.RUNNING, "", 11), 1200, 900, false);
    String tree = browser.ask("Accessibility.getFullAXTree", Map.of()).toString();
    assertThat(tree)
        .contains("\"value\":\"Training step\"")
        .contains("\"value\":\"Steps done\"")
        .contains("\"value\":\"Loss of each step Up to step 620,000. The mean of the last ")
        .contains("\"value\":\"Reload every 2 s\"")
        .contains("\"value\":\"Samples after step 600,001\"");
  }

  @Test
  void page_thatIsRunning_comesAnew() throws Exception {
    Path file = page(TrainingPage.State.RUNNING, "", 11);
    browser.open(file, 1200, 900, false);
    Files.writeString(file, page("Failed").replace("<title>", "<title>new "));
    long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (!browser.value("document.title").startsWith("new ")) {
      assertThat(System.nanoTime()).as("reloaded in time").isLessThan(end);
      Thread.sleep(100);
    }
    assertThat(browser.value("String(document.getElementById('reload'))")).isEqualTo("null");
    fitsAndIsQuiet("failed");
  }

  private static String page(String message) throws IOException {
    return Files.readString(page(TrainingPage.State.FAILED, message, 11));
  }

  @Test
  void page_ofARunThatWasKilled_saysThatNothingIsNew() throws Exception {
    Path file = page(TrainingPage.State.RUNNING, "", 1);
    Files.writeString(
        file,
        Files.readString(file)
            .replaceFirst("datetime=\"[^\"]*\"", "datetime=\"2026-01-02T03:04:05Z\""));
    browser.open(file, PHONE, 700, false);
    assertThat(browser.value("document.getElementById('stale').innerText"))
        .startsWith("Nothing new for ")
        .endsWith(" minutes: a step takes long, or the process has ended without a word.");
    // One picture needs no slider.
    assertThat(browser.value("String(document.getElementById('controls').hidden)"))
        .isEqualTo("true");
    fitsAndIsQuiet("killed");
  }
}
