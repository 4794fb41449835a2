package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
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
      "  ddpm reproduce -m digits filled.png --given seven.png,mask.png",
      "  ddpm reproduce -m stable-diffusion-v1-5 dogs.png dogs/00000003.png"
    })
final class ReproduceCommand implements Callable<Integer>, Interruptible {

  /** Levels of 8 bits by which other processors may differ. */
  private static final int ROUNDING = 1;

  private static final String MODEL = "model";
  private static final String LIMIT = "limit";

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private SingleFileOptions single = new SingleFileOptions();

  @Parameters(
      paramLabel = "FILE",
      arity = "1..*",
      description = "PNG files of single pictures, or grids of ddpm text and edit.")
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
  private final RedrawnBatches batches = new RedrawnBatches();

  /** Draws the picture of a file again. */
  @FunctionalInterface
  private interface Redrawing {
    Drawn of(Path file) throws IOException;
  }

  @Override
  public Integer call() throws IOException {
    Map<Path, Map<String, String>> told = new LinkedHashMap<>();
    Map<Path, Edit> edits = new LinkedHashMap<>();
    Map<Path, TextDrawing> texts = new LinkedHashMap<>();
    Inputs.requireFiles(files);
    for (Path file : files) {
      Map<String, String> words = Pictures.provenance(file);
      if (Origin.isEdit(words)) {
        edits.put(file, of(file, () -> Edit.told(words)));
      } else if (Origin.isText(words)) {
        Map<String, String> asked = askedOfText(file, words);
        texts.put(file, of(file, () -> TextDrawing.told(asked)));
        if (!TextDrawing.isGrid(asked)) {
          batches.expect(asked);
        }
      } else {
        Origin.requireSample(file, words);
        of(
            file,
            () -> {
              Sampling.requireReproducible(words);
              return words;
            });
        batches.expect(asked(words));
      }
      told.put(file, words);
      if (output != null) {
        Pictures.requireSavable(output.resolve(file.getFileName()));
      }
    }
    Given sources = Given.of(given);
    sources.requireAll(edits);
    model.check();
    return texts.isEmpty() ? bySampling(told, edits, sources) : byTexts(told, texts);
  }

