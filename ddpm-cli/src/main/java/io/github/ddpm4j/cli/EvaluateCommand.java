package io.github.ddpm4j.cli;

import ai.djl.modality.cv.Image;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.benchmark.Cli;
import io.github.ddpm4j.evaluation.Bootstrap;
import io.github.ddpm4j.evaluation.Estimate;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.FrechetDistance;
import io.github.ddpm4j.evaluation.KernelDistance;
import io.github.ddpm4j.evaluation.PrecisionRecall;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.internal.data.ChannelRanges;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
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

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(index = "0", paramLabel = "REAL", description = "A folder of real pictures.")
  private Path real = Path.of("");

  @Parameters(
      index = "1",
      paramLabel = "GENERATED",
      description = "A folder of pictures, or a model folder.")
  private Path generated = Path.of("");

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
      names = {"-s", "--sampler"},
      paramLabel = "SAMPLER",
      description = "Of the model (default: ${DEFAULT-VALUE}).")
  private String sampler = "dpm++2m:20";

  @Option(names = "--seed", paramLabel = "SEED", description = "That of the noise (default: 0).")
  private long seed;

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
          "Bits per dimension of so many real pictures, over as many timesteps as -s has.")
  private @Nullable Integer bits;

  @Option(names = "--json", description = "Tells the result as JSON.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    Cli.atLeast("--count", 4, count);
    DDPM.endStepsOnShutdown();
    boolean isModel = ModelOptions.isOurs(generated);
    if (bits != null && !isModel) {
      throw new IllegalArgumentException("--bits needs a model, but " + generated + " is none");
    }
    List<Estimate> estimates = new ArrayList<>();
    try (NDManager manager = NDManager.newBaseManager()) {
      if (isModel) {
        try (DDPM ddpm = DDPM.load(generated)) {
          Shape shape = Inputs.shape(ddpm);
          NDArray known = Inputs.folder(manager, real, shape, count);
          try (Samples drawn =
              ddpm.sampling()
                  .sampler(Samplers.parse(sampler))
                  .seed(seed)
                  .generate(Math.toIntExact(known.getShape().get(0)))) {
            NDArray unit = ChannelRanges.toUnit(drawn.toNDArray(manager), ddpm.dataRange());
            compare(estimates, known, unit.clip(-1, 1));
          }
          print(estimates);
          bits(ddpm, known);
        }
      } else {
        Shape shape = required();
        compare(
            estimates,
            Inputs.folder(manager, real, shape, count),
            Inputs.folder(manager, generated, shape, count));
        print(estimates);
      }
    }
    return 0;
  }

  private Shape required() {
    if (size == null) {
      throw new IllegalArgumentException(
          "two folders of pictures need --size, such as 3x32x32, since pictures may differ in size");
    }
    return size;
  }

  private void compare(List<Estimate> estimates, NDArray known, NDArray drawn) throws IOException {
    if (features == null) {
      compare(estimates, Features.pixels(), known, drawn);
      return;
    }
    TorchScriptFeatures.Builder file = Features.torchScript(features);
    if (side != null) {
      file.resize(side, side, Image.Interpolation.BILINEAR);
    }
    try (TorchScriptFeatures network = file.load()) {
      compare(estimates, network, known, drawn);
    }
  }

  private static void compare(
      List<Estimate> estimates, Features features, NDArray known, NDArray drawn) {
    double[][] reference = features.of(known);
    double[][] rows = features.of(drawn);
    Bootstrap bootstrap = Bootstrap.seeded(1);
    if (rows[0].length <= 2048) {
      estimates.add(FrechetDistance.estimate(rows, FeatureStatistics.of(reference), bootstrap));
    }
    estimates.add(KernelDistance.estimate(rows, reference, bootstrap));
    PrecisionRecall both = PrecisionRecall.of(rows, reference, bootstrap);
    estimates.add(both.precision());
    estimates.add(both.recall());
  }

  private void print(List<Estimate> estimates) {
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
      out.println(all);
    } else {
      out.println("in the features of " + name + ":");
      estimates.forEach(out::println);
    }
    out.flush();
  }

  private void bits(DDPM ddpm, NDArray known) {
    if (bits != null) {
      PrintWriter out = spec.commandLine().getOut();
      NDArray images = ChannelRanges.fromUnit(known, ddpm.dataRange());
      out.println(ddpm.bitsPerDim().images(bits).seed(seed).of(images));
      out.flush();
    }
  }
}
