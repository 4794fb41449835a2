package io.github.ddpm4j.cli;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Attributes;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A model that the user named, of this library or another. Closing frees it. */
final class LoadedModel implements AutoCloseable {

  /** A folder of this library has this file. */
  private static final String DESCRIPTION = "ddpm.json";

  /** The folder of a training run has its model there. */
  private static final String TRAINED = "model";

  /** Folders of diffusers have one of them. */
  private static final List<String> FOREIGN =
      List.of("model_index.json", "config.json", "unet/config.json");

  /** The word of a sample that tells by which weights it was drawn. */
  private static final String MODEL = "model";

  private static final Pattern CHECKPOINT = Pattern.compile("step-\\d+\\.[0-9a-f]+\\.safetensors");

  /** What may have been meant for a model in the box. */
  private static final Pattern PLAIN = Pattern.compile("[\\w-]+");

  /** Of these a name may look like one of a hub. */
  private static final Pattern FILE =
      Pattern.compile(
          ".*\\.(safetensors|npz|pt|pth|ckpt|bin|json|png|gif|jpe?g|webp|bmp|tiff?)",
          Pattern.CASE_INSENSITIVE);

  private static final Pattern ID = Pattern.compile("[\\w.-]+/[\\w.-]+");

  private final DDPM ddpm;
  private final Supplier<Sampling> sampling;
  private final AutoCloseable owner;
  private final String name;

  /** What tells the weights apart; null until somebody asks of a folder that tells it itself. */
  private @Nullable String weights;

  /** What was asked for last. */
  private List<String> askedTexts = List.of();

  private @Nullable Condition asked;
  private final NDManager manager = NDManager.newBaseManager();

  private LoadedModel(
      String name,
      DDPM ddpm,
      Supplier<Sampling> sampling,
      AutoCloseable owner,
      @Nullable String weights) {
    this.name = name;
    this.ddpm = ddpm;
    this.sampling = sampling;
    this.owner = owner;
    this.weights = weights;
  }

  /** Whether something was written by this library. */
  static boolean isOurs(Path path) {
    return Files.exists(path.resolve(DESCRIPTION)) || isCheckpoint(path);
  }

  /** Whether something is called as the checkpoints of training are. */
  static boolean isCheckpoint(Path path) {
    return CHECKPOINT.matcher(String.valueOf(path.getFileName())).matches();
  }

  /** Whether something looks like a model, and not like a folder of pictures. */
  static boolean isModel(String name) {
    Path path = Path.of(name);
    return isSurelyModel(name) || Files.isRegularFile(path) || isTraining(path) || isOfHub(name);
  }

  /** Whether something is a model beyond doubt, and no folder of pictures. */
  static boolean isSurelyModel(String name) {
    Path path = Path.of(name);
    return isOurs(path)
        || FOREIGN.stream().anyMatch(file -> Files.exists(path.resolve(file)))
        || isInTheBox(name);
  }

  /** Whether something is the folder of a training run, which users take for its model. */
  private static boolean isTraining(Path path) {
    return Files.exists(path.resolve(TRAINED).resolve(DESCRIPTION));
  }

  /** Whether a model needs no options that say what its files don't. */
  static boolean saysAll(String name) {
    return isOurs(Path.of(name)) || isInTheBox(name);
  }

  /** A file or folder of the user's goes before a model of the same name. */
  static boolean isInTheBox(String name) {
    return !Files.exists(Path.of(name)) && Models.names().contains(name);
  }

  /** Whether something may be the name of a model of a hub, and is no file or folder. */
  static boolean isOfHub(String name) {
    return !Files.exists(Path.of(name))
        && ID.matcher(name).matches()
        && !FILE.matcher(name).matches();
  }

  /**
   * Checks that there is something of a name, as far as that can be told without loading it.
   *
   * @throws NoSuchFileException if there is neither a file nor a folder, and it is no name of a
   *     model in the box or of a hub
   * @throws IllegalArgumentException if such a name may have been meant, or it is a training run
   */
  static void require(String name) throws NoSuchFileException {
    if (!Files.exists(Path.of(name)) && !isInTheBox(name) && !isOfHub(name)) {
      if (PLAIN.matcher(name).matches()) {
        throw new IllegalArgumentException(
            name
                + " does not exist; the models in the box are "
                + String.join(" and ", Models.names()));
      }
      throw new NoSuchFileException(name);
    }
    if (!isOurs(Path.of(name)) && isTraining(Path.of(name))) {
      throw new IllegalArgumentException(
          name
              + " is the folder of a training run; name the model in it, "
              + Path.of(name, TRAINED));
    }
  }

