package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.pretrained.Pretrained.Options;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.Packing;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Networks that attend to a context, as diffusers and CompVis have them: configurations, names and
 * shapes of published sizes, single files, and training that goes on. Outputs are compared in
 * {@link PretrainedTest}.
 */
class ContextNetworksTest {

  private static final String PREFIX = "model.diffusion_model.";

  @TempDir private Path folder;

  /* ---------------- Names and shapes ---------------- */

  /**
   * A weight as diffusers lists it.
   *
   * @param compVis its name in CompVis' files
   */
  private record Listed(Shape shape, String compVis) {}

  /** The lines of a network in the listing, which {@code list_unets.py} beside it made. */
  private static Map<String, Listed> listed(String network, StringBuilder config)
      throws IOException {
    Map<String, Listed> weights = new LinkedHashMap<>();
    Path file = Peer.resource("/peers/context-unets.txt.gz");
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.UTF_8))) {
      boolean inside = false;
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith("# ")) {
          inside = line.startsWith("# " + network + " ");
          if (inside) {
            config.append(line.substring(network.length() + 3));
          }
        } else if (inside) {
          String[] parts = line.split("\t", -1);
          long[] shape = Arrays.stream(parts[1].split(",")).mapToLong(Long::parseLong).toArray();
          weights.put(parts[0], new Listed(new Shape(shape), parts[2]));
        }
      }
    }
    return weights;
  }

  @ParameterizedTest
  @EnumSource(names = {"LDM_TEXT2IM_LARGE", "STABLE_DIFFUSION_1", "STABLE_DIFFUSION_2"})
  void weights_publishedSizes_asDiffusersListsThem(PublishedUNet network) throws IOException {
    StringBuilder json = new StringBuilder();
    Map<String, Listed> weights = listed(network.name(), json);
    assertThat(weights).hasSize(686);
    UNetConfig config = network.config();
    assertThat(read(json.toString())).isEqualTo(config);

    Map<String, Shape> expected = new LinkedHashMap<>();
    weights.forEach((name, listed) -> expected.put(name, listed.shape));
    assertThat(Diffusers.table(config, false).peerShapes()).isEqualTo(expected);

    Map<String, Shape> compVis = new LinkedHashMap<>();
    weights.forEach((name, listed) -> compVis.put(listed.compVis, listed.shape));
    NameTable table =
        new CompVis().table(config, new PeerShapes(Map.of(), ""), new Given(Pretrained.options()));
    assertThat(table.peerShapes()).isEqualTo(compVis);
    Map<String, Shape> own = config.weightShapes();
    weights.forEach(
        (name, listed) ->
            assertThat(OpenAi.line(name, config, Packing.QKV_HEAD, own).peer())
                .containsExactly(listed.compVis));
  }

  /* ---------------- Configurations ---------------- */

  private UNetConfig read(String json) throws IOException {
    Path file = folder.resolve("config.json");
    Files.writeString(file, json.replace('\'', '"'));
    ConfigFile config = ConfigFile.read(file);
    assertThat(UNet2DCondition.is(config)).isTrue();
    return UNet2DCondition.read(config, null, new Given(Pretrained.options()));
  }

  private static String json(String... keys) {
    return "{'_class_name': 'UNet2DConditionModel', 'sample_size': 32"
        + (keys.length == 0 ? "" : ", ")
        + String.join(", ", keys)
        + "}";
  }

  @Test
  void read_nothingButTheClass_itsDefaults() throws IOException {
    assertThat(read(json())).isEqualTo(PublishedUNet.LDM_TEXT2IM_LARGE.config());
  }

  /** The keys of the upscaler's file that are not the defaults. */
  @Test
  void read_configOfTheUpscaler_itsNetwork() throws IOException {
    UNetConfig config =
        read(
            json(
                    "'block_out_channels': [256, 512, 512, 1024]",
                    "'down_block_types': ['DownBlock2D', 'CrossAttnDownBlock2D',"
                        + " 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D']",
                    "'up_block_types': ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D',"
                        + " 'CrossAttnUpBlock2D', 'UpBlock2D']",
                    "'only_cross_attention': [true, true, true, false]",
                    "'cross_attention_dim': 1024",
                    "'use_linear_projection': true",
                    "'in_channels': 7",
                    "'num_class_embeds': 1000")
                .replace("32", "128"));
    assertThat(config).isEqualTo(PublishedUNet.STABLE_DIFFUSION_X4_UPSCALER.config());
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.MATCH_ANY,
      names = {"STABLE.*", "LDM_TEXT.*", "INSTRUCT.*"})
  void read_whatIsWritten_theSame(PublishedUNet network) throws IOException {
    UNetConfig config = network.config();
    assertThat(read(JsonFile.text(UNet2DCondition.write(config, "0.35.2")))).isEqualTo(config);
  }

  @Test
  void read_middleAndDepths_asSaid() throws IOException {
    assertThat(read(json("'mid_block_type': 'UNetMidBlock2D'")).weightShapes())
        .doesNotContainKeys(
            "mid_block.attentions.0.norm.weight", "mid_block.resnets.1.norm1.weight")
        .containsKey("mid_block.resnets.0.norm1.weight");
    assertThat(read(json("'mid_block_type': null")).weightShapes().keySet())
        .noneMatch(name -> name.startsWith("mid_block"));
    UNetConfig deep = read(json("'transformer_layers_per_block': [1, 2, 3, 4]"));
    assertThat(deep.weightShapes().keySet())
        .contains(
            "up_blocks.1.attentions.2.transformer_blocks.2.norm1.weight",
            "mid_block.attentions.0.transformer_blocks.3.norm1.weight")
        .noneMatch(name -> name.startsWith("up_blocks.3.attentions.0.transformer_blocks.1"));
    assertThat(read(json("'only_cross_attention': true")).layout().transformers())
        .matches(transformers -> transformers.contextOnlyLevels().equals(List.of(0, 1, 2)));
    for (String json :
        List.of(
            json("'mid_block_type': 'UNetMidBlock2D'"),
            json("'mid_block_type': null"),
            json("'transformer_layers_per_block': [1, 2, 3, 4]"),
            json("'attention_head_dim': [5, 10, 20, 40]"),
            json("'only_cross_attention': true"))) {
      UNetConfig config = read(json);
      assertThat(read(JsonFile.text(UNet2DCondition.write(config, "0.35.2")))).isEqualTo(config);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'addition_embed_type': 'text_time' | \"addition_embed_type\" is text_time, as Stable"
            + " Diffusion XL has",
        "'time_cond_proj_dim': 256 | \"time_cond_proj_dim\" is 256, as latent consistency models"
            + " have",
        "'encoder_hid_dim': 4096 | \"encoder_hid_dim\" is 4096, a layer in front of the context",
        "'num_attention_heads': 8 | \"num_attention_heads\" is 8, which diffusers refuses as well",
        "'class_embed_type': 'projection' | \"class_embed_type\" is projection, classes that are no"
            + " table",
        "'attention_type': 'gated' | \"attention_type\" is gated, attention to places, as GLIGEN"
            + " has",
        "'dual_cross_attention': true | \"dual_cross_attention\" is true, two contexts",
        "'conv_in_kernel': 7 | \"conv_in_kernel\" is 7, another size of the first convolution",
        "'center_input_sample': true | \"center_input_sample\" is true, which moves the images",
        "'cross_attention_dim': [768, 768, 1024, 768] | \"cross_attention_dim\" is [768, 768, 1024,"
            + " 768], different at different levels",
        "'mid_block_type': 'UNetMidBlock2DSimpleCrossAttn' | \"mid_block_type\" is"
            + " UNetMidBlock2DSimpleCrossAttn, another middle",
        "'norm_num_groups': null | \"norm_num_groups\" is null, a network without norms",
        "'up_block_types': ['UpBlock2D', 'AttnUpBlock2D', 'CrossAttnUpBlock2D',"
            + " 'CrossAttnUpBlock2D'] | \"up_block_types\" is [UpBlock2D, AttnUpBlock2D,"
            + " CrossAttnUpBlock2D, CrossAttnUpBlock2D], with the block AttnUpBlock2D",
      })
  void read_whatOursCannotBe_refusedByName(String line) {
    String[] parts = line.split(" \\| ", 2);
    assertThatThrownBy(() -> read(json(parts[0])))
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder.resolve("config.json") + ": " + parts[1] + ", which this version does not load");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'novelty': 1 |  has the unknown setting \"novelty\" with the value 1; what it would change"
            + " is not known to this version",
        "'only_cross_attention': [true, 1] | : \"only_cross_attention\" must be true, false or 4 of"
            + " these, but was [true, 1]",
        "'attention_head_dim': [8, 8] | : \"attention_head_dim\" must be a number from 1 on, or one"
            + " for each level, but was [8, 8]",
        "'transformer_layers_per_block': [1, 2] |  is not valid: transformer depths must be given"
            + " for each of the 4 levels, but were for 2",
        "'up_block_types': ['UpBlock2D', 'UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'] |"
            + " : \"up_block_types\" must be with attention at the levels of down_block_types,"
            + " [CrossAttnDownBlock2D, CrossAttnDownBlock2D, CrossAttnDownBlock2D, DownBlock2D], but"
            + " was [UpBlock2D, UpBlock2D, CrossAttnUpBlock2D, CrossAttnUpBlock2D]",
      })
  void read_whatIsWrong_refused(String line) {
    String[] parts = line.split(" \\| ", 2);
    assertThatThrownBy(() -> read(json(parts[0])))
        .isInstanceOf(IOException.class)
        .hasMessage(folder.resolve("config.json") + parts[1]);
  }

  /* ---------------- Single files of CompVis ---------------- */

  /** The fixture under CompVis' names, with other parts of such files beside it. */
  private Path compVis(Peer peer, NDManager manager, boolean averages) throws IOException {
    Map<String, NDArray> all = new LinkedHashMap<>();
    try (Pretrained model = peer.options().load(peer.write(folder))) {
      UNet network = model.ddpm().denoiser(UNet.class);
      NameTable table =
          new CompVis()
              .table(
                  network.config(), new PeerShapes(Map.of(), ""), new Given(Pretrained.options()));
      table
          .write(network.weights(), manager)
          .forEach(
              (name, weight) -> {
                all.put(PREFIX + name, averages ? weight.mul(0.5) : weight);
                if (averages) {
                  all.put("model_ema.diffusion_model" + name.replace(".", ""), weight);
                }
              });
    }
    all.put("first_stage_model.decoder.conv_in.weight", manager.ones(new Shape(1)));
    float[] betas = new float[1000];
    for (int t = 0; t < betas.length; t++) {
      betas[t] = (float) Schedules.scaledLinear(1000).beta(t);
    }
    all.put("betas", manager.create(betas));
    Path file = folder.resolve("v1.safetensors");
    Safetensors.write(file, all, Map.of());
    return file;
  }

  private static Options options(String name) {
    Options options = Pretrained.options().image(4, 8, 8).groups(4);
    return name.equals("unet_sd2") ? options.headChannels(4) : options.heads(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"unet_sd1", "unet_sd2", "unet_sd_inpaint", "unet_upscaler"})
  void load_singleFile_sameOutput(String name) throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read(name, manager);
      Path file = compVis(peer, manager, false);
      try (Pretrained model = options(name).load(file)) {
        assertSame(predict(model, peer), peer.output());
        assertThat(model.ddpm().schedule().describe())
            .isEqualTo(Schedules.scaledLinear(1000).describe());
        assertThat(model.audit().family()).isEqualTo("latent or stable diffusion (CompVis)");
        assertThat(model.audit().assumed())
            .contains("prediction EPSILON, as of all networks but some of Stable Diffusion 2");
        assertThat(model.sampler(50)).hasToString(model.sampler().toString());
      }
    }
  }

  /** A folder describes what a file holds, under CompVis' names or those of diffusers. */
  @Test
  void load_singleFileDescribed_sameOutput() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("unet_sd2", manager);
      Path described = folder.resolve("described");
      Path unet = described.resolve("unet");
      Files.createDirectories(unet);
      Path whole = peer.write(folder).resolve("unet");
      Files.copy(whole.resolve("config.json"), unet.resolve("config.json"));
      Path bare = folder.resolve("bare.safetensors");
      Files.copy(whole.resolve("diffusion_pytorch_model.safetensors"), bare);
      Options options =
          Pretrained.options()
              .configuration(described)
              .schedule(Schedules.scaledLinear(1000))
              .prediction(Prediction.EPSILON);
      for (Path file : List.of(compVis(peer, manager, false), bare)) {
        try (Pretrained model = options.load(file)) {
          assertSame(predict(model, peer), peer.output());
        }
      }
      assertThatThrownBy(() -> options.load(described))
          .hasMessage(
              described
                  + " is a folder, whose own configurations are read: leave out"
                  + " options().configuration(...)");
    }
  }

  @Test
  void load_otherLibraryDescribed_refused() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer sd1 = Peer.read("unet_sd1", manager);
      Path described = sd1.write(folder);
      Path file = Peer.read("labml", manager).write(folder.resolve("labml"));
      assertThatThrownBy(() -> Pretrained.options().configuration(described).load(file))
          .isInstanceOf(IOException.class)
          .hasMessage(
              file
                  + " is a network of labml's annotated DDPM, which no configuration of diffusers"
                  + " describes: leave out options().configuration(...)");
    }
  }

  @Test
  void load_singleFileWithAverages_thoseUnlessRaw() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("unet_sd1", manager);
      Path file = compVis(peer, manager, true);
      try (Pretrained averaged = options("unet_sd1").load(file);
          Pretrained raw = options("unet_sd1").raw(true).load(file)) {
        assertSame(predict(averaged, peer), peer.output());
        assertThat(averaged.audit().source())
            .isEqualTo(file + ", the averages of what is below \"" + PREFIX + "\"");
        assertThat(averaged.audit().assumed())
            .contains("the averaged weights, of the two in the file, below \"model_ema.\"");
        assertThat(raw.audit().source()).isEqualTo(file + ", below \"" + PREFIX + "\"");
        float[] whole = bias(averaged);
        float[] half = bias(raw);
        for (int i = 0; i < whole.length; i++) {
          assertThat(half[i]).isEqualTo(whole[i] / 2);
        }
      }
    }
  }

  private static float[] bias(Pretrained model) {
    NDArray bias = model.ddpm().denoiser(UNet.class).weights().get("conv_in.bias");
    return Objects.requireNonNull(bias).toFloatArray();
  }

  /** Networks of Stable Diffusion 2 have one architecture and two predictions. */
  @Test
  void facts_ofOpenClip_predictionIsAskedFor() throws IOException {
    Path file = folder.resolve("v2.safetensors");
    try (NDManager manager = NDManager.newBaseManager()) {
      String keys = PREFIX + "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
      Safetensors.write(file, Map.of(keys, manager.ones(new Shape(2, 1024))), Map.of());
    }
    try (TensorSource source = TensorFiles.open(file)) {
      Given given = new Given(Pretrained.options());
      assertThat(new CompVis().facts(source, PREFIX, given).prediction()).isNull();
      assertThat(given.assumed())
          .containsExactly("the schedule of Stable Diffusion, since the file has none");
      Given said = new Given(Pretrained.options().prediction(Prediction.VELOCITY));
      assertThat(new CompVis().facts(source, PREFIX, said).prediction())
          .isEqualTo(Prediction.VELOCITY);
    }
  }

  /* ---------------- Going on ---------------- */

  @Test
  void saveDiffusers_andLoad_sameWeights() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("unet_upscaler", manager);
      Path target = folder.resolve("saved");
      try (Pretrained model = peer.options().load(peer.write(folder))) {
        Pretrained.saveDiffusers(model.ddpm(), target);
        assertThat(target.resolve("model_index.json")).doesNotExist();
        try (Pretrained again = Pretrained.load(target)) {
          UNet network = again.ddpm().denoiser(UNet.class);
          UNet first = model.ddpm().denoiser(UNet.class);
          assertThat(network.config()).isEqualTo(first.config());
          first
              .weights()
              .forEach((name, weight) -> assertThat(network.weights().get(name)).isEqualTo(weight));
          assertSame(predict(again, peer), peer.output());
        }
      }
    }
  }

  /** The index of an earlier pipeline would have another network loaded than the one beside it. */
  @Test
  void saveDiffusers_overAPipeline_indexIsGone() throws IOException {
    Path target = folder.resolve("saved");
    try (NDManager manager = NDManager.newBaseManager();
        UNet plain =
            UNet.builder()
                .image(3, 8, 8)
                .levelChannels(8, 8)
                .residualBlocks(1)
                .groups(4)
                .seed(4)
                .build()) {
      Pretrained.saveDiffusers(DDPM.builder().denoiser(plain).build(), target);
      assertThat(target.resolve("model_index.json")).exists();
      Peer peer = Peer.read("unet_upscaler", manager);
      try (Pretrained model = peer.options().load(peer.write(folder))) {
        Pretrained.saveDiffusers(model.ddpm(), target);
        assertThat(target.resolve("model_index.json")).doesNotExist();
      }
    }
  }

  @Test
  void training_loadedNetwork_lossFalls() throws IOException {
    try (NDManager manager = NDManager.newBaseManager()) {
      Peer peer = Peer.read("unet_sd1", manager);
      try (Pretrained model = peer.options().load(peer.write(folder))) {
        NDArray images = peer.input().clip(-1, 1);
        ArrayDataset data =
            new ArrayDataset.Builder()
                .setData(images)
                .optLabels(manager.create(new float[] {0, 1}))
                .setSampling(2, false)
                .build();
        NDArray contexts = peer.condition().array(Condition.Kind.CONTEXTS, manager);
        NDArray empty = manager.zeros(new Shape(1, 5, 12)).add(0.5);
        try (TrainedModel trained =
            model
                .ddpm()
                .training()
                .condition(
                    (x, labels) -> Condition.contexts(contexts, empty).select(rows(labels.head())))
                .conditionDropout(0.2)
                .batchSize(2)
                .learningRate(5e-3)
                .steps(120)
                .seed(4)
                .fit(data)) {
          double first = 0;
          double last = 0;
          for (int i = 0; i < 30; i++) {
            first += trained.losses().loss(1 + i);
            last += trained.losses().loss(91 + i);
          }
          assertThat(last).isLessThan(0.7 * first);
        }
      }
    }
  }

  private static int[] rows(NDArray labels) {
    float[] values = labels.toFloatArray();
    int[] rows = new int[values.length];
    Arrays.setAll(rows, i -> (int) values[i]);
    return rows;
  }

  private static float[] predict(Pretrained model, Peer peer) {
    List<Level> levels =
        Arrays.stream(peer.timesteps()).mapToObj(t -> new Level(t, 0.6, 0.8)).toList();
    try (NDArray output =
        model
            .ddpm()
            .denoiser(UNet.class)
            .predict(peer.input(), NoiseLevels.of(levels), peer.condition())) {
      return output.toFloatArray();
    }
  }

  private static void assertSame(float[] actual, float[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      double difference = Math.abs(actual[i] - expected[i]) / (1 + Math.abs(expected[i]));
      assertThat(difference)
          .as(String.format(Locale.ROOT, "element %d: %s and %s", i, actual[i], expected[i]))
          .isLessThan(1e-4);
    }
  }
}
