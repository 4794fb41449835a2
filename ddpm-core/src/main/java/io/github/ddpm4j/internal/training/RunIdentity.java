package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.internal.checkpoint.CheckpointFile;
import io.github.ddpm4j.internal.checkpoint.CheckpointModel;
import io.github.ddpm4j.internal.description.Description;
import io.github.ddpm4j.internal.description.Difference;
import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.ModelDescription;
import io.github.ddpm4j.internal.io.ModelFolder;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.Checkpoints.Change;
import io.github.ddpm4j.training.ConsistencyTuning;
import io.github.ddpm4j.training.NoiseAssignment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What makes a run the run that it is, in the words of a checkpoint: its model, settings and data.
 * A run is resumed by one of the same identity, or with changes that were allowed.
 */
final class RunIdentity {

  private static final String FORMAT = "format";
  private static final String VERSION = "version";
  private static final String SEED = "seed";
  private static final String SETTINGS = "settings";
  private static final String NOISE_ASSIGNMENT = "noiseAssignment";
  private static final String OWN_FORMAT = "ddpm4j-checkpoint";
  private static final long OWN_VERSION = 1;
  private static final int DIGEST_DIGITS = 16;

  /** What stands for a validation that there is not. */
  static final String NONE = "none";

  /** What differs from process to process in the text of an object without toString. */
  private static final Pattern ADDRESS = Pattern.compile("\\$\\$Lambda.*|@[0-9a-f]{1,8}$");

  /** What checkpoints mean that do not say a setting, since they are older than it. */
  private static final Map<String, String> BEFORE =
      Map.of(NOISE_ASSIGNMENT, NoiseAssignment.independent().toString());

  private static final Map<String, Change> CHANGES =
      Map.ofEntries(
          Map.entry("steps", Change.STEPS),
          Map.entry("warmup", Change.LEARNING_RATE),
          Map.entry("gradientClip", Change.GRADIENT_CLIP),
          Map.entry("guard", Change.GUARD),
          Map.entry("ema", Change.EMA),
          Map.entry("execution", Change.EXECUTION),
          Map.entry("recomputation", Change.EXECUTION),
          Map.entry("validation", Change.VALIDATION),
          Map.entry("validationData", Change.VALIDATION),
          Map.entry("data", Change.DATA));

  private final Map<String, Object> description;

  /**
   * @param data what the data is, in a short text
   * @param validationData what the data of the validation is, or {@link #NONE}
   */
  RunIdentity(
      DenoisingModel model,
      TrainableDenoiser network,
      TrainingSettings settings,
      String data,
      String validationData) {
    Map<String, Object> own = new LinkedHashMap<>();
    own.put(FORMAT, OWN_FORMAT);
    own.put(VERSION, OWN_VERSION);
    own.put(SETTINGS, texts(network, settings, data, validationData));
    own.put(
        CheckpointModel.MODEL,
        ModelDescription.describe(
            new ModelFolder.Contents(model.diffusion(), network, Map.of(), null)));
    description = CheckpointFile.asRead(own);
  }

  /** The seed of the run that wrote a checkpoint. */
  static long seed(Map<String, Object> checkpoint) {
    return Long.parseLong(
        Description.of(
                "the settings", Description.of("the checkpoint", checkpoint).object(SETTINGS))
            .text(SEED));
  }

  Map<String, Object> description() {
    return description;
  }

  /** A short text that is the same for all runs that may go on from one another. */
  String name() {
    Map<String, Object> settings =
        new LinkedHashMap<>(Description.of("the run", description).object(SETTINGS));
    settings.keySet().removeAll(CHANGES.keySet());
    String text = settings + " " + model(description);
    byte[] digest = WholeFile.sha256().digest(text.getBytes(StandardCharsets.UTF_8));
    return "seed "
        + settings.get(SEED)
        + ", digest "
        + HexFormat.of().formatHex(digest).substring(0, DIGEST_DIGITS);
  }

