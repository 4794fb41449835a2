package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
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

  /** Levels of 8 bits by which other processors may differ. */
  private static final int ROUNDING = 1;

  private static final String MODEL = "model";

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

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Map<Path, Map<String, String>> told = new LinkedHashMap<>();
    Inputs.requireFiles(files);
    for (Path file : files) {
      Map<String, String> words = Pictures.provenance(file);
      Origin.requireSample(file, words);
      requireOf(file, () -> Sampling.requireReproducible(words));
      told.put(file, words);
      if (output != null) {
        Pictures.requireSavable(output.resolve(file.getFileName()));
      }
    }
    model.check();
    DDPM.endStepsOnShutdown();
    int worst = 0;
    JsonArray all = new JsonArray();
    PrintWriter out = spec.commandLine().getOut();
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager()) {
      for (Path file : files) {
        Drawn drawn = draw(loaded, file, told.getOrDefault(file, Map.of()));
        int difference = difference(drawn.picture, pictureOf(manager, file), file);
        if (json) {
          JsonObject one = new JsonObject();
          one.addProperty("file", file.toString());
          one.addProperty("difference", difference);
          all.add(one);
        } else {
          out.println(
              file
                  + ": "
                  + (difference == 0 ? "the same" : "differs by up to " + difference + " of 255"));
          out.flush();
        }
        worst = Math.max(worst, difference);
        if (output != null) {
          Pictures.write(drawn.picture, output.resolve(file.getFileName()), drawn.words);
        }
      }
    }
    if (json) {
      JsonObject result = new JsonObject();
      result.add("pictures", all);
      result.addProperty("greatest difference", worst);
      out.println(result);
      out.flush();
    }
    return worst > ROUNDING ? 1 : 0;
  }

  /** A check whose complaint names the file. */
  private static void requireOf(Path file, Runnable check) {
    try {
      check.run();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  private record Drawn(BufferedImage picture, Map<String, String> words) {}

  private static BufferedImage pictureOf(NDManager manager, Path file) throws IOException {
    try (NDArray read = Pictures.read(manager, file)) {
      return Pictures.of(read).toImages().get(0);
    }
  }

  private Drawn draw(LoadedModel loaded, Path file, Map<String, String> words) throws IOException {
    Map<String, String> asked = new LinkedHashMap<>(words);
    String before = asked.remove(MODEL); // compared below, since models of others do not tell
    try (Samples drawn = reproduced(loaded, file, asked)) {
      Map<String, String> now = loaded.provenance(drawn, 0);
      String other = now.getOrDefault(MODEL, "unknown");
      if (!anyModel && !other.equals(before)) {
        throw new IllegalArgumentException(
            file
                + " was drawn with the model "
                + (before == null ? "unknown" : before)
                + ", but that of "
                + model.name()
                + " is "
                + other
                + "; name that model, or insist by --any-model");
      }
      return new Drawn(drawn.pictures().get(0), now);
    }
  }

  private static Samples reproduced(LoadedModel loaded, Path file, Map<String, String> words) {
    Sampling sampling = loaded.sampling();
    requireOf(file, () -> sampling.startReproducing(words).close());
    return sampling.reproduce(words);
  }

  private static int difference(BufferedImage drawn, BufferedImage told, Path file) {
    if (!sizeOf(drawn).equals(sizeOf(told))) {
      throw new IllegalArgumentException(
          file + " is of " + sizeOf(told) + ", but the model draws " + sizeOf(drawn));
    }
    int worst = 0;
    for (int y = 0; y < drawn.getHeight(); y++) {
      for (int x = 0; x < drawn.getWidth(); x++) {
        for (int band = 0; band < drawn.getRaster().getNumBands(); band++) {
          int now = drawn.getRaster().getSample(x, y, band);
          worst = Math.max(worst, Math.abs(now - told.getRaster().getSample(x, y, band)));
        }
      }
    }
    return worst;
  }

  private static String sizeOf(BufferedImage picture) {
    return picture.getRaster().getNumBands()
        + "x"
        + picture.getHeight()
        + "x"
        + picture.getWidth()
        + " numbers";
  }
}
