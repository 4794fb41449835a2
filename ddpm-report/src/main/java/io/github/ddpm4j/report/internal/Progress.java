package io.github.ddpm4j.report.internal;

import java.io.Console;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressState;
import org.jspecify.annotations.Nullable;

/**
 * How far a piece of work is: a bar on a terminal, a line now and then elsewhere.
 *
 * <pre>
 *   training  45% [==========&gt;             ] 135/300, 13.2 steps/s, loss 0.1050, 0:00:12 left
 * </pre>
 *
 * <p>Its clock starts with the first report, since what is before it is not known.
 */
public final class Progress implements AutoCloseable {

  private static final Duration BAR_INTERVAL = Duration.ofMillis(250);
  private static final Duration LINE_INTERVAL = Duration.ofSeconds(10);
  private static final int LINE_LENGTH = 100;
  private static final int SHORTEST_BAR = 5;
  private static final double MILLIS_PER_SECOND = 1000;

  /** What only the last line says. */
  private static final String TOOK = ", took ";

  /** The library counts in whole numbers. */
  private static final int PARTS = 1000;

  private final Display display;
  private final String task;
  private final String units;
  private int decimals;
  private boolean silentIfShort;
  private @Nullable ProgressBar bar;
  private @Nullable Lines lines;
  private volatile String note = "";

  /**
   * Where progress is shown.
   *
   * @param out the stream
   * @param terminal whether lines can be overwritten there
   * @param interval the time from one line to the next where they cannot
   */
  public record Display(PrintStream out, boolean terminal, Duration interval) {

    /**
     * Standard error, as it is now.
     *
     * @return the display
     */
    public static Display onStandardError() {
      return new Display(System.err, hasTerminal(), LINE_INTERVAL);
    }

    /**
     * Nowhere.
     *
     * @return the display
     */
    public static Display none() {
      PrintStream nowhere =
          new PrintStream(OutputStream.nullOutputStream(), false, StandardCharsets.UTF_8);
      return new Display(nowhere, false, LINE_INTERVAL);
    }
  }

  /**
   * Makes one that shows nothing until the first report.
   *
   * @param display where
   * @param task the first word of each line
   * @param units what is counted, in the plural
   */
  public Progress(Display display, String task, String units) {
    this.display = display;
    this.task = task;
    this.units = units;
  }

  /**
   * Counts in parts of a unit.
   *
   * @param count digits behind the point (default: 0)
   * @return this
   */
  public Progress decimals(int count) {
    decimals = count;
    return this;
  }

  /**
   * Says nothing without a terminal, not even at the end, if all is over before the first line is
   * due.
   *
   * @return this
   */
  public Progress silentIfShort() {
    silentIfShort = true;
    return this;
  }

  /**
   * Reports how far the work is.
   *
   * @param done what is done, in units
   * @param total what there is to do in all, as far as that is known
   * @param said what is said beside, such as a loss; may be empty
   */
  public void to(double done, double total, String said) {
    note = said;
    long parts = Math.round(done * PARTS);
    ProgressBar shown = bar;
    if (shown == null) {
      shown = start(parts, Math.round(total * PARTS)); // draws at once, from another thread
      bar = shown;
    }
    shown.maxHint(Math.round(total * PARTS));
    shown.stepTo(parts);
  }

  /**
   * Reports how far the work is, in whole units.
   *
   * @param done what is done
   * @param total what there is to do in all
   * @param said what is said beside; may be empty
   */
  public void to(long done, long total, String said) {
    to((double) done, (double) total, said);
  }

