package io.github.ddpm4j.examples;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.unet.UNet;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * How many images per second one network gives to 1, 2, 4 and 8 threads of Java that sample from it
 * at once: 28x28 pixels, {@value #STEPS} steps of DDIM, {@value #IMAGES} images to a request.
 *
 * <p>The threads of libtorch are those of {@code -Dai.djl.pytorch.num_threads}.
 */
public final class Serving {

  private static final int STEPS = 10;
  private static final int IMAGES = 4;
  private static final long SECONDS = 4;

  private Serving() {}

  /**
   * Measures and prints.
   *
   * @param arguments none
   * @throws Exception if a thread fails
   */
  public static void main(String[] arguments) throws Exception {
    try (UNet unet =
        UNet.builder().image(1, 28, 28).baseChannels(32).channelMultipliers(1, 2).build()) {
      DDPM ddpm = DDPM.builder().denoiser(unet).build();
      System.out.println(unet);
      imagesPerSecond(ddpm, 1); // warm
      double alone = imagesPerSecond(ddpm, 1);
      for (int threads : new int[] {1, 2, 4, 8}) {
        double rate = threads == 1 ? alone : imagesPerSecond(ddpm, threads);
        System.out.printf(
            Locale.ROOT,
            "num_threads %s, %d threads of Java: %.1f images/s, %.2f of one%n",
            System.getProperty("ai.djl.pytorch.num_threads", "not set"),
            threads,
            rate,
            rate / alone);
      }
    }
  }

  private static double imagesPerSecond(DDPM ddpm, int threads) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      long start = System.nanoTime();
      long end = start + TimeUnit.SECONDS.toNanos(SECONDS);
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
