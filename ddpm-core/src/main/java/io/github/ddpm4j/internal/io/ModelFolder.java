package io.github.ddpm4j.internal.io;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.files.WholeFolder;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoiserProvider;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A model on disk: a folder with {@value #DESCRIPTION}, which says everything that is needed to use
 * the model, and {@value #WEIGHTS}. Users call {@code ddpm.save(folder)} and {@code
 * DDPM.load(folder)}.
 */
public final class ModelFolder {

  /** The file that describes the model. */
  public static final String DESCRIPTION = "ddpm.json";

  /** The file that holds the weights. */
  public static final String WEIGHTS = "weights.safetensors";

  private static final String FORMAT = "ddpm4j";
  private static final long VERSION = 1;

  /** A schedule of a million timesteps, each its own, is no larger. */
  private static final long MAX_DESCRIPTION_BYTES = 32 << 20;

  private static final String WAY_OUT = "; choose a folder that DDPM.save wrote";

  private static final Gson gson =
      new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

  /** A list without texts, lists and objects in it, as Gson indents it. */
  private static final Pattern NUMBERS = Pattern.compile("\\[\\n[^\\[\\]{}\"]*]");

  private ModelFolder() {}

  /**
   * What a folder holds.
   *
   * @param diffusion what the model is apart from its network
   * @param denoiser the network; closed by whoever reads the folder
   * @param training how the weights were made; empty if nothing is known
   */
  public record Contents(
      Diffusion diffusion, TrainableDenoiser denoiser, Map<String, Object> training) {}

  /**
   * Checks that a model can be written, as far as that can be told without writing it.
   *
   * @param folder where to
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws FileAlreadyExistsException if {@code folder} is something other than an older model or
   *     an empty folder, or holds more than that
   * @throws IOException if it could not be made or may not be written
   */
  public static void requireWritable(Path folder) throws IOException {
    Path target = replaceable(folder);
    // Of a folder that is there, any file in it: it may be a volume that keeps its place.
    WholeFile.requirePlace(Files.exists(target) ? target.resolve(DESCRIPTION) : target);
  }

  private static Path replaceable(Path folder) throws IOException {
    if (folder.toString().isEmpty()) {
      throw new IllegalArgumentException(
          "a model folder needs a name, but was \"\"; for the working directory, write \".\"");
    }
    Path target = Files.exists(folder) ? folder.toRealPath() : folder.toAbsolutePath().normalize();
    if (target.getFileName() == null) {
      throw new IllegalArgumentException("a model folder needs a name, but was " + folder);
    }
    requireReplaceable(target);
    return target;
  }

  /**
   * Writes a model, whole or not at all: a reader sees the old model or the new one, never a part.
   * While an older model is replaced there is none for an instant, between two renames. A mounted
   * folder and the working directory keep their place, and what they hold is replaced.
   *
   * @param folder where to; an older model folder there is replaced as a whole
   * @param contents the model
   * @param check may refuse the weights, which nobody changes meanwhile
   * @throws IllegalArgumentException if {@code folder} has no name
   * @throws FileAlreadyExistsException if {@code folder} is something other than an older model or
   *     an empty folder, or holds more than that
   * @throws IOException if writing fails; what was there before is still there
   */
  public static void write(Path folder, Contents contents, Consumer<Map<String, NDArray>> check)
      throws IOException {
    Path target = replaceable(folder);
    Runnable read = contents.denoiser().beginReading();
    try {
      check.accept(contents.denoiser().weights());
      WholeFolder.write(
          target,
          DESCRIPTION,
          fresh -> {
            WholeFile.writeText(fresh.resolve(DESCRIPTION), toJson(describe(contents)));
            Safetensors.write(
                fresh.resolve(WEIGHTS), contents.denoiser().weights(), Map.of("format", FORMAT));
          });
    } finally {
      read.run();
    }
  }

  /**
   * Reads a model.
   *
   * @param folder the folder
   * @param device where to put the weights
   * @return the model; the caller closes its denoiser
   * @throws IllegalArgumentException if the device is a GPU that the engine does not see
   * @throws NoSuchFileException if there is no model at {@code folder}
   * @throws IOException if reading fails or the files are not what they should be, naming the file
   *     and what is wrong
   */
  public static Contents read(Path folder, Device device) throws IOException {
    Machine.device(device);
    Path file = folder.resolve(DESCRIPTION);
    for (String name : List.of(DESCRIPTION, WEIGHTS)) {
      if (!Files.isRegularFile(folder.resolve(name))) {
        throw new NoSuchFileException(
            folder.toString(),
            null,
            "no model folder: it has no "
                + name
                + "; choose a folder that DDPM.save wrote, with all of its files");
      }
    }
    Map<String, Object> description = parse(file);
    Object format = description.get("format");
    Object version = description.get("version");
    if (!FORMAT.equals(format) || !Long.valueOf(VERSION).equals(version)) {
      throw new IOException(
          file
              + " must have format "
              + FORMAT
              + " and version "
              + VERSION
              + ", but has "
              + Quote.of(format)
              + " and "
              + Quote.of(version)
              + (FORMAT.equals(format)
                  ? "; load it with the version of ddpm4j that saved it, or a newer one"
                  : WAY_OUT));
    }
    try {
      return of(
          description, device, weights -> Safetensors.readInto(folder.resolve(WEIGHTS), weights));
    } catch (IllegalArgumentException e) {
      throw new IOException(file + " is not valid: " + Quote.message(e.getMessage()), e);
    }
  }

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
  }

  /**
   * Builds a model from its description.
   *
   * @param description what {@link #describe} returned
   * @param device where to put the weights
   * @param weights sets the weights
   * @return the model; the caller closes its denoiser
   * @throws IOException if reading the weights fails
   * @throws IllegalArgumentException if the description is not that of a model
   */
  public static Contents of(Map<String, Object> description, Device device, Weights weights)
      throws IOException {
    Description model = Description.of("the model", description);
    Diffusion diffusion =
        new Diffusion(
            Schedules.of(model.object("schedule")),
            Prediction.of(model.value("prediction")),
            model.choice("variance", Variance.class),
            range(model));
    TrainableDenoiser denoiser = create(model.object("denoiser"), device);
    boolean done = false;
    try {
      try (GradMode copying = GradMode.off()) {
        weights.readInto(denoiser.weights());
      }
      Map<String, Object> training = model.has("training") ? model.object("training") : Map.of();
      done = true;
      return new Contents(diffusion, denoiser, training);
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
   * @return texts, numbers, lists and maps, as {@value #DESCRIPTION} holds them
   */
  public static Map<String, Object> describe(Contents contents) {
    Diffusion diffusion = contents.diffusion();
    Map<String, Object> network = new LinkedHashMap<>();
    network.put("type", contents.denoiser().type());
    network.putAll(contents.denoiser().describe());
    Map<String, Object> description = new LinkedHashMap<>();
    description.put("format", FORMAT);
    description.put("version", VERSION);
    description.put("schedule", diffusion.schedule().describe());
    description.put("prediction", diffusion.prediction().describe());
    description.put("variance", diffusion.variance().name());
    description.put("dataRange", List.of(diffusion.dataRange().min(), diffusion.dataRange().max()));
    description.put("denoiser", network);
    if (!contents.training().isEmpty()) {
      description.put("training", contents.training());
    }
    return description;
  }

  /** Indented, but lists of numbers on one line. */
  private static String toJson(Map<String, Object> description) {
    return NUMBERS
            .matcher(gson.toJson(description))
            .replaceAll(
                list -> list.group().replaceAll("\\s+", " ").replaceAll("(?<=\\[) | (?=])", ""))
        + "\n";
  }

  private static Map<String, Object> parse(Path file) throws IOException {
    long bytes = Files.size(file);
    if (bytes > MAX_DESCRIPTION_BYTES) {
      throw new IOException(
          file
              + " has "
              + bytes
              + " bytes, but a description has at most "
              + MAX_DESCRIPTION_BYTES
              + WAY_OUT);
    }
    if (bytes == 0) {
      throw new IOException(file + " is empty" + WAY_OUT);
    }
    try (InputStream in = Files.newInputStream(file)) {
      return StrictJson.map(in);
    } catch (StrictJson.Malformed e) {
      throw new IOException(file + " " + e.getMessage() + WAY_OUT, e);
    }
  }

  private static TrainableDenoiser create(Map<String, Object> network, Device device) {
    String type = Description.typeOf("denoiser", network);
    TreeSet<String> known = new TreeSet<>();
    for (DenoiserProvider provider : providers()) {
      if (provider.type().equals(type)) {
        return provider.create(Description.typed("denoiser", network).values(), device);
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

  /**
   * Those that this library's class loader sees, then those of the thread's: in a pool of an
   * application server that may be another, which knows neither.
   */
  private static List<DenoiserProvider> providers() {
    ClassLoader own = ModelFolder.class.getClassLoader();
    List<DenoiserProvider> providers = new ArrayList<>();
    ServiceLoader.load(DenoiserProvider.class, own).forEach(providers::add);
    if (Thread.currentThread().getContextClassLoader() != own) {
      ServiceLoader.load(DenoiserProvider.class).forEach(providers::add);
    }
    return providers;
  }

  private static DataRange range(Description model) {
    double[] ends = model.numbers("dataRange");
    if (ends.length != 2) {
      throw model.refused("dataRange", "a list of two numbers");
    }
    return new DataRange(ends[0], ends[1]);
  }

  private static void requireReplaceable(Path target) throws IOException {
    if (!Files.exists(target)) {
      return;
    }
    if (Files.isDirectory(target)) {
      try (Stream<Path> entries = Files.list(target)) {
        TreeSet<String> names = new TreeSet<>();
        entries.forEach(entry -> names.add(String.valueOf(entry.getFileName())));
        boolean model = names.contains(DESCRIPTION);
        names.removeAll(List.of(DESCRIPTION, WEIGHTS));
        names.removeIf(WholeFolder::isForeign);
        if (names.isEmpty()) {
          return;
        }
        if (model) {
          throw new FileAlreadyExistsException(
              target.toString(),
              null,
              "besides an older model it holds "
                  + Quote.of(names)
                  + ", which would be lost; move that away or choose another name");
        }
      }
    }
    throw new FileAlreadyExistsException(
        target.toString(),
        null,
        "it exists and is no model folder, so it is not replaced; choose another name");
  }
}
