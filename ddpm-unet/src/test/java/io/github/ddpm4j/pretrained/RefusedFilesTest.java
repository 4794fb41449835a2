package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.pretrained.Pretrained.Options;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is not loaded says why, and what to do. */
class RefusedFilesTest {

  @TempDir private Path folder;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static void refused(Path path, Options options, String message) {
    assertThatThrownBy(() -> options.load(path).close())
        .isInstanceOf(IOException.class)
        .hasMessage(message);
  }

  private static void refused(Path path, String message) {
    refused(path, Pretrained.options(), message);
  }

  private Map<String, NDArray> weights(String name) throws IOException {
    return new LinkedHashMap<>(Peer.read(name, manager).weights());
  }

  private Path file(Map<String, NDArray> weights) throws IOException {
    Path file = folder.resolve("weights.safetensors");
    Safetensors.write(file, weights, Map.of());
    return file;
  }

  private Path file(String... names) throws IOException {
    Map<String, NDArray> weights = new LinkedHashMap<>();
    for (String name : names) {
      weights.put(name, manager.zeros(new Shape(1)));
    }
    return file(weights);
  }

  private static Options guided() {
    return Pretrained.options().image(3, 8, 8).heads(2).groups(4).schedule(Schedules.linear(1000));
  }

  /* ---------------- Folders ---------------- */

  @Test
  void load_nothingThere_saysSo() {
    Path path = folder.resolve("absent");
    assertThatThrownBy(() -> Pretrained.load(path))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(path + ": there is no such folder or file of weights");
  }

