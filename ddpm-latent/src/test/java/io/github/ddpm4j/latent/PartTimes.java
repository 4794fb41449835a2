package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Times one part of a folder that {@link RealSizes} wrote, for pictures of 512x512, and prints a
 * line of JSON: the seconds to load it, the median of a call's, and the process's peak of memory
 * beyond the weights during the calls. {@code ddpm-benchmark/peers/latent.py} runs it in turn with
 * Python's diffusers.
 *
 * <pre>
 * PartTimes FOLDER unet|decode|text BATCH FLOAT32|BFLOAT16 REPEATS
 * </pre>
 */
final class PartTimes {

  private static final int SIDE = 64;
  private static final int TOKENS = 77;
  private static final int WIDTH = 768;
  private static final int VOCABULARY = 49_408;

  /** Writing 5 there sets the peak of the process to what it has now. */
  private static final Path RESET = Path.of("/proc/self/clear_refs");

  private PartTimes() {}

  public static void main(String... args) throws IOException {
    Path folder = Path.of(args[0]);
    int batch = Integer.parseInt(args[2]);
    Precision precision = Precision.valueOf(args[3]);
    int repeats = Integer.parseInt(args[4]);
    try (NDManager manager = NDManager.newBaseManager()) {
      manager.create(1f).add(1); // loads the engine
      long start = System.nanoTime();
      switch (args[1]) {
        case "unet" -> {
          NDArray x = manager.randomNormal(new Shape(batch, 4, SIDE, SIDE));
          Condition text =
              Condition.contexts(manager.randomNormal(new Shape(batch, TOKENS, WIDTH)));
          try (Pretrained loaded = Pretrained.load(folder.resolve("unet"))) {
            Denoiser network = loaded.ddpm().denoiser().orElseThrow();
            ((UNet) network).hold(precision).runAs(Execution.COMPILED, precision);
            NoiseLevels levels = NoiseLevels.of(loaded.ddpm().schedule(), filled(batch, 500));
            time(args, start, folder, repeats, () -> network.predict(x, levels, text));
          }
        }
        case "decode" -> {
          NDArray latents = manager.randomNormal(new Shape(batch, 4, SIDE, SIDE));
          try (Autoencoder autoencoder =
              Autoencoder.load(folder.resolve("vae"), Device.cpu(), 0.18215)) {
            autoencoder.hold(precision).runAs(Execution.COMPILED, precision);
            time(args, start, folder, repeats, () -> autoencoder.decode(latents));
          }
        }
        default -> {
          int[][] ids = new int[batch][];
          Arrays.setAll(ids, i -> filled(TOKENS, i % VOCABULARY));
          try (TextEncoder encoder = TextEncoder.load(folder.resolve("text_encoder"))) {
            encoder.hold(precision).runAs(Execution.COMPILED, precision);
            time(args, start, folder, repeats, () -> encoder.encode(manager, ids));
          }
        }
      }
    }
  }

  private interface Call {
    NDArray run();
  }

  private static int[] filled(int length, int value) {
    int[] all = new int[length];
    Arrays.fill(all, value);
    return all;
  }

  private static void time(String[] args, long start, Path folder, int repeats, Call call)
      throws IOException {
    double loaded = seconds(start);
    double loadPeak = megabytes();
    Files.writeString(RESET, "5");
    double[] times = new double[repeats];
    for (int i = -1; i < repeats; i++) {
      long before = System.nanoTime();
      try (NDArray made = call.run()) {
        if (!Float.isFinite(made.flatten().getFloat(0))) {
          throw new IllegalStateException("not finite");
        }
      }
      if (i >= 0) {
        times[i] = seconds(before);
      }
    }
    Arrays.sort(times);
    String part = args[1].equals("unet") ? "unet" : args[1].equals("text") ? "text_encoder" : "vae";
    double weights = weights(folder.resolve(part)) / (args[3].equals("FLOAT32") ? 1 : 2);
    System.out.printf(
        Locale.ROOT,
        "{\"part\": \"%s\", \"batch\": %s, \"precision\": \"%s\", \"load\": %.2f, \"load_peak\": %.0f,"
            + " \"seconds\": %.3f, \"beyond\": %.0f}%n",
        args[1],
        args[2],
        args[3],
        loaded,
        loadPeak,
        times[repeats / 2],
        megabytes() - weights);
  }

  private static double seconds(long start) {
    return (System.nanoTime() - start) / 1e9;
  }

  private static double weights(Path part) throws IOException {
    double bytes = 0;
    try (Stream<Path> files = Files.list(part)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
        bytes += Files.size(file);
      }
    }
    return bytes / 1e6;
  }

  /** VmHWM of this process. */
  private static double megabytes() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D+", "")) * 1024 / 1e6;
      }
    }
    throw new IllegalStateException("no VmHWM");
  }
}
