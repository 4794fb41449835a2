package io.github.ddpm4j.internal.io;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.ServiceLoader;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** A model in words, as model folders and checkpoints hold it, and back. */
public final class ModelDescription {

  /** The range of clean images. */
  private static final String DATA_RANGE = "dataRange";

  /** The names of the classes that a model was trained on. */
  private static final String CLASS_NAMES = "classNames";

  /** What the user says of a model. */
  private static final String METADATA = "metadata";

  /** How the weights were made. */
  private static final String TRAINING = "training";

  private ModelDescription() {}

  /** What fills the weights of a network that was built from its description. */
  @FunctionalInterface
  public interface Weights {

    /**
     * Sets every weight.
     *
     * @param weights the weights by name
     * @throws IOException if reading fails
     */
    void readInto(Map<String, NDArray> weights) throws IOException;

    /**
     * How many single values there are, for all weights together.
     *
     * @return empty if that is not known before they are read
     */
    default OptionalLong count() {
      return OptionalLong.empty();
    }
  }

  /**
   * Builds a model from its description.
   *
   * @param description what {@link #describe} returned
   * @param device where to put the weights
   * @param weights sets the weights
   * @return the model; the caller closes its denoiser
   * @throws IOException if reading the weights fails
   * @throws IllegalArgumentException if the description is not that of a model, or that of a
   *     network with more or fewer weights; known before memory is taken for them
   */
  public static ModelFolder.Contents of(
      Map<String, Object> description, Device device, Weights weights) throws IOException {
    Description model = Description.of("the model", description);
    Diffusion diffusion =
        new Diffusion(
            Schedules.of(model.object("schedule")),
            Prediction.of(model.value("prediction")),
            model.choice("variance", Variance.class),
            range(model),
            classNames(model),
            metadata(model));
    TrainableDenoiser denoiser = create(model.object("denoiser"), device, weights.count());
    boolean done = false;
    try {
      try (GradMode copying = GradMode.off()) {
        weights.readInto(denoiser.weights());
      }
      Map<String, Object> training = model.has(TRAINING) ? model.object(TRAINING) : Map.of();
      done = true;
      return new ModelFolder.Contents(diffusion, denoiser, training, null);
    } finally {
      if (!done) {
        denoiser.close();
      }
    }
  }

  /**
   * Describes a model.
   *
   * @param contents the model; its weights are left out
   * @return texts, numbers, lists and maps, as the file of a model holds them, in a stable order
   */
  public static Map<String, Object> describe(ModelFolder.Contents contents) {
    Diffusion diffusion = contents.diffusion();
    Map<String, Object> network = new LinkedHashMap<>();
    network.put("type", contents.denoiser().type());
    network.putAll(contents.denoiser().describe());
    Map<String, Object> description = new LinkedHashMap<>();
    description.put("schedule", diffusion.schedule().describe());
    description.put("prediction", diffusion.prediction().describe());
    description.put("variance", diffusion.variance().name());
    description.put(DATA_RANGE, words(diffusion.dataRange()));
    description.put("denoiser", network);
    if (!diffusion.classNames().isEmpty()) {
      description.put(CLASS_NAMES, diffusion.classNames());
    }
    if (!diffusion.metadata().isEmpty()) {
      description.put(METADATA, diffusion.metadata());
    }
    if (!contents.training().isEmpty()) {
      description.put(TRAINING, contents.training());
    }
    return description;
  }

  /**
   * What a run must share with the one that it goes on from: not what is merely said of a model.
   *
   * @param description what {@link #describe} returned, or an older version of it
   * @return the words that change the numbers
   */
  public static Map<String, Object> essence(Map<String, Object> description) {
    Map<String, Object> essence = new LinkedHashMap<>(description);
    essence.keySet().removeAll(List.of(CLASS_NAMES, METADATA, TRAINING, "format", "version"));
    return essence;
  }

  private static TrainableDenoiser create(
      Map<String, Object> network, Device device, OptionalLong count) {
    String type = Description.typeOf("denoiser", network);
    TreeSet<String> known = new TreeSet<>();
    for (DenoiserProvider provider : providers()) {
      if (provider.type().equals(type)) {
        Map<String, Object> settings = Description.typed("denoiser", network).values();
        requireCount(type, provider.parameterCount(settings), count);
        return provider.create(settings, device);
      }
      known.add(provider.type());
    }
    throw new IllegalArgumentException(
        "denoiser type "
            + Quote.of(type)
            + " is unknown; known are "
            + known
            + "; is the module that holds it, such as ddpm-unet, a dependency?");
  }

  /** Before memory is taken for as many as the description says. */
  private static void requireCount(String type, OptionalLong described, OptionalLong there) {
    if (described.isPresent() && there.isPresent() && !described.equals(there)) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "denoiser %s is described with %,d parameters, but the file of the weights holds %,d",
              Quote.of(type),
              described.getAsLong(),
              there.getAsLong()));
    }
  }

  /**
   * Those that this library's class loader sees, then those of the thread's: in a pool of an
   * application server that may be another, which knows neither.
   */
  private static List<DenoiserProvider> providers() {
    ClassLoader own = ModelDescription.class.getClassLoader();
    List<DenoiserProvider> providers = new ArrayList<>();
    ServiceLoader.load(DenoiserProvider.class, own).forEach(providers::add);
    if (Thread.currentThread().getContextClassLoader() != own) {
      ServiceLoader.load(DenoiserProvider.class).forEach(providers::add);
    }
    return providers;
  }

  /** Two numbers, or a pair of them for each channel. */
  private static List<?> words(DataRange range) {
    return range.isPerChannel()
        ? IntStream.range(0, range.minima().size())
            .mapToObj(c -> List.of(range.minima().get(c), range.maxima().get(c)))
            .toList()
        : List.of(range.min(), range.max());
  }

  private static DataRange range(Description model) {
    List<Double> minima = new ArrayList<>();
    List<Double> maxima = new ArrayList<>();
    if (model.value(DATA_RANGE) instanceof List<?> parts
        && !parts.isEmpty()
        && parts.stream().allMatch(List.class::isInstance)) {
      for (Object part : parts) {
        if (!(part instanceof List<?> pair
            && pair.size() == 2
            && pair.get(0) instanceof Number min
            && pair.get(1) instanceof Number max)) {
          throw model.refused(DATA_RANGE, "a list of two numbers, or one of such pairs");
        }
        minima.add(min.doubleValue());
        maxima.add(max.doubleValue());
      }
      return new DataRange(minima, maxima);
    }
    double[] ends = model.numbers(DATA_RANGE);
    if (ends.length != 2) {
      throw model.refused(DATA_RANGE, "a list of two numbers, or one of such pairs");
    }
    return new DataRange(ends[0], ends[1]);
  }

  private static List<String> classNames(Description model) {
    if (!model.has(CLASS_NAMES)) {
      return List.of();
    }
    if (model.value(CLASS_NAMES) instanceof List<?> names
        && names.stream().allMatch(String.class::isInstance)) {
      return names.stream().map(String.class::cast).toList();
    }
    throw model.refused(CLASS_NAMES, "a list of strings");
  }

  private static Map<String, String> metadata(Description model) {
    Map<String, String> metadata = new LinkedHashMap<>();
    if (model.has(METADATA)) {
      model
          .object(METADATA)
          .forEach(
              (name, value) -> {
                if (!(value instanceof String text)) {
                  throw model.refused(METADATA, "an object of strings");
                }
                metadata.put(name, text);
              });
    }
    return metadata;
  }
}
