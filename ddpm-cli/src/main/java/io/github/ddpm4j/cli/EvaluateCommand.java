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
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
      "Distances depend on the features: compare those of the same features and number alone."
    },
    footer = {
      "",
      "  ddpm evaluate real pictures --size 3x32x32",
      "  ddpm evaluate real cifar10 -n 1000 --features inception.pt --features-side 299"
    })
final class EvaluateCommand implements Callable<Integer> {

  private static final int MOST_FRECHET = 2048;

  @Spec private CommandSpec spec = CommandSpec.create();
  @Mixin private SamplerOptions sampler = new SamplerOptions();

  @Parameters(index = "0", paramLabel = "REAL", description = "A folder of real pictures.")
  private Path real = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "GENERATED",
      description = "A folder of pictures, or a model as -m of other commands.")
  private String generated = "";

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
      description = "A network in TorchScript for pixels in [0, 1] (default: the pixels).")
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
    boolean isModel = LoadedModel.isModel(generated);
    check(isModel);
    DDPM.endStepsOnShutdown();
    try (NDManager manager = NDManager.newBaseManager()) {
      if (isModel) {
        model(manager);
      } else {
        Shape shape = required();
        NDArray known = Inputs.folder(manager, real, shape, count);
        print(compare(known, Inputs.folder(manager, Path.of(generated), shape, count)), null);
      }
    }
    return 0;
  }

  private void check(boolean isModel) throws IOException {
    Cli.atLeast("--count", 4, count);
    Inputs.require(isModel ? List.of(real) : List.of(real, Path.of(generated)));
    if (bits != null) {
      Cli.atLeast("--bits", 1, bits);
      if (!isModel) {
        throw new IllegalArgumentException("--bits needs a model, but " + generated + " is none");
      }
    }
    if (isModel && size != null) {
      throw new IllegalArgumentException("--size is for two folders; a model has its own");
    }
    if (side != null) {
      Cli.atLeast("--features-side", 1, side);
    }
    if (features != null) {
      Inputs.require(List.of(features));
    }
    Cli.device(device);
    sampler.check();
  }

  private void model(NDManager manager) throws IOException {
    try (LoadedModel loaded = LoadedModel.load(generated, Cli.device(device))) {
      DDPM ddpm = loaded.ddpm();
      NDArray known = Inputs.folder(manager, real, loaded.shape(), count);
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
          "two folders of pictures need --size, such as 3x32x32, since pictures may differ in size");
    }
    return size;
  }

  private List<Estimate> compare(NDArray known, NDArray drawn) throws IOException {
    if (features == null) {
      return compare(Features.pixels(), known, drawn);
    }
    TorchScriptFeatures.Builder file = Features.torchScript(features);
    if (side != null) {
      file.resize(side, side, Image.Interpolation.BILINEAR);
    }
    try (TorchScriptFeatures network = file.load()) {
      return compare(network, known, drawn);
    }
  }

  private static List<Estimate> compare(Features features, NDArray known, NDArray drawn) {
    double[][] reference = features.of(known);
    double[][] rows = features.of(drawn);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    List<Estimate> estimates = new ArrayList<>();
    if (rows[0].length <= MOST_FRECHET) {
      estimates.add(FrechetDistance.estimate(rows, FeatureStatistics.of(reference), bootstrap));
    }
    estimates.add(KernelDistance.estimate(rows, reference, bootstrap));
    PrecisionRecall both = PrecisionRecall.of(rows, reference, bootstrap);
    estimates.add(both.precision());
    estimates.add(both.recall());
    return estimates;
  }

  private void print(List<Estimate> estimates, @Nullable BitsPerDimResult likelihood) {
    PrintWriter out = spec.commandLine().getOut();
    String name = features == null ? "pixels" : features.toString();
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
