package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The files of other libraries through the program: converted, they draw what they draw themselves.
 * That they are understood is for the library's tests to show, from which the files are.
 */
class PeerLayoutsTest {

  private static final Path PEERS = Path.of("../ddpm-unet/src/test/resources/peers");
  private static final Path TORCH = Path.of("../ddpm-core/src/test/resources/torch");

  /** What the files of the tests have beside weights. */
  private static final Set<String> BESIDE =
      Set.of(
          "input",
          "timesteps",
          "output",
          "raw",
          "sigmas",
          "labels",
          "mask",
          "previous_x0",
          "context");

  @TempDir private Path folder;

  private static Map<String, NDArray> weights(String name, NDManager manager) throws IOException {
    Map<String, NDArray> weights = new LinkedHashMap<>();
    try (TensorSource source = TensorFiles.open(PEERS.resolve(name + ".safetensors"))) {
      for (String tensor : source.tensors().keySet()) {
        if (!BESIDE.contains(tensor) && !tensor.endsWith("num_batches_tracked")) {
          weights.put(tensor, source.readFloat32(tensor, manager));
        }
      }
    }
    return weights;
  }

  /** What people have: a file of weights, or a folder of diffusers. */
  private Path written(String name) throws IOException {
    if (name.contains(".")) {
      return TORCH.resolve(name);
    }
    try (NDManager manager = NDManager.newBaseManager()) {
      if (!name.startsWith("unet")) {
        Path file = folder.resolve(name + ".safetensors");
        Safetensors.write(file, weights(name, manager), Map.of());
        return file;
      }
      Path model = folder.resolve(name);
      boolean plain = name.startsWith("unet2d");
      Path unet = model.resolve("unet");
      Safetensors.write(
          unet.resolve("diffusion_pytorch_model.safetensors"), weights(name, manager), Map.of());
      JsonObject config =
          JsonParser.parseString(Files.readString(PEERS.resolve(name + ".json")))
              .getAsJsonObject()
              .getAsJsonObject("args");
      config.addProperty("_class_name", plain ? "UNet2DModel" : "UNet2DConditionModel");
      Files.writeString(unet.resolve("config.json"), config.toString());
      Path scheduler = Files.createDirectories(model.resolve("scheduler"));
      Files.writeString(
          scheduler.resolve("scheduler_config.json"), "{\"_class_name\": \"DDPMScheduler\"}");
      if (plain) {
        Files.writeString(model.resolve("model_index.json"), "{\"_class_name\": \"DDPMPipeline\"}");
      }
      return plain ? model : unet;
    }
  }

  private static Object[] with(String options, Object... args) {
    Stream<String> more = options.isEmpty() ? Stream.of() : Stream.of(options.split(" "));
    return Stream.concat(Stream.of(args), more).toArray();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "unet2d_ldm | '' | ''",
        "unet2d_scaleshift | -c 1 | ''",
        "guided_updown | -c 1 | --image 3x8x8 --head-channels 4 --groups 4 --schedule linear:1000",
        "guided_new_order | -c 1 | --image 3x8x8 --head-channels 4 --groups 4"
            + " --schedule linear:1000 --new-attention-order",
        "improved | -c 1 | --image 3x8x8 --heads 2 --groups 4 --schedule cosine:4000"
            + " --rescaled-timesteps true",
        "improved.pt | -c 1 | --image 3x8x8 --heads 1 --groups 4 --schedule linear:1000",
        "lucidrains | '' | --image 3x8x8 --schedule cosine:1000 --prediction velocity",
        "lucidrains-trainer.pt | '' | --image 3x8x8",
        "lucidrains-trainer.pt | '' | --image 3x8x8 --raw",
        "labml | '' | --image 3x8x8 --groups 4 --schedule linear:1000",
        "teapearce | -c 1 | ''",
        "teapearce-ddp.pth | -c 1 | ''",
        "edm_song | '' | ''",
        "edm_adm | -c 1 | --head-channels 4",
      })
  void convert_filesOfAPeer_drawTheSame(String name, String asked, String options)
      throws IOException {
    Path file = written(name);
    Path own = folder.resolve("own");
    assertThat(Program.run(with(options, "info", file)).good()).startsWith("Network of ");
    assertThat(Program.run(with(options, "convert", "-m", file, "-o", own)).good().strip())
        .isEqualTo(own.toString());
    Path before = folder.resolve("before.png");
    Path after = folder.resolve("after.png");
    String plain = ("-s ddim:1 -n 1 " + asked).strip();
    Program.run(with((plain + " " + options).strip(), "sample", "-m", file, "-o", before)).good();
    Program.run(with(plain, "sample", "-m", own, "-o", after)).good();
    assertThat(Pixels.difference(before, after)).isLessThanOrEqualTo(1);
  }

  /** Networks of latents draw in pipelines alone. */
  @Test
  void convert_networkWithAContext_isKept() throws IOException {
    Path own = folder.resolve("own");
    Program.run("convert", "-m", written("unet_sd1"), "-o", own).good();
    assertThat(Program.run("info", own).good()).contains("network            UNet[image (4, ");
  }

  @Test
  void convert_withoutWhatTheFileDoesNotSay_asksForTheOption() throws IOException {
    Path out = folder.resolve("out");
    Path labml = written("labml");
    assertThat(Program.run("convert", "-m", labml, "-o", out).refused())
        .isEqualTo(
            "convert: "
                + labml
                + " does not say how large images are: give --image, such as 3x32x32");
    Path improved = written("improved");
    assertThat(
            Program.run(
                    "convert",
                    "-m",
                    improved,
                    "--image",
                    "3x8x8",
                    "--groups",
                    "4",
                    "--schedule",
                    "cosine:4000",
                    "--heads",
                    "2",
                    "-o",
                    out)
                .refused())
        .endsWith(
            " timesteps of the schedule: give --rescaled-timesteps true or false, as"
                + " rescale_timesteps was");
    assertThat(out).doesNotExist();
  }
}
