package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Samples;
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
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures of text, drawn again. */
class ReproduceTextsTest {

  private static final Path SD1 = Tiny.PIPELINES.resolve("sd1");
  private static final Path LDM = Tiny.PIPELINES.resolve("ldm_text2im");
  private static final String CANNOT =
      ": the pictures can't be drawn again from what the file says: ";

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path drawn;
  private static Path rows;
  private static Path one;
  private static Path sample;

  @BeforeAll
  static void draw() throws IOException {
    drawn = shared.resolve("drawn");
    rows = shared.resolve("rows.png");
    one = shared.resolve("one.png");
    // Blocks of four pictures and one.
    text(SD1, "a red dog", "a cat, black", "-n", 5, "--steps", 2, "--seed", 3, "-o", drawn);
    text(
        SD1,
        "a (red:1.3) dog",
        "\"snow\"",
        "-n",
        5,
        "--negative",
        "a cat",
        "-g",
        3,
        "-s",
        "ddim:3",
        "--size",
        "16x24",
        "--weighted",
        "-o",
        rows);
    text(SD1, "a red dog", "-n", 2, "--steps", 2, "-o", one);
    Path model = Tiny.model(shared.resolve("model"), 1);
    Path samples = shared.resolve("samples");
    Program.run("sample", "-m", model, "-s", "ddim:2", "-n", 1, "-o", samples).good();
    sample = samples.resolve("00000000.png");
  }

  private static void text(Path model, Object... more) {
    Program.run(with(new Object[] {"text", "-m", model}, more)).good();
  }

  private static Object[] with(Object[] args, Object... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray();
  }

  private static Path picture(int index) {
    return drawn.resolve("0000000" + index + ".png");
  }

  private static String refused(Object model, Object... more) {
    return Program.run(with(new Object[] {"reproduce", "-m", model}, more)).refused();
  }

  private static void assertTheSame(Path model, Object... files) {
    assertThat(Program.run(with(new Object[] {"reproduce", "-m", model}, files)).good())
        .isEqualToNormalizingNewlines(
            Stream.of(files).map(file -> file + ": the same\n").collect(Collectors.joining()));
  }

  @Test
  void pictures_ofAFolder_inAnyOrder_areTheSame() {
    ByteArrayOutputStream shown = new ByteArrayOutputStream();
    Progress.Display display =
        new Progress.Display(
            new PrintStream(shown, true, StandardCharsets.UTF_8), true, Duration.ofSeconds(10));
    Path[] files = {picture(9), picture(0), picture(4), picture(7), picture(2)};
    Program.Result result =
        Program.run(
            display, with(new Object[] {"reproduce", "-m", SD1, "-o", folder}, (Object[]) files));
    assertThat(result.good())
        .isEqualToNormalizingNewlines(
            Stream.of(files).map(file -> file + ": the same\n").collect(Collectors.joining()));
    assertThat(shown.toString(StandardCharsets.UTF_8)).contains(" 5/5 pictures, ");
    for (Path file : files) {
      assertThat(folder.resolve(file.getFileName())).hasSameBinaryContentAs(file);
    }
  }

  @Test
  void grids_withAllOptions_areTheSame() {
    assertThat(
            Program.run("reproduce", "-m", SD1, rows, picture(1), one, "-o", folder, "--json")
                .good()
                .strip())
        .isEqualTo(
            "{\"pictures\":[{\"file\":\""
                + rows
                + "\",\"difference\":0},{\"file\":\""
                + picture(1)
                + "\",\"difference\":0},{\"file\":\""
                + one
                + "\",\"difference\":0}],\"greatest difference\":0}");
    for (Path file : new Path[] {rows, one}) {
      assertThat(folder.resolve(file.getFileName())).hasSameBinaryContentAs(file);
    }
  }

  @Test
  void pictures_withAllOptions_areTheSame() throws IOException {
    Path out = folder.resolve("out");
    Object[] line = {"a (red:1.3) dog", "--weighted", "--negative", "(a cat)", "-g", 2.5, "-n", 2};
    text(LDM, with(line, "-s", "ddim:3", "--size", "16x8", "-o", out));
    Path second = out.resolve("00000001.png");
    assertThat(Pictures.provenance(second))
        .containsEntry("weights", Sha256.of(LDM))
        .containsEntry("promptWeights", "true")
        .doesNotContainKey("size");
    assertTheSame(LDM, second);
    Path plain = folder.resolve("plain.png");
    text(LDM, "a dog", "--steps", 2, "-o", plain);
    assertThat(Pictures.provenance(plain)).containsEntry("guidance", "none");
    assertTheSame(LDM, plain);
  }

