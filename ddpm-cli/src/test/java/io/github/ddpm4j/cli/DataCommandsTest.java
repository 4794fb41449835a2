package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** data and evaluate. */
class DataCommandsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path real;
  private static Path other;

  @BeforeAll
  static void make() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    real = Tiny.pictures(shared.resolve("real"), 12, 1);
    other = Tiny.pictures(shared.resolve("other"), 12, 100);
  }

  @Test
  void data_saysWhatIsThere() throws IOException {
    Program.Result good = Program.run("data", real, "--size", "1x8x8");
    assertThat(good.good()).contains("12");
    Path mixed = Tiny.pictures(folder.resolve("mixed"), 3, 1);
    Path broken = Files.writeString(mixed.resolve("z.png"), "no picture");
    Program.Result bad = Program.run("data", mixed, "--size", "1x8x8");
    assertThat(bad.code()).isEqualTo(1);
    assertThat(bad.out()).contains(broken.getFileName().toString());
  }

  @Test
  void data_ofNothing_isRefused() throws IOException {
    Path none = folder.resolve("none");
    assertThat(Program.run("data", none).refused()).isEqualTo("data: " + none + " does not exist");
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertThat(Program.run("data", empty).refused())
        .isEqualTo(
            "data: "
                + empty
                + " holds no pictures; name a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files, or"
                + " one with a folder of them for each class");
  }

  @Test
  void evaluate_twoFolders() {
    assertThat(Program.run("evaluate", real, other, "--size", "1x8x8").good())
        .startsWith("in the features of pixels:")
        .hasLineCount(5);
    JsonObject same =
        JsonParser.parseString(
                Program.run("evaluate", real, real, "--size", "1x8x8", "--json").good())
            .getAsJsonObject();
    assertThat(same.get("features").getAsString()).isEqualTo("pixels");
    assertThat(same.getAsJsonObject("precision").get("value").getAsDouble()).isEqualTo(1);
    assertThat(same.getAsJsonObject("recall").get("generated").getAsInt()).isEqualTo(12);
  }

  @Test
  void evaluate_aModel_withItsLikelihood() {
    JsonObject all =
        JsonParser.parseString(
                Program.run(
                        "evaluate",
                        real,
                        model,
                        "-s",
                        "ddim:2",
                        "-c",
                        "cat",
                        "-n",
                        "8",
                        "--bits",
                        "2",
                        "--json")
                    .good())
            .getAsJsonObject();
    assertThat(all.getAsJsonObject("precision").get("generated").getAsInt()).isEqualTo(8);
    assertThat(all.getAsJsonObject("bits per dimension").get("images").getAsInt()).isEqualTo(2);
    assertThat(
            Program.run("evaluate", real, model, "-s", "ddim:2", "-n", "4", "--bits", "1").good())
        .contains("bits");
  }

  @Test
  void evaluate_whatMakesNoSense_isRefused() throws IOException {
    assertThat(Program.run("evaluate", real, other).refused())
        .isEqualTo(
            "evaluate: two folders of pictures need --size, such as 3x32x32, since pictures may"
                + " differ in size");
    assertThat(Program.run("evaluate", real, other, "--size", "1x8x8", "--bits", "2").refused())
        .isEqualTo("evaluate: --bits needs a model, but " + other + " is none");
    assertThat(Program.run("evaluate", real, model, "--size", "1x8x8").refused())
        .isEqualTo("evaluate: --size is for two folders; a model has its own");
    assertThat(Program.run("evaluate", real, model, "-n", "3").refused())
        .isEqualTo("evaluate: --count must be at least 4, but was 3");
    assertThat(Program.run("evaluate", real, model, "--bits", "0").refused())
        .isEqualTo("evaluate: --bits must be at least 1, but was 0");
    assertThat(Program.run("evaluate", real, model, "--features-side", "0").refused())
        .isEqualTo("evaluate: --features-side must be at least 1, but was 0");
    Path none = folder.resolve("none");
    assertThat(Program.run("evaluate", none, model).refused())
        .isEqualTo("evaluate: " + none + " does not exist");
    assertThat(Program.run("evaluate", real, none, "--size", "1x8x8").refused())
        .isEqualTo("evaluate: " + none + " does not exist");
    assertThat(Program.run("evaluate", real, model, "--features", none).refused())
        .isEqualTo("evaluate: " + none + " does not exist");
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertThat(Program.run("evaluate", empty, model).refused())
        .isEqualTo(
            "evaluate: "
                + empty
                + " holds no pictures; name a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files, or"
                + " one with a folder of them for each class");
    Path text = Files.writeString(folder.resolve("text.pt"), "none");
    assertThat(
            Program.run("evaluate", real, other, "--size", "1x8x8", "--features", text).refused())
        .isEqualTo(
            "evaluate: "
                + text
                + " holds no TorchScript that the engine can load; torch.jit.save writes such files");
    Path few = Tiny.pictures(folder.resolve("few"), 2, 1);
    assertThat(Program.run("evaluate", real, few, "--size", "1x8x8").refused())
        .isEqualTo(
            "evaluate: generated images must be at least 4 for precision and recall with k = 3, but"
                + " were 2; make more");
  }
}
