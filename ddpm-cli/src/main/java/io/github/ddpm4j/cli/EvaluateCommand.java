package io.github.ddpm4j.cli;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.evaluation.BitsPerDimResult;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.Estimate;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.models.EfficientNetLite0;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
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
      "Parts of a large folder are told of by --save, each by a process, and put together by"
          + " --merge."
    },
    footer = {
      "",
      "  ddpm evaluate real pictures --size 3x32x32",
      "  ddpm evaluate real pictures --size 3x32x32 --features lite0",
      "  ddpm evaluate real cifar10 -n 1000 --features inception.pt --features-side 299",
      "  ddpm evaluate part-1 --size 3x32x32 --save 1.safetensors",
      "  ddpm evaluate real --size 3x32x32 --merge 1.safetensors,2.safetensors"
    })
final class EvaluateCommand implements Callable<Integer> {

  private static final int MOST_FRECHET = 2048;
  private static final long BATCH = 64;

  /** The most features for which the Fréchet distance has an interval, and is told of few. */
  private static final int MOST_RESAMPLED = 256;

  /** The network in the box. A file of this name goes before it. */
  private static final Path LITE0 = Path.of("lite0");

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "REAL",
      description = "A folder of real pictures; with --merge, or a file of --save.")
  private @Nullable Path real;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "GENERATED",
      description = "A folder of pictures, or a model as -m of other commands.")
  private @Nullable String generated;

  @Option(
      names = "--save",
      paramLabel = "FILE",
      description =
          "Writes count, mean and covariance of the features of one folder, or of --merge.")
  private @Nullable Path save;

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
      names = {"-n", "--count"},
      paramLabel = "N",
      description = "The greatest number of pictures of each kind (default: ${DEFAULT-VALUE}).")
  private int count = 1000;

  @Option(
      names = "--device",
      paramLabel = "DEVICE",
      description = "cpu, gpu0, gpu1, ... (default: ${DEFAULT-VALUE}).")
  private String device = "cpu";

  @Option(
      names = "--features",
      paramLabel = "FILE",
      description =
          "A network in TorchScript for pixels in [0, 1], or lite0, the EfficientNet-Lite0 in the"
              + " box (default: the pixels).")
  private @Nullable Path features;

  @Option(
      names = "--features-side",
      paramLabel = "N",
      description = "The side to which pictures are resized for it.")
  private @Nullable Integer side;

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
        NDArray reference = Inputs.folder(manager, known, shape, count);
        print(compare(reference, Inputs.folder(manager, Path.of(drawn), shape, count)), null);
      }
    }
    return 0;
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
    if (all == null) {
      all = of(Objects.requireNonNull(one));
    } else if (one != null) {
      FeatureStatistics reference =
          Files.isRegularFile(one) ? FeatureStatistics.load(one) : of(one);
      print(all, reference, FrechetDistance.between(all, reference));
    }
    if (save != null) {
      all.save(save);
      PrintWriter out = spec.commandLine().getOut();
      if (!json) {
        out.println(save + ": " + all.count() + " pictures, " + all.features());
      }
      out.flush();
    }
    return 0;
  }

  private FeatureStatistics of(Path folder) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Shape shape = required();
      NDArray images = Inputs.folder(manager, folder, shape, count);
      FeatureStatistics.Collector collector = FeatureStatistics.collector();
      try (Rows rows = rows()) {
        long number = images.getShape().get(0);
        for (long first = 0; first < number; first += BATCH) {
          NDArray some = images.get(first + ":" + Math.min(number, first + BATCH));
          try (some) {
            collector.add(rows.features().of(some));
          }
        }
      }
      return collector.statistics().named(featuresName(shape));
    }
  }

  /** What statistics must share to be compared: features of other sizes are other features. */
  private String featuresName(Shape shape) {
    String size = shape.get(0) + "x" + shape.get(1) + "x" + shape.get(2);
    if (features == null) {
      return "pixels of " + size;
    }
    return (isLite0() ? "EfficientNet-Lite0" : features.getFileName())
        + (side == null ? "" : " at " + side + "x" + side)
        + ", of pictures of "
        + size;
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
              ? "--save needs a folder of pictures, or --merge"
              : "--merge needs REAL to compare with, or --save");
    }
    if (bits != null) {
      throw new IllegalArgumentException("--bits needs a model, but there is " + option);
    }
    if (real != null) {
      if (!merge.isEmpty() && save != null) {
        throw new IllegalArgumentException("--merge with --save has no REAL, but that was " + real);
      }
      Inputs.require(List.of(real));
      if (Files.isDirectory(real)) {
        required();
      } else if (merge.isEmpty()) {
        throw new NotDirectoryException(real.toString());
      }
    }
    Inputs.require(merge);
    checkNumbers();
    if (save != null) {
      Pictures.requireSavable(save);
    }
  }

  private void check(boolean isModel, Path known, String drawn) throws IOException {
    Inputs.require(isModel ? List.of(known) : List.of(known, Path.of(drawn)));
    if (bits != null) {
      Cli.atLeast("--bits", 1, bits);
      if (!isModel) {
        throw new IllegalArgumentException("--bits needs a model, but " + drawn + " is none");
      }
    }
    if (isModel && size != null) {
      throw new IllegalArgumentException("--size is for two folders; a model has its own");
    }
    checkNumbers();
    sampler.check();
  }

  private void checkNumbers() throws IOException {
    Cli.atLeast("--count", 4, count);
    if (side != null) {
      Cli.atLeast("--features-side", 1, side);
    }
    if (features != null && !isLite0()) {
      Inputs.require(List.of(features));
    }
    if (side != null && isLite0()) {
      throw new IllegalArgumentException(
          "--features-side is for a network of yours; lite0 resizes pictures to "
              + EfficientNetLite0.SIDE);
    }
    Cli.device(device);
  }

  private void model(NDManager manager, Path folder, String drawnBy) throws IOException {
    try (LoadedModel loaded = LoadedModel.load(drawnBy, Cli.device(device))) {
      DDPM ddpm = loaded.ddpm();
      NDArray known = Inputs.folder(manager, folder, loaded.shape(), count);
      int number = Math.toIntExact(known.getShape().get(0));
      List<Estimate> estimates;
      try (Samples drawn = sampler.of(loaded, 0, number).generate(number)) {
        NDArray unit = ChannelRanges.toUnit(drawn.toNDArray(manager), ddpm.dataRange());
        estimates = compare(known, unit.clip(-1, 1));
      }
      if (bits == null) {
        print(estimates, null);
      } else {
        NDArray images = ChannelRanges.fromUnit(known, ddpm.dataRange());
        print(estimates, ddpm.bitsPerDim().images(bits).seed(sampler.seed()).of(images));
      }
    }
  }

  private Shape required() {
    if (size == null) {
      throw new IllegalArgumentException(
          "folders of pictures need --size, such as 3x32x32, since pictures may differ in size");
    }
    return size;
  }

  private List<Estimate> compare(NDArray known, NDArray drawn) throws IOException {
    try (Rows rows = rows()) {
      return compare(rows.features(), known, drawn);
    }
  }

  /** Features, and what to close after them. */
  private record Rows(Features features, Runnable end) implements AutoCloseable {

    @Override
    public void close() {
      end.run();
    }
  }

  private Rows rows() throws IOException {
    if (features == null) {
      return new Rows(Features.pixels(), () -> {});
    }
    if (isLite0()) {
      EfficientNetLite0 network = EfficientNetLite0.load(Cli.device(device));
      return new Rows(network, network::close);
    }
    TorchScriptFeatures.Builder file = Features.torchScript(features).device(Cli.device(device));
    if (side != null) {
      file.resize(side, side, Image.Interpolation.BILINEAR);
    }
    TorchScriptFeatures network = file.load();
    return new Rows(network, network::close);
  }

  private boolean isLite0() {
    return LITE0.equals(features) && !Files.exists(LITE0);
  }

  private static List<Estimate> compare(Features features, NDArray known, NDArray drawn) {
    double[][] reference = features.of(known);
    double[][] rows = features.of(drawn);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    List<Estimate> estimates = new ArrayList<>();
    boolean cheap = rows[0].length <= MOST_RESAMPLED;
    boolean regular = Math.min(rows.length, reference.length) > rows[0].length;
    if (cheap || (regular && rows[0].length <= MOST_FRECHET)) {
      // Each resample costs as much as the distance itself, seconds for a thousand features.
      Bootstrap resamples = cheap ? bootstrap : Bootstrap.none();
      estimates.add(FrechetDistance.estimate(rows, FeatureStatistics.of(reference), resamples));
    }
    estimates.add(KernelDistance.estimate(rows, reference, bootstrap));
    PrecisionRecall both = PrecisionRecall.of(rows, reference, bootstrap);
    estimates.add(both.precision());
    estimates.add(both.recall());
    return estimates;
  }

  private void print(FeatureStatistics drawn, FeatureStatistics reference, double distance) {
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      JsonObject all = new JsonObject();
      all.addProperty("features", reference.features());
      JsonObject one = new JsonObject();
      one.addProperty("value", distance);
      one.addProperty("generated", drawn.count());
      one.addProperty("reference", reference.count());
      all.add("Fréchet distance", one);
      out.println(all);
    } else {
      out.println("in the features of " + reference.features() + ":");
      out.println(
          String.format(
              Locale.ROOT,
              "Fréchet distance %.6g (%d generated, %d reference)",
              distance,
              drawn.count(),
              reference.count()));
    }
    out.flush();
  }

  private void print(List<Estimate> estimates, @Nullable BitsPerDimResult likelihood) {
    PrintWriter out = spec.commandLine().getOut();
    String name =
        features == null ? "pixels" : isLite0() ? "EfficientNet-Lite0" : features.toString();
    if (json) {
      JsonObject all = new JsonObject();
      all.addProperty("features", name);
      for (Estimate estimate : estimates) {
        JsonObject one = new JsonObject();
        one.addProperty("value", estimate.value());
        if (!Double.isNaN(estimate.low())) {
          one.addProperty("low", estimate.low());
          one.addProperty("high", estimate.high());
        }
        one.addProperty("generated", estimate.generated());
        one.addProperty("reference", estimate.reference());
        all.add(estimate.figure(), one);
      }
      if (likelihood != null) {
        JsonObject one = new JsonObject();
        one.addProperty("value", likelihood.total().value());
        one.addProperty("standardError", likelihood.total().standardError());
        one.addProperty("images", likelihood.images());
        all.add("bits per dimension", one);
      }
      out.println(all);
    } else {
      out.println("in the features of " + name + ":");
      estimates.forEach(out::println);
      if (likelihood != null) {
        out.println(likelihood);
      }
    }
    out.flush();
  }
}
