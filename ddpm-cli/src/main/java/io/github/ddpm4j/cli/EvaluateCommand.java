package io.github.ddpm4j.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.report.internal.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Compares generated pictures with real ones. */
@Command(
    name = "evaluate",
    sortOptions = false,
    description = {
      "Compares a folder of pictures, or what a model draws, with a folder of real ones: Fréchet"
          + " distance, kernel distance, precision and recall, and for a model bits per dimension.",
      "Distances depend on the features: compare those of the same features and number alone. A"
          + " Fréchet distance of more than 256 features needs more pictures than features, and"
          + " has no interval.",
      "Parts of a large folder, or of what a model draws, are told of by --save, each by a process"
          + " (--shard), and put together by --merge."
    },
    footer = {
      "",
      "  ddpm evaluate real pictures --size 3x32x32",
      "  ddpm evaluate real pictures --size 3x32x32 --features lite0",
      "  ddpm evaluate real cifar10 -n 1000 --features inception.pt --features-side 299",
      "  ddpm evaluate cifar10 -n 50000 --shard 1/2 --save 1.safetensors",
      "  ddpm evaluate real --size 3x32x32 --merge 1.safetensors,2.safetensors"
    })
final class EvaluateCommand implements Callable<Integer> {

  private static final String COUNT = "--count";
  private static final String SHARD = "--shard";

  /** Precision and recall compare each picture with all. */
  private static final int USUAL_COUNT = 1000;

