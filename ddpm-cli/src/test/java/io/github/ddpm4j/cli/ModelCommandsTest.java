package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** samplers, info, convert and download. */
class ModelCommandsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;

  @BeforeAll
  static void model() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
  }

  @Test
  void info_ofAModelThatIsNotInTheCache_saysWhatSampleSays() {
    String sampled = Program.run("sample", "-m", "google/none", "-o", "x.png").refused();
    assertThat(sampled)
        .endsWith(
            ": the model is not in the cache of Hugging Face; get it by: ddpm download google/none");
    assertThat(Program.run("info", "google/none").refused())
        .isEqualTo(sampled.replace("sample:", "info:"));
  }

  @Test
  void samplers_areCompared() {
    String table =
        Program.run("samplers", "-m", model, "--calls", "2", "--long-chain", "6", "-n", "4").good();
    assertThat(table).contains("ddim:2", "dpm++2m:2");
    JsonObject json =
        json("samplers", "-m", model, "--calls", "2", "--long-chain", "6", "-n", "4", "--json");
    assertThat(json.keySet())
        .containsExactly("calls", "images", "seed", "choice", "long chain", "samplers");
    assertThat(json.get("long chain"))
        .hasToString("{\"sampler\":\"ddim:6\",\"calls\":6,\"error\":0.0}");
    JsonObject best = json.get("samplers").getAsJsonArray().get(0).getAsJsonObject();
    assertThat(best.get("sampler")).isEqualTo(json.get("choice"));
    assertThat(best.get("calls").getAsInt()).isBetween(1, 2);
    assertThat(best.get("error").getAsDouble()).isPositive();
    assertThat(Program.run("samplers", "-m", model, "--calls", "0").refused())
        .isEqualTo("samplers: --calls must be at least 1, but was 0");
    assertThat(Program.run("samplers", "-m", model, "--long-chain", "21").refused())
        .isEqualTo(
            "samplers: steps must be at least 1 and at most the schedule's 20 timesteps, but was"
                + " 21");
    assertThat(Program.run("samplers", "-m", "none").refused())
        .isEqualTo("samplers: none does not exist; the models in the box are faces and fashion");
  }

  @Test
  void samplers_thatCannotServe_areRefusedInTheWordsOfSamplers() {
    assertThat(
            Program.run("samplers", "-m", "fashion", "--calls", "6", "--long-chain", "8", "-n", "1")
                .good())
        .contains("plms:5 would multiply", "use dpm++2m, take more steps, or leave out levels of")
        .doesNotContain("lambdaMin(", "dpmSolverPlusPlus");
  }

  @Test
  void info_ofAModel_saysWhatItIs() {
    assertThat(Program.run("info", model).good())
        .contains(
            "schedule           Schedule[linear, timesteps=20]",
            "classes            cat, dog",
            "network            ");
    JsonObject json = json("info", model, "--json");
    assertThat(json.keySet())
        .containsExactly(
            "schedule",
            "prediction",
            "variance",
            "data range",
            "network",
            "classes",
            "metadata",
            "provenance");
    assertThat(json.get("schedule").getAsString()).isEqualTo("Schedule[linear, timesteps=20]");
    assertThat(json.get("classes")).hasToString("[\"cat\",\"dog\"]");
    Path foreign = folder.resolve("foreign");
    Program.run("convert", "-m", model, "-f", "diffusers", "-o", foreign).good();
    assertThat(json("info", foreign, "--json").getAsJsonArray("audit").get(0).getAsString())
        .isEqualTo("Network of diffusers");
  }

  private static JsonObject json(Object... args) {
    String said = Program.run(args).good().strip();
    assertThat(said).doesNotContain("\n");
    return JsonParser.parseString(said).getAsJsonObject();
  }

  @Test
  void info_ofPictures_saysHowTheyWereDrawn() throws IOException {
    Path drawn = folder.resolve("x.png");
    Program.run("sample", "-m", model, "-s", "ddim:2", "-n", "1", "-o", drawn).good();
    assertThat(Program.run("info", drawn).good())
        .contains("sampler            ddim:2", "seed               0");
    Path plain = Tiny.picture(folder.resolve("plain.png"), 8, 1);
    assertThat(Program.run("info", plain).good().strip())
        .isEqualTo(plain + " does not say how it was drawn");
    JsonObject words = json("info", drawn, "--json").getAsJsonObject("provenance");
    assertThat(words.get("sampler").getAsString()).isEqualTo("ddim:2");
    assertThat(json("info", plain, "--json")).hasToString("{\"provenance\":{}}");
  }

  @Test
  void info_ofTensorsThatAreNoModel_listsThem() throws IOException {
    Path file = folder.resolve("x.safetensors");
    try (NDManager manager = NDManager.newBaseManager()) {
      Safetensors.write(
          file, Map.of("a.weight", manager.ones(new Shape(2, 3))), Map.of("by", "me"));
    }
    assertThat(Program.run("info", file).good())
        .startsWith("no model, since    " + file)
        .contains(
            "by                 me\n",
            "F32   (2, 3)                 a.weight\n",
            "1 tensors of 6 numbers, 24 bytes once they are read\n");
    JsonObject json = json("info", file, "--json");
    assertThat(json.get("no model, since").getAsString()).startsWith(file.toString());
    assertThat(json.get("metadata")).hasToString("{\"by\":\"me\"}");
    assertThat(json.get("tensors"))
        .hasToString("[{\"name\":\"a.weight\",\"kind\":\"F32\",\"shape\":[2,3]}]");
    assertThat(json.get("bytes").getAsLong()).isEqualTo(24);
    Path run = folder.resolve("run.safetensors");
    try (DDPM ddpm = DDPM.load(model);
        SamplingRun started = ddpm.sampling().sampler(Samplers.ddim(4)).seed(1).start(2)) {
      started.next();
      started.save(run);
    }
    assertThat(Program.run("info", run).good())
        .startsWith("what               a sampling run that was saved in its midst\n")
        .contains("(2, 1, 8, 8)           x\n");
  }

  @Test
  void info_ofAModelInTheBox_isItsCard() {
    assertThat(Program.run("info", "faces").good())
        .contains("attributes         skin=light|fair|tan|brown, hair=long|short, ")
        .contains("licence of the data CC0 1.0")
        .contains("conditionDropout   0.1");
    JsonObject json = json("info", "faces", "--json");
    assertThat(json.getAsJsonObject("metadata").get("licence of the data").getAsString())
        .isEqualTo("CC0 1.0");
    assertThat(json.getAsJsonObject("provenance").get("conditionDropout").getAsString())
        .isEqualTo("0.1");
  }

  @Test
  void info_ofPictures_saysHowTheyAreDrawn() {
    Path pictures = folder.resolve("pictures");
    Program.run("sample", "-m", model, "-s", "ddim:2", "-n", "3", "-c", "dog", "-o", pictures)
        .good();
    assertThat(Program.run("info", pictures).good())
        .startsWith("what               pictures of ddpm sample\npictures           3\n")
        .containsPattern("\nblock +16\n")
        .containsPattern("\nclasses +\\[dog]\n");
    JsonObject json = json("info", pictures, "--json");
    assertThat(json.get("pictures").getAsInt()).isEqualTo(3);
    assertThat(json.getAsJsonObject("settings").get("block").getAsString()).isEqualTo("16");
  }

  @Test
  void info_ofNothing_isRefused() throws IOException {
    Path none = folder.resolve("none");
    assertThat(Program.run("info", none).refused()).isEqualTo("info: " + none + " does not exist");
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertThat(Program.run("info", empty).refused()).startsWith("info: " + empty);
    Path text = Files.writeString(folder.resolve("text.safetensors"), "none");
    assertThat(Program.run("info", text).refused()).startsWith("info: " + text);
  }

  @Test
  void convert_toEveryLayoutAndBack() throws IOException {
    Path grid = folder.resolve("before.png");
    sample(model, grid);
    for (String format : new String[] {"ddpm4j", "safetensors", "diffusers"}) {
      Path out = folder.resolve(format + (format.equals("safetensors") ? ".safetensors" : ""));
      assertThat(Program.run("convert", "-m", model, "-f", format, "-o", out).good().strip())
          .isEqualTo(out.toString());
      assertThat(Program.run("info", out).good()).isNotBlank();
      Path after = folder.resolve(format + ".png");
      sample(out, after);
      assertThat(Pixels.difference(grid, after)).as(format).isLessThanOrEqualTo(1);
    }
    Path back = folder.resolve("back");
    for (String format : new String[] {"safetensors.safetensors", "diffusers"}) {
      // From another layout to that of the library, and to the one that is left.
      Program.run("convert", "-m", folder.resolve(format), "-o", back).good();
      sample(back, grid);
      assertThat(Pixels.difference(grid, folder.resolve("ddpm4j.png"))).isLessThanOrEqualTo(1);
    }
    Path script = folder.resolve("x.pt");
    Program.run("convert", "-m", model, "-f", "torchscript", "-o", script).good();
    assertThat(script).isNotEmptyFile();
    assertThat(
            Program.run("convert", "-m", model, "-f", "npz", "-o", folder.resolve("x.npz"))
                .refused())
        .isEqualTo(
            "convert: the authors' code has 32 groups and the paper's blocks: groups must divide"
                + " the channels of every level, but 32 does not divide 4 at level 0; 1, 2 or 4"
                + " would do");
  }

  /** Like the paper's network, since the authors' variables know no other. */
  @Test
  void convert_toTheAuthorsVariablesAndBack() throws IOException {
    Path paper = folder.resolve("paper");
    try (UNet unet =
            UNet.builder()
                .image(3, 8, 8)
                .baseChannels(32)
                .channelMultipliers(1, 1)
                .attentionAtLevels(1)
                .residualBlocks(1)
                .seed(1)
                .build();
        DDPM ddpm = DDPM.builder().denoiser(unet).build()) {
      unet.weights().values().forEach(w -> w.addi(1e-3));
      ddpm.save(paper);
    }
    Path npz = folder.resolve("x.npz");
    Program.run("convert", "-m", paper, "-f", "npz", "-o", npz).good();
    Path again = folder.resolve("again");
    assertThat(Program.run("convert", "-m", npz, "-o", again).refused())
        .isEqualTo(
            "convert: "
                + npz
                + ", below \"model.\" does not say how large images are: give --image, such as"
                + " 3x32x32");
    assertThat(Program.run("convert", "-m", npz, "--image", "3x8x8", "-o", again).refused())
        .endsWith("does not say the noise schedule: give --schedule, such as linear:1000");
    Object[] told = {
      "--image", "3x8x8", "--schedule", "linear:1000", "--prediction", "epsilon", npz
    };
    Object[] args =
        Stream.of(
                new Object[] {"convert", "-o", again},
                Arrays.copyOf(told, 6),
                new Object[] {"-m", npz})
            .flatMap(Stream::of)
            .toArray();
    Program.run(args).good();
    assertThat(Program.run(Stream.concat(Stream.of("info"), Stream.of(told)).toArray()).good())
        .contains("x.npz");
    assertThat(Program.run("info", npz).good())
        .startsWith("no model, since    " + npz)
        .contains(
            "give --image, such as 3x32x32\n", "'<f4' (3)                    model/conv_out/b\n");
    Path before = folder.resolve("before.png");
    Path after = folder.resolve("after.png");
    Program.run("sample", "-m", paper, "-s", "ddim:2", "-n", "2", "-o", before).good();
    Program.run("sample", "-m", again, "-s", "ddim:2", "-n", "2", "-o", after).good();
    assertThat(Pixels.difference(before, after)).isLessThanOrEqualTo(1);
  }

  private static void sample(Path model, Path out) {
    Program.run("sample", "-m", model, "-s", "ddim:2", "-n", "2", "-c", "1", "-o", out).good();
  }

  @Test
  void convert_whereItCannot_isRefused() throws IOException {
    Path file = Tiny.picture(folder.resolve("file.png"), 8, 1);
    assertThat(Program.run("convert", "-m", "none", "-o", file).refused())
        .isEqualTo("convert: " + file + " is not a folder");
    assertThat(Program.run("convert", "-m", "none", "-o", folder.resolve("x")).refused())
        .isEqualTo("convert: none does not exist; the models in the box are faces and fashion");
    assertThat(
            Program.run("convert", "-m", model, "-f", "diffusers", "-o", file.getParent())
                .refused())
        .isEqualTo(
            "convert: "
                + folder
                + ": it holds file.png, which is no part of a pipeline;"
                + " choose another folder");
    assertThat(
            Program.run("convert", "-m", model, "-f", "onnx", "-o", folder.resolve("x")).misspelt())
        .isEqualTo(
            "Invalid value for option '--format': must be of ddpm4j, safetensors, diffusers, npz,"
                + " torchscript, but was onnx");
  }

  @Test
  void download_ofNoName_isRefused() {
    assertThat(Program.run("download", "no name").refused())
        .isEqualTo("download: NAME must be like google/ddpm-cifar10-32, but was no name");
  }
}
