package io.github.ddpm4j.spark;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.SparkSession;

/** The one session of all tests, and models that are as small as they can be. */
final class Local {

  static final int TIMESTEPS = 20;

  private Local() {}

  /** Two tasks at once; a task that fails is not run again. */
  static SparkSession spark() {
    return SparkSession.builder()
        .master("local[2]")
        .appName("ddpm-spark")
        .config("spark.ui.enabled", false)
        // Spark ends a session that a busy machine lets wait for too long.
        .config("spark.network.timeout", "1h")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", 2)
        .config("spark.sql.warehouse.dir", System.getProperty("java.io.tmpdir") + "/warehouse")
        .getOrCreate();
  }

  /** What opens the JDK to Spark in this process, for those that it starts. */
  static List<String> opens() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--add-opens"))
        .toList();
  }

  /** A folder of a model for grey 8x8 pictures of cats and dogs, with random weights. */
  static Path model(Path folder, int seed) throws IOException {
    try (UNet unet =
            UNet.builder()
                .image(1, 8, 8)
                .baseChannels(4)
                .channelMultipliers(1, 2)
                .groups(2)
                .residualBlocks(1)
                .attentionAtLevels()
                .classes(2)
                .seed(seed)
                .build();
        DDPM ddpm =
            DDPM.builder()
                .classNames(List.of("cat", "dog"))
                .schedule(Schedules.linear(TIMESTEPS))
                .denoiser(unet)
                .build()) {
      // The last layer begins at zero, which would make all models one.
      unet.weights().values().forEach(w -> w.addi(unet.weights().size() * 1e-3));
      ddpm.save(folder);
    }
    return folder;
  }
}