  private int bySampling(Map<Path, Map<String, String>> told, Map<Path, Edit> edits, Given sources)
      throws IOException {
    LatentPipeline pipeline = LatentPipeline.ofTexts(model.name());
    if (pipeline != null) {
      throw otherThanTexts(files.get(0), pipeline);
    }
    single.requireNone(model.name());
    DDPM.endStepsOnShutdown();
    try (LoadedModel loaded = model.load();
        NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, files.size())) {
      return compare(
          manager,
          file -> {
            Map<String, String> words = told.getOrDefault(file, Map.of());
            Edit edit = edits.get(file);
            return edit == null
                ? sample(loaded, progress, file, words)
                : edited(loaded, manager, progress, file, words, edit, sources);
          });
    }
  }

  private int byTexts(Map<Path, Map<String, String>> told, Map<Path, TextDrawing> texts)
      throws IOException {
    LatentPipeline pipeline = pipeline(told, texts.keySet().iterator().next());
    TextToImage.Options options = model.of(pipeline).device(model.device()).decoderAlone();
    single.set(options, pipeline);
    for (Path file : files) {
      if (!texts.containsKey(file)) {
        throw otherThanTexts(file, pipeline);
      }
    }
    String weights = pipeline.weights();
    told.forEach(
        (file, words) -> {
          if (words.containsKey(Origin.WEIGHTS)) {
            requireModel(file, words, Map.of(Origin.WEIGHTS, weights));
          }
        });
    long drawn = 0;
    for (Path file : files) {
      boolean grid = TextDrawing.isGrid(told.getOrDefault(file, Map.of()));
      drawn += grid ? Objects.requireNonNull(texts.get(file)).all() : 1;
    }
    DDPM.endStepsOnShutdown();
    try (TextToImage loaded = pipeline.load(options);
        NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, drawn)) {
      TextDrawing.requireNoise(loaded, pipeline);
      return compare(
          manager,
          file -> {
            Map<String, String> words = told.getOrDefault(file, Map.of());
            TextDrawing drawing = Objects.requireNonNull(texts.get(file));
            Drawn now = text(loaded, progress, file, words, drawing);
            requireModel(file, words, beside(words, now.words(), weights));
            requireLimit(file, words, now.words());
            return new Drawn(now.picture(), beside(words, now.words(), weights));
          });
    }
  }

  /** The pipeline that pictures of texts are drawn by. */
  private LatentPipeline pipeline(Map<Path, Map<String, String>> told, Path file)
      throws IOException {
    try {
      return LatentPipeline.drawingTexts(model.name());
    } catch (IllegalArgumentException e) {
      Map<String, String> words = told.getOrDefault(file, Map.of());
      throw new IllegalArgumentException(
          file
              + " was drawn from a text by "
              + words.getOrDefault(MODEL, "unknown")
              + " ("
              + words.getOrDefault("pipeline", "unknown")
              + "), but "
              + model.name()
              + " is no such pipeline; name the one that it was drawn by",
          e);
    }
  }

  private static IllegalArgumentException otherThanTexts(Path file, LatentPipeline pipeline) {
    return new IllegalArgumentException(
        file
            + " was not drawn from a text, but "
            + pipeline.called()
            + " draws what texts say; name the model that it was drawn by");
  }

  /** Words of a picture that was drawn now, as the command says them that drew it before. */
  private static Map<String, String> beside(
      Map<String, String> told, Map<String, String> now, String weights) {
    return Origin.isOfTextCommand(told) ? Origin.ofText(now, weights) : now;
  }

  /** Compares pictures with those that are drawn now, and is the exit code. */
  private int compare(NDManager manager, Redrawing redrawing) throws IOException {
    int worst = 0;
    JsonArray all = new JsonArray();
    PrintWriter out = spec.commandLine().getOut();
    for (Path file : files) {
      Drawn drawn = redrawing.of(file);
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

  private Drawn sample(
      LoadedModel loaded, DrawingProgress progress, Path file, Map<String, String> words)
      throws IOException {
    Map<String, String> asked = asked(words);
    of(file, () -> loaded.sampling().startReproducing(asked)).close();
    Drawn one = batches.one(asked, wanted -> draw(loaded, progress, asked, wanted));
    requireModel(file, words, one.words());
    return one;
  }

  private Drawn text(
      TextToImage loaded,
      DrawingProgress progress,
      Path file,
      Map<String, String> words,
      TextDrawing drawing)
      throws IOException {
    if (TextDrawing.isGrid(words)) {
      return of(file, () -> drawing.grid(loaded, progress));
    }
    TextDrawing.Block block = drawing.blockOf((int) RedrawnBatches.indexOf(words));
    return batches.one(
        askedOfText(file, words),
        wanted -> {
          Map<Long, Drawn> all = new HashMap<>();
          try (Samples drawn = of(file, () -> drawing.draw(loaded, block, progress, wanted))) {
            List<BufferedImage> pictures = drawn.pictures();
            for (int i = 0; i < pictures.size(); i++) {
              Map<String, String> now = drawing.words(drawn, block, i);
              all.put(RedrawnBatches.indexOf(now), new Drawn(pictures.get(i), now));
            }
          }
          return all;
        });
  }

  /** What the pixels of a text depend on: the size of a single picture is its own. */
  private static Map<String, String> askedOfText(Path file, Map<String, String> words)
      throws IOException {
    Map<String, String> asked = asked(words);
    if (!TextDrawing.isGrid(words)) {
      asked.put(TextDrawing.SIZE, Inputs.sizeOf(file).toString());
    }
    return asked;
  }

  /** Words without the model, which is compared later, since models of others do not tell. */
  private static Map<String, String> asked(Map<String, String> words) {
    Map<String, String> asked = new LinkedHashMap<>(words);
    asked.remove(MODEL);
    return asked;
  }

  /** Draws a whole batch, of which some files are. */
  private static Map<Long, Drawn> draw(
      LoadedModel loaded, DrawingProgress progress, Map<String, String> asked, long wanted)
      throws IOException {
    Map<Long, Drawn> all = new HashMap<>();
    try (Samples drawn = progress.watchBatch(loaded.sampling(), wanted).reproduceBatch(asked)) {
      List<BufferedImage> pictures = drawn.pictures();
      for (int i = 0; i < pictures.size(); i++) {
        Map<String, String> now = loaded.provenance(drawn, i);
        all.put(RedrawnBatches.indexOf(now), new Drawn(pictures.get(i), now));
      }
    }
    return all;
  }

  private Drawn edited(
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
        return new Drawn(edit.grid(loaded, images), now);
      }
    }
  }

  private void requireModel(Path file, Map<String, String> told, Map<String, String> now) {
    String name = told.containsKey(Origin.WEIGHTS) ? Origin.WEIGHTS : MODEL;
    String before = told.getOrDefault(name, "unknown");
    String other = now.getOrDefault(name, "unknown");
    if (!anyModel && !(told.containsKey(name) && other.equals(before))) {
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
