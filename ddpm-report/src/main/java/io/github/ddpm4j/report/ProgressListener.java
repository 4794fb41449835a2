package io.github.ddpm4j.report;

import io.github.ddpm4j.training.TrainingStepListener;
import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.DoubleSupplier;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressState;
import org.jspecify.annotations.Nullable;

/** A progress bar, or plain lines where there is no terminal. */
final class ProgressListener implements TrainingStepListener {

  /** The share of the old mean that each step keeps. */
  private static final double LOSS_MEMORY = 0.98;

  private static final Duration BAR_INTERVAL = Duration.ofMillis(250);
  private static final Duration LINE_INTERVAL = Duration.ofSeconds(10);
  private static final int LINE_LENGTH = 100;
  private static final int SHORTEST_BAR = 5;
  private static final double MILLIS_PER_SECOND = 1000;

  /** What only the last line says. */
  private static final String TOOK = ", took ";

  private final PrintStream out;
  private final boolean terminal;
  private @Nullable ProgressBar bar;
  private @Nullable Lines lines;
  private volatile String loss = "";
  private double weightedLoss;
  private double weight;

  ProgressListener(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  static ProgressListener onStandardError() {
    return new ProgressListener(System.err, hasTerminal());
  }

  @SuppressWarnings("SystemConsoleNull") // newer JDKs are asked below
  private static boolean hasTerminal() {
    Console console = System.console();
    if (console == null) {
      return false;
    }
    try {
      return Boolean.TRUE.equals(Console.class.getMethod("isTerminal").invoke(console));
    } catch (ReflectiveOperationException e) {
      return true; // before JDK 22 a console is a terminal
    }
  }

  @Override
  public void onStep(TrainingStepListener.Event event) {
    onStep(event.step(), event.steps(), event.isLossKnown(), event::loss);
  }

  /**
   * Shows a step.
   *
   * @param known whether asking for the loss does not wait for the device
   */
  void onStep(long step, long steps, boolean known, DoubleSupplier stepLoss) {
    if (bar == null) {
      weightedLoss = 0;
      weight = 0;
    }
    if (bar == null || known) {
      weightedLoss = LOSS_MEMORY * weightedLoss + (1 - LOSS_MEMORY) * stepLoss.getAsDouble();
      weight = LOSS_MEMORY * weight + (1 - LOSS_MEMORY);
      loss = String.format(Locale.ROOT, "%.4f", weightedLoss / weight);
    }
    if (bar == null) {
      bar = start(step, steps); // draws at once, from another thread
    }
    bar.stepTo(step);
  }

  @Override
  public void onEnd(long steps) {
    if (bar == null) {
      return;
    }
    boolean interrupted = Thread.interrupted(); // close() would swallow it
    bar.close();
    bar = null;
    if (lines != null) {
      lines.close();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private ProgressBar start(long step, long steps) {
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setInitialMax(steps)
            .startsFrom(step, Duration.ZERO)
            .setRenderer(this::render);
    lines =
        new Lines(
            terminal
                ? new ConsoleProgressBarConsumer(out)
                : new DelegatingProgressBarConsumer(out::println, LINE_LENGTH));
    builder
        .setUpdateIntervalMillis((int) (terminal ? BAR_INTERVAL : LINE_INTERVAL).toMillis())
        .setConsumer(lines);
    return builder.build();
  }

  /**
   * Each line once, and one end: the library repeats the last line of a bar, and never ends one
   * that is closed before its first update.
   */
  private static final class Lines implements ProgressBarConsumer {
    private final ProgressBarConsumer consumer;
    private String last = "";
    private boolean closed;

    Lines(ProgressBarConsumer consumer) {
      this.consumer = consumer;
    }

    @Override
    public int getMaxRenderedLength() {
      return consumer.getMaxRenderedLength();
    }

    @Override
    public synchronized void accept(String line) {
      if (!closed && !last.contains(TOOK)) {
        last = line;
        consumer.accept(line);
      }
    }

    @Override
    public synchronized void close() {
      if (!closed) {
        closed = true;
        consumer.close();
      }
    }
  }

  private String render(ProgressState state, int width) {
    double seconds = state.getElapsedAfterStart().toMillis() / MILLIS_PER_SECOND;
    return line(
        state.getCurrent(),
        state.getMax(),
        // The time of the first step is not known: the clock starts after it.
        (state.getCurrent() - state.getStart()) / seconds,
        loss,
        state.isAlive() ? null : seconds,
        width);
  }

  /**
   * One line of progress.
   *
   * @param speed steps per second; NaN, zero or infinite as long as it is not known
   * @param loss the moving mean of the loss
   * @param took the seconds that the whole run took, or null while it goes on
   * @param width the greatest length of the line
   */
  static String line(
      long step, long steps, double speed, String loss, @Nullable Double took, int width) {
    String head = String.format(Locale.ROOT, "training %3d%% ", 100 * step / steps);
    StringBuilder tail = new StringBuilder().append(step).append('/').append(steps);
    if (speed > 0 && Double.isFinite(speed)) {
      tail.append(
          speed >= 1
              ? String.format(Locale.ROOT, ", %.1f steps/s", speed)
              : String.format(Locale.ROOT, ", %.1f s/step", 1 / speed));
    }
    tail.append(", loss ").append(loss);
    if (took != null) {
      tail.append(TOOK).append(time(took));
    } else if (speed > 0 && Double.isFinite(speed)) {
      tail.append(", ").append(time((steps - step) / speed)).append(" left");
    }
    int room = width - head.length() - tail.length() - "[] ".length();
    String bar = "";
    if (room >= SHORTEST_BAR) {
      int done = (int) (room * step / steps);
      String arrow = done == room ? "=".repeat(room) : "=".repeat(done) + ">";
      bar = "[" + arrow + " ".repeat(room - arrow.length()) + "] ";
    }
    return head + bar + tail;
  }

  /** Hours, minutes and seconds. */
  static String time(double seconds) {
    long whole = Math.round(seconds);
    return String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  }
}