  @Test
  void pictures_ofASingleFile_areTheSame() {
    Path file = Tiny.PIPELINES.resolve("single/sd2.safetensors");
    Path described = Tiny.PIPELINES.resolve("sd2");
    Path out = folder.resolve("out.png");
    text(file, "a red dog", "--steps", 2, "--configuration", described, "-o", out);
    assertThat(
            Program.run("reproduce", "-m", file, "--configuration", described, out).good().strip())
        .isEqualTo(out + ": the same");
    assertThat(refused(file, out))
        .isEqualTo(
            "reproduce: "
                + file
                + " does not hold the words of its tokenizer: give --tokenizer, a folder that has"
                + " vocab.json and merges.txt of CLIP");
  }

  /** Pictures of programs say nothing of a command; a batch has those of several texts. */
  @Test
  void pictures_ofPrograms_areTheSame_orRefused() throws IOException {
    Path[] files = new Path[6];
    Path grid = folder.resolve("grid.png");
    Path varied = folder.resolve("varied.png");
    try (TextToImage loaded = TextToImage.load(SD1)) {
      try (Samples samples =
          loaded
              .prompt("a red dog", "a cat")
              .negativePrompt("", "snow")
              .clipSkip(1)
              .steps(2)
              .batchSize(5)
              .seed(-7)
              .size(8, 16)
              .generate(3)) {
        for (int i = 0; i < files.length; i++) {
          files[i] = folder.resolve(i + ".png");
          samples.save(i, files[i]);
        }
      }
      try (Samples samples = loaded.prompt("a red dog").steps(2).seed(1).generate(2)) {
        samples.saveGrid(grid);
      }
      try (Samples samples = loaded.prompt("a red dog").steps(2).seed(1).variations(0, 0.5, 1)) {
        samples.save(0, varied);
      }
    }
    assertThat(Pictures.provenance(files[4])).containsEntry("clipSkip", "1");
    assertTheSame(SD1, (Object[]) files);
    assertThat(refused(SD1, grid))
        .isEqualTo(
            "reproduce: "
                + grid
                + CANNOT
                + "its image is missing; name the file of one picture, not of a grid");
    assertThat(refused(SD1, varied))
        .isEqualTo(
            "reproduce: "
                + varied
                + CANNOT
                + "it starts from between two pictures, and not from noise of its own");
    assertThat(refused(LDM, files[0]))
        .isEqualTo(
            "reproduce: "
                + files[0]
                + " was drawn with the model sd1, but that of "
                + LDM
                + " is ldm_text2im; name that model, or insist by --any-model");
  }

  @Test
  void picture_thatWasChanged_isTold() throws IOException {
    for (Path file : new Path[] {picture(6), rows}) {
      BufferedImage image = ImageIO.read(file.toFile());
      int before = image.getRaster().getSample(3, 5, 1);
      image.getRaster().setSample(3, 5, 1, before < 128 ? before + 100 : before - 100);
      Path changed = folder.resolve("changed.png");
      Pictures.write(image, changed, Pictures.provenance(file));
      Program.Result result = Program.run("reproduce", "-m", SD1, changed);
      assertThat(result.out().strip()).isEqualTo(changed + ": differs by up to 100 of 255");
      assertThat(result.err()).isEmpty();
      assertThat(result.code()).isEqualTo(1);
    }
  }

  @Test
  void pipeline_withOtherWeights_isRefusedUnlessInsistedOn() throws IOException {
    Path other = Tiny.pipeline("sd1", folder.resolve("sd1"));
    Files.writeString(other.resolve("notes.txt"), "other weights");
    assertThat(refused(other, one))
        .isEqualTo(
            "reproduce: "
                + one
                + " was drawn with the model "
                + Sha256.of(SD1)
                + ", but that of "
                + other
                + " is "
                + Sha256.of(other)
                + "; name that model, or insist by --any-model");
    assertThat(Program.run("reproduce", "-m", other, "--any-model", one).good().strip())
        .isEqualTo(one + ": the same");
  }

