package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.io.JsonFile;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.PublishedUNet;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Architectures of published sizes, told from the shapes of their weights alone. */
class PublishedTest {

  @TempDir private Path folder;

  private static UNetFamily family(PublishedUNet network) {
    String name = network.name();
    if (name.startsWith("GUIDED") || name.startsWith("IMPROVED")) {
      return new OpenAi();
    }
    if (network.config().contextCondition() > 0) {
      return new CompVis();
    }
    return name.startsWith("LUCIDRAINS")
        ? new Lucidrains()
        : name.startsWith("LABML") ? new Labml() : new Edm();
  }

  private static PeerShapes shapes(UNetFamily family, UNetConfig config) {
    PeerShapes none = new PeerShapes(Map.of(), "the file");
    Given given = new Given(Pretrained.options());
    return new PeerShapes(family.table(config, none, given).peerShapes(), "the file");
  }

  /** What shapes do not tell is what the published model is known to have. */
  private static Pretrained.Options options(UNetConfig config) {
    Map<String, Object> words = config.describe();
    Pretrained.Options options =
        Pretrained.options()
            .image(
                config.imageChannels(),
                (int) config.imageShape().get(1),
                (int) config.imageShape().get(2))
            .dropout(config.dropout());
    return words.containsKey("heads")
        ? options.heads((int) Objects.requireNonNull(words.get("heads")))
        : options.headChannels((int) Objects.requireNonNull(words.get("headChannels")));
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.MATCH_NONE,
      names = {"DIFFUSERS.*", "LDM_CELEBAHQ"})
  void config_ofItsShapes_theArchitecture(PublishedUNet network) throws IOException {
    UNetConfig config = network.config();
    UNetFamily family = family(network);

    UNetConfig told = family.config(shapes(family, config), new Given(options(config)));

    assertThat(told.weightShapes()).isEqualTo(config.weightShapes());
    assertThat(words(told)).isEqualTo(words(config));
  }

  /** Without what may be said in two ways, or means nothing where passages are residual blocks. */
  private static Map<String, Object> words(UNetConfig config) {
    Map<String, Object> words = new HashMap<>(config.describe());
    if (words.containsKey("down")) {
      words.remove("downsamplePadding");
    }
    words.putIfAbsent("stemChannels", config.baseChannels());
    words.putIfAbsent("embeddingWidth", config.baseChannels());
    return words;
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.MATCH_NONE,
      names = {"DIFFUSERS.*", "LDM_CELEBAHQ"})
  void find_ofItsShapes_theNetwork(PublishedUNet network) {
    UNetFamily family = family(network);

    Published found =
        Published.find(family, shapes(family, network.config()), new Given(Pretrained.options()))
            .orElseThrow();

    assertThat(found.network()).isEqualTo(network);
    assertThat(found.newAttentionOrder()).isEqualTo(network == PublishedUNet.GUIDED_64);
  }

  @Test
  void find_otherShapes_none() {
    UNetConfig other = PublishedUNet.GUIDED_64.builder().classes(999).config();
    assertThat(
            Published.find(
                new OpenAi(), shapes(new OpenAi(), other), new Given(Pretrained.options())))
        .isEmpty();
  }

  @Test
  void schedules_ofGuidedDiffusion_cosineFor64Alone() {
    for (PublishedUNet network : PublishedUNet.values()) {
      if (network.name().startsWith("GUIDED")) {
        Published found =
            Published.find(
                    new OpenAi(),
                    shapes(new OpenAi(), network.config()),
                    new Given(Pretrained.options()))
                .orElseThrow();
        assertThat(Objects.requireNonNull(found.schedule()).describe())
            .isEqualTo(
                (network == PublishedUNet.GUIDED_64
                        ? Schedules.cosine(1000)
                        : Schedules.linear(1000))
                    .describe());
      }
    }
  }

