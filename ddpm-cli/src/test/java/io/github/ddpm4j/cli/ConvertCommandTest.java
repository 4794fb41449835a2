package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.pretrained.Pretrained;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** convert to 16 bits, and of models of several networks. */
class ConvertCommandTest {

  private static final Path PIPELINES = Tiny.PIPELINES;

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;

  @BeforeAll
  static void make() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
  }

  private Path converted(Path from, String name, Object... more) {
    Path out = folder.resolve(name);
    Object[] args =
        Stream.concat(Stream.of("convert", "-m", from, "-o", out), Stream.of(more)).toArray();
    assertThat(Program.run(args).good().strip()).isEqualTo(out.toString());
    return out;
  }

  private static String refused(Object... args) {
    return Program.run(Stream.concat(Stream.of("convert"), Stream.of(args)).toArray()).refused();
  }

  /** To the nearest; the engine's arrays know no bfloat16. */
  private static float[] rounded(NDArray weight, String type) {
    if (type.equals("float16")) {
      try (NDArray half = weight.toType(DataType.FLOAT16, true);
          NDArray wide = half.toType(DataType.FLOAT32, true)) {
        return wide.toFloatArray();
      }
    }
    float[] all = weight.toFloatArray();
    for (int i = 0; i < all.length; i++) {
      int bits = Float.floatToIntBits(all[i]);
      all[i] = Float.intBitsToFloat((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
    }
    return all;
  }

  private static void assertRounded(
      Map<String, NDArray> before, Map<String, NDArray> after, String type) {
    assertThat(after.keySet()).isEqualTo(before.keySet());
    before.forEach(
        (name, weight) ->
            assertThat(after.get(name).toFloatArray()).as(name).isEqualTo(rounded(weight, type)));
  }

  private static void assertStored(Path file, String kind) throws IOException {
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.tensors().values())
          .isNotEmpty()
          .allSatisfy(tensor -> assertThat(tensor.kind()).isEqualTo(kind));
    }
  }

  @ParameterizedTest
  @CsvSource({"float16, F16", "bfloat16, BF16"})
  void convert_to16Bits_roundsEveryWeight(String type, String kind) throws IOException {
    Path file = converted(model, "x.safetensors", "-f", "safetensors", "--type", type);
    Path diffusers = converted(model, "x", "-f", "diffusers", "--type", type);
    assertStored(file, kind);
    assertStored(diffusers.resolve("unet/diffusion_pytorch_model.safetensors"), kind);
    try (DDPM before = DDPM.load(model);
        DDPM one = DDPM.load(file);
        Pretrained other = Pretrained.load(diffusers)) {
      Map<String, NDArray> weights = before.denoiser(UNet.class).weights();
      assertRounded(weights, one.denoiser(UNet.class).weights(), type);
      assertRounded(weights, other.ddpm().denoiser(UNet.class).weights(), type);
    }
    // What was rounded is written again as it is.
    Path wide = converted(file, "wide.safetensors", "-f", "safetensors");
    Path again = converted(wide, "again.safetensors", "-f", "safetensors", "--type", type);
    assertThat(Files.size(again)).isEqualTo(Files.size(file));
    assertStored(wide, "F32");
    try (DDPM one = DDPM.load(file);
        DDPM two = DDPM.load(again)) {
      assertRounded(one.denoiser(UNet.class).weights(), two.denoiser(UNet.class).weights(), type);
    }
  }

  private static float[] drawn(TextToImage model, NDManager manager) {
    try (Samples pictures = model.prompt("a red dog").steps(2).seed(1).generate(1)) {
      return pictures.toNDArray(manager).toFloatArray();
    }
  }

  private static void assertSamePictures(Path one, Path other) throws IOException {
    try (TextToImage before = TextToImage.load(one);
        TextToImage after = TextToImage.load(other);
        NDManager manager = NDManager.newBaseManager()) {
      assertThat(drawn(after, manager)).isEqualTo(drawn(before, manager));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "ldm_text2im"})
  void convert_aPipelineOfTexts_drawsTheSame(String name) throws IOException {
    Path from = PIPELINES.resolve(name);
    assertSamePictures(from, converted(from, "out", "-f", "diffusers"));
  }

  /** As the refusal of other layouts says. */
  @Test
  void convert_theNetworkOfAPipelineAlone_toTheLibrarysOwnLayout() throws IOException {
    Path network = PIPELINES.resolve("sd1/unet");
    Path out = converted(network, "out");
    try (Pretrained before = Pretrained.load(network);
        DDPM after = DDPM.load(out)) {
      Map<String, NDArray> weights = after.denoiser(UNet.class).weights();
      before
          .ddpm()
          .denoiser(UNet.class)
          .weights()
          .forEach((name, weight) -> assertThat(weights.get(name)).as(name).isEqualTo(weight));
      assertThat(after.schedule()).hasToString(before.ddpm().schedule().toString());
    }
  }

  /** Where Python's tools leave what they download. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void convert_aPipelineOfTheCache_drawsTheSame() throws Exception {
    Path from = PIPELINES.resolve("sd1");
    Path cache = folder.resolve("cache/hub/models--tiny--sd1");
    Path snapshot = cache.resolve("snapshots/0123456789abcdef0123456789abcdef01234567");
    Files.createDirectories(cache.resolve("refs"));
    Files.writeString(cache.resolve("refs/main"), String.valueOf(snapshot.getFileName()));
    Tiny.pipeline("sd1", snapshot);
    Path out = folder.resolve("out");
    ProcessBuilder program =
        ProcessTest.java(
            List.of(),
            Ddpm.class,
            List.of("convert", "-m", "tiny/sd1", "-f", "diffusers", "-o", out.toString()));
    program.environment().keySet().removeIf(name -> name.startsWith("HF_"));
    program.environment().put("HF_HOME", folder.resolve("cache").toString());
    Process process = program.redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    assertThat(said.strip()).isEqualTo(out.toString());
    assertSamePictures(from, out);
  }

  @Test
  void convert_aSingleFile_drawsTheSameAsItsFolder() throws IOException {
    Path described = PIPELINES.resolve("sd2");
    Path file = PIPELINES.resolve("single/sd2.safetensors");
    Path out = converted(file, "out", "--configuration", described, "-f", "diffusers");
    assertSamePictures(described, out);
    Path velocity =
        converted(
            file,
            "velocity",
            "--configuration",
            described,
            "--tokenizer",
            described.resolve("tokenizer"),
            "--prediction",
            "velocity",
            "-f",
            "diffusers");
    try (TextToImage model = TextToImage.load(velocity)) {
      assertThat(model.latentDiffusion().ddpm().prediction()).hasToString("VELOCITY");
    }
  }

  @Test
  void convert_aPipelineTo16Bits_roundsEveryWeight() throws IOException {
    Path from = PIPELINES.resolve("ldm_unconditional");
    Path out = converted(from, "out", "-f", "diffusers", "--type", "float16");
    assertStored(out.resolve("unet/diffusion_pytorch_model.safetensors"), "F16");
    assertStored(out.resolve("vqvae/diffusion_pytorch_model.safetensors"), "F16");
    try (LatentDiffusion before = LatentDiffusion.load(from);
        LatentDiffusion after = LatentDiffusion.load(out)) {
      assertRounded(before.autoencoder().weights(), after.autoencoder().weights(), "float16");
      assertRounded(
          before.ddpm().denoiser(UNet.class).weights(),
          after.ddpm().denoiser(UNet.class).weights(),
          "float16");
    }
  }

  @Test
  void convert_whatCannotBe_isRefusedByName() throws IOException {
    Path out = folder.resolve("out");
    Path sd1 = PIPELINES.resolve("sd1");
    Path ldm = PIPELINES.resolve("ldm_unconditional");
    Path single = PIPELINES.resolve("single/sd1.ckpt");
    for (String format : new String[] {"ddpm4j", "npz", "torchscript"}) {
      assertThat(refused("-m", model, "-f", format, "--type", "float16", "-o", out))
          .isEqualTo(
              "convert: --type is for safetensors and diffusers, since "
                  + format
                  + " holds float32 alone; give another --format, or leave it out");
    }
    assertThat(refused("-m", sd1, "-o", out))
        .isEqualTo(
            "convert: "
                + sd1
                + " (StableDiffusionPipeline) has several networks, which only --format diffusers"
                + " holds; give that, or name "
                + sd1.resolve("unet")
                + " for its network alone");
    assertThat(refused("-m", ldm, "-f", "safetensors", "-o", out))
        .startsWith("convert: " + ldm + " (LDMPipeline) has several networks, which only ");
    assertThat(refused("-m", single, "--tokenizer", sd1.resolve("tokenizer"), "-o", out))
        .isEqualTo(
            "convert: "
                + single
                + " (a whole pipeline in one file) has several networks, which only --format"
                + " diffusers holds; give that, or leave out --tokenizer and --configuration for its"
                + " network alone");
    assertThat(
            refused(
                "-m", sd1, "--tokenizer", sd1.resolve("tokenizer"), "-f", "diffusers", "-o", out))
        .isEqualTo(
            "convert: "
                + sd1
                + " is a folder, whose own tokenizer and configurations are read: leave out"
                + " --tokenizer and --configuration");
    assertThat(refused("-m", model, "--tokenizer", sd1, "-f", "diffusers", "-o", out))
        .isEqualTo(
            "convert: --tokenizer is for single files of Stable Diffusion, and "
                + model
                + " is none; leave it out");
    assertThat(refused("-m", sd1, "--heads", "2", "-f", "diffusers", "-o", out))
        .isEqualTo(
            "convert: --heads is for files of a single network, and "
                + sd1
                + " has several; leave it out");
    for (Object[] option :
        new Object[][] {
          {"--tokenizer", sd1.resolve("tokenizer")},
          {"--configuration", sd1},
          {"--prediction", "velocity"}
        }) {
      assertThat(refused("-m", ldm, option[0], option[1], "-f", "diffusers", "-o", out))
          .isEqualTo(
              "convert: "
                  + option[0]
                  + " is for pipelines with a text encoder, and "
                  + ldm
                  + " (LDMPipeline) has none; leave it out");
    }
    Path none = folder.resolve("none");
    assertThat(refused("-m", single, "--configuration", none, "-f", "diffusers", "-o", out))
        .isEqualTo("convert: " + none + " does not exist");
    Path network = converted(model, "network.safetensors", "-f", "safetensors");
    assertThat(refused("-m", network, "--configuration", sd1, "-f", "diffusers", "-o", out))
        .isEqualTo(
            "convert: "
                + network
                + " is no whole pipeline of Stable Diffusion: it has no network, whose names begin"
                + " with model.diffusion_model.; a network alone is for other commands than text, and"
                + " without --tokenizer and --configuration");
    Path other = Files.createDirectories(folder.resolve("other"));
    Files.createFile(other.resolve("notes.txt"));
    assertThat(refused("-m", sd1, "-f", "diffusers", "-o", other))
        .isEqualTo(
            "convert: "
                + other
                + ": it holds notes.txt, which is no part of a model that was saved there; choose"
                + " another folder");
    assertThat(Program.run("convert", "-m", model, "--type", "float8", "-o", out).misspelt())
        .isEqualTo(
            "Invalid value for option '--type': must be of float32, float16, bfloat16, but"
                + " was float8");
    assertThat(out).doesNotExist();
  }

  @Test
  void convert_whatIsTooLargeFor16Bits_isRefusedByName() throws IOException {
    Path large = folder.resolve("large");
    try (DDPM ddpm = DDPM.load(model)) {
      ddpm.denoiser(UNet.class).weights().get("conv_out.bias").addi(1e6f);
      ddpm.save(large);
    }
    Path out = folder.resolve("out.safetensors");
    assertThat(refused("-m", large, "-f", "safetensors", "--type", "float16", "-o", out))
        .isEqualTo(
            "convert: tensor conv_out.bias holds values that are too large for float16 and would"
                + " become infinite; give another --type, such as bfloat16");
    assertThat(out).doesNotExist();
    converted(large, "out.safetensors", "-f", "safetensors", "--type", "bfloat16");
  }
}