  @Test
  void models_ofOtherKinds_areRefused() {
    String of =
        "reproduce: " + one + " was drawn from a text by sd1 (StableDiffusionPipeline), but ";
    String wayOut = " is no such pipeline; name the one that it was drawn by";
    Path unconditional = Tiny.PIPELINES.resolve("ldm_unconditional");
    for (Object model : new Object[] {"fashion", shared.resolve("model"), unconditional}) {
      assertThat(refused(model, one)).isEqualTo(of + model + wayOut);
    }
    assertThat(refused("fasion", one))
        .isEqualTo("reproduce: fasion does not exist; the models in the box are faces and fashion");
    String notOfText =
        "reproduce: "
            + sample
            + " was not drawn from a text, but "
            + SD1
            + " (StableDiffusionPipeline) draws what texts say; name the model that it was drawn by";
    assertThat(refused(SD1, sample)).isEqualTo(notOfText);
    assertThat(refused(SD1, one, sample)).isEqualTo(notOfText);
    Path filling = Tiny.PIPELINES.resolve("sd_inpaint");
    assertThat(refused(filling, one, "--any-model"))
        .isEqualTo(
            "reproduce: "
                + filling
                + " (StableDiffusionInpaintPipeline) fills in pictures, and ddpm text draws from"
                + " noise alone; name a pipeline of the model before it was trained for that");
    assertThat(refused(SD1, one, "--heads", 2))
        .isEqualTo(
            "reproduce: --heads is for files of a single network, and "
                + SD1
                + " has several; leave it out");
    assertThat(refused(shared.resolve("model"), sample, "--tokenizer", SD1))
        .isEqualTo(
            "reproduce: --tokenizer is for single files of Stable Diffusion, and "
                + shared.resolve("model")
                + " is none; leave it out");
  }

  private String damaged(Path of, String name, String value) throws IOException {
    Map<String, String> words = new LinkedHashMap<>(Pictures.provenance(of));
    if (value.isEmpty()) {
      words.remove(name);
    } else {
      words.put(name, value);
    }
    Path file = folder.resolve("told.png");
    Pictures.write(ImageIO.read(of.toFile()), file, words);
    String line = refused(SD1, file);
    assertThat(line).startsWith("reproduce: " + file);
    return line.substring(("reproduce: " + file).length());
  }

  @Test
  void files_thatDoNotTellAll_areRefused() throws IOException {
    assertThat(damaged(one, "prompt", "")).isEqualTo(CANNOT + "its prompt is missing");
    assertThat(damaged(picture(0), "prompt", "")).isEqualTo(CANNOT + "its prompt is missing");
    assertThat(damaged(rows, "prompts", "[a")).isEqualTo(CANNOT + "its prompts is [a");
    assertThat(damaged(rows, "images", "501")).isEqualTo(CANNOT + "its images is 501");
    assertThat(damaged(rows, "image", "0 to 5")).isEqualTo(CANNOT + "its image is 0 to 5");
    assertThat(damaged(rows, "size", "large")).isEqualTo(CANNOT + "its size is large");
    assertThat(damaged(rows, "size", "16x16"))
        .isEqualTo(" is of 3x102x372 numbers, but the model draws 3x134x332 numbers");
    Path file = picture(0);
    assertThat(damaged(file, "image", "5"))
        .isEqualTo(CANNOT + "its image is 5, but its images are 5 from 0 on");
    assertThat(damaged(file, "image", "first")).isEqualTo(CANNOT + "its image is first");
    assertThat(damaged(file, "images", "none")).isEqualTo(CANNOT + "its images is none");
    assertThat(damaged(file, "batchSize", "0")).isEqualTo(CANNOT + "its batchSize is 0");
    assertThat(damaged(file, "seed", "")).isEqualTo(CANNOT + "its seed is missing");
    assertThat(damaged(file, "guidance", "classifierFree(NaN)"))
        .isEqualTo(CANNOT + "its guidance is classifierFree(NaN)");
    assertThat(damaged(file, "guidance", "much")).isEqualTo(CANNOT + "its guidance is much");
    assertThat(damaged(file, "sampler", "")).isEqualTo(CANNOT + "its sampler is missing");
    assertThat(damaged(file, "sampler", "mine:3")).startsWith(CANNOT).contains("mine:3");
    assertThat(damaged(file, "clipSkip", "-1")).isEqualTo(CANNOT + "its clipSkip is -1");
    assertThat(damaged(file, "use", "inpaint")).isEqualTo(CANNOT + "its use is inpaint");
    assertThat(damaged(file, "condition", "contexts, images"))
        .isEqualTo(CANNOT + "its condition is contexts, images");
    assertThat(damaged(file, "limit", "clip to [-1.0, 1.0]"))
        .isEqualTo(
            " was drawn with the limit clip to [-1.0, 1.0], but that of this model is none; take"
                + " the model that it was drawn by");
    Path large = folder.resolve("large.png");
    Pictures.write(
        new BufferedImage(9, 7, BufferedImage.TYPE_INT_RGB), large, Pictures.provenance(file));
    assertThat(refused(SD1, large))
        .startsWith("reproduce: " + large + ": height and width must be positive multiples of ")
        .endsWith(", but were 7 and 9");
  }
}