  /** The configuration of google/ddpm-cifar10-32, which leaves most keys out. */
  @Test
  void read_configOfTheHub_thePapersNetwork() throws IOException {
    String json =
        "{'_class_name': 'UNet2DModel', '_diffusers_version': '0.0.4', 'act_fn': 'silu',"
            + " 'attention_head_dim': null, 'block_out_channels': [128, 256, 256, 256],"
            + " 'center_input_sample': false, 'down_block_types': ['DownBlock2D',"
            + " 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D'], 'downsample_padding': 0,"
            + " 'flip_sin_to_cos': false, 'freq_shift': 1, 'in_channels': 3, 'layers_per_block': 2,"
            + " 'mid_block_scale_factor': 1, 'norm_eps': 1e-06, 'norm_num_groups': 32,"
            + " 'out_channels': 3, 'sample_size': 32, 'time_embedding_type': 'positional',"
            + " 'up_block_types': ['UpBlock2D', 'UpBlock2D', 'AttnUpBlock2D', 'UpBlock2D']}";

    assertThat(read(json)).isEqualTo(UNet.cifar10().dropout(0).config());
  }

  @ParameterizedTest
  @EnumSource(names = {"DIFFUSERS_TRAIN_UNCONDITIONAL", "LDM_CELEBAHQ"})
  void read_whatIsWritten_theSame(PublishedUNet network) throws IOException {
    UNetConfig config = network.config();
    String json = JsonFile.text(UNet2D.write(config, "0.35.2"));
    assertThat(read(json)).isEqualTo(config);
  }

  /** What is not said is as in diffusers, whose default is a network of 274 million parameters. */
  @Test
  void read_nothingButTheClass_itsDefaults() throws IOException {
    UNetConfig config = read("{'_class_name': 'UNet2DModel', 'sample_size': 64}");
    assertThat(config).isEqualTo(PublishedUNet.LDM_CELEBAHQ.builder().headChannels(8).config());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "'_class_name': 'AutoencoderKL' | : \"_class_name\" is AutoencoderKL, an autoencoder, which"
            + " this version does not load",
        "'act_fn': 'gelu' | : \"act_fn\" is gelu, another activation than silu, which this version"
            + " does not load",
        "'class_embed_type': 'timestep' | : \"class_embed_type\" is timestep, classes that are no"
            + " table, which this version does not load",
        "'time_embedding_type': 'fourier' | : \"time_embedding_type\" is fourier, as NCSN++ has,"
            + " which this version does not load",
        "'center_input_sample': true | : \"center_input_sample\" is true, which moves the images,"
            + " which this version does not load",
        "'downsample_padding': 2 | : \"downsample_padding\" must be 0 or 1, but was 2",
        "'novelty': 1 |  has the unknown setting \"novelty\" with the value 1; what it would change"
            + " is not known to this version",
        "'block_out_channels': [32, 64] | : \"block_out_channels\" must be as long as"
            + " down_block_types and up_block_types, but was [32, 64]",
        "'down_block_types': ['SkipDownBlock2D', 'AttnDownBlock2D', 'AttnDownBlock2D',"
            + " 'AttnDownBlock2D'] | : \"down_block_types\" is [SkipDownBlock2D, AttnDownBlock2D,"
            + " AttnDownBlock2D, AttnDownBlock2D], of NCSN++, which this version does not load",
        "'norm_num_groups': 48 |  is not valid: groups must divide the channels of every level,"
            + " but 48 does not divide 224 at level 0; 1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 112 or 224"
            + " would do",
      })
  void read_whatIsNotKnown_refused(String line) {
    String[] parts = line.split(" \\| ", 2);
    String json = "{'sample_size': 64, " + parts[0] + "}";
    String whole =
        parts[0].contains("_class_name")
            ? json
            : json.replace("{", "{'_class_name': 'UNet2DModel', ");
    assertThatThrownBy(() -> read(whole))
        .isInstanceOf(IOException.class)
        .hasMessage(folder.resolve("config.json") + parts[1]);
  }

  private UNetConfig read(String json) throws IOException {
    Path file = folder.resolve("config.json");
    Files.writeString(file, json.replace('\'', '"'));
    return UNet2D.read(ConfigFile.read(file), null, new Given(Pretrained.options()));
  }
}
