package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
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
  void samplers_areCompared() {
    String table =
        Program.run("samplers", "-m", model, "--calls", "2", "--long-chain", "6", "-n", "4").good();
    assertThat(table).contains("ddim:2", "dpm++2m:2");
    assertThat(Program.run("samplers", "-m", model, "--calls", "0").refused())
        .isEqualTo("samplers: --calls must be at least 1, but was 0");
    assertThat(Program.run("samplers", "-m", model, "--long-chain", "21").refused())
        .isEqualTo(
            "samplers: steps must be at least 1 and at most the schedule's 20 timesteps, but was"
                + " 21");
    assertThat(Program.run("samplers", "-m", "none").refused())
        .isEqualTo("samplers: none does not exist");
  }

  @Test
  void info_ofAModel_saysWhatItIs() {
    assertThat(Program.run("info", model).good())
        .contains(
            "schedule           Schedule[linear, timesteps=20]",
            "classes            cat, dog",
            "network            ");
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
    Path script = folder.resolve("x.pt");
    Program.run("convert", "-m", model, "-f", "torchscript", "-o", script).good();
    assertThat(script).isNotEmptyFile();
    assertThat(
            Program.run("convert", "-m", model, "-f", "npz", "-o", folder.resolve("x.npz"))
                .refused())
        .isEqualTo(
            "convert: the authors' code has 32 groups and the paper's blocks: groups must divide the"
                + " channels of every level, but 32 does not divide 4 at level 0; 1, 2 or 4 would"
                + " do");
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
        .isEqualTo("convert: none does not exist");
    assertThat(
            Program.run("convert", "-m", model, "-f", "diffusers", "-o", file.getParent())
                .refused())
        .isEqualTo("convert: " + folder + ": it holds file.png, which is no part of a pipeline");
    assertThat(
            Program.run("convert", "-m", model, "-f", "onnx", "-o", folder.resolve("x")).misspelt())
        .isEqualTo(
            "Invalid value for option '--format': expected one of [DDPM4J, SAFETENSORS, DIFFUSERS,"
                + " NPZ, TORCHSCRIPT] (case-insensitive) but was 'onnx'");
  }

  @Test
  void download_ofNoName_isRefused() {
    assertThat(Program.run("download", "no name").refused())
        .isEqualTo("download: NAME must be like google/ddpm-cifar10-32, but was no name");
  }
}
