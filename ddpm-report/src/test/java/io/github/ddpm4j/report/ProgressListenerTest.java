package io.github.ddpm4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.unet.UNet;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class ProgressListenerTest {

  private static final String TIME = "\\d:\\d\\d:\\d\\d";
  private static final String RATE = "[\\d.]+ (steps/s|s/step)";

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private final PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);

  @AfterEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  private ProgressListener listener(boolean terminal) {
    return new ProgressListener(new Progress.Display(out, terminal, Duration.ofSeconds(10)));
  }

  private static void step(ProgressListener listener, long step, double loss) {
    listener.onStep(step, 20, true, () -> loss);
  }

  private String written() {
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void onStep_noTerminal_printsPlainLines() throws Exception {
    ProgressListener listener = listener(false);
    for (int step = 1; step <= 20; step++) {
      step(listener, step, step <= 10 ? 2 : 1);
      Thread.sleep(2); // steps take time
    }
    listener.onEnd(20);
    List<String> lines = written().lines().toList();
    assertThat(lines).isNotEmpty();
    assertThat(written()).doesNotContain("\r");
    // The moving mean of ten losses of 2 and then ten of 1, each step keeping 98% of the old.
    double mean = 1 + (1 - Math.pow(0.98, 10)) * Math.pow(0.98, 10) / (1 - Math.pow(0.98, 20));
    assertThat(lines.get(lines.size() - 1))
        .matches(
            "training 100% \\[=+] 20/20, "
                + RATE
                + ", loss "
                + String.format(Locale.ROOT, "%.4f", mean)
                + ", took "
                + TIME);
  }

  @Test
  void onStep_terminal_drawsABarInPlace() {
    ProgressListener listener = listener(true);
    step(listener, 1, 1);
    step(listener, 5, 1);
    listener.onEnd(5);
    assertThat(written()).contains("\rtraining  25% ").contains("] 5/20, ").contains(", took ");
    assertThat(written().lines().count()).isPositive();
    assertThat(written()).endsWith(System.lineSeparator());
  }

  @Test
  void onEnd_interruptedThread_staysInterrupted() {
    ProgressListener listener = listener(false);
    step(listener, 5, 1);
    Thread.currentThread().interrupt();
    listener.onEnd(5);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(written()).contains("training  25% [");
  }

  @Test
  void onEnd_noStep_printsNothing() {
    listener(false).onEnd(0);
    assertThat(written()).isEmpty();
  }

  @Test
  void listener_usedAgain_startsAnew() {
    ProgressListener listener = listener(false);
    step(listener, 1, 5);
    listener.onEnd(1);
    step(listener, 20, 1);
    listener.onEnd(20);
    assertThat(written())
        .contains("loss 5.0000")
        .containsPattern("20/20, loss 1\\.0000, took " + TIME);
  }

  @Test
  void progressBar_followsARun() {
    PrintStream standardError = System.err;
    try (NDManager manager = NDManager.newBaseManager();
        UNet network =
            UNet.builder()
                .image(1, 4, 4)
                .baseChannels(4)
                .channelMultipliers(1)
                .residualBlocks(1)
                .groups(2)
                .build()) {
      System.setErr(out);
      ArrayDataset data =
          new ArrayDataset.Builder()
              .setData(manager.ones(new Shape(2, 1, 4, 4)))
              .setSampling(1, false)
              .build();
      try (TrainedModel result =
          DDPM.builder()
              .denoiser(network)
              .build()
              .training()
              .batchSize(2)
              .steps(3)
              .seed(1)
              .listener(TrainingProgress.bar())
              .fit(data)) {
        assertThat(result.losses().steps()).isEqualTo(3);
      }
    } finally {
      System.setErr(standardError);
    }
    assertThat(written()).contains("training 100% [").contains("] 3/3, ").contains(", took ");
  }
}