  private static Map<String, Object> texts(
      TrainableDenoiser network, TrainingSettings settings, String data, String validationData) {
    Map<String, Object> texts = new LinkedHashMap<>();
    texts.put(SEED, String.valueOf(settings.seed()));
    texts.put("steps", String.valueOf(settings.steps()));
    texts.put("batchSize", String.valueOf(settings.batchSize()));
    texts.put("accumulation", String.valueOf(settings.accumulation()));
    texts.put("loss", text(settings.loss()));
    texts.put("weighting", text(settings.weighting()));
    texts.put("timestepSampler", text(settings.timestepSampler()));
    texts.put("offsetNoise", String.valueOf(settings.offsetNoise()));
    texts.put("inputPerturbation", String.valueOf(settings.inputPerturbation()));
    texts.put(NOISE_ASSIGNMENT, settings.noiseAssignment().toString());
    texts.put("optimizer", text(settings.optimizer()));
    texts.put("warmup", String.valueOf(settings.warmup()));
    texts.put("gradientClip", String.valueOf(settings.gradientClip()));
    texts.put("guard", settings.guard().toString());
    texts.put("ema", text(settings.ema()));
    texts.put("postHocEma", String.valueOf(settings.persistence().snapshots() != null));
    texts.put("condition", settings.condition() == null ? "labels" : "function");
    texts.put("conditionDropout", String.valueOf(settings.conditionDropout()));
    texts.put("recomputation", text(settings.recomputation()));
    texts.put(
        "execution",
        network instanceof ScriptedDenoiser scripted
            ? (scripted.isCompiled() ? "compiled " : "eager ") + scripted.computesIn()
            : "eager");
    texts.put(
        "validation", settings.validation() == null ? NONE : settings.validation().toString());
    texts.put("validationData", validationData);
    texts.put("data", data);
    ConsistencyTuning tuning = settings.consistency();
    if (tuning != null) {
      texts.put("consistency", tuning.toString());
      texts.put("teacher", tuning.guidance() == 1 ? NONE : digest(network));
    }
    return texts;
  }

  /** What tells the weights of the network from others. */
  private static String digest(TrainableDenoiser network) {
    MessageDigest digest = WholeFile.sha256();
    network
        .weights()
        .forEach(
            (name, weight) -> {
              digest.update(name.getBytes(StandardCharsets.UTF_8));
              float[] values = StepState.read(weight);
              ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES);
              bytes.asFloatBuffer().put(values);
              digest.update(bytes);
            });
    return HexFormat.of().formatHex(digest.digest()).substring(0, DIGEST_DIGITS);
  }

  private static String text(Object value) {
    return ADDRESS.matcher(value.toString()).replaceAll("");
  }

  /**
   * Checks that a checkpoint is one of this run.
   *
   * @param checkpoint what it holds in words
   * @param allowed the changes that are allowed
   * @throws IllegalArgumentException if it is not; the message names every difference
   */
  void requireSame(Map<String, Object> checkpoint, Set<Change> allowed) {
    if (!OWN_FORMAT.equals(checkpoint.get(FORMAT))
        || !Long.valueOf(OWN_VERSION).equals(checkpoint.get(VERSION))) {
      throw new IllegalArgumentException(
          "a checkpoint must have format "
              + OWN_FORMAT
              + " and version "
              + OWN_VERSION
              + ", but has "
              + Quote.of(checkpoint.get(FORMAT))
              + " and "
              + Quote.of(checkpoint.get(VERSION))
              + "; resume it with the version of ddpm4j that wrote it");
    }
    List<String> differences = new ArrayList<>();
    Set<Change> wanted = new TreeSet<>();
    boolean hopeless = false;
    Map<String, Object> was = Description.of("the checkpoint", checkpoint).object(SETTINGS);
    Map<String, Object> is = Description.of("the run", description).object(SETTINGS);
    for (Map.Entry<String, Object> own : is.entrySet()) {
      String key = own.getKey();
      Object before = was.containsKey(key) ? was.get(key) : BEFORE.get(key);
      @Nullable Change change = CHANGES.get(own.getKey());
      if (!own.getValue().equals(before) && (change == null || !allowed.contains(change))) {
        differences.add(difference(own.getKey(), before, own.getValue()));
        if (change == null) {
          hopeless = true;
        } else {
          wanted.add(change);
        }
      }
    }
    Map<String, Object> modelWas = model(checkpoint);
    for (Map.Entry<String, Object> own : model(description).entrySet()) {
      Object before = modelWas.get(own.getKey());
      if (!String.valueOf(own.getValue()).equals(String.valueOf(before))) {
        differences.add(difference(own.getKey() + " of the model", before, own.getValue()));
        hopeless = true;
      }
    }
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint is that of another run: "
              + String.join("; ", differences)
              + (hopeless
                  ? "; set the run as it was, or train without resume()"
                  : "; set it as it was, or allow the change by resume("
                      + String.join(
                          ", ", wanted.stream().map(change -> "Change." + change).toList())
                      + ")"));
    }
  }

  private static Map<String, Object> model(Map<String, Object> description) {
    return ModelDescription.essence(
        Description.of("the checkpoint", description).object(CheckpointModel.MODEL));
  }

  private static String difference(String name, @Nullable Object before, Object now) {
    return name
        + " was "
        + Quote.of(Difference.of(before, now))
        + " and is "
        + Quote.of(Difference.of(now, before));
  }
}
