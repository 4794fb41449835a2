package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import java.nio.file.Path;
import java.util.concurrent.CancellationException;

/** Trains or samples without end, and saves what it has when it is told to end. */
final class ShutdownMain {

  /** Of matrices whose product takes a while. */
  private static final int SIDE = 1500;

  private ShutdownMain() {}

  /**
   * Runs.
   *
   * @param args {@code train}, {@code sample}, {@code features} or {@code evaluate}, and the file
   *     or folder to save
   */
  public static void main(String[] args) throws Exception {
    DDPM.endStepsOnShutdown();
    Path target = Path.of(args[1]);
    try (UNet network =
            UNet.builder()
                .image(1, 16, 16)
                .levelChannels(32, 32)
                .residualBlocks(1)
                .seed(3)
                .build();
        NDManager manager = NDManager.newBaseManager()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      switch (args[0]) {
        case "train" -> train(ddpm, manager, target);
        case "sample" -> sample(ddpm, target);
        case "features" -> features(manager);
        default -> evaluate(ddpm, manager);
      }
    }
  }

  private static ArrayDataset data(NDManager manager) {
    return new ArrayDataset.Builder()
        .setData(manager.randomUniform(-1, 1, new Shape(64, 1, 16, 16)))
        .setSampling(1, false)
        .build();
  }

  private static void train(DDPM ddpm, NDManager manager, Path target) throws Exception {
    try {
      ddpm.training()
          .batchSize(32)
          .steps(Integer.MAX_VALUE)
          .seed(1)
          .listener(event -> tell(event.step()))
          .fit(data(manager))
          .close();
    } catch (CancellationException e) {
      System.out.println(e.getMessage());
      try (TrainedModel soFar = TrainedModel.soFar(e).orElseThrow()) {
        soFar.ddpm().save(target);
      }
    }
  }

  private static void sample(DDPM ddpm, Path target) throws Exception {
    try (SamplingRun run = ddpm.sampling().sampler(Samplers.ddpm()).seed(1).start(32)) {
      try {
        while (run.hasNext()) {
          run.next();
          tell(run.step());
        }
      } catch (CancellationException e) {
        System.out.println(e.getMessage());
        run.save(target);
      }
    }
  }

  private static void evaluate(DDPM ddpm, NDManager manager) {
    // What has not begun to compute is not waited for.
    ddpm.sampling().sampler(Samplers.ddim(2)).seed(1).generate(1).close();
    tell(2);
    try {
      ddpm.bitsPerDim().of(data(manager));
    } catch (CancellationException e) {
      System.out.println(e.getMessage());
    }
  }

  private static void features(NDManager manager) {
    Features products = Features.function(images -> images.matMul(images));
    NDArray square = manager.randomNormal(new Shape(SIDE, SIDE));
    try {
      for (int i = 0; ; i++) {
        products.of(square);
        tell(i);
      }
    } catch (CancellationException e) {
      System.out.println(e.getMessage());
    }
  }

  private static void tell(long step) {
    if (step == 2) {
      System.out.println("going");
    }
  }
}
