package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained.Options;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.PeerNetworks;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Files of other libraries as models: outputs that the libraries' own code made, and their weights
 * written back as they were.
 */
class PretrainedTest {

  private static final String PAGE =
      """
      Network of denoising-diffusion-pytorch 2.x
      Weights from FILE, below "ema.ema_model.model."
      5,195 parameters
      Tensors used:
        63 copied
        3 flattened
        3 memory split into keys and values
        19 reshaped
        3 split into queries, keys and values
      223 other tensors in the file, not looked at
      Different from the defaults of this library:
        schedule {type=sigmoidJabri, timesteps=20, start=-3.0, end=3.0, tau=1.0}
        prediction VELOCITY
        variance FIXED_SMALL
        network levelChannels = [4]
        network attentionLevels = [0]
        network heads = 2
        network dropout = 0.0
        network blockTime = SCALE_SHIFT
        network blockOrder = CONVOLUTION_FIRST
        network blockNorm = RMS
        network down = CONVOLUTION_2X2
        network attentionBlocks = LAST
        network attentionBias = false
        network linearAttentionLevels = [0]
        network headWidth = 2
        network memoryTokens = 4
        network stemJoinsEnd = true
        network widthChange = PASSAGE
        network embeddingActivation = GELU
      Assumed, since neither the file nor the caller says:
        the averaged weights, of the two in the file, below "ema.ema_model.model."
        images in [-1, 1] (auto_normalize was not unset)""";

  /** Of UNet2DConditionModel. */
  private static final List<String> WITH_CONTEXT =
      List.of("unet_sd1", "unet_sd2", "unet_sd_inpaint", "unet_upscaler");

  @TempDir private Path folder;

  static List<String> names() {
    List<String> names = new ArrayList<>(PeerNetworks.NAMES);
    names.addAll(WITH_CONTEXT);
    return names;
  }

