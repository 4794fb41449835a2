package io.github.ddpm4j.cli;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.Difference;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.schedule.Schedule;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Averages weights. */
@Command(
    name = "average",
    sortOptions = false,
    description = {
      "Averages the weights of several models of one architecture, such as the checkpoints of a run,"
          + " or models that were trained further from one.",
      "Models that were trained apart from the beginning have no useful average."
    },
    footer = {
      "",
      "  ddpm average run-1/model run-2/model -o both",
      "  ddpm average run-1/model run-2/model --shares 3,1 -o mostly-1"
    })
final class AverageCommand implements Callable<Integer> {

  @Spec private CommandSpec spec = CommandSpec.create();

  @Parameters(
      paramLabel = "MODEL",
      arity = "1..*",
      converter = Names.OfModel.class,
      description = "Models, as -m of other commands.")
  private List<String> models = List.of();

  @Option(
      names = "--shares",
      paramLabel = "SHARE",
      split = ",",
      description = "How much each model counts, in their order (default: all the same).")
  private List<Double> shares = List.of();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FOLDER",
      required = true,
      description = "The folder of the average; a folder of the library's own is replaced.")
  private Path output = Path.of("");

  @Override
  public Integer call() throws IOException {
    double[] parts = parts();
    for (String model : models) {
      LoadedModel.require(model);
    }
    Inputs.requireFolder(output);
    try (LoadedModel first = LoadedModel.load(models.get(0), Device.cpu());
        NDManager manager = NDManager.newBaseManager(Device.cpu())) {
      first.ddpm().requireSavable(output);
      Map<String, NDArray> weights = weights(models.get(0), first);
      // In float64, so that the order of the models matters to no bit that float32 keeps.
      Map<String, NDArray> sums = new LinkedHashMap<>();
      weights.forEach((name, weight) -> sums.put(name, scaled(manager, weight, parts[0])));
      for (int i = 1; i < parts.length; i++) {
        try (LoadedModel other = LoadedModel.load(models.get(i), Device.cpu())) {
          Map<String, NDArray> more = weights(models.get(i), other);
          requireLike(first.ddpm(), other.ddpm(), models.get(i));
          for (Map.Entry<String, NDArray> sum : sums.entrySet()) {
            NDArray weight = more.get(sum.getKey());
            if (weight == null || !weight.getShape().equals(sum.getValue().getShape())) {
              throw differs(
                  models.get(i),
                  "weight " + sum.getKey(),
                  weight == null ? "none" : weight.getShape(),
                  sum.getValue().getShape());
            }
            try (NDArray part = scaled(manager, weight, parts[i])) {
              sum.getValue().addi(part);
            }
          }
        }
      }
      for (Map.Entry<String, NDArray> sum : sums.entrySet()) {
        NDArray weight = Objects.requireNonNull(weights.get(sum.getKey()), sum.getKey());
        try (NDArray mean = sum.getValue().toType(weight.getDataType(), true)) {
          weight.set(new NDIndex("..."), mean);
        }
      }
      DDPM mean = averaged(first.ddpm(), parts);
      Writing.whole(() -> mean.save(output));
    }
    PrintWriter out = spec.commandLine().getOut();
    out.println(output);
    out.flush();
    return 0;
  }

  /** What each model counts, together 1. */
  private double[] parts() {
    if (models.size() < 2) {
      throw new IllegalArgumentException(
          "an average needs at least 2 models, but was given " + models);
    }
    if (!shares.isEmpty() && shares.size() != models.size()) {
      throw new IllegalArgumentException(
          "--shares must be one a model, but were "
              + shares.size()
              + " for "
              + models.size()
              + " models");
    }
    double[] parts = new double[models.size()];
    double sum = 0;
    for (int i = 0; i < parts.length; i++) {
      parts[i] = shares.isEmpty() ? 1 : shares.get(i);
      if (!(parts[i] > 0) || Double.isInfinite(parts[i])) {
        throw new IllegalArgumentException("--shares must be above 0, but one was " + parts[i]);
      }
      sum += parts[i];
    }
    for (int i = 0; i < parts.length; i++) {
      parts[i] /= sum;
    }
    return parts;
  }

  private static Map<String, NDArray> weights(String name, LoadedModel model) {
    return model
        .ddpm()
        .denoiser()
        .filter(TrainableDenoiser.class::isInstance)
        .map(network -> ((TrainableDenoiser) network).weights())
        .orElseThrow(() -> new IllegalArgumentException(name + " has no weights to average"));
  }

  private static NDArray scaled(NDManager manager, NDArray weight, double part) {
    try (NDArray wide = weight.toType(DataType.FLOAT64, true)) {
      NDArray scaled = wide.mul(part);
      scaled.attach(manager);
      return scaled;
    }
  }

  private void requireLike(DDPM first, DDPM other, String name) {
    same(name, "network", description(first), description(other));
    if (!Arrays.equals(betas(first.schedule()), betas(other.schedule()))) {
      throw differs(name, "schedule", other.schedule(), first.schedule());
    }
    same(name, "prediction", first.prediction(), other.prediction());
    same(name, "variance", first.variance(), other.variance());
    same(name, "data range", first.dataRange(), other.dataRange());
    same(name, "list of classes", first.classNames(), other.classNames());
  }

  private static double[] betas(Schedule schedule) {
    return IntStream.range(0, schedule.timesteps()).mapToDouble(schedule::beta).toArray();
  }

  private static Object description(DDPM ddpm) {
    return ddpm.denoiser()
        .filter(TrainableDenoiser.class::isInstance)
        .map(network -> (Object) ((TrainableDenoiser) network).describe())
        .orElse("none");
  }

  private void same(String name, String what, Object first, Object other) {
    if (!first.equals(other)) {
      throw differs(name, what, other, first);
    }
  }

  private IllegalArgumentException differs(String name, String what, Object other, Object first) {
    return new IllegalArgumentException(
        name
            + " cannot be averaged with "
            + models.get(0)
            + ", which has another "
            + what
            + ": "
            + Difference.of(first, other)
            + ", and not "
            + Difference.of(other, first));
  }

  /** The model of the new weights: it says of what it is, and no more how the first was trained. */
  private DDPM averaged(DDPM first, double[] parts) {
    List<String> all = new ArrayList<>();
    for (int i = 0; i < parts.length; i++) {
      all.add(models.get(i) + " * " + parts[i]);
    }
    Map<String, String> metadata = new LinkedHashMap<>(first.metadata());
    metadata.put("average of", String.join(", ", all));
    return DDPM.builder()
        .schedule(first.schedule())
        .prediction(first.prediction())
        .variance(first.variance())
        .dataRange(first.dataRange())
        .classNames(first.classNames())
        .metadata(metadata)
        .denoiser(first.denoiser().orElseThrow())
        .build();
  }
}
