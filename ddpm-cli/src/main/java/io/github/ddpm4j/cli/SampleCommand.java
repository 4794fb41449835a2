package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.picture.PngChunks;
import io.github.ddpm4j.internal.picture.SampleFolder;
import io.github.ddpm4j.sampling.SampleBlocks;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;

/** Draws pictures. */
@Command(
    name = "sample",
    sortOptions = false,
    description = "Draws pictures: a grid in one file, or a file each in a folder.",
    footer = {
      "",
      "A folder is filled by any number of processes, and goes on where it was:",
      "  ddpm sample -m fashion -n 1000000 --shard 3/64 -o pictures",
      "A grid of two classes in turn:",
      "  ddpm sample -m fashion -n 16 -c Sandal,Bag -g 2 -o grid.png"
    })
final class SampleCommand implements Callable<Integer>, Interruptible {

  /** The pictures of a block, unless --block says otherwise. */
  static final int BLOCK = 16;

  private static final String SEEDS = "--seeds";
  private static final int MOST_IN_A_GRID = 10_000;

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private ModelOptions model = new ModelOptions();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Option(
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The number of pictures (default: ${DEFAULT-VALUE}).")
  private long count = 16;

  @Option(
      names = "--from",
      paramLabel = "INDEX",
      description = "The index of the first (default: ${DEFAULT-VALUE}).")
  private long from;

  @Option(
      names = SEEDS,
      paramLabel = "SEED",
      split = ",",
      description =
          "A seed for each picture, in place of --seed, --count and --from; those go before seeds"
              + " of --config.")
  private List<Long> seeds = List.of();

  @Option(
      names = "--shard",
      paramLabel = "K/N",
      converter = Shard.Converter.class,
      description = "Only the blocks of the K-th of N processes.")
  private Shard shard = Shard.ALL;

  @Option(
      names = "--block",
      paramLabel = "N",
      description = "Pictures are drawn in blocks of so many (default: ${DEFAULT-VALUE}).")
  private int block = BLOCK;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "PATH",
      required = true,
      description = "A file that ends in .png for a grid, or a folder.")
  private Path output = Path.of("");

  @Option(names = "--columns", paramLabel = "N", description = "The columns of a grid.")
  private @Nullable Integer columns;

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  /** The pictures of a folder that this process sees to, once it does, and those that are there. */
  private long wanted;

  private long there;

  @Override
  public Integer call() throws IOException {
    boolean grid = Inputs.isPng(output);
    check(grid);
    DDPM.endStepsOnShutdown();
    SampleBlocks blocks = new SampleBlocks(sampler.settings().seed(), block);
    try (LoadedModel loaded = model.load()) {
      if (grid) {
        Shape each = loaded.shape();
        Grids.requireModest(seeds.isEmpty() ? count : seeds.size(), each.get(1), each.get(2));
      }
      if (!seeds.isEmpty()) {
        return bySeeds(loaded, grid);
      }
      return grid ? grid(loaded, blocks) : folder(loaded, blocks);
    }
  }

  @Override
  public String ended(CancellationException problem) {
    return ended(there, wanted);
  }

  private void check(boolean grid) throws IOException {
    if (count < 1 || count > (grid ? MOST_IN_A_GRID : Integer.MAX_VALUE)) {
      throw new IllegalArgumentException(
          "--count must be at least 1"
              + (grid ? ", and at most " + MOST_IN_A_GRID + " in a grid" : "")
              + ", but was "
              + count);
    }
    if (from < 0) {
      throw new IllegalArgumentException("--from must be at least 0, but was " + from);
    }
    if (grid && shard.count() > 1) {
      throw new IllegalArgumentException("--shard needs a folder, but -o was " + output);
    }
    if (columns != null) {
      Cli.atLeast("--columns", 1, columns);
      if (!grid) {
        throw new IllegalArgumentException("--columns needs a grid, but -o was " + output);
      }
    }
    Cli.atLeast("--block", 1, block);
    checkSeeds();
    if (grid) {
      Pictures.requireSavable(output);
    } else {
      Inputs.requireNoPicture(output);
      Inputs.requireFolder(output);
    }
    sampler.settings().check();
    model.check();
  }