  /** Ends it with a line of what is done and how long it took. Can be used again. */
  @Override
  public void close() {
    ProgressBar shown = bar;
    if (shown == null) {
      return;
    }
    boolean interrupted = Thread.interrupted(); // close() would swallow it
    shown.close();
    bar = null;
    if (lines != null) {
      lines.close();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
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

  private ProgressBar start(long parts, long total) {
    boolean terminal = display.terminal();
    Lines made =
        terminal
            ? new Lines(new ConsoleProgressBarConsumer(display.out()), false, false)
            : new Lines(
                new DelegatingProgressBarConsumer(display.out()::println, LINE_LENGTH),
                true,
                silentIfShort);
    lines = made;
    return new ProgressBarBuilder()
        .setInitialMax(total)
        .startsFrom(parts, Duration.ZERO)
        .setRenderer(this::render)
        .setUpdateIntervalMillis(
            Math.toIntExact((terminal ? BAR_INTERVAL : display.interval()).toMillis()))
        .setConsumer(made)
        .build();
  }

  /**
   * Each line once, and one end: the library repeats the last line of a bar, and never ends one
   * that is closed before its first update. Its first line comes at once; without a terminal it
   * says nothing yet.
   */
  private static final class Lines implements ProgressBarConsumer {
    private final ProgressBarConsumer consumer;
    private final boolean skipFirst;
    private final boolean silentIfShort;
    private int before;
    private boolean ended;
    private boolean closed;

    Lines(ProgressBarConsumer consumer, boolean skipFirst, boolean silentIfShort) {
      this.consumer = consumer;
      this.skipFirst = skipFirst;
      this.silentIfShort = silentIfShort;
    }

    @Override
    public int getMaxRenderedLength() {
      return consumer.getMaxRenderedLength();
    }

    @Override
    public synchronized void accept(String line) {
      if (closed || ended) {
        return;
      }
      ended = line.contains(TOOK);
      boolean silent = ended ? silentIfShort && before <= 1 : skipFirst && before == 0;
      before++;
      if (!silent) {
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
        (double) state.getCurrent() / PARTS,
        (double) state.getMax() / PARTS,
        // The time of the first step is not known: the clock starts after it.
        (double) (state.getCurrent() - state.getStart()) / PARTS / seconds,
        note,
        state.isAlive() ? null : seconds,
        width);
  }

  /**
   * One line.
   *
   * @param speed units per second; NaN, zero or infinite as long as it is not known
   * @param said what is said beside; may be empty
   * @param took the seconds that all of it took, or null while it goes on
   * @param width the greatest length of the line
   */
  String line(
      double done, double total, double speed, String said, @Nullable Double took, int width) {
    double share = total == 0 ? 1 : done / total;
    String head = String.format(Locale.ROOT, "%s %3d%% ", task, (long) (100 * share));
    String count = number(done) + "/" + number(total);
    if (!units.equals("steps")) {
      count += " " + units;
    }
    StringBuilder rest = new StringBuilder();
    if (!said.isEmpty()) {
      rest.append(", ").append(said);
    }
    boolean known = speed > 0 && Double.isFinite(speed);
    if (took != null) {
      rest.append(TOOK).append(time(took));
    } else if (known) {
      rest.append(", ").append(time((total - done) / speed)).append(" left");
    }
    String tail = count + (known ? speed(speed) : "") + rest;
    if (head.length() + tail.length() > width) {
      tail = count + rest;
    }
    int room = width - head.length() - tail.length() - "[] ".length();
    String drawn = "";
    if (room >= SHORTEST_BAR) {
      int full = (int) (room * share);
      String arrow = full == room ? "=".repeat(room) : "=".repeat(full) + ">";
      drawn = "[" + arrow + " ".repeat(room - arrow.length()) + "] ";
    }
    return head + drawn + tail;
  }

  private String speed(double speed) {
    return speed >= 1
        ? String.format(Locale.ROOT, ", %.1f %s/s", speed, units)
        : String.format(Locale.ROOT, ", %.1f s/%s", 1 / speed, units.replaceFirst("s$", ""));
  }

  private String number(double value) {
    return decimals == 0
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  /**
   * Hours, minutes and seconds.
   *
   * @param seconds at least 0
   * @return such as 0:01:30
   */
  public static String time(double seconds) {
    long whole = Math.round(seconds);
    return String.format(Locale.ROOT, "%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
  }
}
