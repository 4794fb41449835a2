package io.github.ddpm4j.pretrained;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained.Options;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The fixtures of src/test/resources/peers: weights under the names of their library, and what its
 * code made of an input. Their files hold both; here they are apart, as people have them.
 */
final class Peer {

  private static final Set<String> BESIDE =
      Set.of("input", "timesteps", "output", "raw", "sigmas", "labels", "previous_x0", "context");

  private final String name;
  private final Map<String, NDArray> weights = new LinkedHashMap<>();
  private final Map<String, NDArray> beside = new LinkedHashMap<>();

  private Peer(String name) {
    this.name = name;
  }

  static Peer read(String name, NDManager manager) throws IOException {
    Peer peer = new Peer(name);
    try (TensorSource source = TensorFiles.open(resource("/peers/" + name + ".safetensors"))) {
      for (String tensor : source.tensors().keySet()) {
        NDArray values = source.readFloat32(tensor, manager);
        (BESIDE.contains(tensor) ? peer.beside : peer.weights).put(tensor, values);
      }
    }
    return peer;
  }

  static Path resource(String name) {
    try {
      return Path.of(Objects.requireNonNull(Peer.class.getResource(name), name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static JsonObject json(String name) throws IOException {
    return JsonParser.parseString(Files.readString(resource("/peers/" + name))).getAsJsonObject();
  }

  boolean isDiffusers() {
    return name.startsWith("unet");
  }

  Map<String, NDArray> weights() {
    return weights;
  }

  /** Writes what people have, and gives the way to it. */
  Path write(Path folder) throws IOException {
    if (!isDiffusers()) {
      Path file = folder.resolve(name + ".safetensors");
      Safetensors.write(file, weights, Map.of());
      return file;
    }
    Path target = folder.resolve(name);
    Safetensors.write(
        target.resolve("unet").resolve("diffusion_pytorch_model.safetensors"), weights, Map.of());
    JsonObject config = json(name + ".json").getAsJsonObject("args");
    boolean plain = name.startsWith("unet2d");
    config.addProperty("_class_name", plain ? "UNet2DModel" : "UNet2DConditionModel");
    Files.writeString(target.resolve("unet").resolve("config.json"), config.toString());
    Files.createDirectories(target.resolve("scheduler"));
    Files.writeString(
        target.resolve("scheduler").resolve("scheduler_config.json"),
        "{\"_class_name\": \"DDPMScheduler\"}");
    if (plain) {
      Files.writeString(target.resolve("model_index.json"), "{\"_class_name\": \"DDPMPipeline\"}");
    }
    return target;
  }

  /** What the caller has to say. */
  Options options() {
    Options options = Pretrained.options();
    return switch (name) {
      case "unet2d_ldm", "unet2d_scaleshift" -> options;
      case "unet_sd1", "unet_sd2", "unet_sd_inpaint", "unet_upscaler" -> options;
      case "guided_updown" -> openai(options).headChannels(4);
      case "guided_new_order" -> openai(options).headChannels(4).newAttentionOrder(true);
      case "improved" -> openai(options).heads(2);
      case "improved_add" -> openai(options).heads(1);
      case "labml" -> options.image(3, 8, 8).groups(4).schedule(Schedules.linear(1000));
      case "edm_song" -> options;
      case "lucidrains_1d", "lucidrains_1d_selfcond" ->
          options
              .signal(name.endsWith("_1d") ? 2 : 1, 12)
              .schedule(Schedules.cosine(1000))
              .prediction(Prediction.EPSILON);
      case "edm_adm" -> options.headChannels(4);
      default ->
          options
              .image(3, 8, 8)
              .schedule(Schedules.sigmoidJabri(1000))
              .prediction(Prediction.VELOCITY);
    };
  }

  private static Options openai(Options options) {
    return options.image(3, 8, 8).groups(4).schedule(Schedules.linear(1000));
  }

  /** The noisy images; networks with a context have 4 channels of their own. */
  NDArray input() {
    return beside.containsKey("context")
        ? beside("input").get(new NDIndex(":, :4"))
        : beside("input");
  }

  /** What the network gives, before preconditioning. */
  float[] output() {
    return (beside.containsKey("raw") ? beside("raw") : beside("output")).toFloatArray();
  }

  /** What the network is told. */
  double[] timesteps() {
    boolean sigmas = beside.containsKey("sigmas");
    float[] values = beside(sigmas ? "sigmas" : "timesteps").toFloatArray();
    return IntStream.range(0, values.length)
        .mapToDouble(i -> sigmas ? Math.log(values[i]) / 4 : values[i])
        .toArray();
  }

  Condition condition() {
    if (beside.containsKey("context")) {
      Condition condition = labels().and(Condition.contexts(beside("context")));
      return beside("input").getShape().get(1) > 4
          ? condition.and(Condition.images(beside("input").get(new NDIndex(":, 4:"))))
          : condition;
    }
    return beside.containsKey("previous_x0")
        ? Condition.previousX0(beside("previous_x0"))
        : labels();
  }

  private Condition labels() {
    if (beside.containsKey("labels")) {
      float[] labels = beside("labels").toFloatArray();
      return Condition.labels(
          IntStream.range(0, labels.length).map(i -> (int) labels[i]).toArray());
    }
    return Condition.none();
  }

  private NDArray beside(String tensor) {
    return Objects.requireNonNull(beside.get(tensor), tensor);
  }
}