  @ParameterizedTest
  @MethodSource("names")
  void load_filesOfAPeer_sameOutput(String name) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read(name, manager);
      try (Pretrained model = peer.options().load(peer.write(folder))) {
        UNet network = model.ddpm().denoiser(UNet.class);
        for (Execution execution : Execution.values()) {
          network.runAs(execution, Precision.FLOAT32);
          assertSame(name + " " + execution, predict(network, peer), peer.output());
        }
      }
    }
  }

  /** What was read is written back, and is as it was: bit by bit, where nothing is multiplied. */
  @ParameterizedTest
  @MethodSource("names")
  void write_asThePeer_sameWeights(String name) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read(name, manager);
      Path path = peer.write(folder);
      try (Pretrained model = peer.options().load(path)) {
        UNet network = model.ddpm().denoiser(UNet.class);
        NameTable table = table(peer, path, network);
        Map<String, NDArray> written = table.write(network.weights(), manager);
        assertThat(written.keySet()).isEqualTo(table.peerShapes().keySet());
        String prefix = name.equals("edm_adm") ? "model." : "";
        written.forEach(
            (key, values) -> {
              NDArray original = Objects.requireNonNull(peer.weights().get(prefix + key), key);
              assertThat(values.getShape()).as(key).isEqualTo(original.getShape());
              float[] expected = original.toFloatArray();
              float[] actual = values.toFloatArray();
              for (int i = 0; i < expected.length; i++) {
                boolean multiplied = key.equals("map_label.weight") && name.equals("edm_song");
                // The bias was added to what is of size 1, and subtracted again.
                float most = multiplied ? 4 * Math.ulp(1f) : 0;
                assertThat(Math.abs(actual[i] - expected[i])).as(key).isLessThanOrEqualTo(most);
              }
            });
      }
    }
  }

  /** One file of our own names, with all that a model is beside its weights. */
  @ParameterizedTest
  @MethodSource("names")
  void saveSafetensors_ofAPeer_sameBitsAndSettings(String name) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read(name, manager);
      Path file = folder.resolve("own.safetensors");
      try (Pretrained model = peer.options().load(peer.write(folder))) {
        DDPM ddpm = model.ddpm();
        ddpm.saveSafetensors(file);
        try (Pretrained again = Pretrained.load(file);
            DDPM plain = DDPM.load(file)) {
          UNet network = ddpm.denoiser(UNet.class);
          for (DDPM own : List.of(again.ddpm(), plain)) {
            assertThat(own.schedule().describe()).isEqualTo(ddpm.schedule().describe());
            assertThat(own.prediction()).isEqualTo(ddpm.prediction());
            assertThat(own.variance()).isEqualTo(ddpm.variance());
            assertThat(own.dataRange()).isEqualTo(ddpm.dataRange());
            assertThat(own.denoiser(UNet.class).config()).isEqualTo(network.config());
            Map<String, NDArray> weights = own.denoiser(UNet.class).weights();
            assertThat(weights.keySet()).isEqualTo(network.weights().keySet());
            weights.forEach(
                (key, weight) -> assertThat(weight).isEqualTo(network.weights().get(key)));
          }
          assertThat(again.audit().family()).isEqualTo("this library");
          assertThat(again.audit().parameters()).isEqualTo(network.config().parameterCount());
          assertThat(again.audit().differences()).isEqualTo(model.audit().differences());
        }
      }
    }
  }

  private static NameTable table(Peer peer, Path path, UNet network) throws IOException {
    Given given = new Given(peer.options());
    if (peer.isDiffusers()) {
      return Diffusers.table(network.config(), peer.weights().toString().contains(".query."));
    }
    try (TensorSource source = TensorFiles.open(path)) {
      WeightsFile found = WeightsFile.find(path, source, peer.options(), given);
      UNetFamily family = (UNetFamily) Objects.requireNonNull(found.family());
      return family.table(
          network.config(), PeerShapes.of(source.under(found.prefix()), path.toString()), given);
    }
  }

  /** A checkpoint of a trainer: averages, schedule and prediction are in it. */
  @Test
  void load_trainerOfLucidrains_itsAveragesAndSchedule() throws IOException {
    Path file = torch("lucidrains-trainer.pt");
    try (Pretrained model = Pretrained.options().image(3, 8, 8).load(file);
        NDManager manager = NDManager.newBaseManager()) {
      assertThat(model.ddpm().schedule().describe())
          .isEqualTo(Schedules.sigmoidJabri(20).describe());
      assertThat(model.ddpm().prediction()).isEqualTo(Prediction.VELOCITY);
      Peer input = Peer.read("lucidrains", manager);
      assertSameEitherWay(
          model.ddpm().denoiser(UNet.class),
          input,
          floats(Peer.json("lucidrains-trainer.pt.json")));
      try (TensorSource source =
              TensorFiles.open(Peer.resource("/peers/lucidrains_sample.safetensors"));
          Samples samples =
              model
                  .sampling()
                  .sampler(model.sampler(4))
                  .startDecoding(source.readFloat32("ddim4.start", manager))
                  .finish()) {
        float[] expected = source.readFloat32("ddim4.sample", manager).mul(2).sub(1).toFloatArray();
        assertSame("4 steps", samples.toNDArray(manager).toFloatArray(), expected);
      }
      assertThat(model.audit().toString()).isEqualTo(PAGE.replace("FILE", file.toString()));
    }
  }

  /** The fixture's averages are its weights, so here are others. */
  @Test
  void load_weightsTwice_averagedUnlessRaw() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("lucidrains", manager);
      Map<String, NDArray> both = new LinkedHashMap<>();
      peer.weights().forEach((key, weight) -> both.put("model.model." + key, weight));
      peer.weights().forEach((key, weight) -> both.put("ema.online_model.model." + key, weight));
      peer.weights()
          .forEach((key, weight) -> both.put("ema.ema_model.model." + key, weight.mul(2)));
      Path file = folder.resolve("twice.safetensors");
      Safetensors.write(file, both, Map.of());
      NDArray bias = Objects.requireNonNull(peer.weights().get("init_conv.bias"));
      try (Pretrained averaged = peer.options().load(file);
          Pretrained raw = peer.options().raw(true).load(file);
          Pretrained chosen = peer.options().prefix("model.model.").load(file)) {
        assertThat(bias(averaged)).isEqualTo(bias.mul(2).toFloatArray());
        assertThat(bias(raw)).isEqualTo(bias.toFloatArray());
        assertThat(bias(chosen)).isEqualTo(bias.toFloatArray());
        assertThat(averaged.audit().source()).isEqualTo(file + ", below \"ema.ema_model.model.\"");
        assertThat(averaged.audit().assumed())
            .contains(
                "the averaged weights, of the two in the file, below \"ema.ema_model.model.\"");
        assertThat(raw.audit().assumed())
            .contains("the raw weights, of the two in the file, below \"model.model.\"");
        assertThat(chosen.audit().elsewhere()).isEqualTo(2 * peer.weights().size());
      }
    }
  }

  private static float[] bias(Pretrained model) {
    NDArray bias = model.ddpm().denoiser(UNet.class).weights().get("conv_in.bias");
    return Objects.requireNonNull(bias).toFloatArray();
  }

  @Test
  void load_checkpointOfImprovedDiffusion_sameOutput() throws IOException {
    Options options =
        Pretrained.options().image(3, 8, 8).heads(1).groups(4).schedule(Schedules.linear(1000));
    try (Pretrained model = options.load(torch("improved.pt"));
        NDManager manager = NDManager.newBaseManager()) {
      assertSameEitherWay(
          model.ddpm().denoiser(UNet.class),
          Peer.read("improved", manager),
          floats(Peer.json("improved.pt.json")));
    }
  }

  private static void assertSameEitherWay(UNet network, Peer input, float[] expected) {
    for (Execution execution : Execution.values()) {
      network.runAs(execution, Precision.FLOAT32);
      assertSame(execution.toString(), predict(network, input), expected);
    }
    network.runAs(Execution.COMPILED, Precision.FLOAT32);
  }

  /** At timestep 4 t of 4000 it sees what it would see at t of 1000. */
  @Test
  void load_rescaledTimesteps_asTheNetworkWasTold() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("improved", manager);
      Path file = peer.write(folder);
      Options options = peer.options().schedule(Schedules.cosine(4000)).rescaledTimesteps(true);
      try (Pretrained model = options.load(file);
          Pretrained plain = peer.options().load(file)) {
        UNet network = model.ddpm().denoiser(UNet.class);
        assertThat(network.config().timestepScale()).isEqualTo(0.25);
        NoiseLevels four = NoiseLevels.of(List.of(new Level(1200, 1, 1), new Level(8, 1, 1)));
        NoiseLevels one = NoiseLevels.of(List.of(new Level(300, 1, 1), new Level(2, 1, 1)));
        float[] expected =
            plain
                .ddpm()
                .denoiser(UNet.class)
                .predict(peer.input(), one, peer.condition())
                .toFloatArray();
        for (Execution execution : Execution.values()) {
          network.runAs(execution, Precision.FLOAT32);
          assertSame(
              "rescaled " + execution,
              network.predict(peer.input(), four, peer.condition()).toFloatArray(),
              expected);
        }
        Path saved = folder.resolve("saved");
        model.ddpm().save(saved);
        try (UNet again = UNet.load(saved)) {
          assertThat(again.config()).isEqualTo(network.config());
        }
      }
    }
  }

  /** They belong to the tests of the reader. */
  private static Path torch(String name) {
    return Path.of("../ddpm-core/src/test/resources/torch", name);
  }

  private static float[] floats(JsonObject expected) {
    List<JsonElement> values = expected.getAsJsonArray("output").asList();
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i).getAsFloat();
    }
    return floats;
  }

  /** Training goes on from the weights that were loaded, by the program of the whole step. */
  @ParameterizedTest
  @ValueSource(strings = {"unet2d_ldm", "improved", "lucidrains", "labml", "edm_adm"})
  void training_ofAPeer_lossFalls(String name) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read(name, manager);
      boolean labelled = peer.condition().has(Condition.Kind.LABELS);
      try (Pretrained model = peer.options().load(peer.write(folder));
          TrainedModel trained =
              model
                  .ddpm()
                  .training()
                  .batchSize(8)
                  .steps(30)
                  .seed(5)
                  .learningRate(4e-3)
                  .loss(model.ddpm().variance().isLearned() ? Losses.hybrid() : Losses.simple())
                  .fit(images(manager, model.ddpm().dataRange().min() == 0, labelled))) {
        double[] losses = trained.losses().toArray();
        double before = Arrays.stream(losses, 0, 8).average().orElseThrow();
        double after = Arrays.stream(losses, 22, 30).average().orElseThrow();
        assertThat(after).as("from %s", before).isLessThan(0.9 * before);
      }
    }
  }

  private static ArrayDataset images(NDManager manager, boolean positive, boolean labelled) {
    Random random = new Random(3);
    float[] values = new float[8 * 3 * 8 * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = positive ? random.nextFloat() : 2 * random.nextFloat() - 1;
    }
    ArrayDataset.Builder builder =
        new ArrayDataset.Builder()
            .setData(manager.create(values, new Shape(8, 3, 8, 8)))
            .setSampling(8, false);
    if (labelled) {
      builder.optLabels(manager.create(new float[] {0, 1, 2, 3, 4, 0, 1, 2}));
    }
    return builder.build();
  }

  private static float[] predict(UNet network, Peer peer) {
    double[] timesteps = peer.timesteps();
    NoiseLevels levels =
        NoiseLevels.of(Arrays.stream(timesteps).mapToObj(t -> new Level(t, 1, 1)).toList());
    try (NDArray output = network.predict(peer.input(), levels, peer.condition())) {
      return output.toFloatArray();
    }
  }

  /** |Δ| at most 1e-4 · (1 + |expected|). */
  private static void assertSame(String what, float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs((double) actual[i] - expected[i]);
      worst = Math.max(worst, difference / (1 + Math.abs(expected[i])));
    }
    assertThat(worst)
        .as(String.format(Locale.ROOT, "%s, worst %.2g", what, worst))
        .isLessThanOrEqualTo(1e-4);
  }
}