  @Test
  void load_folderWithoutConfig_saysWhatItLacks() {
    assertThatThrownBy(() -> Pretrained.load(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder
                + ": no model of diffusers: it has neither config.json nor unet/config.json; choose"
                + " such a folder, or a file of weights");
  }

  @Test
  void load_folderOfOurs_pointsToItsReader() throws IOException {
    Files.writeString(folder.resolve("ddpm.json"), "{}");
    refused(folder, folder + " is a model of this library: load it by DDPM.load(folder)");
  }

  @Test
  void load_folderWithoutWeights_namesThem() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{\"_class_name\": \"UNet2DModel\"}");
    assertThatThrownBy(() -> Pretrained.load(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder
                + ": it has no weights, which are one of diffusion_pytorch_model.safetensors,"
                + " diffusion_pytorch_model.safetensors.index.json,"
                + " diffusion_pytorch_model.fp16.safetensors, diffusion_pytorch_model.bin");
  }

  @Test
  void load_pipelineOnLatents_refused() throws IOException {
    Path index = folder.resolve("model_index.json");
    Files.writeString(index, "{\"_class_name\": \"LDMPipeline\"}");
    refused(
        folder,
        index
            + ": \"_class_name\" is LDMPipeline, whose network works on latents, which this version"
            + " does not load");
  }

  @Test
  void load_folderWithoutScheduler_asksForTheSchedule() throws IOException {
    Path path = Peer.read("unet2d_ldm", manager).write(folder);
    Files.delete(path.resolve("scheduler").resolve("scheduler_config.json"));
    Path weights = path.resolve("unet").resolve("diffusion_pytorch_model.safetensors");
    refused(
        path,
        weights
            + " does not say the noise schedule: call options().schedule(...), such as"
            + " Schedules.linear(1000)");
    refused(
        path,
        Pretrained.options().schedule(Schedules.linear(1000)),
        weights
            + " does not say what the network predicts: call options().prediction(...), such as"
            + " Prediction.EPSILON");
  }

  /* ---------------- Files ---------------- */

  @Test
  void load_networksThatOursAreNot_byName() throws IOException {
    Path file = folder.resolve("weights.safetensors");
    refused(
        file("all_modules.0.weight"),
        file + " holds NCSN++ of score_sde, which this version does not load");
    refused(
        file("cond_stage.text_model.embeddings.token_embedding.weight"),
        file + " holds a text encoder, which this version does not load");
    refused(
        file("a", "b", "c", "d", "e", "f"),
        file
            + " holds no network that is known; known are those of the paper's authors, diffusers"
            + " (UNet2DModel), latent and stable diffusion (CompVis), guided-diffusion,"
            + " improved-diffusion, denoising-diffusion-pytorch"
            + " 2.x, labml, EDM and Conditional Diffusion MNIST; its 6 tensors begin with [a, b, c, d, e]");
    refused(
        file("map_layer0.weight", "enc.8x8_aux_residual.weight"),
        file
            + " is NCSN++ (SongUNet with its residual or skip encoder), which this version does not"
            + " load; DDPM++ and ADM are");
    refused(
        file("input_blocks.0.0.weight", "input_blocks.1.1.transformer_blocks.0.norm1.weight"),
        Pretrained.options().image(4, 8, 8),
        file
            + " has 0 output blocks with the first passage in number -1, which no network of"
            + " guided-diffusion or improved-diffusion has");
    refused(
        file("downs.0.0.block1.proj.weight", "downs.0.0.block1.norm.weight"),
        file
            + " is a network of denoising-diffusion-pytorch before 2.0 (GroupNorm in its blocks),"
            + " which this version does not load; train it with 2.x");
    refused(
        file("downs.0.0.block1.proj.weight", "downs.0.2.fn.fn.to_qkv.weight"),
        file
            + " is a network of denoising-diffusion-pytorch of before June 2023 (attention within a"
            + " PreNorm), which this version does not load; train it with 2.x");
    refused(
        file("time_embedding.linear_1.weight"),
        file
            + " is a network of diffusers, which needs the config.json that lies beside it in its"
            + " folder: load the folder, or write a config.json beside a file of the name"
            + " diffusion_pytorch_model.safetensors");
  }

  @Test
  void load_whatWeightsDoNotTell_asked() throws IOException {
    Path file = file(weights("improved"));
    refused(
        file,
        file + " does not say how large images are: call options().image(channels, height, width)");
    refused(
        file,
        Pretrained.options().image(3, 8, 8),
        file
            + " does not say how many heads attention has: call options().heads(count) or"
            + " options().headChannels(channels), as num_heads or num_head_channels said");
    refused(
        file,
        Pretrained.options().image(3, 8, 8).heads(2).groups(4),
        file
            + " does not say the noise schedule: call options().schedule(...), such as"
            + " Schedules.linear(1000)");
    refused(
        file,
        Pretrained.options().image(4, 8, 8).heads(2).groups(4),
        file
            + " is of a network that sees 3 channels and gives 6, which does not go with images of"
            + " 4; call options().image(channels, height, width) with others");
    refused(
        file,
        guided().schedule(Schedules.cosine(4000)),
        file
            + " does not say whether the network was told timesteps times 1000 / T, which matters"
            + " for the 4000 timesteps of the schedule: call options().rescaledTimesteps(value), as"
            + " rescale_timesteps was");
    refused(
        file,
        guided().groups(3),
        file
            + " does not go with what was set: groups must divide the channels of every level, but 3"
            + " does not divide 8 at level 0; 1, 2, 4 or 8 would do");
  }

  @Test
  void load_weightsMissingUnknownOrOfAnotherShape_named() throws IOException {
    Map<String, NDArray> weights = weights("improved");
    weights.put("input_blocks.1.0.novelty.weight", manager.zeros(new Shape(1)));
    weights.remove("middle_block.0.in_layers.2.bias");
    Path file = file(weights);
    refused(
        file,
        guided(),
        file
            + " does not have the weights of this network; missing (1):"
            + " middle_block.0.in_layers.2.bias; not known (1): input_blocks.1.0.novelty.weight");
    weights = weights("improved");
    weights.put("out.0.weight", manager.zeros(new Shape(9)));
    refused(
        file(weights),
        guided(),
        "tensor out.0.weight of " + file + " must have the shape (8) in this network, but has (9)");
  }

  @Test
  void load_severalNetworks_asksWhich() throws IOException {
    Map<String, NDArray> both = new LinkedHashMap<>();
    weights("improved").forEach((key, weight) -> both.put("one." + key, weight));
    weights("improved").forEach((key, weight) -> both.put("two." + key, weight));
    Path file = file(both);
    refused(
        file,
        guided(),
        file + " has several networks: call options().prefix(name) with one of \"one.\", \"two.\"");
    refused(
        file,
        guided().prefix("one.").heads(3),
        file
            + ", below \"one.\" does not go with what was set: heads must divide the channels of"
            + " every level with attention and of the last, but 3 does not divide 16 at level 1; 1,"
            + " 2, 4, 8 or 16 would do");
    Pretrained.Options chosen = guided().prefix("two.");
    chosen.load(file).close();
  }

  /** A model of ours says everything itself. */
  @Test
  void load_ownFileWithOptions_refused() throws IOException {
    Path file = folder.resolve("own.safetensors");
    try (UNet network =
        UNet.builder().image(1, 8, 8).levelChannels(4).groups(2).attentionAtLevels().build()) {
      DDPM.builder().denoiser(network).build().saveSafetensors(file);
    }
    String message =
        file
            + " is a model of this library, which says everything about itself: call"
            + " Pretrained.load(file), or set nothing but device(...)";
    refused(file, Pretrained.options().image(1, 8, 8), message);
    refused(file, Pretrained.options().schedule(Schedules.linear(10)), message);
    refused(file, Pretrained.options().prefix(""), message);
    Pretrained.options().device(Device.cpu()).load(file).close();
  }

  @Test
  void options_outOfRange_refusedAtOnce() {
    Options options = Pretrained.options();
    assertThatThrownBy(() -> options.heads(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("heads must be at least 1, but was 0");
    assertThatThrownBy(() -> options.image(3, 0, 8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("image height must be at least 1, but was 0");
    assertThatThrownBy(() -> options.dropout(1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("dropout must be in [0, 1), but was 1.0");
    assertThatThrownBy(() -> options.load(folder.resolve("absent")))
        .isInstanceOf(NoSuchFileException.class);
  }
}
