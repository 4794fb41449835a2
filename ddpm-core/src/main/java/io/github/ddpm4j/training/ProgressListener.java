package io.github.ddpm4j.training;

import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A progress bar, or plain lines where there is no terminal. */
final class ProgressListener implements TrainingListener {

  /** The share of the old mean that each step keeps. */
  private static final double LOSS_MEMORY = 0.98;

  private static final Duration BAR_INTERVAL = Duration.ofMillis(250);
  private static final Duration LINE_INTERVAL = Duration.ofSeconds(10);
  private static final int LINE_LENGTH = 100;

  private final PrintStream out;
  private final boolean terminal;
  private @Nullable ProgressBar bar;
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
  public void onStep(TrainingEvent event) {
    if (bar == null) {
      bar = start(event.steps());
    }
    weightedLoss = LOSS_MEMORY * weightedLoss + (1 - LOSS_MEMORY) * event.loss();
    weight = LOSS_MEMORY * weight + (1 - LOSS_MEMORY);
    bar.setExtraMessage(String.format(Locale.ROOT, "loss %.4f", weightedLoss / weight));
    bar.stepTo(event.step());
  }

  @Override
  public void onEnd(long steps) {
    if (bar != null) {
      bar.close();
      bar = null;
    }
  }

  private ProgressBar start(long steps) {
    ProgressBarBuilder builder =
        new ProgressBarBuilder()
            .setTaskName("training")
            .setInitialMax(steps)
            .setUnit(" steps", 1)
            .showSpeed();
    if (terminal) {
      builder
          .setStyle(ProgressBarStyle.ASCII)
          .setUpdateIntervalMillis((int) BAR_INTERVAL.toMillis())
          .setConsumer(new ConsoleProgressBarConsumer(out));
    } else {
      builder
          .setStyle(ProgressBarStyle.ASCII)
          .setUpdateIntervalMillis((int) LINE_INTERVAL.toMillis())
          .setConsumer(new DelegatingProgressBarConsumer(out::println, LINE_LENGTH));
    }
    return builder.build();
  }
}