  /** Of what was typed, one; what was typed goes before a file of options. */
  private void checkSeeds() {
    if (seeds.isEmpty()) {
      return;
    }
    ParseResult typed = spec.commandLine().getParseResult();
    for (String other : List.of("--seed", "--count", "--from", "--shard", "--block")) {
      if (typed.hasMatchedOption(other)) {
        if (typed.hasMatchedOption(SEEDS)) {
          throw new IllegalArgumentException("--seeds takes the place of " + other + "; leave one");
        }
        seeds = List.of();
        return;
      }
    }
    if (new HashSet<>(seeds).size() < seeds.size()) {
      throw new IllegalArgumentException("--seeds must differ, but were " + seeds);
    }
  }

  private int bySeeds(LoadedModel loaded, boolean grid) throws IOException {
    long drawn = 0;
    Map<String, String> settings = grid ? Map.of() : settingsOfSeeds(loaded);
    if (!grid) {
      SampleFolder.require(output, settings);
      wanted = seeds.size();
    }
    try (NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, seeds.size())) {
      NDList all = new NDList();
      Map<String, String> words = new LinkedHashMap<>();
      for (int i = 0; i < seeds.size(); i++) {
        Path file = output.resolve("seed-" + seeds.get(i) + ".png");
        if (!grid && PngChunks.areWhole(file)) {
          progress.leaveOut(1);
          there++;
          continue;
        }
        Sampling sampling = sampler.settings().of(loaded, i, 1).seed(seeds.get(i));
        try (Samples samples = progress.watch(sampling, 1, 1).generate(1)) {
          if (grid) {
            all.add(samples.toNDArray(manager));
            words.putAll(loaded.provenance(samples, 0));
          } else {
            BufferedImage picture = pictures(loaded, samples.toNDArray(manager)).get(0);
            SampleFolder.open(output, settings);
            Pictures.write(picture, file, loaded.provenance(samples, 0));
            there++;
          }
        }
        drawn++;
      }
      if (grid) {
        words.keySet().removeAll(Origin.OF_ONE);
        words.keySet().removeAll(List.of("seed", "images", "image", "batchSize"));
        words.putAll(sampler.settings().asked());
        words.put("seeds", seeds.toString());
        save(loaded, NDArrays.concat(all), words);
      }
    }
    return told(seeds.size(), drawn);
  }

  private int grid(LoadedModel loaded, SampleBlocks blocks) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, count)) {
      NDList all = new NDList();
      Map<String, String> words = new LinkedHashMap<>();
      for (long b = blocks.of(from); blocks.first(b) < from + count; b++) {
        long first = Math.max(0, from - blocks.first(b));
        long last = Math.min(blocks.length(), from + count - blocks.first(b));
        try (Samples drawn = draw(loaded, blocks, b, progress, last - first)) {
          NDArray pictures = drawn.toNDArray(manager);
          all.add(pictures.get(first + ":" + last));
          words.putAll(blocks.provenance(loaded.provenance(drawn, (int) first), b, (int) first));
        }
      }
      words.keySet().removeAll(Origin.OF_ONE);
      words.putAll(sampler.settings().asked());
      words.put("image", from + " to " + (from + count - 1));
      save(loaded, NDArrays.concat(all), words);
    }
    return told(count, count);
  }

  private void save(LoadedModel loaded, NDArray pictures, Map<String, String> words)
      throws IOException {
    Pictures grid = Grids.of(loaded, pictures);
    if (columns != null) {
      grid = grid.columns(columns);
    }
    Pictures.write(grid.toGrid(), output, words);
  }

  private int folder(LoadedModel loaded, SampleBlocks blocks) throws IOException {
    SampleFolder folder = null;
    Map<String, String> settings = Map.of();
    long drawn = 0;
    long asked = ofShard(blocks);
    try (NDManager manager = NDManager.newBaseManager();
        DrawingProgress progress = new DrawingProgress(spec, asked)) {
      for (long b = blocks.of(from); blocks.first(b) < from + count; b++) {
        long first = Math.max(from, blocks.first(b));
        long end = Math.min(from + count, blocks.first(b + 1));
        if (!shard.has(b)) {
          continue;
        }
        if (folder == null) {
          settings = settings(loaded);
          folder = SampleFolder.require(output, settings);
          wanted = asked;
        }
        if (folder.has(first, end)) {
          progress.leaveOut(end - first);
          there += end - first;
        } else {
          try (Samples samples = draw(loaded, blocks, b, progress, end - first);
              NDArray array = samples.toNDArray(manager)) {
            List<BufferedImage> pictures = pictures(loaded, array);
            SampleFolder.open(output, settings);
            for (long index = first; index < end; index++) {
              int place = (int) (index - blocks.first(b));
              Pictures.write(
                  pictures.get(place),
                  folder.file(index),
                  blocks.provenance(loaded.provenance(samples, place), b, place));
              there++;
            }
          }
          drawn += end - first;
        }
      }
    }
    return told(count, drawn);
  }

  private static List<BufferedImage> pictures(LoadedModel loaded, NDArray images) {
    return Pictures.of(images).dataRange(loaded.ddpm().dataRange()).toImages();
  }

  /** The pictures of the blocks that are this process's. */
  private long ofShard(SampleBlocks blocks) {
    long all = 0;
    for (long b = blocks.of(from); blocks.first(b) < from + count; b++) {
      if (shard.has(b)) {
        all += Math.min(from + count, blocks.first(b + 1)) - Math.max(from, blocks.first(b));
      }
    }
    return all;
  }

  private Samples draw(
      LoadedModel loaded, SampleBlocks blocks, long b, DrawingProgress progress, long wanted) {
    Sampling sampling = sampler.settings().of(loaded, blocks.first(b), blocks.length());
    return blocks.draw(progress.watch(sampling, blocks.length(), wanted), b);
  }

  /** What the bits of the pictures depend on. */
  private Map<String, String> settings(LoadedModel loaded) throws IOException {
    Map<String, String> words = new LinkedHashMap<>();
    // The cheapest picture there is, for what is known of the model.
    Sampling cheap = sampler.settings().of(loaded, 0, 1).sampler(Samplers.consistency(1));
    try (Samples one = cheap.generate(1)) {
      words.putAll(loaded.provenance(one, 0));
    }
    words.keySet().removeAll(Origin.OF_ONE);
    words.keySet().removeAll(List.of("images", "image", "batchSize"));
    words.put("sampler", sampler.settings().text(loaded));
    words.putAll(sampler.settings().asked());
    words.put("block", Integer.toString(block));
    return words;
  }

  /** The same of pictures by their seeds, which more may follow. */
  private Map<String, String> settingsOfSeeds(LoadedModel loaded) throws IOException {
    Map<String, String> words = settings(loaded);
    words.keySet().removeAll(List.of("seed", "block"));
    if (sampler.settings().alternates()) {
      words.put("seeds", seeds.toString()); // the place of each decides what it shows
    }
    return words;
  }

  private int told(long asked, long drawn) {
    return told(spec, json, output, asked, drawn);
  }

  /** Tells of pictures that were drawn, and is the exit code. */
  static int told(CommandSpec spec, boolean json, Path output, long asked, long drawn) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      JsonObject result = new JsonObject();
      result.addProperty("output", output.toString());
      result.addProperty("pictures", asked);
      result.addProperty("drawn", drawn);
      out.println(result);
    } else {
      out.println(output + ": " + drawn + " of " + asked + " pictures drawn now");
    }
    out.flush();
    return 0;
  }

  /**
   * What is said of a folder that Ctrl-C left.
   *
   * @param wanted 0 if there is none
   */
  static String ended(long there, long wanted) {
    return wanted == 0
        ? "; nothing was written"
        : "; " + there + " of " + wanted + " pictures are there, and the same line goes on";
  }
}
