package io.github.ddpm4j.cli;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;

/** Models and pictures that are as small as they can be. */
final class Tiny {

  private Tiny() {}

  /** A folder of a model for grey 8x8 pictures of cats and dogs, with random weights. */
  static Path model(Path folder, int seed) throws IOException {
    return model(folder, seed, List.of("cat", "dog"));
  }

  static Path model(Path folder, int seed, List<String> classes) throws IOException {
    var network = network(seed);
    if (!classes.isEmpty()) {
      network.classes(classes.size());
    }
    return save(folder, network, DDPM.builder().classNames(classes));
  }

  /** A folder of a model for grey 8x8 pictures by attributes, with random weights. */
  static Path model(Path folder, Attributes attributes) throws IOException {
    return save(
        folder,
        network(1).vectorCondition(attributes.length()),
        DDPM.builder().metadata(Map.of(Attributes.METADATA, attributes.toString())));
  }

  private static UNetBuilder network(int seed) {
    return UNet.builder()
        .image(1, 8, 8)
        .baseChannels(4)
        .channelMultipliers(1, 2)
        .groups(2)
        .residualBlocks(1)
        .attentionAtLevels()
        .seed(seed);
  }

  private static Path save(Path folder, UNetBuilder network, DDPM.Builder model)
      throws IOException {
    try (UNet unet = network.build();
        DDPM ddpm = model.schedule(Schedules.linear(20)).denoiser(unet).build()) {
      // The last layer begins at zero, which would make all models one.
      unet.weights().values().forEach(w -> w.addi(unet.weights().size() * 1e-3));
      ddpm.save(folder);
    }
    return folder;
  }

  /** Where pipelines of diffusers with random weights are. */
  static final Path PIPELINES = Path.of("../ddpm-latent/src/test/resources/pipelines");

  /** A copy of such a pipeline. */
  static Path pipeline(String name, Path to) throws IOException {
    Path from = PIPELINES.resolve(name);
    try (Stream<Path> all = Files.walk(from)) {
      for (Path path : all.toList()) {
        Path copy = to.resolve(from.relativize(path).toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(copy);
        } else {
          Files.copy(path, copy);
        }
      }
    }
    return to;
  }

  /** A folder of grey 8x8 pictures. */
  static Path pictures(Path folder, int count, int seed) throws IOException {
    for (int i = 0; i < count; i++) {
      picture(folder.resolve("picture-" + i + ".png"), 8, seed + i);
    }
    return folder;
  }

  /** A grey picture. */
  static Path picture(Path file, int side, int seed) throws IOException {
    Random random = new Random(seed);
    BufferedImage picture = new BufferedImage(side, side, BufferedImage.TYPE_BYTE_GRAY);
    for (int y = 0; y < side; y++) {
      for (int x = 0; x < side; x++) {
        picture.getRaster().setSample(x, y, 0, random.nextInt(256));
      }
    }
    Pictures.write(picture, file);
    return file;
  }
}
