package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.report.PictureTable;
import io.github.ddpm4j.report.Plots;
import io.github.ddpm4j.sampling.SamplingRun;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * A model as a lossy code (Ho et al. 2020, section 4.3): how many bits digits take that it has not
 * seen, and what a receiver makes of them when only a part of the bits has come.
 */
public final class ProgressiveDecoding {
  private static final int CALLS = 1000;
  private static final int IMAGES = 100;
  private static final int STAGES = 10;

  private ProgressiveDecoding() {}

  /**
   * Runs the example.
   *
   * @param args the folder of a model of 8x8 digits, or nothing for the quickstart's
   * @throws IOException if there is no model, or a picture can't be written
   */
  public static void main(String[] args) throws IOException {
    System.getProperties().putIfAbsent("ai.djl.pytorch.num_threads", "1"); // the work is small
    DDPM.endStepsOnShutdown();
    String target = System.getProperty("ddpm4j.target", "target");
    Path model = args.length > 0 ? Path.of(args[0]) : Path.of(target, "quickstart", "model");
    run(model, Path.of(target, "progressive-decoding"), IMAGES, CALLS);
  }

  static void run(Path model, Path folder, int images, int calls) throws IOException {
    Pictures.requireSavable(folder.resolve("decoding.png"));
    try (DDPM ddpm = DDPM.load(model);
        NDManager manager = NDManager.newBaseManager()) {
      NDArray heldOut = Digits.load().heldOut().toArray(manager);
      // The pixels have 17 shades: without a model log2(17) = 4.09 bits each.
      var likelihood = ddpm.bitsPerDim().levels(17).timesteps(calls).images(images).batchSize(100);
      BitsPerDimResult bits = likelihood.seed(1).of(heldOut);
      System.out.println(bits);
      Plots.rateDistortion(bits.steps(), folder.resolve("rate-distortion.png"));

      NDArray x0 = heldOut.get(":8");
      NDArray noise = NoiseSource.seeded(1).array(manager, 0, 0, x0.getShape(), DataType.FLOAT32);
      PictureTable table = new PictureTable(ddpm.dataRange());
      for (int stage = 0; stage < STAGES; stage++) {
        BitsPerDimResult.Step step = bits.steps().get((calls - 1) * stage / (STAGES - 1));
        int[] t = new int[8];
        Arrays.fill(t, step.lastTimestep());
        NDArray xt = ddpm.forwardProcess().sample(x0, t, noise);
        String rate = String.format(Locale.ROOT, "%.2f bits", step.rate());
        System.out.printf(Locale.ROOT, "%s, off by %.1f of 255%n", rate, step.distortion());
        table.row(rate, estimate(ddpm, xt, step.lastTimestep()));
      }
      table.row("real", x0).save(folder.resolve("decoding.png"));
      System.out.println(folder);
    }
  }

  /** What the network takes the images to be, of which x_t has come. */
  static NDArray estimate(DDPM ddpm, NDArray xt, int t) {
    try (SamplingRun run = ddpm.sampling().seed(1).startDenoising(xt, t)) {
      NDArray x0 = run.next().predictedX0().duplicate();
      x0.attach(xt.getManager());
      return x0;
    }
  }
}
