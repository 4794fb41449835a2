package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
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
    Files.copy(mixed.resolve("picture-0.png"), mixed.resolve("again.png"));
    Program.Result told = Program.run("data", mixed, "--size", "1x8x8", "--json");
    assertThat(told.code()).isEqualTo(1);
    assertThat(told.out().strip().lines()).hasSize(1);
    JsonObject json = JsonParser.parseString(told.out()).getAsJsonObject();
    assertThat(json.keySet())
        .containsExactly("folder", "findings", "broken", "duplicates", "near duplicates", "report");
    assertThat(json.get("folder").getAsString()).isEqualTo(mixed.toString());
    assertThat(json.get("findings").getAsJsonArray()).hasSizeGreaterThan(1);
    assertThat(json.get("duplicates")).hasToString("[[\"again.png\",\"picture-0.png\"]]");
    JsonObject file = json.get("broken").getAsJsonArray().get(0).getAsJsonObject();
    assertThat(file.get("file").getAsString()).isEqualTo(broken.toString());
    assertThat(file.get("reason").getAsString()).contains(broken.toString());
    assertThat(json.get("report").getAsJsonArray().get(0).getAsString())
        .isEqualTo(mixed + ": 4 pictures, 1 file broken, 0 files of other kinds");
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

  /** The name of the network stands beside its figures. */
  @Test
  void evaluate_inTheFeaturesInTheBox() {
    Object[] few = {"evaluate", real, other, "--size", "1x8x8", "-n", "6", "--features", "lite0"};
    assertThat(Program.run(few).good())
        .startsWith("in the features of EfficientNet-Lite0:")
        .contains("kernel distance")
        .contains(
            "no Fréchet distance: 1280 features need more pictures than that of each kind, not 6"
                + " generated and 6 real; give more (-n), or fewer features");
    assertThat(
            Program.run("evaluate", real, model, "--features", "lite0", "--features-side", "64")
                .refused())
        .isEqualTo(
            "evaluate: --features-side is for a network of yours; lite0 resizes pictures to 224");
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
            "evaluate: folders of pictures need --size, such as 3x32x32, since pictures may"
                + " differ in size");
    assertThat(Program.run("evaluate", real, other, "--size", "1x8x8", "--bits", "2").refused())
        .isEqualTo("evaluate: --bits needs a model, but " + other + " is none");
    assertThat(Program.run("evaluate", real, model, "--size", "1x8x8").refused())
        .isEqualTo("evaluate: --size is for folders; a model has its own");
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
                + " holds no TorchScript that the engine can load; torch.jit.save writes such"
                + " files");
    Path few = Tiny.pictures(folder.resolve("few"), 2, 1);
    assertThat(Program.run("evaluate", real, few, "--size", "1x8x8").refused())
        .isEqualTo(
            "evaluate: generated images must be at least 4 for precision and recall with k = 3, but"
                + " were 2; make more");
  }

  /** What has no Fréchet distance says so, and what would give it. */
  @Test
  void evaluate_withoutAFrechetDistance_saysWhy() {
    String missing =
        "it is computed of up to 2048 features, but these are 3072; give fewer, as --features lite0"
            + " does, or a smaller --size";
    assertThat(Program.run("evaluate", real, other, "--size", "3x32x32").good())
        .startsWith(
            String.format(
                Locale.ROOT,
                "in the features of pixels:%nno Fréchet distance: %s%nkernel",
                missing));
    assertThat(
            json("evaluate", real, other, "--size", "3x32x32", "--json")
                .getAsJsonObject("Fréchet distance"))
        .hasToString("{\"missing\":\"" + missing + "\"}");
    assertThat(Program.run("evaluate", real, other, "--size", "1x32x32").good())
        .contains(
            "no Fréchet distance: 1024 features need more pictures than that of each kind, not 12"
                + " generated and 12 real; give more (-n), or fewer features");
  }

  /** A folder for each class: the first of the list would be of the first class alone. */
  private Path sorted() throws IOException {
    Path all = folder.resolve("sorted");
    Tiny.pictures(all.resolve("a"), 12, 1);
    Tiny.pictures(all.resolve("b"), 12, 50);
    return all;
  }

  @Test
  void evaluate_ofMoreThanAskedFor_takesSomeAtRandom() throws IOException {
    Path all = sorted();
    Object[] args = {"evaluate", all, other, "--size", "1x8x8", "-n", "12"};
    String first = Program.run(args).good();
    assertThat(first)
        .endsWith(String.format(Locale.ROOT, "%n12 of 24 real pictures, at random by seed 0%n"))
        .doesNotContain("generated pictures");
    assertThat(Program.run(args).good()).isEqualTo(first);
    String second =
        Program.run("evaluate", all, other, "--size", "1x8x8", "-n", "12", "--seed", "1").good();
    assertThat(second)
        .endsWith(String.format(Locale.ROOT, "%n12 of 24 real pictures, at random by seed 1%n"));
    assertThat(second.lines().skip(1).toList().subList(0, 4))
        .isNotEqualTo(first.lines().skip(1).toList().subList(0, 4));
    assertThat(
            json("evaluate", other, all, "--size", "1x8x8", "-n", "12", "--json")
                .getAsJsonObject("pictures"))
        .hasToString("{\"real\":{\"taken\":12,\"of\":12},\"generated\":{\"taken\":12,\"of\":24}}");
  }

  @Test
  void chosen_areInOrderAndFromAll() {
    int[] times = new int[10];
    for (int seed = 0; seed < 1000; seed++) {
      List<Long> chosen = FolderPictures.chosen(10, 4, seed);
      assertThat(chosen).hasSize(4).isSorted().doesNotHaveDuplicates();
      chosen.forEach(i -> times[i.intValue()]++);
    }
    // 400 of each, with a standard deviation of 15.5.
    assertThat(IntStream.of(times).boxed())
        .allSatisfy(count -> assertThat(count).isBetween(338, 462));
    assertThat(FolderPictures.chosen(3, 3, 0)).containsExactly(0L, 1L, 2L);
  }

  @Test
  void evaluate_saved_isOfAllPicturesUnlessACountIsGiven() throws IOException {
    Path some = Tiny.pictures(folder.resolve("some"), 17, 1);
    Path many = Files.createDirectories(folder.resolve("many"));
    for (int i = 0; i < 1003; i++) {
      Files.copy(some.resolve("picture-" + i % 17 + ".png"), many.resolve(i + ".png"));
    }
    Path file = folder.resolve("many.safetensors");
    assertThat(Program.run("evaluate", many, "--size", "1x2x2", "--save", file).good().strip())
        .isEqualTo(file + ": 1003 pictures, pixels of 1x2x2");
    Path real = folder.resolve("real.safetensors");
    assertThat(
            json("evaluate", many, "--size", "1x2x2", "--merge", file, "--json")
                .getAsJsonObject("Fréchet distance")
                .get("reference")
                .getAsInt())
        .isEqualTo(1003);
    assertThat(
            Program.run("evaluate", many, "--size", "1x2x2", "-n", "70", "--save", real)
                .good()
                .strip())
        .isEqualTo(real + ": 70 of 1003 pictures, at random by seed 0, pixels of 1x2x2");
    assertThat(json("evaluate", many, "--size", "1x2x2", "-n", "5", "--save", real, "--json"))
        .hasToString(
            "{\"file\":\""
                + real
                + "\",\"features\":\"pixels of"
                + " 1x2x2\",\"pictures\":5,\"folder\":{\"taken\":5,\"of\":1003}}");
  }

  /** The figures of a model are those of the pictures that it draws. */
  @Test
  void evaluate_aModel_isAsTheFolderThatItFills() throws IOException {
    Path twenty = Tiny.pictures(folder.resolve("twenty"), 20, 200);
    Path drawn = folder.resolve("drawn");
    String[] options = {"-s", "ddpm", "--seed", "3", "-c", "cat,dog"};
    Program.run(with(new Object[] {"sample", "-m", model, "-n", "20", "-o", drawn}, options))
        .good();
    JsonObject ofModel = json(with(new Object[] {"evaluate", twenty, model, "--json"}, options));
    JsonObject ofFolder = json("evaluate", twenty, drawn, "--size", "1x8x8", "--json");
    ofModel.remove("pictures");
    ofFolder.remove("pictures");
    assertThat(ofModel.keySet()).hasSize(5);
    assertThat(ofModel).isEqualTo(ofFolder);
  }

  private static Object[] with(Object[] args, String... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray();
  }

  private static JsonObject json(Object... args) {
    return JsonParser.parseString(Program.run(args).good()).getAsJsonObject();
  }

  @Test
  void evaluate_mergedShards_areAsTheWhole() throws IOException {
    Path all = folder.resolve("all");
    Path[] parts = {folder.resolve("part-1"), folder.resolve("part-2")};
    for (int i = 0; i < 9; i++) {
      Path picture = Tiny.picture(all.resolve(i + ".png"), 8, 50 + i);
      Path part = parts[i < 4 ? 0 : 1];
      Files.createDirectories(part);
      Files.copy(picture, part.resolve(i + ".png"));
    }
    Path[] files = new Path[2];
    for (int i = 0; i < 2; i++) {
      files[i] = folder.resolve(i + ".safetensors");
      assertThat(
              Program.run("evaluate", parts[i], "--size", "1x8x8", "--save", files[i])
                  .good()
                  .strip())
          .isEqualTo(files[i] + ": " + (4 + i) + " pictures, pixels of 1x8x8");
    }
    String both = files[0] + "," + files[1];
    Path merged = folder.resolve("merged.safetensors");
    assertThat(Program.run("evaluate", "--merge", both, "--save", merged).good().strip())
        .isEqualTo(merged + ": 9 pictures, pixels of 1x8x8");
    double whole = frechet("evaluate", real, all, "--size", "1x8x8", "--json");
    assertThat(frechet("evaluate", real, "--size", "1x8x8", "--merge", both, "--json"))
        .isCloseTo(whole, within(1e-9 * whole));
    Path known = folder.resolve("real.safetensors");
    Program.run("evaluate", real, "--size", "1x8x8", "--save", known).good();
    assertThat(frechet("evaluate", known, "--merge", merged, "--json"))
        .isCloseTo(whole, within(1e-9 * whole));
    assertThat(Program.run("evaluate", known, "--merge", merged).good())
        .startsWith("in the features of pixels of 1x8x8:")
        .contains("(9 generated, ");
    assertThat(Program.run("info", merged).good())
        .contains("features           pixels of 1x8x8", "pictures           9");

    Path many = folder.resolve("many-features.safetensors");
    Program.run("evaluate", all, "--size", "3x16x16", "--save", many).good();
    assertThat(Program.run("evaluate", all, "--size", "3x16x16", "--merge", many).good().strip())
        .isEqualTo(
            "in the features of pixels of 3x16x16:\n"
                + "no Fréchet distance: 768 features need more pictures than that of each kind, not"
                + " 9 generated and 9 real; give more (-n), or fewer features");

    Path wide = folder.resolve("wide.safetensors");
    Program.run("evaluate", real, "--size", "3x8x8", "--save", wide).good();
    assertThat(Program.run("evaluate", known, "--merge", files[0] + "," + wide).refused())
        .isEqualTo(
            "evaluate: "
                + wide
                + ": statistics to merge must have equally many features, but have 64 and 192; give"
                + " the same --size, --features and --features-side");
    assertThat(Program.run("evaluate", known, "--merge", folder.resolve("none")).refused())
        .isEqualTo("evaluate: " + folder.resolve("none") + " does not exist");
    assertThat(Program.run("evaluate", "--merge", both).refused())
        .isEqualTo("evaluate: --merge needs REAL to compare with, or --save");
    assertThat(Program.run("evaluate", "--save", wide).refused())
        .isEqualTo("evaluate: --save needs a folder of pictures, a model, or --merge");
    assertThat(Program.run("evaluate", real, all, "--merge", both).refused())
        .isEqualTo("evaluate: --merge takes the place of GENERATED, but that was " + all);
    assertThat(Program.run("evaluate", real, "--merge", both, "--save", wide).refused())
        .isEqualTo("evaluate: --merge with --save has no REAL, but that was " + real);
    assertThat(Program.run("evaluate", real, "--save", wide).refused())
        .startsWith("evaluate: folders of pictures need --size");
    assertThat(Program.run("evaluate").refused())
        .isEqualTo("evaluate: REAL and GENERATED are needed, unless there is --save or --merge");
  }

  private static double frechet(Object... args) {
    return json(args).getAsJsonObject("Fréchet distance").get("value").getAsDouble();
  }
}
