package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.training.Checkpoints;
import io.github.ddpm4j.training.TrainingStepListener;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainingReportTest {

  private static final Pattern EXTERNAL =
      Pattern.compile("(src|href)=\"(?!data:)|url\\(|@import|https?:|fetch\\(");

  private static final long SECOND = 1_000_000_000;

  @TempDir private Path folder;

  private NDManager manager;
  private UNet unet;
  private DDPM ddpm;
  private RandomAccessDataset data;
  private Path html;

  /** Moves on by a tenth of a second whenever it is looked at. */
  private long nanos;

  @BeforeEach
  void open() {
    manager = NDManager.newBaseManager();
    unet = network();
    ddpm = model(unet);
    data =
        new ArrayDataset.Builder()
            .setData(manager.arange(8 * 64f).sin().reshape(new Shape(8, 1, 8, 8)))
            .optLabels(manager.create(new int[] {0, 1, 0, 1, 0, 1, 0, 1}))
            .setSampling(4, true)
            .build();
    html = folder.resolve("new/report.html");
  }

  @AfterEach
  void close() {
    ddpm.close();
    unet.close();
    manager.close();
  }

  private static UNet network() {
    return UNet.builder()
        .image(1, 8, 8)
        .classes(2)
        .baseChannels(4)
        .groups(2)
        .channelMultipliers(1)
        .residualBlocks(1)
        .seed(1)
        .build();
  }

  private static DDPM model(UNet unet) {
    return DDPM.builder()
        .schedule(Schedules.cosine(20))
        .denoiser(unet)
        .classNames(List.of("<b>cat</b>", "dog & \"co\""))
        .build();
  }

  private static Sampling shown(Sampling sampling) {
    return sampling.sampler(Samplers.ddim(2)).condition(Condition.labels(0, 1, 0, 1, 0, 1));
  }

  private TrainingReport report() {
    return TrainingReport.of(
            ddpm, html, () -> nanos += SECOND / 10, () -> Instant.parse("2026-01-02T03:04:05.6Z"))
        .samples(4, 3, 6, TrainingReportTest::shown);
  }

  private Training training(int steps, TrainingStepListener report) {
    return ddpm.training().steps(steps).seed(1).listener(report);
  }

  private String page() throws IOException {
    return Files.readString(html);
  }

  private static int count(String page, String part) {
    return page.split(Pattern.quote(part), -1).length - 1;
  }

  @Test
  void page_ofARunThatIsDone_showsAllOfIt() throws IOException {
    TrainingReport report =
        report()
            .title("A <title>")
            .data(data)
            .note("sampler <", "ddim & 2")
            .text("Data </pre>", "<script>alert(1)</script>\n  indented");
    training(12, report)
        .validation(Validation.of(data).every(4).images(8))
        .conditionDropout(0.25)
        .fit(data)
        .close();

    String page = page();
    assertThat(page)
        .contains("<title>100\u00a0% · A &lt;title&gt;</title>")
        .contains("<h1>A &lt;title&gt;</h1>")
        .contains(
            "<p class=\"state finished\"><strong>finished</strong> 12 of 12 steps, 100\u00a0%</p>\n"
                + "<progress max=\"12\" value=\"12\" aria-label=\"Steps done\"></progress>")
        .contains("<time id=\"written\" datetime=\"2026-01-02T03:04:05Z\">2026-01-02 03:04:05 UTC")
        .contains("<th scope=\"row\">records</th><td>8</td>")
        .contains("<td>2: &lt;b&gt;cat&lt;/b&gt;, dog &amp; &quot;co&quot;</td>")
        .contains("<th scope=\"row\">sampler &lt;</th><td>ddim &amp; 2</td>")
        .contains("<th scope=\"row\">schedule: type</th><td>cosine</td>")
        .contains("<th scope=\"row\">training: steps</th><td>12</td>")
        .contains("<th scope=\"row\">training: conditionDropout</th><td>0.25</td>")
        .contains(
            "<h2>Data &lt;/pre&gt;</h2>\n<pre>&lt;script&gt;alert(1)&lt;/script&gt;\n  indented</pre>")
        .contains("<h2>What the doctor says</h2>")
        .contains("<th scope=\"row\">gradient norm</th><td>steady</td>")
        .doesNotContain("Reload every", "Scale of the loss", "Skipped", "id=\"stale\"");
    assertThat(EXTERNAL.matcher(page).find()).as("the page needs nothing from elsewhere").isFalse();
    assertThat(count(page, "<script>")).isOne();
    assertThat(plots(page))
        .containsExactly(
            "Loss of each step",
            "Loss by noise",
            "Validation",
            "Gradient norm, before clipping",
            "Learning rate",
            "Steps per second",
            "Resident memory, MiB");
    assertThat(page).contains("least noise, ln SNR ", "most noise, ln SNR ");
  }

  private static List<String> plots(String page) {
    return Pattern.compile("<figcaption>(.*)</figcaption>")
        .matcher(page)
        .results()
        .map(found -> found.group(1))
        .toList();
  }

  /** Each picture has what the slider needs, and the last alone is seen without it. */
  @Test
  void samples_areThoseOfTheAverages_afterTheFirstStepAndEveryFew() throws IOException {
    List<BufferedImage> expected = new ArrayList<>();
    TrainingStepListener other =
        TrainingProgress.samples(ddpm, folder, 4, 3, 6, TrainingReportTest::shown);
    training(10, report()).listener(other).fit(data).close();

    String page = page();
    Map<Long, String> pictures = TrainingPage.pictures(page);
    assertThat(pictures.keySet()).containsExactly(1L, 4L, 8L, 10L);
    assertThat(Pattern.compile("<img [^>]* hidden src").matcher(page).results()).hasSize(3);
    assertThat(page)
        .contains("alt=\"Samples after step 10\" data-step=\"10\" width=\"")
        .contains("<input type=\"range\" id=\"when\" min=\"0\" max=\"3\" value=\"3\">")
        .contains("<label for=\"when\">Training step</label>");
    for (long step : new long[] {4, 8, 10}) {
      expected.add(
          ImageIO.read(
              folder
                  .resolve("samples-" + String.format(Locale.ROOT, "%06d", step) + ".png")
                  .toFile()));
      BufferedImage shown =
          ImageIO.read(new ByteArrayInputStream(Base64.getDecoder().decode(pictures.get(step))));
      BufferedImage saved = expected.get(expected.size() - 1);
      // Cells of 32 pixels and 1 between them; in the file 64 and 2.
      assertThat(shown.getWidth()).isEqualTo(3 * 33 + 1);
      for (int i = 0; i < 6; i++) {
        for (int pixel = 0; pixel < 64; pixel++) {
          int x = 4 * (pixel % 8);
          int y = 4 * (pixel / 8);
          assertThat(shown.getRGB(1 + i % 3 * 33 + x, 1 + i / 3 * 33 + y))
              .isEqualTo(saved.getRGB(2 + i % 3 * 66 + 2 * x, 2 + i / 3 * 66 + 2 * y));
        }
      }
    }
  }

  @Test
  void page_isWrittenAtTheFirstStepAndEverySoOften() throws IOException {
    List<String> tabs = new ArrayList<>();
    TrainingReport report =
        TrainingReport.of(ddpm, html, () -> nanos, () -> Instant.EPOCH)
            .every(Duration.ofSeconds(3));
    training(8, event -> nanos += SECOND)
        .listener(report)
        .listener(
            event -> {
              Matcher tab = Pattern.compile("<title>(.*) · ").matcher(read());
              assertThat(tab.find()).isTrue();
              tabs.add(tab.group(1));
            })
        .fit(data)
        .close();
    assertThat(tabs)
        .containsExactly(
            "12\u00a0%",
            "12\u00a0%",
            "12\u00a0%",
            "50\u00a0%",
            "50\u00a0%",
            "50\u00a0%",
            "87\u00a0%",
            "87\u00a0%");
    assertThat(page())
        .contains("<title>100\u00a0%")
        .contains("<dt>Speed</dt><dd>1 steps/s</dd>", "<dt>Time so far</dt><dd>0:00:08</dd>");
  }

  /** A page takes a tenth of a second by this clock, so that the next one is due in ten. */
  @Test
  void page_thatTakesLong_isWrittenLessOften() {
    TrainingReport report =
        TrainingReport.of(ddpm, html, () -> nanos += SECOND / 10, () -> Instant.EPOCH)
            .every(Duration.ZERO);
    training(9, report)
        .listener(event -> assertThat(read()).contains("<title>11\u00a0%"))
        .fit(data)
        .close();
    assertThat(read()).contains("<title>100\u00a0%");
  }

  private String read() {
    try {
      return page();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void page_whileTheRunGoesOn_reloadsAndSaysWhatIsLeft() {
    TrainingReport report = report().every(Duration.ofSeconds(7));
    training(9, report)
        .listener(
            event -> {
              if (event.step() == 4) { // with samples, and so with a page
                assertThat(read())
                    .contains("<strong>running</strong> 4 of 9 steps, 44\u00a0%")
                    .contains("data-seconds=\"7\" checked> Reload every 7 s</label>")
                    .contains("<dt>Time left</dt>")
                    .contains("<p id=\"stale\" class=\"message\" role=\"status\" hidden></p>");
              }
            })
        .fit(data)
        .close();
  }

  /** What is no number is in no curve, and in no mean. */
  @Test
  void page_ofSkippedAndScaledSteps_showsThem() throws IOException {
    TrainingReport report = TrainingReport.of(ddpm, html, () -> nanos, () -> Instant.EPOCH);
    for (int step = 1; step <= 20; step++) {
      boolean bad = step == 7 || step == 9;
      report.onStep(
          new StubEvent(step, 20, bad ? Double.NaN : 0.5, bad, step <= 7 ? 65_536 : 32_768));
    }
    report.onEnd(20);
    assertThat(page())
        .contains("<dt>Skipped steps</dt><dd>2</dd>", "2 steps updated nothing.")
        .contains("<figcaption>Scale of the loss in float16</figcaption>")
        .contains("The last one is 32,768.")
        .contains("the least of all is 0.5, the greatest 0.5.")
        .contains("mean 1.000, greatest 1.000, above 10 times the mean in 0 of 18 steps")
        .doesNotContain("NaN", "Infinity");
  }

  @Test
  void page_ofALongRun_staysSmallAndKeepsExtremes() throws IOException {
    TrainingReport report =
        TrainingReport.of(ddpm, html, () -> nanos, () -> Instant.EPOCH).every(Duration.ofDays(1));
    int steps = 200_000;
    for (int step = 1; step <= steps; step++) {
      double loss = step == 123_456 ? 99 : 0.1 + Math.abs(Math.sin(step));
      report.onStep(new StubEvent(step, steps, loss, false, 1));
    }
    report.onEnd(steps);
    assertThat(page())
        .hasSizeLessThan(200_000)
        .contains("the greatest 99.", "200,000 of 200,000 steps");
    assertThat(report.state()).hasSizeLessThan(200_000);
  }

  /** However it ends, the page says so, with all that was done until then. */
  @Test
  void page_ofARunThatEndsOtherwise_saysHow() throws IOException {
    RuntimeException failure = new IllegalStateException("no <space> left & more");
    assertThatThrownBy(() -> endingAt(3, failure)).isSameAs(failure);
    assertThat(page())
        .contains("<strong>failed</strong> 3 of 9 steps, 33\u00a0%")
        .contains(
            "<p class=\"message\" role=\"alert\">java.lang.IllegalStateException: no &lt;space&gt;"
                + " left &amp; more</p>");

    assertThatThrownBy(() -> endingAt(4, null)).isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(page())
        .contains("<strong>cancelled</strong> 4 of 9 steps, 44\u00a0%")
        .contains("training was interrupted after step 4 of 9");

    training(9, report())
        .listener(
            event -> {
              if (event.step() == 5) {
                event.stop();
              }
            })
        .fit(data)
        .close();
    assertThat(page())
        .contains("<strong>stopped early</strong> 5 of 9 steps, 55\u00a0%")
        .contains("<th scope=\"row\">training: steps</th><td>5</td>");
  }

  /** Throws after a step, or has the thread interrupted. */
  private void endingAt(int step, RuntimeException failure) {
    training(9, report().every(Duration.ofHours(1)))
        .listener(
            event -> {
              if (event.step() == step) {
                if (failure != null) {
                  throw failure;
                }
                Thread.currentThread().interrupt();
              }
            })
        .fit(data)
        .close();
  }

  /** A run that is killed after its checkpoint, with steps on its page that are done again. */
  @Test
  void page_ofAResumedRun_isThatOfOneInOneGo() throws IOException {
    Path checkpoints = folder.resolve("checkpoints");
    Validation validation = Validation.of(data).every(2).images(4);
    training(12, report()).validation(validation).fit(data).close();
    String whole = page();
    Files.delete(html);
    reopen();
    assertThatThrownBy(
            () ->
                training(12, report())
                    .validation(validation)
                    .checkpoints(Checkpoints.in(checkpoints).everySteps(5))
                    .listener(
                        event -> {
                          if (event.step() == 8) {
                            throw new IllegalStateException("killed");
                          }
                        })
                    .fit(data))
        .hasMessage("killed");
    assertThat(TrainingPage.pictures(page()).keySet()).containsExactly(1L, 4L, 8L);
    reopen();
    training(12, report())
        .validation(validation)
        .checkpoints(Checkpoints.in(checkpoints).everySteps(5))
        .resume()
        .listener(event -> {})
        .fit(data)
        .close();

    assertThat(comparable(page())).isEqualTo(comparable(whole));

    // Once more, with nothing left to do: what is known comes from the checkpoint.
    reopen();
    training(12, report())
        .validation(validation)
        .checkpoints(Checkpoints.in(checkpoints).everySteps(5))
        .resume()
        .listener(event -> {})
        .fit(data)
        .close();
    assertThat(comparable(page())).isEqualTo(comparable(whole));
  }

  private void reopen() {
    ddpm.close();
    unet.close();
    unet = network();
    ddpm = model(unet);
  }

  /** Without what clocks and the machine say. */
  private static String comparable(String page) {
    return page.lines()
        .filter(line -> !line.startsWith("<div><dt>") && !line.contains("training: history"))
        .collect(Collectors.joining("\n"))
        .replaceFirst("(?s)<h2>Machine.*?<h2>", "<h2>");
  }

  @Test
  void restore_ofAnotherListenersState_isRefused() {
    for (String state : List.of("", "of something else", Words.of(out -> Words.write(out, "?")))) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> report().restore(state))
          .withMessage(
              "the checkpoint has the state of another listener in the place of the training"
                  + " report; add the same listeners in the same order");
    }
  }

  @Test
  void page_thatCannotBeWritten_doesNotEndTheRun() throws IOException {
    html = Files.writeString(folder.resolve("file"), "no folder").resolve("report.html");
    String said =
        saidBy(
            () -> {
              try (var result = training(12, report()).fit(data)) {
                assertThat(result.losses().steps()).isEqualTo(12);
              }
            });
    assertThat(folder.resolve("file")).hasContent("no folder");
    assertThat(count(said, "The report cannot be written, and training goes on: "))
        .as("warnings in " + said)
        .isOne();
  }

  private static String saidBy(Runnable task) {
    PrintStream before = System.err;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    System.setErr(new PrintStream(said, true, StandardCharsets.UTF_8));
    try {
      task.run();
    } finally {
      System.setErr(before);
    }
    return said.toString(StandardCharsets.UTF_8);
  }

  @Test
  void tensorBoard_thatCannotBeWritten_doesNotEndTheRun() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "no folder");
    String said =
        saidBy(
            () -> {
              try (var result = training(6, report().tensorBoard(file)).fit(data)) {
                assertThat(result.losses().steps()).isEqualTo(6);
              }
            });
    assertThat(count(said, "cannot be written for TensorBoard, and training goes on without"))
        .isOne();
    assertThat(page()).contains("finished");
  }

  @Test
  void tensorBoard_hasAllNumbersAndPictures() throws IOException {
    Path events = folder.resolve("events");
    training(10, report().tensorBoard(events))
        .validation(Validation.of(data).every(5).images(4))
        .fit(data)
        .close();
    Path file = events.resolve("events.out.tfevents.1767323045.ddpm4j.0");
    String bytes = Files.readString(file, StandardCharsets.ISO_8859_1);
    assertThat(count(bytes, "\n\4loss\25")).isEqualTo(10);
    assertThat(count(bytes, "\15gradient_norm\25")).isEqualTo(10);
    assertThat(count(bytes, "\15learning_rate\25")).isEqualTo(10);
    assertThat(count(bytes, "\17validation_loss\25")).isEqualTo(2);
    assertThat(count(bytes, "\7samples\"")).isEqualTo(4);
    assertThat(
            IntStream.rangeClosed(1, 4).map(q -> count(bytes, "loss_by_noise/quarter_" + q)).sum())
        .isGreaterThan(10);
  }

  @Test
  void settings_thatAreWrong_areRefused() throws IOException {
    Path there = Files.createDirectory(folder.resolve("there"));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> TrainingReport.of(ddpm, there))
        .withMessage("the report must be a file, but " + there + " is a folder; name a file in it");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> report().every(Duration.ofSeconds(-1)))
        .withMessage("every must be at least 0, but was PT-1S");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> report().samples(0, 1, 1, s -> s))
        .withMessage("every, columns and count must be at least 1, but were 0, 1 and 1");
  }

  @Test
  void frames_manyOfThem_areThinnedOutEvenly() {
    SampleFrames frames = new SampleFrames();
    for (int i = 0; i < 1000; i++) {
      frames.add(100L * i, 1, 1, "" + i);
      List<SampleFrames.Frame> all = frames.all();
      assertThat(all).hasSizeLessThanOrEqualTo(SampleFrames.MOST);
      assertThat(all.get(all.size() - 1).step()).isEqualTo(100L * i);
    }
    List<Long> steps = frames.all().stream().map(SampleFrames.Frame::step).toList();
    assertThat(steps).hasSizeBetween(SampleFrames.MOST / 2, SampleFrames.MOST);
    assertThat(steps.get(0)).isZero();
    assertThat(steps.get(steps.size() - 1)).isEqualTo(99_900);
    for (int i = 1; i + 1 < steps.size(); i++) {
      assertThat(steps.get(i)).isEqualTo(3200L * i);
    }
  }

  @Test
  void frames_ofManyPixels_areFewer() {
    SampleFrames frames = new SampleFrames();
    String large = "A".repeat((int) SampleFrames.MOST_CHARACTERS / 4 - 1);
    for (int i = 0; i < 20; i++) {
      frames.add(i, 1, 1, large);
    }
    assertThat(frames.all()).hasSizeBetween(2, 4);
    assertThat(frames.all().get(0).step()).isZero();
  }

  @Test
  void memory_isReadFromWhatLinuxSays() throws IOException {
    Path status =
        Files.writeString(folder.resolve("status"), "Name:\tx\nVmRSS:\t  2048 kB\nA:\t1\n");
    assertThat(ResidentMemory.mebibytes(status)).hasValue(2);
    assertThat(ResidentMemory.mebibytes(Files.writeString(status, "Name:\tx\n"))).isEmpty();
    assertThat(ResidentMemory.mebibytes(folder.resolve("none"))).isEmpty();
  }
}
