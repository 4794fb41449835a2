package io.github.ddpm4j.report;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.TrainingDoctor;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.training.TrainingStepListener;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.function.LongSupplier;
import java.util.function.UnaryOperator;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A page to watch a training run by: one HTML file that needs no other, rewritten as the run goes
 * on.
 *
 * <pre>{@code
 * TrainingReport report =
 *     TrainingReport.of(ddpm, Path.of("report.html"))
 *         .samples(500, 8, 64, s -> s.sampler(Samplers.ddim(50)));
 * ddpm.training().steps(20_000).listener(report).fit(dataset);
 * }</pre>
 *
 * <p>It shows how far the run is and how it ended; grids of samples, from the same noise each time,
 * with a slider over the steps; the loss, also by quarter of the schedule; validations; gradient
 * norm, learning rate, scale of the loss and skipped steps; speed and resident memory; what a
 * {@link TrainingDoctor} says; data and settings. Curves of long runs are drawn from means over
 * stretches of steps, with the least and the greatest loss of each, so that memory and page stay
 * small.
 *
 * <p>The page is replaced at once, at the first step, then every {@value #DEFAULT_SECONDS} seconds
 * or as {@link #every} says, after each grid of samples, and at the end, however the run ends. On
 * top of that, it never takes more than a hundredth of the time. A page that cannot be written is
 * warned of once, and training goes on. On a GPU, losses are read every 50 steps and for each page.
 *
 * <p>A run that is resumed goes on where the report in its checkpoint was. The grids are taken from
 * the page itself, so leave it where it is.
 *
 * <p>For one run; not thread-safe.
 */
public final class TrainingReport implements TrainingStepListener {

  /** The default number of seconds from one page to the next: {@value}. */
  public static final int DEFAULT_SECONDS = 10;

  private static final Logger LOG = LoggerFactory.getLogger(TrainingReport.class);

  private static final String KIND = "ddpm4j training report 1";

  /** Steps whose losses are not read yet. */
  private static final int STEPS_AT_ONCE = 50;

  /** Pages take at most one part in so many of the time. */
  private static final int SHARE = 100;

  private static final int LEAST_FOR_THE_DOCTOR = 8;
  private static final double NANOS = 1e9;

  /** Small pictures are enlarged to this side before they get lines between them. */
  private static final int CELL = 32;

  private static final Color LINES = new Color(0x808080);

  /** A step whose losses are not read yet. */
  private record Pending(Event event, double seconds) {}

  private final DDPM ddpm;
  private final Path html;
  private final LongSupplier nanoTime;
  private final InstantSource clock;
  private final RunHistory history = new RunHistory();
  private final SampleFrames frames = new SampleFrames();
  private final TrainingDoctor doctor;
  private final Deque<Pending> pending = new ArrayDeque<>();
  private final Map<String, Object> notes = new LinkedHashMap<>();
  private final Map<String, String> texts = new LinkedHashMap<>();
  private String title = "Training";
  private Duration every = Duration.ofSeconds(DEFAULT_SECONDS);
  private @Nullable SampleDraw drawing;
  private @Nullable RandomAccessDataset dataset;
  private @Nullable TensorBoardLog tensorBoard;
  private @Nullable Throwable failure;
  private @Nullable Event last;
  private boolean begun;
  private boolean warned;
  private long lastStepEnded;

  /** Until when time was added up. */
  private long counted;

  private long due;
  private long memoryDue;

  private TrainingReport(DDPM ddpm, Path html, LongSupplier nanoTime, InstantSource clock) {
    this.ddpm = ddpm;
    this.html = html;
    this.nanoTime = nanoTime;
    this.clock = clock;
    this.doctor = ddpm.trainingDoctor();
    this.counted = nanoTime.getAsLong();
  }

  /**
   * A report.
   *
   * @param ddpm the model that is trained; not closed
   * @param html the file; missing folders are made, an existing file is replaced
   * @return a listener for one run
   * @throws IllegalArgumentException if {@code html} is a folder
   */
  public static TrainingReport of(DDPM ddpm, Path html) {
    return of(ddpm, html, System::nanoTime, InstantSource.system());
  }

  static TrainingReport of(DDPM ddpm, Path html, LongSupplier nanoTime, InstantSource clock) {
    Objects.requireNonNull(ddpm, "ddpm");
    Objects.requireNonNull(html, "html");
    if (Files.isDirectory(html)) {
      throw new IllegalArgumentException(
          "the report must be a file, but " + html + " is a folder; name a file in it");
    }
    return new TrainingReport(ddpm, html, nanoTime, clock);
  }

  /**
   * The heading of the page.
   *
   * @param heading any text; "Training" by default
   * @return this report
   */
  public TrainingReport title(String heading) {
    this.title = Objects.requireNonNull(heading, "heading");
    return this;
  }

  /**
   * How often the page is written.
   *
   * @param interval at least 0; {@value #DEFAULT_SECONDS} seconds by default
   * @return this report
   * @throws IllegalArgumentException if it is negative
   */
  public TrainingReport every(Duration interval) {
    if (interval.isNegative()) {
      throw new IllegalArgumentException("every must be at least 0, but was " + interval);
    }
    this.every = interval;
    return this;
  }

  /**
   * Shows grids of samples, drawn with the averaged weights: after the first step, which tells at
   * once whether the settings are right, then every few steps and after the last one. The seed is 1
   * unless {@code settings} sets another. The page holds at most 40 of them: of more, every second
   * one is dropped.
   *
   * @param steps the number of steps from one grid to the next, at least 1
   * @param columns the number of columns of the grid, at least 1
   * @param count the number of samples in a grid, at least 1
   * @param settings how they are drawn: sampler, condition, guidance; what drawing throws ends the
   *     run
   * @return this report
   * @throws IllegalArgumentException if a number is less than 1
   */
  public TrainingReport samples(
      int steps, int columns, int count, UnaryOperator<Sampling> settings) {
    this.drawing = new SampleDraw(ddpm, steps, columns, count, settings);
    return this;
  }

  /**
   * Shows how many records the data have, beside the names of the classes, which the model tells.
   *
   * @param data what is trained on; its size is asked once training has begun
   * @return this report
   */
  public TrainingReport data(RandomAccessDataset data) {
    this.dataset = Objects.requireNonNull(data, "data");
    return this;
  }

  /**
   * Adds an entry to the settings, which by default are those of model and run.
   *
   * @param name the name of the entry
   * @param value its value
   * @return this report
   */
  public TrainingReport note(String name, Object value) {
    notes.put(Objects.requireNonNull(name, "name"), Objects.requireNonNull(value, "value"));
    return this;
  }

  /**
   * Adds a section of plain text, such as what a doctor of the data says.
   *
   * @param heading its heading
   * @param text the text, shown as it is
   * @return this report
   */
  public TrainingReport text(String heading, String text) {
    texts.put(Objects.requireNonNull(heading, "heading"), Objects.requireNonNull(text, "text"));
    return this;
  }

  /**
   * Writes event files for TensorBoard, too: numbers as means over at most 10,000 stretches of the
   * run, and all grids of samples. A run that is resumed writes a file of its own beside those
   * before, from which TensorBoard then takes what comes after the checkpoint. A file that cannot
   * be written is warned of, and training goes on without.
   *
   * @param folder where they go; made if it is missing
   * @return this report
   */
  public TrainingReport tensorBoard(Path folder) {
    Objects.requireNonNull(folder, "folder");
    this.tensorBoard = new TensorBoardLog(folder, () -> clock.millis() / 1e3);
    return this;
  }

  @Override
  public void onStep(Event event) {
    long now = nanoTime.getAsLong();
    // Of the first step it is not known when it began.
    double seconds = begun ? (now - lastStepEnded) / NANOS : Double.NaN;
    if (!begun) {
      begun = true;
      due = now;
      memoryDue = now;
      if (event.step() > 1 && tensorBoard != null) {
        tensorBoard.resumeAfter(event.step() - 1);
      }
    }
    history.begin(event, seconds);
    count(now);
    last = event;
    doctor.onStep(event);
    pending.add(new Pending(event, seconds));
    if (now - memoryDue >= 0) {
      memoryDue = now + (long) NANOS;
      ResidentMemory.mebibytes().ifPresent(size -> history.memory.add(event.step(), size));
    }
    boolean drawn = draw(event);
    if (event.isLossKnown() || pending.size() >= STEPS_AT_ONCE) {
      read();
    }
    if (drawn || now - due >= 0) {
      read();
      settings(event);
      write(TrainingPage.State.RUNNING);
      long end = nanoTime.getAsLong();
      due = end + Math.max(every.toNanos(), SHARE * (end - now));
    }
    lastStepEnded = nanoTime.getAsLong();
  }

  /** Adds the time that has passed since the last time. */
  private void count(long now) {
    history.secondsSoFar += (now - counted) / NANOS;
    counted = now;
  }

  private boolean draw(Event event) {
    if (drawing == null || !(frames.all().isEmpty() || drawing.isDue(event))) {
      return false;
    }
    BufferedImage grid;
    try (Samples samples = drawing.draw(event);
        NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      NDArray array = samples.toNDArray(manager);
      grid =
          Pictures.of(array)
              .dataRange(ddpm.dataRange())
              .columns(drawing.columns())
              .gap(1)
              .background(LINES)
              .enlarge(PictureTable.enlargement(array, CELL))
              .toGrid();
    }
    frames.add(event.step(), grid.getWidth(), grid.getHeight(), png(grid));
    if (tensorBoard != null) {
      List<SampleFrames.Frame> all = frames.all();
      tensorBoard.picture(all.get(all.size() - 1));
    }
    return true;
  }

  private static String png(BufferedImage picture) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      ImageIO.write(picture, "png", bytes);
    } catch (IOException e) {
      throw new UncheckedIOException("memory cannot fail to be written", e);
    }
    return Base64.getEncoder().encodeToString(bytes.toByteArray());
  }

  private void read() {
    if (!pending.isEmpty()) {
      pending.getLast().event().loss(); // fetches all of them at once
    }
    while (!pending.isEmpty()) {
      Pending step = pending.remove();
      Event event = step.event();
      history.read(event, doctor::quarter);
      if (tensorBoard != null) {
        Map<String, Double> known = new LinkedHashMap<>();
        known.put("learning_rate", event.learningRate());
        known.put("seconds_per_step", step.seconds());
        tensorBoard.step(event, known, doctor::quarter);
      }
    }
  }

  private void settings(Event event) {
    history.settings.clear();
    event
        .provenance()
        .forEach((name, value) -> history.settings.put("training: " + name, value.toString()));
  }

  /** Notes how the run ends. */
  @Override
  public void onFailure(Throwable failure) {
    this.failure = failure;
  }

  /** Writes the last page. */
  @Override
  public void onEnd(long steps) {
    count(nanoTime.getAsLong());
    doctor.onEnd(steps);
    try {
      read();
      if (failure == null && last != null) {
        settings(last);
      }
    } catch (RuntimeException e) {
      // The run has failed and says so itself; what was read before stays.
      pending.clear();
    }
    write(end());
    if (tensorBoard != null) {
      tensorBoard.close();
    }
  }

  private TrainingPage.State end() {
    if (failure instanceof CancellationException) {
      return TrainingPage.State.CANCELLED;
    }
    if (failure != null) {
      return TrainingPage.State.FAILED;
    }
    return history.step < history.steps ? TrainingPage.State.STOPPED : TrainingPage.State.FINISHED;
  }

  private void write(TrainingPage.State state) {
    if (tensorBoard != null) {
      tensorBoard.flush();
    }
    String page = TrainingPage.html(history, facts(state));
    try {
      WholeFile.writeText(html, page);
      warned = false;
    } catch (IOException e) {
      if (!warned) {
        LOG.warn("The report cannot be written, and training goes on: {}", e.toString());
        warned = true;
      }
    }
  }

  private TrainingPage.Facts facts(TrainingPage.State state) {
    Map<String, String> settings = new LinkedHashMap<>();
    ModelSettings.of(ddpm).forEach((name, value) -> settings.put(name, String.valueOf(value)));
    settings.putAll(history.settings);
    notes.forEach((name, value) -> settings.put(name, value.toString()));
    return new TrainingPage.Facts(
        title,
        state,
        failure == null ? "" : failure.toString(),
        quarters(),
        frames.all(),
        history.loss.count() >= LEAST_FOR_THE_DOCTOR ? doctor.report() : null,
        data(),
        settings,
        texts,
        clock.instant(),
        every);
  }

  private Map<String, String> data() {
    Map<String, String> data = new LinkedHashMap<>();
    if (dataset != null) {
      data.put("records", Axis.count(dataset.size()));
    }
    List<String> classes = ddpm.classNames();
    if (!classes.isEmpty()) {
      data.put("classes", classes.size() + ": " + String.join(", ", classes));
    }
    return data;
  }

  /** The quarters as the doctor has them, with their ln SNR. */
  private List<String> quarters() {
    Schedule schedule = ddpm.schedule();
    int timesteps = schedule.timesteps();
    List<String> names = new ArrayList<>();
    for (int q = 0; q < RunHistory.QUARTERS; q++) {
      int first = q * timesteps / RunHistory.QUARTERS;
      int last = Math.max(first, (q + 1) * timesteps / RunHistory.QUARTERS - 1);
      names.add(
          String.format(
              Locale.ROOT,
              "%sln SNR %s to %s",
              q == 0 ? "least noise, " : q == RunHistory.QUARTERS - 1 ? "most noise, " : "",
              logarithm(schedule.snr(first)),
              logarithm(schedule.snr(last))));
    }
    return names;
  }

  private static String logarithm(double snr) {
    double tenths = Math.rint(10 * Math.log(snr));
    return Double.isInfinite(tenths)
        ? (tenths > 0 ? "∞" : "−∞")
        // Adding 0 makes a 0 of −0.
        : String.format(Locale.ROOT, "%.1f", tenths / 10 + 0.0).replace('-', '−');
  }

  @Override
  public String state() {
    read();
    String observed = doctor.state();
    return Words.of(
        out -> {
          Words.write(out, KIND);
          history.save(out);
          frames.save(out);
          Words.write(out, observed);
        });
  }

  /**
   * Goes on from the report of the run that is resumed.
   *
   * @throws IllegalArgumentException if it is the state of another listener
   */
  @Override
  public void restore(String state) {
    Objects.requireNonNull(state, "state");
    Map<Long, String> pictures = TrainingPage.pictures(pageBefore());
    try {
      Words.read(
          state,
          in -> {
            if (!Words.read(in).equals(KIND)) {
              throw new IOException("of another kind");
            }
            history.restore(in);
            int lost = frames.restore(in, pictures);
            if (lost > 0) {
              LOG.warn("{} grids of samples are not in {} any more", lost, html);
            }
            doctor.restore(Words.read(in));
          });
    } catch (IOException e) {
      throw new IllegalArgumentException(
          "the checkpoint has the state of another listener in the place of the training report;"
              + " add the same listeners in the same order",
          e);
    }
  }

  private String pageBefore() {
    try {
      return Files.exists(html) ? Files.readString(html) : "";
    } catch (IOException e) {
      LOG.warn("{} cannot be read, and its samples are lost: {}", html, e.toString());
      return "";
    }
  }
}
