package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SampleCommandTest {

  @TempDir private static Path shared;
  private static Path model;
  private static Path noClasses;

  /** Of a name that shells and formats would stumble over. */
  @TempDir private Path temporary;

  private Path folder() throws IOException {
    return Files.createDirectories(temporary.resolve("ü 100% {x}"));
  }

  @BeforeAll
  static void models() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    noClasses = Tiny.model(shared.resolve("other"), 2, List.of());
  }

  private static Program.Result sample(Object... more) {
    return Program.run(
        Stream.concat(Stream.of("sample", "-m", model, "-s", "ddim:3"), Stream.of(more)).toArray());
  }

  static Map<String, String> pictures(Path folder) throws IOException {
    Map<String, String> all = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(f -> f.toString().endsWith(".png")).toList()) {
        all.put(
            file.getFileName().toString(),
            new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1));
      }
    }
    return all;
  }

  @Test
  void grid_isDrawnAndSaysHow() throws IOException {
    Path grid = folder().resolve("grid.PNG");
    String out = sample("-n", "5", "--columns", "5", "-c", "dog,0", "-g", "2", "-o", grid).good();
    assertThat(out.strip()).isEqualTo(grid + ": 5 of 5 pictures drawn now");
    var picture = ImageIO.read(grid.toFile());
    assertThat(picture.getWidth()).isGreaterThan(4 * picture.getHeight());
    assertThat(Pictures.provenance(grid))
        .containsEntry("sampler", "ddim:3")
        .containsEntry("image", "0 to 4")
        .containsEntry("guidance", "classifierFree(2.0)")
        .containsEntry("seed", "0")
        .containsEntry("classes", "[dog, 0]")
        .containsKey("model")
        .doesNotContainKeys("label", "class");
  }

  @Test
  void folder_goesOn_andSaysSoAsJson() throws IOException {
    Path out = folder().resolve("pictures");
    assertThat(sample("-n", "5", "--block", "2", "-o", out, "--json").good().strip())
        .isEqualTo("{\"output\":\"" + out + "\",\"pictures\":5,\"drawn\":5}");
    Map<String, String> first = pictures(out);
    assertThat(first.keySet())
        .containsExactly(
            "00000000.png", "00000001.png", "00000002.png", "00000003.png", "00000004.png");
    assertThat(sample("-n", "5", "--block", "2", "-o", out).good().strip())
        .isEqualTo(out + ": 0 of 5 pictures drawn now");
    sample("-n", "3", "--from", "4", "--block", "2", "-o", out).good();
    assertThat(pictures(out)).hasSize(7).containsAllEntriesOf(first);
    assertThat(Pictures.provenance(out.resolve("00000003.png")))
        .containsEntry("image", "3")
        .containsEntry("batchSize", "2")
        .containsEntry("seed", "0");
  }

  @Test
  void folder_drawnOtherwise_isRefused() throws IOException {
    Path out = folder().resolve("pictures");
    sample("-n", "1", "-o", out).good();
    assertThat(sample("-n", "1", "-o", out, "--seed", "2", "--block", "8").refused())
        .isEqualTo(
            "sample: "
                + out
                + " holds pictures that were drawn otherwise (block was 16, and is 8; seed was 0,"
                + " and is 2); choose another folder, or the same options");
    Files.writeString(out.resolve("manifest.json"), "[");
    assertThat(sample("-n", "1", "-o", out).refused())
        .isEqualTo(
            "sample: "
                + out.resolve("manifest.json")
                + " is no manifest of pictures; choose another folder");
    Files.writeString(out.resolve("manifest.json"), "");
    assertThat(sample("-n", "1", "-o", out).refused())
        .isEqualTo("sample: " + out.resolve("manifest.json") + " is empty; choose another folder");
  }

  @Test
  void seeds_aPictureEach() throws IOException {
    Path out = folder().resolve("seeds");
    sample("--seeds", "7,3", "-c", "cat,dog", "-o", out).good();
    assertThat(pictures(out).keySet()).containsExactly("seed-3.png", "seed-7.png");
    assertThat(Pictures.provenance(out.resolve("seed-3.png")))
        .containsEntry("seed", "3")
        .containsEntry("class", "dog");
    Path grid = folder().resolve("seeds.png");
    sample("--seeds", "7,3", "-o", grid).good();
    assertThat(Pictures.provenance(grid))
        .containsEntry("seeds", "[7, 3]")
        .containsEntry("sampler", "ddim:3")
        .containsKeys("model", "ddpm4j")
        .doesNotContainKeys("seed", "image");
    assertThat(Program.run("reproduce", "-m", model, grid).refused())
        .isEqualTo(
            "reproduce: "
                + grid
                + ": the image can't be drawn again from what it says: its image is none; name the"
                + " file of one picture, not of a grid");
  }

  @Test
  void seeds_inAFolder_goOn_andRefuseWhatIsDrawnOtherwise() throws IOException {
    Path out = folder().resolve("seeds");
    sample("--seeds", "7,3", "-o", out).good();
    Map<String, String> first = pictures(out);
    assertThat(sample("--seeds", "3,5,7", "-o", out).good().strip())
        .isEqualTo(out + ": 1 of 3 pictures drawn now");
    assertThat(pictures(out)).hasSize(3).containsAllEntriesOf(first);
    assertThat(sample("--seeds", "9", "-o", out, "-c", "cat").refused())
        .isEqualTo(
            "sample: "
                + out
                + " holds pictures that were drawn otherwise (classes was none, and is [cat]);"
                + " choose another folder, or the same options");
    assertThat(
            Program.run("sample", "-m", noClasses, "-s", "ddim:3", "--seeds", "7", "-o", out)
                .refused())
        .startsWith("sample: " + out + " holds pictures that were drawn otherwise (model was ");
    assertThat(sample("-n", "1", "-o", out).refused())
        .isEqualTo(
            "sample: "
                + out
                + " holds pictures that were drawn otherwise (block was none, and is 16; seed was"
                + " none, and is 0); choose another folder, or the same options");
    assertThat(
            Program.run("sample", "-m", model, "-s", "ddim:4", "--seeds", "3", "-o", out).refused())
        .isEqualTo(
            "sample: "
                + out
                + " holds pictures that were drawn otherwise (sampler was ddim:3, and is ddim:4);"
                + " choose another folder, or the same options");
    Path turns = folder().resolve("turns");
    sample("--seeds", "7,3", "-c", "cat,dog", "-o", turns).good();
    assertThat(sample("--seeds", "3,7", "-c", "cat,dog", "-o", turns).refused())
        .isEqualTo(
            "sample: "
                + turns
                + " holds pictures that were drawn otherwise (seeds was [7, 3], and is [3, 7]);"
                + " choose another folder, or the same options");
  }

  @Test
  void seeds_ofAFile_areOverriddenByWhatIsTyped() throws IOException {
    Path config =
        Files.writeString(folder().resolve("options.properties"), "ddpm.sample.seeds = 7,7");
    Path out = folder().resolve("pictures");
    assertThat(sample("--config", config, "-o", out).refused())
        .isEqualTo("sample: --seeds must differ, but were [7, 7]");
    sample("--config", config, "-o", out, "-n", "2", "--seed", "5").good();
    assertThat(pictures(out).keySet()).containsExactly("00000000.png", "00000001.png");
    assertThat(Pictures.provenance(out.resolve("00000000.png"))).containsEntry("seed", "5");
    Path typed = folder().resolve("typed");
    sample("--config", config, "-o", typed, "--seeds", "4").good();
    assertThat(pictures(typed).keySet()).containsExactly("seed-4.png");
  }

  @Test
  void options_thatMakeNoSense_areRefused() throws IOException {
    Path out = folder().resolve("x");
    Path png = folder().resolve("x.png");
    assertThat(sample("-o", out, "-n", "0").refused())
        .isEqualTo("sample: --count must be at least 1, but was 0");
    assertThat(sample("-o", png, "-n", "10001").refused())
        .isEqualTo(
            "sample: --count must be at least 1, and at most 10000 in a grid, but was 10001");
    assertThat(sample("-o", out, "--from", "-1").refused())
        .isEqualTo("sample: --from must be at least 0, but was -1");
    assertThat(sample("-o", png, "--shard", "1/2").refused())
        .isEqualTo("sample: --shard needs a folder, but -o was " + png);
    assertThat(sample("-o", out, "--columns", "2").refused())
        .isEqualTo("sample: --columns needs a grid, but -o was " + out);
    assertThat(sample("-o", png, "--columns", "0").refused())
        .isEqualTo("sample: --columns must be at least 1, but was 0");
    assertThat(sample("-o", out, "--block", "0").refused())
        .isEqualTo("sample: --block must be at least 1, but was 0");
    assertThat(sample("-o", out, "--shard", "0/2").misspelt())
        .isEqualTo(
            "Invalid value for option '--shard': must be K/N with K from 1 to N, such as"
                + " 3/64, but was 0/2");
    assertThat(sample("-o", out, "--shard", "third").misspelt())
        .isEqualTo(
            "Invalid value for option '--shard': must be K/N with K from 1 to N, such as"
                + " 3/64, but was third");
    assertThat(sample("-o", out, "--seeds", "1,2", "-n", "2").refused())
        .isEqualTo("sample: --seeds takes the place of --count; leave one");
    assertThat(sample("-o", out, "--seeds", "1,1").refused())
        .isEqualTo("sample: --seeds must differ, but were [1, 1]");
    assertThat(sample("-o", out, "-g", "2").refused())
        .isEqualTo("sample: --guidance needs --class or --attributes, towards which it guides");
    assertThat(sample("-o", out, "-c", "horse").refused())
        .isEqualTo("sample: --class must be of [cat, dog], or its number from 0, but was horse");
    assertThat(sample("-o", out, "-c", "2").refused())
        .isEqualTo("sample: --class must be of [cat, dog], or its number from 0, but was 2");
    assertThat(Program.run("sample", "-m", noClasses, "-o", out, "-c", "cat").refused())
        .isEqualTo(
            "sample: --class is for models of classes, and "
                + noClasses
                + " has none; leave it out");
    assertThat(Program.run("sample", "-m", noClasses, "-o", out, "-c", "1").refused())
        .isEqualTo(
            "sample: --class is for models of classes, and "
                + noClasses
                + " has none; leave it out");
    assertThat(Program.run("sample", "-m", model, "-o", out, "-s", "dimm:3").refused())
        .isEqualTo(
            "sample: there is no sampler \"dimm\", in \"dimm:3\"; there are consistency, ddim,"
                + " ddim-inversion, ddpm, dpm, dpm++, dpm++2m, dpm++2m-sde, dpm++3m, dpm++3m-sde,"
                + " dpm++sde, edm, euler, euler-a, heun, plms, unipc");
    assertThat(out).doesNotExist();
  }

  @Test
  void models_thatAreNone_areRefused() throws IOException {
    Path none = folder().resolve("none");
    Path out = folder().resolve("x.png");
    assertThat(Program.run("sample", "-m", none, "-o", out).refused())
        .isEqualTo("sample: " + none + " does not exist");
    Path empty = Files.createDirectories(folder().resolve("empty"));
    assertThat(Program.run("sample", "-m", empty, "-o", out).refused())
        .isEqualTo(
            "sample: "
                + empty
                + " is no model: it has neither ddpm.json, as models of this program have, nor"
                + " config.json or unet/config.json, as those of diffusers; name such a folder, or"
                + " a file of weights");
    assertThat(Program.run("sample", "-m", "nobody/nothing", "-o", out).refused())
        .startsWith("sample: ")
        .contains("nobody/nothing");
    Path pictures = Tiny.pictures(folder().resolve("pictures"), 2, 1);
    assertThat(Program.run("sample", "-m", pictures, "-o", out).refused())
        .isEqualTo(
            "sample: "
                + pictures
                + " is no model: it has neither ddpm.json, as models of this program have, nor"
                + " config.json or unet/config.json, as those of diffusers; name such a folder, or"
                + " a file of weights");
    Path broken = Tiny.model(folder().resolve("broken"), 3);
    Files.writeString(broken.resolve("ddpm.json"), "{");
    assertThat(Program.run("sample", "-m", broken, "-o", out).refused())
        .startsWith("sample: " + broken);
  }

  @Test
  void outputs_thatCannotBeWritten_areRefusedBeforeTheModelIsLookedFor() throws IOException {
    Path file = Tiny.picture(folder().resolve("file.png"), 8, 1);
    Path in = file.resolve("x.png");
    assertThat(Program.run("sample", "-m", "none", "-o", in).refused())
        .isEqualTo(
            "sample: "
                + in
                + " must lie in a folder, but "
                + file
                + " is none; choose another folder");
    Path taken = Files.createDirectories(folder().resolve("folder.png"));
    assertThat(Program.run("sample", "-m", "none", "-o", taken).refused())
        .isEqualTo("sample: " + taken + " is a folder; name a file in it");
  }

  /** The model in the box, by the name of a class; a folder of that name goes before it. */
  @Test
  void modelInTheBox_drawsByItsName() throws IOException {
    Path grid = temporary.resolve("boots.png");
    Object[] boots = {"sample", "-m", "fashion", "-n", "1", "-c", "ankle BOOT", "-s", "ddim:2"};
    Program.run(Stream.concat(Stream.of(boots), Stream.of("-o", grid)).toArray()).good();
    assertThat(Pictures.provenance(grid)).containsKey("model").containsEntry("image", "0 to 0");
    assertThat(ImageIO.read(grid.toFile()).getWidth()).isGreaterThan(64);
  }
}
