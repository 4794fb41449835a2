package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Attributes;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures of edit, drawn again. */
class ReproduceEditsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path one;
  private static Path two;
  private static Path mask;
  private static Path varied;
  private static Path filled;
  private static Path between;

  @BeforeAll
  static void edit() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    one = Tiny.picture(shared.resolve("one.png"), 8, 1);
    two = Tiny.picture(shared.resolve("two.png"), 8, 2);
    mask = Tiny.picture(shared.resolve("mask.png"), 8, 3);
    varied = shared.resolve("varied.png");
    filled = shared.resolve("filled.png");
    between = shared.resolve("between.png");
    // More than the network is asked at once, in two classes, with noise in each step.
    edit("vary", one, "-n", "70", "-s", "ddpm", "-c", "cat,1", "-g", "2", "-o", varied);
    edit("inpaint", one, "--mask", mask, "-n", "3", "--seed", "-5", "-s", "ddpm:7", "-o", filled);
    edit("interpolate", one, two, "-n", "3", "--strength", "0.7", "-s", "ddim:4", "-o", between);
  }

  private static void edit(Object... args) {
    Program.run(
            Stream.concat(Stream.of("edit", args[0], "-m", model), Stream.of(args).skip(1))
                .toArray())
        .good();
  }

  @Test
  void edits_ofEveryUse_areDrawnAgain() {
    String given = mask + "," + two + "," + one;
    assertThat(
            Program.run(
                    "reproduce",
                    "-m",
                    model,
                    varied,
                    filled,
                    between,
                    "--given",
                    given,
                    "-o",
                    folder)
                .good())
        .isEqualToNormalizingNewlines(
            varied + ": the same\n" + filled + ": the same\n" + between + ": the same\n");
    for (Path file : new Path[] {varied, filled, between}) {
      assertThat(folder.resolve(file.getFileName())).hasSameBinaryContentAs(file);
    }
  }

  @Test
  void edit_byAttributes_isDrawnAgain() throws IOException {
    Attributes attributes =
        Attributes.of(Map.of("hair", List.of("long", "short"), "hat", List.of("none", "red")));
    Path other = Tiny.model(folder.resolve("attributes"), attributes);
    Path out = folder.resolve("out.png");
    Program.run(
            "edit",
            "vary",
            "-m",
            other,
            one,
            "-n",
            "3",
            "-s",
            "ddim:3",
            "-a",
            "hair=long, hat=red",
            "-a",
            "hair=short",
            "-o",
            out)
        .good();
    assertThat(Pictures.provenance(out))
        .containsEntry("asked attributes", "[\"hair=long, hat=red\",\"hair=short\"]");
    assertThat(Program.run("reproduce", "-m", other, out, "--given", one).good().strip())
        .isEqualTo(out + ": the same");
  }

  /** A file may have been renamed or copied: what it holds decides. */
  @Test
  void given_isFoundByWhatItHolds() throws IOException {
    Path copy = Files.copy(one, folder.resolve("another name.png"));
    assertThat(Program.run("reproduce", "-m", model, varied, "--given", copy).good().strip())
        .isEqualTo(varied + ": the same");
  }

  @Test
  void given_thatIsMissing_isToldInOneMessage() throws IOException {
    String first = "one.png (SHA-256 " + Sha256.of(one) + ")";
    String second = "two.png (SHA-256 " + Sha256.of(two) + ")";
    String third = "mask.png (SHA-256 " + Sha256.of(mask) + ")";
    assertThat(Program.run("reproduce", "-m", model, varied, filled, between).refused())
        .isEqualTo(
            "reproduce: "
                + varied
                + " was made from "
                + first
                + ", "
                + filled
                + " was made from "
                + first
                + " and "
                + third
                + ", "
                + between
                + " was made from "
                + first
                + " and "
                + second
                + "; give that by --given");
    assertThat(Program.run("reproduce", "-m", "none", filled, "--given", one + "," + two).refused())
        .isEqualTo(
            "reproduce: "
                + filled
                + " was made from "
                + third
                + "; give that by --given, not "
                + two);
    assertThat(Program.run("reproduce", "-m", model, between, "--given", two).refused())
        .isEqualTo(
            "reproduce: " + between + " was made from " + first + "; give that by --given, too");
    Path none = folder.resolve("none.png");
    assertThat(Program.run("reproduce", "-m", model, varied, "--given", none).refused())
        .isEqualTo("reproduce: " + none + " does not exist");
  }

  @Test
  void edit_thatWasChanged_isTold() throws IOException {
    BufferedImage image = ImageIO.read(between.toFile());
    int before = image.getRaster().getSample(9, 9, 0);
    image.getRaster().setSample(9, 9, 0, before < 128 ? before + 100 : before - 100);
    Path changed = folder.resolve("changed.png");
    Pictures.write(image, changed, Pictures.provenance(between));
    Program.Result result =
        Program.run("reproduce", "-m", model, changed, "--given", one + "," + two, "--json");
    assertThat(result.out().strip())
        .isEqualTo(
            "{\"pictures\":[{\"file\":\""
                + changed
                + "\",\"difference\":100}],\"greatest difference\":100}");
    assertThat(result.err()).isEmpty();
    assertThat(result.code()).isEqualTo(1);
  }

  @Test
  void model_withOtherWeights_isRefusedUnlessInsistedOn() throws IOException {
    Path other = Tiny.model(folder.resolve("other"), 2);
    assertThat(Program.run("reproduce", "-m", other, varied, "--given", one).refused())
        .startsWith(
            "reproduce: "
                + varied
                + " was drawn with the model "
                + Pictures.provenance(varied).get("model")
                + ", but that of "
                + other
                + " is ")
        .endsWith("; name that model, or insist by --any-model");
    Program.Result result =
        Program.run("reproduce", "-m", other, "--any-model", varied, "--given", one);
    assertThat(result.out()).startsWith(varied + ": differs by up to ");
    assertThat(result.code()).isEqualTo(1);
  }

  private String refused(Path of, String name, String value) throws IOException {
    Map<String, String> words = new LinkedHashMap<>(Pictures.provenance(of));
    if (value.isEmpty()) {
      words.remove(name);
    } else {
      words.put(name, value);
    }
    Path file = folder.resolve("told.png");
    Pictures.write(ImageIO.read(of.toFile()), file, words);
    String line =
        Program.run("reproduce", "-m", model, file, "--given", one + "," + mask).refused();
    assertThat(line).startsWith("reproduce: " + file);
    return line.substring(("reproduce: " + file).length());
  }

  @Test
  void files_thatDoNotTellAll_areRefused() throws IOException {
    String cannot = ": the pictures can't be drawn again from what the file says: ";
    assertThat(refused(varied, "edit", "paint")).isEqualTo(cannot + "its edit is paint");
    assertThat(refused(varied, "edit", "")).isEqualTo(cannot + "its edit is missing");
    assertThat(refused(varied, "strength", "1.5")).isEqualTo(cannot + "its strength is 1.5");
    assertThat(refused(varied, "strength", "much")).isEqualTo(cannot + "its strength is much");
    assertThat(refused(varied, "images", "0")).isEqualTo(cannot + "its images is 0");
    assertThat(refused(varied, "batchSize", "0")).isEqualTo(cannot + "its batchSize is 0");
    assertThat(refused(varied, "seed", "99999999999999999999"))
        .isEqualTo(cannot + "its seed is 99999999999999999999");
    assertThat(refused(varied, "classes", "[cat")).isEqualTo(cannot + "its classes is [cat");
    assertThat(refused(varied, "asked guidance", "NaN"))
        .isEqualTo(cannot + "its asked guidance is NaN");
    assertThat(refused(varied, "sampler", "mine:3")).startsWith(cannot).contains("mine:3");
    assertThat(refused(varied, "pictures sha256", ""))
        .isEqualTo(cannot + "it does not tell the SHA-256 of its pictures, of which there are 1");
    assertThat(refused(filled, "mask sha256", "0"))
        .isEqualTo(cannot + "it does not tell the SHA-256 of its mask, of which there are 1");
    assertThat(refused(filled, "limit", "none"))
        .isEqualTo(
            " was drawn with the limit none, but that of this model is clip to [-1.0, 1.0]; take"
                + " the model that it was drawn by");
  }
}
