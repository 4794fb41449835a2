package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.loss.TimestepSampler;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.report.SignalPlot;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Path;

/**
 * Signals: a U-Net along one axis learns two seconds of {@link Heartbeats}, and a plot has eight
 * real ones above eight that it drew.
 */
public final class GenerateHeartbeats {
  private static final int LENGTH = 256;
  private static final int SHOWN = 4;

  private GenerateHeartbeats() {}

  /**
   * Runs the example.
   *
   * @param args nothing
   * @throws IOException if the plot can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    run(Path.of(System.getProperty("ddpm4j.target", "target"), "heartbeats.png"), 1000, 4096);
  }

  static void run(Path file, int steps, int signals) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        UNet network =
            UNet.builder()
                .signal(1, LENGTH)
                .baseChannels(16)
                .channelMultipliers(1, 2, 4, 4)
                .attentionAtLevels(3)
                .residualBlocks(1)
                .groups(8)
                .dropout(0)
                .seed(1)
                .build()) {
      NDArray real = Heartbeats.signals(manager, signals, LENGTH, 1);
      var data = new ArrayDataset.Builder().setData(real).setSampling(32, true).build();
      DDPM.Builder model = DDPM.builder().schedule(Schedules.cosine(1000)).denoiser(network);
      // The signals are small beside their noise: the network sees and says what is of unit size.
      DDPM ddpm = model.prediction(Prediction.edm(Heartbeats.DEVIATION)).build();
      var training = ddpm.training().steps(steps).ema(0.995).seed(1);
      training.learningRate(DigitsRuns.falling(2e-3, steps));
      training.timestepSampler(TimestepSampler.logNormal(-2.4, 1.4));
      try (var trained = training.fit(data);
          var drawn =
              trained.ddpm().sampling().sampler(Samplers.ddim(50)).seed(1).generate(2 * SHOWN)) {
        NDArray array = drawn.toNDArray(manager);
        new SignalPlot()
            .row("real", real.get(":" + SHOWN))
            .row("real", real.get(SHOWN + ":" + 2 * SHOWN))
            .row("drawn", array.get(":" + SHOWN))
            .row("drawn", array.get(SHOWN + ":"))
            .save(file);
      }
    }
    System.out.println(file);
  }
}
