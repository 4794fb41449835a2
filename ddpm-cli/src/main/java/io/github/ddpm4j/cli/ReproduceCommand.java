package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Draws pictures again from what their files say. */
@Command(
    name = "reproduce",
    sortOptions = false,
    description = {
      "Draws pictures again from what their files say of how they were drawn, and compares.",
      "The exit code is 1 if one differs by more than rounding."
    },
    footer = {"", "  ddpm reproduce -m fashion pictures/00000003.png"})
final class ReproduceCommand implements Callable<Integer> {

  private static final Pattern GUIDANCE = Pattern.compile("classifierFree\\((.+)\\)");

  /** Levels of 8 bits by which other processors may differ. */
  private static final int ROUNDING = 1;

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();

  @Parameters(paramLabel = "FILE", arity = "1..*", description = "PNG files of single pictures.")
  private List<Path> files = List.of();

  @Option(
      names = "--any-model",
      description = "Also by a model whose weights are others than the file says.")
  private boolean anyModel;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      description = "Where to write the pictures as they were drawn now.")
  private @Nullable Path output;

  @Override
  public Integer call() throws IOException {
    DDPM.endStepsOnShutdown();
    int worst = 0;
    PrintWriter out = spec.commandLine().getOut();
    try (DDPM ddpm = model.load();
        NDManager manager = NDManager.newBaseManager()) {
      for (Path file : files) {
        Drawn drawn = draw(ddpm, manager, file);
        int difference = difference(drawn.picture, pictureOf(ddpm, manager, file), file);
        out.println(
            file
                + ": "
                + (difference == 0 ? "the same" : "differs by up to " + difference + " of 255"));
        out.flush();
        worst = Math.max(worst, difference);
        if (output != null) {
          Pictures.write(drawn.picture, output.resolve(file.getFileName()), drawn.words);
        }
      }
    }
    return worst > ROUNDING ? 1 : 0;
  }

  private record Drawn(BufferedImage picture, Map<String, String> words) {}

  private static BufferedImage pictureOf(DDPM ddpm, NDManager manager, Path file)
      throws IOException {
    try (NDArray read = Pictures.read(manager, file)) {
      return Pictures.of(read).dataRange(ddpm.dataRange()).toImages().get(0);
    }
  }

  private Drawn draw(DDPM ddpm, NDManager manager, Path file) throws IOException {
    Map<String, String> words = Pictures.provenance(file);
    if (!words.containsKey("sampler") || !words.containsKey("image")) {
      throw new IllegalArgumentException(
          file
              + " does not say how it was drawn"
              + (words.containsKey("sampler")
                  ? ": it is a grid; name the file of one picture"
                  : "; name a PNG file of a sample of this library"));
    }
    require(words, "use", "noise", file);
    long image = number(words, "image", file);
    long images = number(words, "images", file);
    int length = (int) number(words, "batchSize", file);
    long first = image / length * length;
    int count = (int) Math.min(length, images - first);
    long seed = number(words, "seed", file);
    Blocks blocks = new Blocks(length);
    Sampling sampling = ddpm.sampling().sampler(Samplers.parse(words.get("sampler")));
    if (words.containsKey("label")) {
      // Labels of the others in the batch don't matter: an image depends on its own alone.
      sampling.condition(Condition.labels((int) number(words, "label", file)));
    }
    String guidance = words.getOrDefault("guidance", "none");
    Matcher scale = GUIDANCE.matcher(guidance);
    if (scale.matches()) {
      sampling.guidance(Guidance.classifierFree(Double.parseDouble(scale.group(1))));
    } else {
      require(words, "guidance", "none", file);
    }
    try (Samples drawn = blocks.draw(sampling, seed, image / length, count);
        NDArray all = drawn.toNDArray(manager)) {
      Map<String, String> now =
          blocks.provenance(drawn, seed, image / length, (int) (image - first));
      if (!anyModel) {
        requireSameModel(words, now, file);
      }
      return new Drawn(
          Pictures.of(all).dataRange(ddpm.dataRange()).toImages().get((int) (image - first)), now);
    }
  }

  private void requireSameModel(Map<String, String> words, Map<String, String> now, Path file) {
    String before = words.getOrDefault("model", "unknown");
    String other = now.getOrDefault("model", "unknown");
    if (!before.equals(other)) {
      throw new IllegalArgumentException(
          file
              + " was drawn by the weights "
              + before
              + ", but those of "
              + model.name()
              + " are "
              + other
              + "; name that model, or insist by --any-model");
    }
  }

  private static void require(Map<String, String> words, String name, String value, Path file) {
    String found = words.get(name);
    if (!value.equals(found)) {
      throw new IllegalArgumentException(
          file
              + " can't be drawn again from what it says: its "
              + name
              + " is "
              + found
              + ", and only "
              + value
              + " is told in full");
    }
  }

  private static long number(Map<String, String> words, String name, Path file) {
    try {
      return Long.parseLong(words.getOrDefault(name, ""));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          file + " says no " + name + " by which it could be drawn again", e);
    }
  }

  private static int difference(BufferedImage one, BufferedImage other, Path file) {
    if (one.getWidth() != other.getWidth() || one.getHeight() != other.getHeight()) {
      throw new IllegalArgumentException(
          file
              + " is of "
              + other.getWidth()
              + "x"
              + other.getHeight()
              + " pixels, but the model draws "
              + one.getWidth()
              + "x"
              + one.getHeight());
    }
    int worst = 0;
    for (int y = 0; y < one.getHeight(); y++) {
      for (int x = 0; x < one.getWidth(); x++) {
        int a = one.getRGB(x, y);
        int b = other.getRGB(x, y);
        for (int shift = 0; shift < 24; shift += 8) {
          worst = Math.max(worst, Math.abs((a >> shift & 0xff) - (b >> shift & 0xff)));
        }
      }
    }
    return worst;
  }
}
