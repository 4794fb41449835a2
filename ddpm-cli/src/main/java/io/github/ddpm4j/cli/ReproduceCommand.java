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
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;
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
    footer = {
      "",
      "  ddpm reproduce -m fashion pictures/00000003.png",
      "  ddpm reproduce -m digits filled.png --given seven.png,mask.png"
    })
final class ReproduceCommand implements Callable<Integer>, Interruptible {

  /** Levels of 8 bits by which other processors may differ. */
  private static final int ROUNDING = 1;

  private static final String MODEL = "model";
  private static final String IMAGE = "image";
  private static final String LIMIT = "limit";

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "PNG files of single pictures, or grids of ddpm edit.")
  private List<Path> files = List.of();

  @Option(
      names = "--given",
      paramLabel = "FILE",
      split = ",",
      description =
          "What ddpm edit made pictures from, masks too, in any order: they are found by what they"
              + " hold.")
  private List<Path> given = List.of();

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

  private int compared;

  /** The pictures of batches by their indexes, as long as there are files of them to come. */
  private final Map<Map<String, String>, Map<Long, Redrawn>> drawnBatches = new HashMap<>();

  private final Map<Map<String, String>, Long> left = new HashMap<>();

  @Override
  public Integer call() throws IOException {
    Map<Path, Map<String, String>> told = new LinkedHashMap<>();
    Map<Path, Edit> edits = new LinkedHashMap<>();
    Inputs.requireFiles(files);
    for (Path file : files) {
      Map<String, String> words = Pictures.provenance(file);
      if (Origin.isEdit(words)) {
        edits.put(file, of(file, () -> Edit.told(words)));
      } else {
        Origin.requireSample(file, words);
        of(
            file,
            () -> {
              Sampling.requireReproducible(words);
              return words;
            });
        left.merge(batchOf(asked(words)), 1L, Long::sum);
      }
      told.put(file, words);
      if (output != null) {
        Pictures.requireSavable(output.resolve(file.getFileName()));
      }
    }
    Given sources = Given.of(given);
    sources.requireAll(edits);
    model.check();
    DDPM.endStepsOnShutdown();
    int worst = 0;
    JsonArray all = new JsonArray();
    PrintWriter out = spec.commandLine().getOut();
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, files.size())) {
      for (Path file : files) {
        Map<String, String> words = told.getOrDefault(file, Map.of());
        Edit edit = edits.get(file);
        Redrawn drawn =
            edit == null
                ? sample(loaded, progress, file, words)
                : edited(loaded, manager, progress, file, words, edit, sources);
        int difference = drawn.differenceFrom(pictureOf(manager, file), file);
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
        compared++;
        if (output != null) {
          Pictures.write(drawn.picture(), output.resolve(file.getFileName()), drawn.words());
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

  @Override
  public String ended(CancellationException problem) {
    return "; " + compared + " of " + files.size() + " pictures were compared";
  }

  /** What comes of the words of a file; complaints name it. */
  private static <T> T of(Path file, Supplier<T> reader) {
    try {
      return reader.get();
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
    }
  }

  private static BufferedImage pictureOf(NDManager manager, Path file) throws IOException {
    try (NDArray read = Pictures.read(manager, file)) {
      return Pictures.of(read).toImages().get(0);
    }
  }

  private Redrawn sample(
      LoadedModel loaded, DrawingProgress progress, Path file, Map<String, String> words)
      throws IOException {
    Map<String, String> asked = asked(words);
    of(file, () -> loaded.sampling().startReproducing(asked)).close();
    Map<String, String> batch = batchOf(asked);
    Map<Long, Redrawn> drawn = drawnBatches.get(batch);
    if (drawn == null) {
      drawn = draw(loaded, progress, asked, left.getOrDefault(batch, 1L));
      drawnBatches.put(batch, drawn);
    }
    if (left.merge(batch, -1L, Long::sum) <= 0) {
      drawnBatches.remove(batch);
    }
    Redrawn one = Objects.requireNonNull(drawn.get(indexOf(asked)));
    requireModel(file, words, one.words());
    return one;
  }

  /** Words without the model, which is compared later, since models of others do not tell. */
  private static Map<String, String> asked(Map<String, String> words) {
    Map<String, String> asked = new LinkedHashMap<>(words);
    asked.remove(MODEL);
    return asked;
  }

  /** What files of pictures say alike that one run of the sampler draws. */
  private static Map<String, String> batchOf(Map<String, String> asked) {
    Map<String, String> batch = new LinkedHashMap<>(asked);
    long length = Long.parseLong(asked.getOrDefault("batchSize", "1"));
    batch.put(IMAGE, "batch " + indexOf(asked) / length);
    return batch;
  }

  private static long indexOf(Map<String, String> words) {
    return Long.parseLong(words.getOrDefault(IMAGE, "0"));
  }

  /** Draws a whole batch, of which some files are. */
  private static Map<Long, Redrawn> draw(
      LoadedModel loaded, DrawingProgress progress, Map<String, String> asked, long wanted)
      throws IOException {
    Map<Long, Redrawn> all = new HashMap<>();
    try (Samples drawn = progress.watchBatch(loaded.sampling(), wanted).reproduceBatch(asked)) {
      List<BufferedImage> pictures = drawn.pictures();
      for (int i = 0; i < pictures.size(); i++) {
        Map<String, String> now = loaded.provenance(drawn, i);
        all.put(indexOf(now), new Redrawn(pictures.get(i), now));
      }
    }
    return all;
  }

  private Redrawn edited(
      LoadedModel loaded,
      NDManager parent,
      DrawingProgress progress,
      Path file,
      Map<String, String> words,
      Edit edit,
      Given sources)
      throws IOException {
    try (NDManager manager = parent.newSubManager()) {
      NDArray pictures = sources.read(loaded, manager, edit.pictures());
      Source mask = edit.mask();
      NDArray white = mask == null ? null : sources.read(loaded, manager, List.of(mask));
      Sampling run = progress.watch(of(file, () -> edit.sampling(loaded)), edit.count(), 1);
      try (Samples made = of(file, () -> edit.make(loaded, run, pictures, white));
          NDArray images = made.toNDArray(manager)) {
        Map<String, String> now = edit.words(loaded, made);
        requireModel(file, words, now);
        requireLimit(file, words, now);
        return new Redrawn(edit.grid(loaded, images), now);
      }
    }
  }

  private void requireModel(Path file, Map<String, String> told, Map<String, String> now) {
    String before = told.getOrDefault(MODEL, "unknown");
    String other = now.getOrDefault(MODEL, "unknown");
    if (!anyModel && !(told.containsKey(MODEL) && other.equals(before))) {
      throw new IllegalArgumentException(
          file
              + " was drawn with the model "
              + before
              + ", but that of "
              + model.name()
              + " is "
              + other
              + "; name that model, or insist by --any-model");
    }
  }

  /** As a library's run refuses it for samples. */
  private static void requireLimit(Path file, Map<String, String> told, Map<String, String> now) {
    String before = told.get(LIMIT);
    String other = now.get(LIMIT);
    if (before != null && !before.equals(other)) {
      throw new IllegalArgumentException(
          file
              + " was drawn with the limit "
              + before
              + ", but that of this model is "
              + other
              + "; take the model that it was drawn by");
    }
  }
}
