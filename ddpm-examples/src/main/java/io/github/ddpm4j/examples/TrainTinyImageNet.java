package io.github.ddpm4j.examples;

import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.data.Normalization;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.data.TinyImageNet;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.TrainingProgress;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.training.Validation;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/**
 * Tiny ImageNet by class, as mini_ddpm has it: 64x64, normalized by ImageNet's means and
 * deviations, whose ranges the model keeps, so that it clips and shows each channel right. What
 * mini_ddpm does not tell is the paper's. Started again, it goes on.
 */
public final class TrainTinyImageNet {
  private static final int SIDE = 64;
  private static final int BATCH = 32;
  private static final int STEPS = 500_000;
  private static final int EVERY = 5000;
  private static final float RATE = 2e-4f;
  private static final int WARMUP = 5000;
  private static final double DROPPED = 0.1;
  private static final Guidance GUIDANCE = Guidance.classifierFree(3);

  private TrainTinyImageNet() {}

  /**
   * Trains.
   *
   * @param args the folder {@code tiny-imagenet-200}, and the folder to write into or nothing
   * @throws IOException if there are no pictures, or a file can't be written
   */
  public static void main(String[] args) throws IOException {
    DDPM.endStepsOnShutdown();
    Path target = Path.of(System.getProperty("ddpm4j.target", "target"), "tiny-imagenet");
    var network = UNet.builder().image(3, SIDE, SIDE).baseChannels(64).attentionAtLevels(2);
    network.channelMultipliers(1, 2, 3, 4).dropout(0.1);
    run(Path.of(args[0]), args.length > 1 ? Path.of(args[1]) : target, network, STEPS, BATCH, 50);
  }

  static void run(Path data, Path folder, UNetBuilder network, int steps, int batch, int calls)
      throws IOException {
    Shape image = new Shape(3, SIDE, SIDE);
    var training = TinyImageNet.training(data, image).normalization(Normalization.IMAGENET);
    var heldOut = TinyImageNet.validation(data, image).normalization(Normalization.IMAGENET);
    PictureFolder pictures = training.horizontalFlips().setSampling(batch, true).build();
    int classes = pictures.classNames().size();
    var model = DDPM.builder().dataRange(pictures.normalization().range());
    model.classNames(pictures.classNames());
    try (DDPM ddpm = model.denoiser(network.classes(classes).seed(1).build()).build()) {
      ddpm.requireSavable(folder.resolve("model"));
      var run = ddpm.training().steps(steps).learningRate(RATE).warmup(WARMUP).gradientClip(1);
      run.conditionDropout(DROPPED).seed(1).listener(TrainingProgress.bar());
      run.validation(Validation.of(heldOut.setSampling(batch, true).build()).every(EVERY));
      run.checkpoints(folder.resolve("checkpoints")).resume();
      Condition each = Condition.labels(IntStream.range(0, 16).map(i -> i % classes).toArray());
      var report = TrainingReport.of(ddpm, folder.resolve("report.html")).data(pictures);
      UnaryOperator<Sampling> drawn = s -> s.sampler(Samplers.ddim(calls)).condition(each);
      report.samples(EVERY, 4, 16, s -> drawn.apply(s).guidance(GUIDANCE));
      try (TrainedModel result = run.listener(report).fit(pictures)) {
        result.ddpm().save(folder.resolve("model"));
      }
    }
    pictures.brokenFiles().forEach(System.out::println);
    System.out.println(folder);
  }
}