  /** Checks that something can be the name of a model of a hub. */
  static void requireId(String name) {
    if (!ID.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "NAME must be like google/ddpm-cifar10-32, but was " + name);
    }
  }

  /** Loads a model that says all of itself. */
  static LoadedModel load(String name, Device device) throws IOException {
    return load(name, device, Pretrained.options());
  }

  /** Loads a model; the options are for files of other libraries. */
  static LoadedModel load(String name, Device device, Pretrained.Options more) throws IOException {
    require(name);
    LatentPipeline.requireNone(name);
    if (isInTheBox(name)) {
      DDPM ddpm = Models.load(name, device);
      return new LoadedModel(name, ddpm, ddpm::sampling, ddpm, name);
    }
    Path path = Path.of(name);
    boolean tells = Files.exists(path.resolve(DESCRIPTION));
    // Before a training run that goes on may take its checkpoint away.
    String weights = tells || !Files.exists(path) ? null : Sha256.of(path);
    if (isOurs(path)) {
      DDPM ddpm = DDPM.load(path, device);
      return new LoadedModel(name, ddpm, ddpm::sampling, ddpm, weights);
    }
    Pretrained.Options options = more.device(device);
    Pretrained foreign = Files.exists(path) ? options.load(path) : options.load(name);
    return new LoadedModel(name, foreign.ddpm(), foreign::sampling, foreign, weights);
  }

  DDPM ddpm() {
    return ddpm;
  }

  /** A run as the model's files want it. */
  Sampling sampling() {
    return sampling.get();
  }

  /**
   * The number of its classes.
   *
   * @throws IllegalArgumentException if it has none
   */
  int classes() {
    return ddpm.denoiser()
        .map(Denoiser::classes)
        .orElse(OptionalInt.empty())
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "--class is for models of classes, and "
                        + name
                        + " has none; "
                        + (ddpm.attributes().isEmpty()
                            ? "leave it out"
                            : "it has attributes: --attributes")));
  }

  /**
   * A condition of attributes, a row per text. Its array is this model's, and kept for the next
   * call with the same texts.
   *
   * @throws IllegalArgumentException if the model has no attributes, or not such ones
   */
  Condition attributes(List<String> texts) {
    Condition condition = asked;
    if (condition == null || !texts.equals(askedTexts)) {
      Attributes known =
          ddpm.attributes()
              .orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          "--attributes is for models that name some, and "
                              + name
                              + " names none"
                              + (ddpm.classNames().isEmpty() ? "" : "; it has classes: --class")));
      float[] rows = new float[texts.size() * known.length()];
      for (int i = 0; i < texts.size(); i++) {
        System.arraycopy(known.vector(texts.get(i)), 0, rows, i * known.length(), known.length());
      }
      NDArray vectors = manager.create(rows, new Shape(texts.size(), known.length()));
      condition = Condition.vectors(vectors);
      asked = condition;
      askedTexts = List.copyOf(texts);
    }
    return condition;
  }

  /**
   * How a sample was drawn. Where it doesn't tell by which weights, that is the SHA-256 of the
   * model's file or of all files of its folder, or its name in a hub.
   */
  Map<String, String> provenance(Samples drawn, int image) throws IOException {
    Map<String, String> words = new LinkedHashMap<>(drawn.provenance(image));
    if (!words.containsKey(MODEL)) {
      words.put(MODEL, weights());
    }
    return words;
  }

  private String weights() throws IOException {
    String known = weights;
    if (known == null) {
      Path path = Path.of(name);
      known = Files.exists(path) ? Sha256.of(path) : name;
      weights = known;
    }
    return known;
  }

  /** The shape of its images. */
  Shape shape() {
    return ddpm.denoiser()
        .flatMap(network -> network.imageShape())
        .orElseThrow(
            () -> new IllegalArgumentException("the model's network tells no size of images"));
  }

  @Override
  public void close() {
    manager.close();
    try {
      owner.close();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