  /** Few, since each takes a call of the network for every timestep before it can be told. */
  private static final int LIKELIHOOD_BATCH = 16;

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "REAL",
      description =
          "A folder of real pictures; with --merge also a file of --save, with --save also a model.")
  private @Nullable Path real;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "GENERATED",
      converter = Names.OfModel.class,
      description = "A folder of pictures, or a model as -m of other commands.")
  private @Nullable String generated;

  @Option(
      names = "--save",
      paramLabel = "FILE",
      description =
          "Writes count, mean and covariance of the features of one folder, of what a model draws,"
              + " or of --merge.")
  private @Nullable Path save;

  @Option(
      names = SHARD,
      paramLabel = "K/N",
      converter = Shard.Converter.class,
      description = "With --save, only the part of the K-th of N processes.")
  private Shard shard = Shard.ALL;

  @Option(
      names = "--merge",
      paramLabel = "FILE",
      split = ",",
      description = "In place of GENERATED: all that these files of --save were made of.")
  private List<Path> merge = List.of();

  @Option(
      names = "--size",
      paramLabel = "CxHxW",
      converter = ImageSize.class,
      description = "What pictures are resized to (default: that of the model).")
  private @Nullable Shape size;

  @Option(
      names = {"-n", COUNT},
      paramLabel = "N",
      description =
          "The greatest number of pictures of each kind, taken at random by --seed where there are"
              + " more (default: "
              + USUAL_COUNT
              + "; of folders with --save or --merge, all).")
  private @Nullable Integer count;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Mixin private FeatureOptions features = new FeatureOptions();

  @Option(
      names = "--bits",
      paramLabel = "N",
      description =
          "Bits per dimension of so many real pictures, a call of the network for each timestep.")
  private @Nullable Integer bits;

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    if (save != null || !merge.isEmpty()) {
      return statistics();
    }
    if (real == null || generated == null) {
      throw new IllegalArgumentException(
          "REAL and GENERATED are needed, unless there is --save or --merge");
    }
    if (shard.count() > 1) {
      throw new IllegalArgumentException(
          SHARD + " needs --save, whose files --merge puts together");
    }
    return compared(real, generated);
  }

  private int compared(Path known, String drawn) throws IOException {
    boolean isModel = LoadedModel.isModel(drawn);
    check(isModel, known, drawn);
    DDPM.endStepsOnShutdown();
    try (NDManager manager = NDManager.newBaseManager()) {
      if (isModel) {
        model(manager, known, drawn);
      } else {
        Shape shape = required();
        FolderPictures reference = pictures(known, shape);
        FolderPictures images = pictures(Path.of(drawn), shape);
        try (FeatureOptions.Loaded loaded = features.load(device)) {
          double[][] real = rows(loaded, manager, reference);
          told(
              Figures.compare(features.name(), real, rows(loaded, manager, images))
                  .taken("real", reference)
                  .taken("generated", images));
        }
      }
    }
    return 0;
  }

  private FolderPictures pictures(Path folder, Shape shape) throws IOException {
    return FolderPictures.of(folder, shape, usualCount(), sampler.settings().seed(), Shard.ALL);
  }

  private int usualCount() {
    return count == null ? USUAL_COUNT : count;
  }

  private void model(NDManager manager, Path folder, String drawnBy) throws IOException {
    try (LoadedModel loaded = LoadedModel.load(drawnBy, Cli.device(device))) {
      DDPM ddpm = loaded.ddpm();
      FolderPictures real = pictures(folder, loaded.shape());
      DrawnPictures drawn = new DrawnPictures(loaded, sampler.settings(), real.size(), Shard.ALL);
      Figures figures;
      try (FeatureOptions.Loaded network = features.load(device)) {
        double[][] known = rows(network, manager, real);
        figures =
            Figures.compare(features.name(), known, rows(network, manager, drawn))
                .taken("real", real);
      }
      Integer judged = bits;
      if (judged != null) {
        NDArray images = ChannelRanges.fromUnit(real.read(manager), ddpm.dataRange());
        figures = figures.and(bits(ddpm, images, judged));
      }
      told(figures);
    }
  }

  private BitsPerDimResult bits(DDPM ddpm, NDArray images, int most) {
    long total = Math.min(most, images.getShape().get(0));
    try (Progress progress = Ddpm.progress(spec, "likelihood", "pictures").silentIfShort()) {
      return ddpm.bitsPerDim()
          .images(most)
          .batchSize(LIKELIHOOD_BATCH)
          .seed(sampler.settings().seed())
          .listener(so -> progress.to(so.images(), total, ""))
          .of(images);
    }
  }

  private double[][] rows(FeatureOptions.Loaded loaded, NDManager manager, PictureBatches pictures)
      throws IOException {
    List<double[]> rows = new ArrayList<>();
    inBatches(loaded, manager, pictures, some -> rows.addAll(Arrays.asList(some)));
    return rows.toArray(new double[0][]);
  }

  private void inBatches(
      FeatureOptions.Loaded loaded,
      NDManager manager,
      PictureBatches pictures,
      Consumer<double[][]> taker)
      throws IOException {
    pictures.forEachBatch(spec, manager, batch -> taker.accept(loaded.features().of(batch)));
  }

  private void told(Figures figures) {
    figures.print(spec.commandLine().getOut(), json);
  }

  /** What works with statistics of features, and not with pictures themselves. */
  private int statistics() throws IOException {
    checkStatistics();
    DDPM.endStepsOnShutdown();
    Path one = real;
    FeatureStatistics all = null;
    for (Path part : merge) {
      FeatureStatistics read = FeatureStatistics.load(part);
      try {
        all = all == null ? read : all.merge(read);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(part + ": " + e.getMessage(), e);
      }
    }
    FolderPictures folder =
        one == null || Files.isRegularFile(one) || isModel(one)
            ? null
            : FolderPictures.of(
                one,
                required(),
                count == null ? Long.MAX_VALUE : count,
                sampler.settings().seed(),
                shard);
    if (all == null) {
      all = folder == null ? drawn(Objects.requireNonNull(one)) : of(folder, required());
    } else if (one != null) {
      FeatureStatistics known =
          folder == null ? FeatureStatistics.load(one) : of(folder, required());
      Figures figures = Figures.of(all, known);
      told(folder == null ? figures : figures.taken("real", folder));
    }
    if (save != null) {
      FeatureStatistics saved = all;
      Path file = save;
      Writing.whole(() -> saved.save(file));
      told(file, saved, folder);
    }
    return 0;
  }

  /** Whether that is what is drawn from, and not compared with. */
  private boolean isModel(Path one) {
    return merge.isEmpty() && LoadedModel.isModel(one.toString());
  }

  private FeatureStatistics drawn(Path by) throws IOException {
    try (LoadedModel loaded = LoadedModel.load(by.toString(), Cli.device(device))) {
      DrawnPictures pictures = new DrawnPictures(loaded, sampler.settings(), usualCount(), shard);
      if (pictures.size() == 0) {
        throw shard.none(pictures.blocksOfAll(), "blocks of " + SampleCommand.BLOCK + " pictures");
      }
      return of(pictures, loaded.shape());
    }
  }

  private void told(Path file, FeatureStatistics saved, @Nullable FolderPictures folder) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      JsonObject result = new JsonObject();
      result.addProperty("file", file.toString());
      result.addProperty("features", saved.features());
      result.addProperty("pictures", saved.count());
      if (shard.count() > 1) {
        result.addProperty("shard", shard.toString());
      }
      if (folder != null) {
        result.add("folder", folder.toJson());
      }
      out.println(result);
    } else {
      String number = saved.count() + " pictures";
      if (shard.count() > 1) {
        number += " of shard " + shard;
      }
      if (folder != null && folder.isPart()) {
        number = (shard.count() > 1 ? number + ", " : "") + folder.said("pictures");
      }
      out.println(file + ": " + number + ", " + saved.features());
    }
    out.flush();
  }

  private FeatureStatistics of(PictureBatches pictures, Shape shape) throws IOException {
    try (NDManager manager = NDManager.newBaseManager();
        FeatureOptions.Loaded loaded = features.load(device)) {
      FeatureStatistics.Collector collector = FeatureStatistics.collector();
      inBatches(loaded, manager, pictures, collector::add);
      return collector.statistics().named(features.name(shape));
    }
  }

  private void checkStatistics() throws IOException {
    String option = merge.isEmpty() ? "--save" : "--merge";
    if (generated != null) {
      throw new IllegalArgumentException(
          option + " takes the place of GENERATED, but that was " + generated);
    }
    if (real == null && (merge.isEmpty() || save == null)) {
      throw new IllegalArgumentException(
          merge.isEmpty()
              ? "--save needs a folder of pictures, a model, or --merge"
              : "--merge needs REAL to compare with, or --save");
    }
    if (bits != null) {
      throw new IllegalArgumentException(
          "--bits needs real pictures and a model, but there is " + option);
    }
    if (shard.count() > 1 && !merge.isEmpty()) {
      throw new IllegalArgumentException(
          SHARD + " is for what is looked at, but there is --merge; leave it out");
    }
    if (real != null) {
      if (!merge.isEmpty() && save != null) {
        throw new IllegalArgumentException("--merge with --save has no REAL, but that was " + real);
      }
      checkKnown(real);
    }
    Inputs.require(merge);
    requireOnce(merge);
    checkNumbers();
    if (save != null) {
      Pictures.requireSavable(save);
    }
  }

  /** A part that counts twice would go unseen. */
  private static void requireOnce(List<Path> parts) throws IOException {
    Map<String, Path> seen = new HashMap<>();
    for (Path part : parts) {
      Path before = Files.isRegularFile(part) ? seen.put(Sha256.of(part), part) : null;
      if (before != null) {
        throw new IllegalArgumentException(
            "--merge takes each part once, but "
                + before
                + " and "
                + part
                + " hold the same; leave one out");
      }
    }
  }

  private void checkKnown(Path known) throws IOException {
    if (isModel(known)) {
      LoadedModel.require(known.toString());
      sampler.settings().check();
      if (size != null) {
        throw new IllegalArgumentException("--size is for folders; a model has its own");
      }
    } else {
      requirePictures(known, "; give a folder, or a file of --save");
      Inputs.require(List.of(known));
      if (Files.isDirectory(known)) {
        required();
      }
    }
  }

  private void check(boolean isModel, Path known, String drawn) throws IOException {
    requirePictures(known, "; a model comes second, after it");
    Inputs.require(isModel ? List.of(known) : List.of(known, Path.of(drawn)));
    if (bits != null) {
      Cli.atLeast("--bits", 1, bits);
      if (!isModel) {
        throw new IllegalArgumentException("--bits needs a model, but " + drawn + " is none");
      }
    }
    if (isModel && size != null) {
      throw new IllegalArgumentException("--size is for folders; a model has its own");
    }
    checkNumbers();
    sampler.settings().check();
  }

  private static void requirePictures(Path known, String wayOut) {
    if (LoadedModel.isSurelyModel(known.toString())) {
      throw new IllegalArgumentException(
          "REAL must be a folder of pictures, but " + known + " is a model" + wayOut);
    }
  }

  private void checkNumbers() throws IOException {
    if (count != null) {
      Cli.atLeast(COUNT, 4, count);
    }
    features.check();
    Cli.device(device);
  }

  private Shape required() {
    if (size == null) {
      throw new IllegalArgumentException(
          "folders of pictures need --size, such as 3x32x32, since pictures may differ in size");
    }
    return size;
  }
}
