package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.report.internal.Progress;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReproduceCommandTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path drawn;

  @BeforeAll
  static void draw() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    drawn = shared.resolve("pictures");
    Program.run(
            "sample", "-m", model, "-s", "ddpm", "-n", "5", "--block", "3", "-c", "cat,dog", "-g",
            "2", "--seed", "9", "-o", drawn)
        .good();
    Program.run(
            "sample", "-m", model, "-s", "ddim:3", "--seeds", "4,5", "-o", shared.resolve("seeds"))
        .good();
  }

  private static Path picture(int index) {
    return drawn.resolve("0000000" + index + ".png");
  }

  @Test
  void pictures_thatWereDrawn_areDrawnAgain() throws IOException {
    Path seed = shared.resolve("seeds/seed-5.png");
    assertThat(
            Program.run("reproduce", "-m", model, picture(1), picture(4), seed, "-o", folder)
                .good())
        .isEqualToNormalizingNewlines(
            picture(1) + ": the same\n" + picture(4) + ": the same\n" + seed + ": the same\n");
    assertThat(folder.resolve("00000004.png")).hasSameBinaryContentAs(picture(4));
  }

  /** A batch is drawn once for all of its files of a class, and counts for all of them. */
  @Test
  void pictures_ofBatchesAndClasses_inAnyOrder_areTheSame() throws IOException {
    Path many = folder.resolve("many");
    Program.run(
            "sample",
            "-m",
            model,
            "-s",
            "ddim:3",
            "-n",
            "6",
            "--block",
            "4",
            "-c",
            "cat,cat,dog",
            "-o",
            many)
        .good();
    ByteArrayOutputStream shown = new ByteArrayOutputStream();
    Progress.Display display =
        new Progress.Display(
            new PrintStream(shown, true, StandardCharsets.UTF_8), true, Duration.ofSeconds(10));
    Object[] args = {"reproduce", "-m", model, "5", "0", "2", "4", "1", "3", "0"};
    StringBuilder same = new StringBuilder();
    for (int i = 3; i < args.length; i++) {
      args[i] = many.resolve("0000000" + args[i] + ".png");
      same.append(args[i]).append(": the same\n");
    }
    Program.Result result = Program.run(display, args);
    assertThat(result.err()).isEmpty();
    assertThat(result.out()).isEqualToNormalizingNewlines(same.toString());
    assertThat(shown.toString(StandardCharsets.UTF_8)).contains(" 7/7 pictures, ");
  }

  @Test
  void picture_thatWasChanged_isTold() throws IOException {
    BufferedImage image = ImageIO.read(picture(2).toFile());
    int before = image.getRaster().getSample(3, 5, 0);
    image.getRaster().setSample(3, 5, 0, before < 128 ? before + 100 : before - 100);
    Path changed = folder.resolve("changed.png");
    Pictures.write(image, changed, Pictures.provenance(picture(2)));
    Program.Result result = Program.run("reproduce", "-m", model, changed);
    assertThat(result.out().strip()).isEqualTo(changed + ": differs by up to 100 of 255");
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(1);
    Program.Result json = Program.run("reproduce", "-m", model, picture(1), changed, "--json");
    assertThat(json.out().strip())
        .isEqualTo(
            "{\"pictures\":[{\"file\":\""
                + picture(1)
                + "\",\"difference\":0},{\"file\":\""
                + changed
                + "\",\"difference\":100}],\"greatest difference\":100}");
    assertThat(json.code()).isEqualTo(1);
  }

  @Test
  void model_withOtherWeights_isRefusedUnlessInsistedOn() throws IOException {
    Path other = Tiny.model(folder.resolve("other"), 2);
    Program.Result refused = Program.run("reproduce", "-m", other, picture(0));
    assertThat(refused.refused())
        .isEqualTo(
            "reproduce: "
                + picture(0)
                + " was drawn with the model "
                + Pictures.provenance(picture(0)).get("model")
                + ", but that of "
                + other
                + " is "
                + digestOfWeights(other)
                + "; name that model, or insist by --any-model");
    Program.Result result = Program.run("reproduce", "-m", other, "--any-model", picture(0));
    assertThat(result.out()).startsWith(picture(0) + ": differs by up to ");
    assertThat(result.code()).isEqualTo(1);
  }

  private static String digestOfWeights(Path model) throws IOException {
    Path out = model.resolveSibling("one.png");
    Program.run("sample", "-m", model, "-s", "ddim:1", "-n", "1", "-o", out).good();
    return Pictures.provenance(out).getOrDefault("model", "");
  }

  private String refused(String name, String value) throws IOException {
    Map<String, String> words = new LinkedHashMap<>(Pictures.provenance(picture(0)));
    words.put(name, value);
    Path file = folder.resolve("told.png");
    Pictures.write(ImageIO.read(picture(0).toFile()), file, words);
    String line = Program.run("reproduce", "-m", model, file).refused();
    assertThat(line).startsWith("reproduce: " + file);
    return line.substring(("reproduce: " + file).length());
  }

  @Test
  void files_thatDoNotTellAll_areRefused() throws IOException {
    String cannot = ": the image can't be drawn again from what it says: ";
    assertThat(refused("use", "inpaint"))
        .isEqualTo(cannot + "its use is inpaint, and only noise is told in full");
    assertThat(refused("guidance", "ofMine"))
        .isEqualTo(cannot + "its guidance is ofMine, and only none is told in full");
    assertThat(refused("image", "0 to 8"))
        .isEqualTo(cannot + "its image is 0 to 8; name the file of one picture, not of a grid");
    assertThat(refused("images", "0")).isEqualTo(cannot + "its images is 0");
    assertThat(refused("batchSize", "0")).isEqualTo(cannot + "its batchSize is 0");
    assertThat(refused("seed", "99999999999999999999"))
        .isEqualTo(cannot + "its seed is 99999999999999999999");
    assertThat(refused("condition", "vector(3)"))
        .isEqualTo(cannot + "its condition is vector(3), which has numbers that it doesn't tell");
    assertThat(refused("sampler", "mine:3")).startsWith(cannot).contains("mine:3");
    assertThat(refused("limit", "none"))
        .isEqualTo(
            ": the image was drawn with the limit none, but that of this run is clip to [-1.0,"
                + " 1.0]; take the model that it was drawn by");
  }

  @Test
  void files_thatAreNoneOfOurs_areRefused() throws IOException {
    Path plain = Tiny.picture(folder.resolve("plain.png"), 8, 1);
    assertThat(Program.run("reproduce", "-m", model, plain).refused())
        .isEqualTo(
            "reproduce: "
                + plain
                + ": the image does not say how it was drawn; name a PNG file of a sample of this"
                + " library");
    Path none = folder.resolve("none.png");
    assertThat(Program.run("reproduce", "-m", model, none).refused())
        .isEqualTo("reproduce: " + none + " does not exist");
    Path empty = Files.createFile(folder.resolve("empty.png"));
    assertThat(Program.run("reproduce", "-m", model, empty).refused())
        .startsWith("reproduce: " + empty);
    Path large = Tiny.picture(folder.resolve("large.png"), 9, 1);
    Pictures.write(ImageIO.read(large.toFile()), large, Pictures.provenance(picture(0)));
    assertThat(Program.run("reproduce", "-m", model, large).refused())
        .isEqualTo(
            "reproduce: " + large + " is of 1x9x9 numbers, but the model draws 1x8x8 numbers");
  }
}
