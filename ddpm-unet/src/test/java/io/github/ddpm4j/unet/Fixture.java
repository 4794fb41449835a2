package io.github.ddpm4j.unet;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/** One case of make_fixtures.py: a network of diffusers, an input and what came out. */
final class Fixture {

  /** A tensor of a fixture. */
  record Tensor(Shape shape, FloatBuffer values) {}

  private final JsonObject config;
  private final Map<String, Tensor> weights = new LinkedHashMap<>();
  private final Tensor input;
  private final Tensor timesteps;
  private final Tensor output;
  private final @Nullable Tensor labels;

  private Fixture(JsonObject config, Map<String, Tensor> tensors) {
    this.config = config;
    weights.putAll(tensors);
    input = Objects.requireNonNull(weights.remove("input"));
    timesteps = Objects.requireNonNull(weights.remove("timesteps"));
    output = Objects.requireNonNull(weights.remove("output"));
    labels = weights.remove("labels");
  }

  static Fixture read(String name) throws IOException {
    String json = new String(bytes(name + ".json"), StandardCharsets.UTF_8);
    return new Fixture(
        JsonParser.parseString(json).getAsJsonObject(), tensors(bytes(name + ".safetensors")));
  }

  private static byte[] bytes(String file) throws IOException {
    try (InputStream in = Fixture.class.getResourceAsStream("/fixtures/" + file)) {
      return Objects.requireNonNull(in, file).readAllBytes();
    }
  }

  static Map<String, Tensor> tensors(byte[] safetensors) {
    ByteBuffer file = ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN);
    int length = Math.toIntExact(file.getLong());
    String header = new String(safetensors, 8, length, StandardCharsets.UTF_8);
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (Map.Entry<String, JsonElement> entry :
        JsonParser.parseString(header).getAsJsonObject().entrySet()) {
      JsonObject tensor = entry.getValue().getAsJsonObject();
      Shape shape =
          new Shape(
              StreamSupport.stream(tensor.getAsJsonArray("shape").spliterator(), false)
                  .mapToLong(JsonElement::getAsLong)
                  .toArray());
      file.position(8 + length + tensor.getAsJsonArray("data_offsets").get(0).getAsInt());
      float[] values = new float[(int) shape.size()];
      boolean half = tensor.get("dtype").getAsString().equals("BF16");
      for (int i = 0; i < values.length; i++) {
        values[i] = half ? Float.intBitsToFloat(file.getShort() << 16) : file.getFloat();
      }
      tensors.put(entry.getKey(), new Tensor(shape, FloatBuffer.wrap(values)));
    }
    return tensors;
  }

  /** The arguments of UNet2DModel as ours. */
  UNetBuilder builder() {
    JsonElement size = config.get("sample_size");
    int[] sides =
        size.isJsonArray()
            ? integers(size.getAsJsonArray())
            : new int[] {size.getAsInt(), size.getAsInt()};
    JsonArray down = config.getAsJsonArray("down_block_types");
    int[] attention =
        IntStream.range(0, down.size())
            .filter(i -> down.get(i).getAsString().startsWith("Attn"))
            .toArray();
    UNetBuilder builder =
        UNet.builder()
            .image(imageChannels(), sides[0], sides[1])
            .levelChannels(integers(config.getAsJsonArray("block_out_channels")))
            .attentionAtLevels(attention)
            .residualBlocks(config.get("layers_per_block").getAsInt())
            .groups(config.get("norm_num_groups").getAsInt())
            .normEpsilon(config.get("norm_eps").getAsDouble())
            .downsamplePadding(
                config.get("downsample_padding").getAsInt() == 0
                    ? UNetConfig.DownsamplePadding.RIGHT_BOTTOM
                    : UNetConfig.DownsamplePadding.ALL_SIDES)
            .timeEmbedding(
                config.get("flip_sin_to_cos").getAsBoolean()
                    ? UNetConfig.TimeOrder.COS_SIN
                    : UNetConfig.TimeOrder.SIN_COS,
                config.get("freq_shift").getAsInt() == 0
                    ? UNetConfig.TimeDivisor.HALF
                    : UNetConfig.TimeDivisor.HALF_MINUS_ONE)
            .seed(0);
    if (config.has("num_class_embeds")) {
      builder.classes(config.get("num_class_embeds").getAsInt() - 1);
    }
    if (channels("in_channels") > imageChannels()) {
      builder.imageCondition(channels("in_channels") - imageChannels());
    }
    if (channels("out_channels") > imageChannels()) {
      builder.learnedVariance();
    }
    JsonElement headChannels = config.get("attention_head_dim");
    return headChannels.isJsonNull() ? builder : builder.headChannels(headChannels.getAsInt());
  }

  private int channels(String name) {
    return config.get(name).getAsInt();
  }

  /** Channels of the input beyond those of the output, and twice as many outputs, are ours. */
  private int imageChannels() {
    int in = channels("in_channels");
    int out = channels("out_channels");
    return in == out ? in : out / 2;
  }

  /**
   * What the images of the fixture are conditioned on; the last class of diffusers is ours for
   * none.
   */
  Condition condition(NDManager manager) {
    if (labels != null) {
      int classes = config.get("num_class_embeds").getAsInt() - 1;
      float[] values = labels.values().array();
      return Condition.labels(
          IntStream.range(0, values.length)
              .map(i -> values[i] == classes ? Condition.ABSENT : (int) values[i])
              .toArray());
    }
    return channels("in_channels") == imageChannels()
        ? Condition.none()
        : Condition.images(whole(manager).get(new NDIndex(":, {}:", (long) imageChannels())));
  }

  private static int[] integers(JsonArray array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).getAsInt()).toArray();
  }

  /** Writes the weights of the fixture into a network. */
  void fill(UNet unet) {
    fill(unet, weights);
  }

  static void fill(UNet unet, Map<String, Tensor> weights) {
    try (NDManager temporary = NDManager.newBaseManager();
        GradMode off = GradMode.off()) {
      Objects.requireNonNull(off);
      unet.weights()
          .forEach(
              (name, weight) -> {
                Tensor tensor = Objects.requireNonNull(weights.get(name), name);
                weight.set(
                    new NDIndex(":"), temporary.create(tensor.values().array(), tensor.shape()));
              });
    }
  }

  Map<String, Tensor> weights() {
    return weights;
  }

  NDArray input(NDManager manager) {
    return whole(manager).get(new NDIndex(":, :{}", (long) imageChannels()));
  }

  private NDArray whole(NDManager manager) {
    return manager.create(input.values().array(), input.shape());
  }

  double[] timesteps() {
    float[] values = timesteps.values().array();
    return IntStream.range(0, values.length).mapToDouble(i -> values[i]).toArray();
  }

  float[] output() {
    return output.values().array();
  }
}
