package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * How many images of 28x28 pixels per second one network gives to threads of Java that sample from
 * it at once. The threads of libtorch are those of {@code -Dai.djl.pytorch.num_threads}.
 */
public final class Serving {

  private static final int STEPS = 10;
  private static final int IMAGES = 4;
  private static final int[] THREADS = {1, 2, 4, 8};

  private Serving() {}

  /**
   * Measures and prints.
   *
   * @param args none
   * @throws Exception if a thread fails
   */
  public static void main(String[] args) throws Exception {
    DDPM.endStepsOnShutdown();
    UNetBuilder network = UNet.builder().image(1, 28, 28).baseChannels(32);
    try (UNet unet = network.channelMultipliers(1, 2).build()) {
      run(unet, 4000, THREADS);
    }
  }

  static void run(UNet unet, long millis, int... threads) throws Exception {
    DDPM ddpm = DDPM.builder().denoiser(unet).build();
    imagesPerSecond(ddpm, 1, millis); // warm
    double alone = imagesPerSecond(ddpm, 1, millis);
    for (int count : threads) {
      double rate = count == 1 ? alone : imagesPerSecond(ddpm, count, millis);
      System.out.printf(
          Locale.ROOT, "%d threads: %.1f images/s, %.2f of one%n", count, rate, rate / alone);
    }
  }

  private static double imagesPerSecond(DDPM ddpm, int threads, long millis) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      long start = System.nanoTime();
      long end = start + TimeUnit.MILLISECONDS.toNanos(millis);
      List<Callable<Integer>> clients = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        clients.add(
            () -> {
              int images = 0;
              while (System.nanoTime() < end) {
                ddpm.sampling().sampler(Samplers.ddim(STEPS)).seed(images).generate(IMAGES).close();
                images += IMAGES;
              }
              return images;
            });
      }
      int images = 0;
      for (Future<Integer> client : pool.invokeAll(clients)) {
        images += client.get();
      }
      return images / ((System.nanoTime() - start) / (double) TimeUnit.SECONDS.toNanos(1));
    } finally {
      pool.shutdown();
    }
  }
}
