package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.NpzTensors;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.pretrained.Pretrained.Options;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import io.github.ddpm4j.unet.UNetConfig;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The variables of the paper authors' code. Names and shapes are written down from its source
 * (models/unet.py, nn.py), as no checkpoint of it is small.
 */
class PaperCodeTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private static UNetBuilder small() {
    return UNet.builder()
        .image(3, 8, 8)
        .levelChannels(32, 64)
        .residualBlocks(1)
        .attentionAtLevels(1)
        .dropout(0)
        .seed(4);
  }

  /** Every variable of that network, by the source. */
  private static Map<String, Shape> variables() {
    Map<String, Shape> all = new TreeMap<>();
    layer(all, "temb/dense0", 32, 128);
    layer(all, "temb/dense1", 128, 128);
    layer(all, "conv_in", 3, 3, 3, 32);
    block(all, "down_0/block_0", 32, 32);
    layer(all, "down_0/downsample/conv", 3, 3, 32, 32);
    block(all, "down_1/block_0", 32, 64);
    attention(all, "down_1/attn_0");
    block(all, "mid/block_1", 64, 64);
    attention(all, "mid/attn_1");
    block(all, "mid/block_2", 64, 64);
    block(all, "up_1/block_0", 128, 64);
    attention(all, "up_1/attn_0");
    block(all, "up_1/block_1", 96, 64);
    attention(all, "up_1/attn_1");
    layer(all, "up_1/upsample/conv", 3, 3, 64, 64);
    block(all, "up_0/block_0", 96, 32);
    block(all, "up_0/block_1", 64, 32);
    norm(all, "norm_out", 32);
    layer(all, "conv_out", 3, 3, 32, 3);
    return all;
  }

  private static void layer(Map<String, Shape> all, String name, long... weight) {
    all.put("model/" + name + "/W", new Shape(weight));
    all.put("model/" + name + "/b", new Shape(weight[weight.length - 1]));
  }

  private static void norm(Map<String, Shape> all, String name, long channels) {
    all.put("model/" + name + "/gamma", new Shape(channels));
    all.put("model/" + name + "/beta", new Shape(channels));
  }

  private static void block(Map<String, Shape> all, String name, long in, long out) {
    norm(all, name + "/norm1", in);
    layer(all, name + "/conv1", 3, 3, in, out);
    layer(all, name + "/temb_proj", 128, out);
    norm(all, name + "/norm2", out);
    layer(all, name + "/conv2", 3, 3, out, out);
    if (in != out) {
      layer(all, name + "/nin_shortcut", in, out);
    }
  }

  private static void attention(Map<String, Shape> all, String name) {
    norm(all, name + "/norm", 64);
    for (String part : List.of("q", "k", "v", "proj_out")) {
      layer(all, name + "/" + part, 64, 64);
    }
  }

  private static Options options() {
    return Pretrained.options().image(3, 8, 8).schedule(Schedules.linear(1000));
  }

  @Test
  void saveNpz_andLoad_variablesOfTheCodeAndTheSameBits() throws IOException {
    Path file = folder.resolve("model.npz");
    try (UNet network = small().build()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      Pretrained.saveNpz(ddpm, file);
      Map<String, NDArray> arrays = new TreeMap<>();
      try (InputStream in = Files.newInputStream(file)) {
        NDList.decode(manager, in).forEach(array -> arrays.put(array.getName(), array));
      }
      Map<String, Shape> shapes = new TreeMap<>();
      arrays.forEach((name, array) -> shapes.put(name, array.getShape()));
      assertThat(shapes).isEqualTo(variables());
      requireSame(arrays, network.weights());
      try (Pretrained loaded = options().load(file)) {
        UNet again = loaded.ddpm().denoiser(UNet.class);
        assertThat(again.config()).isEqualTo(network.config());
        network
            .weights()
            .forEach((name, weight) -> assertThat(again.weights().get(name)).isEqualTo(weight));
        assertThat(loaded.audit().family()).isEqualTo("the paper's authors");
        assertThat(loaded.ddpm().prediction()).isEqualTo(Prediction.EPSILON);
        // And back again.
        Path other = folder.resolve("other.npz");
        Pretrained.saveNpz(loaded.ddpm(), other);
        assertThat(other).hasSameBinaryContentAs(file);
      }
    }
  }

  /** Element by element, each kind of variable by the axes that TensorFlow has. */
  private static void requireSame(Map<String, NDArray> theirs, Map<String, NDArray> ours) {
    NDArray conv = array(theirs, "model/up_0/block_1/conv1/W");
    NDArray own = array(ours, "up_blocks.1.resnets.1.conv1.weight");
    for (int[] at : new int[][] {{0, 2, 5, 31}, {2, 1, 63, 0}, {1, 0, 40, 7}}) {
      assertThat(conv.getFloat(at[0], at[1], at[2], at[3]))
          .isEqualTo(own.getFloat(at[3], at[2], at[0], at[1]));
    }
    NDArray dense = array(theirs, "model/down_1/block_0/temb_proj/W");
    own = array(ours, "down_blocks.1.resnets.0.time_emb_proj.weight");
    assertThat(dense.getFloat(127, 3)).isEqualTo(own.getFloat(3, 127));
    NDArray query = array(theirs, "model/mid/attn_1/q/W");
    own = array(ours, "mid_block.attentions.0.to_q.weight");
    assertThat(query.getFloat(60, 3)).isEqualTo(own.getFloat(3, 60));
    NDArray shortcut = array(theirs, "model/up_1/block_1/nin_shortcut/W");
    own = array(ours, "up_blocks.0.resnets.1.conv_shortcut.weight");
    assertThat(shortcut.getFloat(95, 3)).isEqualTo(own.getFloat(3, 95, 0, 0));
  }

  private static NDArray array(Map<String, NDArray> arrays, String name) {
    return Objects.requireNonNull(arrays.get(name), name);
  }

  /** A whole checkpoint: averages, slots of the optimizer and the count of steps, with ":0" too. */
  @Test
  void load_allVariablesOfACheckpoint_averagesUnlessRaw() throws IOException {
    Path file = folder.resolve("checkpoint.npz");
    try (UNet network = small().build()) {
      Map<String, NDArray> all = new LinkedHashMap<>();
      PaperCode.table(network.config())
          .write(network.weights(), manager)
          .forEach(
              (name, array) -> {
                String full = "model/" + name.replace('.', '/');
                all.put(full, array);
                all.put(full + "/ExponentialMovingAverage", array.mul(2));
                all.put(full + "/Adam", array.mul(3));
                all.put(full + "/Adam_1", array.mul(4));
              });
      all.put("beta1_power", manager.create(0.9f));
      NpzTensors.write(file, all);
      float[] bias = array(network.weights(), "conv_out.weight").toFloatArray();
      try (Pretrained averaged = options().load(file);
          Pretrained raw = options().raw(true).load(file)) {
        assertThat(weight(raw)).isEqualTo(bias);
        assertThat(weight(averaged)[7]).isEqualTo(2 * bias[7]);
        assertThat(averaged.audit().source()).isEqualTo(file + ", below \"ema.model.\"");
        assertThat(averaged.audit().elsewhere()).isEqualTo(3 * network.weights().size() + 1);
      }
      Map<String, NDArray> numbered = new LinkedHashMap<>();
      all.forEach((name, array) -> numbered.put(name + ":0", array));
      NpzTensors.write(file, numbered);
      try (Pretrained raw = options().raw(true).load(file)) {
        assertThat(weight(raw)).isEqualTo(bias);
      }
    }
  }

  private static float[] weight(Pretrained model) {
    return array(model.ddpm().denoiser(UNet.class).weights(), "conv_out.weight").toFloatArray();
  }

  /** On no memory: by their shapes the networks of the paper are known, with the size of images. */
  @Test
  void config_ofThePapersShapes_thePapersNetworks() throws IOException {
    PaperCode family = new PaperCode();
    for (UNetConfig config : List.of(UNetConfig.cifar10(), UNetConfig.image256())) {
      PeerShapes shapes = new PeerShapes(PaperCode.table(config).peerShapes(), "the file");
      long values = shapes.shapes().values().stream().mapToLong(Shape::size).sum();
      assertThat(values)
          .isEqualTo(config.equals(UNetConfig.cifar10()) ? 35_746_307L : 113_673_219L);
      assertThat(family.config(shapes, new Given(Pretrained.options()))).isEqualTo(config);
      Given given = new Given(Pretrained.options());
      Facts facts = family.facts(shapes, given);
      assertThat(facts.variance())
          .isEqualTo(
              config.equals(UNetConfig.cifar10()) ? Variance.FIXED_LARGE : Variance.FIXED_SMALL);
      assertThat(Objects.requireNonNull(facts.schedule()).describe())
          .isEqualTo(Schedules.linear(1000).describe());
      assertThat(given.assumed())
          .containsExactly(
              "it is the network that the paper has for images of "
                  + config.imageShape()
                  + ", whose shapes it has, with the schedule and the variance of its script");
      int side = (int) config.imageShape().get(1);
      Options options = Pretrained.options().image(3, side, side).dropout(config.dropout());
      assertThat(family.config(shapes, new Given(options))).isEqualTo(config);
    }
  }

  @Test
  void load_withoutTheSizeOfImages_asksForIt() throws IOException {
    Path file = folder.resolve("model.npz");
    try (UNet network = small().build()) {
      Pretrained.saveNpz(DDPM.builder().denoiser(network).build(), file);
    }
    refused(
        file,
        Pretrained.options(),
        file
            + ", below \"model.\" does not say how large images are: call"
            + " options().image(channels, height, width)");
    refused(
        file,
        Pretrained.options().image(3, 8, 8),
        file
            + ", below \"model.\" does not say the noise schedule: call options().schedule(...),"
            + " such as Schedules.linear(1000)");
  }

  private static void refused(Path file, Options options, String message) {
    assertThatThrownBy(() -> options.load(file))
        .isInstanceOf(IOException.class)
        .hasMessage(message);
  }

  @Test
  void load_checkpointOfTensorFlow_refusedWithTheWayOut() throws IOException {
    Path parts = Files.createDirectory(folder.resolve("logs"));
    List<String> names =
        List.of(
            "checkpoint",
            "model.ckpt-790000.index",
            "model.ckpt-790000.meta",
            "model.ckpt-790000.data-00000-of-00001");
    for (String name : names) {
      Files.writeString(parts.resolve(name), "x");
    }
    Path stem = parts.resolve("model.ckpt-790000");
    Map<Path, String> all = new LinkedHashMap<>();
    all.put(parts, "tf.train.latest_checkpoint(\"" + parts + "\")");
    all.put(parts.resolve("checkpoint"), "tf.train.latest_checkpoint(\"" + parts + "\")");
    all.put(stem, "\"" + stem + "\"");
    names.subList(1, 4).forEach(name -> all.put(parts.resolve(name), "\"" + stem + "\""));
    all.forEach(
        (path, checkpoint) ->
            refused(
                path,
                Pretrained.options(),
                path
                    + " is of a checkpoint of TensorFlow, which is not read; save its variables in"
                    + " Python and load that file: reader = tf.train.load_checkpoint("
                    + checkpoint
                    + "); numpy.savez(\"model.npz\", **{name: reader.get_tensor(name) for name in"
                    + " reader.get_variable_to_shape_map()})"));
  }

  @Test
  void saveNpz_whatTheCodeHasNot_refusedAndNothingWritten() throws IOException {
    Map<UNetBuilder, String> networks = new LinkedHashMap<>();
    networks.put(
        small().classes(3), "the authors' code has no network with classes = 3; save the model by");
    networks.put(
        small().heads(2), "the authors' code has no network with heads = 2; save the model by");
    networks.put(
        small().groups(4), "the authors' code has no network with groups = 4; save the model by");
    networks.put(
        small().levelChannels(16, 32).groups(4),
        "the authors' code has 32 groups and the paper's blocks: groups must divide the channels"
            + " of every level, but 32 does not divide 16 at level 0; 1, 2, 4, 8 or 16 would do");
    List<String> refused = new ArrayList<>();
    for (Map.Entry<UNetBuilder, String> entry : networks.entrySet()) {
      try (UNet network = entry.getKey().buildBlank()) {
        DDPM ddpm = DDPM.builder().denoiser(network).build();
        assertThatThrownBy(() -> Pretrained.saveNpz(ddpm, folder.resolve("a.npz")))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith(entry.getValue());
        refused.add(entry.getValue());
      }
    }
    assertThat(new TreeSet<>(refused)).hasSize(4);
    try (UNet network = small().buildBlank()) {
      DDPM ranged = DDPM.builder().denoiser(network).dataRange(0, 1).build();
      assertThatThrownBy(() -> Pretrained.saveNpz(ranged, folder.resolve("a.npz")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the authors' code takes images to be in [-1.0, 1.0], but the model's are in [0.0,"
                  + " 1.0]; save it by save(folder)");
      DDPM velocity = DDPM.builder().denoiser(network).prediction(Prediction.VELOCITY).build();
      assertThatThrownBy(() -> Pretrained.saveNpz(velocity, folder.resolve("a.npz")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "the authors' code has no prediction VELOCITY, only [EPSILON, X0, PREVIOUS_MEAN];"
                  + " save the model by save(folder)");
    }
    assertThat(folder.resolve("a.npz")).doesNotExist();
  }
}
