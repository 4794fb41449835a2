package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.Drawing;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** text. */
class TextCommandTest {

  private static final Path SD1 = Tiny.PIPELINES.resolve("sd1");

  @TempDir private Path folder;

  private static Object[] with(Object[] args, Object... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray();
  }

  private static String text(Path model, Object... more) {
    return Program.run(with(new Object[] {"text", "-m", model}, more)).good().strip();
  }

  private static String refused(Path model, Object... more) {
    return Program.run(with(new Object[] {"text", "-m", model}, more)).refused();
  }

  private static void assertSame(Path file, BufferedImage expected) throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    int width = expected.getWidth();
    int height = expected.getHeight();
    assertThat(new int[] {picture.getWidth(), picture.getHeight()}).containsExactly(width, height);
    assertThat(picture.getRGB(0, 0, width, height, null, 0, width))
        .isEqualTo(expected.getRGB(0, 0, width, height, null, 0, width));
  }

  /** A picture and its words are those of a program's drawing, with the command. */
  private static void assertSame(Path file, Samples drawn, int image) throws IOException {
    assertSame(file, drawn.pictures().get(image));
    Map<String, String> told = new LinkedHashMap<>(Pictures.provenance(file));
    assertThat(told.remove("weights")).matches("[0-9a-f]{64}");
    Map<String, String> words = new LinkedHashMap<>(drawn.provenance(image));
    words.put("command", "text");
    assertThat(told).isEqualTo(words);
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"sd1", "ldm_text2im"})
  void text_intoAFolder_drawsWhatProgramsDraw(String name) throws IOException {
    Path model = Tiny.PIPELINES.resolve(name);
    Path out = folder.resolve("out");
    assertThat(text(model, "a red dog", "a cat", "-n", 5, "--steps", 2, "--seed", 3, "-o", out))
        .isEqualTo(out + ": 10 of 10 pictures drawn now");
    assertThat(names(out))
        .containsExactly(
            "00000000.png",
            "00000001.png",
            "00000002.png",
            "00000003.png",
            "00000004.png",
            "00000005.png",
            "00000006.png",
            "00000007.png",
            "00000008.png",
            "00000009.png",
            "manifest.json");
    try (TextToImage loaded = TextToImage.load(model)) {
      int next = 0;
      for (String prompt : List.of("a red dog", "a cat")) {
        try (Samples drawn = loaded.prompt(prompt).steps(2).seed(3).generate(5)) {
          for (int i = 0; i < 5; i++) {
            assertSame(out.resolve("0000000" + next + ".png"), drawn, i);
            next++;
          }
        }
      }
    }
  }

  @Test
  void text_withAllOptions_drawsWhatProgramsDraw() throws IOException {
    Path out = folder.resolve("out");
    String prompt = "a (red:1.3) dog";
    text(
        SD1,
        prompt,
        "-n",
        2,
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
        out);
    try (TextToImage loaded = TextToImage.load(SD1)) {
      Drawing drawing =
          loaded
              .prompt(prompt)
              .negativePrompt("a cat")
              .guidance(3)
              .sampler(Samplers.ddim(3))
              .size(16, 24)
              .weightedPrompts()
              .seed(0);
      try (Samples drawn = drawing.generate(2)) {
        assertSame(out.resolve("00000000.png"), drawn, 0);
        assertSame(out.resolve("00000001.png"), drawn, 1);
        assertThat(drawn.provenance(1))
            .containsEntry("prompt", prompt)
            .containsEntry("negativePrompt", "a cat")
            .containsEntry("promptWeights", "true")
            .containsEntry("sampler", "ddim:3")
            .containsEntry("seed", "0");
      }
    }
  }

  @Test
  void text_intoAGrid_hasARowForEachText() throws IOException {
    Path rows = folder.resolve("rows.png");
    assertThat(text(SD1, "a red dog", "a cat", "-n", 3, "--steps", 2, "-o", rows))
        .isEqualTo(rows + ": 6 of 6 pictures drawn now");
    Path one = folder.resolve("one.png");
    text(SD1, "a red dog", "-n", 4, "--steps", 2, "-o", one);
    try (TextToImage loaded = TextToImage.load(SD1);
        NDManager manager = NDManager.newBaseManager();
        Samples dogs = loaded.prompt("a red dog").steps(2).seed(0).generate(3);
        Samples cats = loaded.prompt("a cat").steps(2).seed(0).generate(3);
        Samples four = loaded.prompt("a red dog").steps(2).seed(0).generate(4)) {
      NDList both = new NDList(dogs.toNDArray(manager), cats.toNDArray(manager));
      assertSame(
          rows,
          Pictures.of(NDArrays.concat(both))
              .dataRange(DataRange.DEFAULT)
              .enlarge(2)
              .columns(3)
              .toGrid());
      Path expected = folder.resolve("expected.png");
      four.saveGrid(expected);
      assertSame(one, ImageIO.read(expected.toFile()));
    }
    assertThat(Pictures.provenance(rows))
        .containsEntry("command", "text")
        .containsEntry("prompts", "[\"a red dog\",\"a cat\"]")
        .containsEntry("image", "0 to 2")
        .doesNotContainKey("prompt");
    assertThat(Pictures.provenance(one))
        .containsEntry("prompt", "a red dog")
        .containsEntry("image", "0 to 3")
        .doesNotContainKey("prompts");
  }

  @Test
  void text_mappedOrOfASingleFile_drawsTheSame() throws IOException {
    Path one = folder.resolve("one.png");
    Path other = folder.resolve("other.png");
    text(SD1, "a red dog", "--steps", 2, "-o", one);
    text(SD1, "a red dog", "--steps", 2, "--mapped", "-o", other);
    assertSame(other, ImageIO.read(one.toFile()));
    Path described = Tiny.PIPELINES.resolve("sd2");
    text(described, "a red dog", "--steps", 2, "-o", one);
    text(
        Tiny.PIPELINES.resolve("single/sd2.safetensors"),
        "a red dog",
        "--configuration",
        described,
        "--steps",
        2,
        "-o",
        other);
    assertSame(other, ImageIO.read(one.toFile()));
  }

  @Test
  void singleFile_thatSaysTooLittle_isRefused() {
    Path file = Tiny.PIPELINES.resolve("single/sd1.ckpt");
    Path out = folder.resolve("out.png");
    assertThat(refused(file, "dog", "-o", out))
        .isEqualTo(
            "text: "
                + file
                + " does not hold the words of its tokenizer: give --tokenizer, a folder that has"
                + " vocab.json and merges.txt of CLIP");
    assertThat(refused(file, "dog", "--configuration", SD1, "--mapped", "-o", out))
        .endsWith(
            " of "
                + file
                + " cannot be mapped, as those of safetensors files alone can be; convert the file,"
                + " or leave out --mapped");
  }

  @Test
  void folder_takesWhatIsMissing_andRefusesOthers() throws IOException {
    Path out = folder.resolve("out");
    Object[] line = {"dog, cat", "-n", 5, "--steps", 2, "-o", out};
    assertThat(text(SD1, line)).isEqualTo(out + ": 5 of 5 pictures drawn now");
    List<byte[]> before = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      before.add(Files.readAllBytes(out.resolve("0000000" + i + ".png")));
    }
    assertThat(text(SD1, line)).isEqualTo(out + ": 0 of 5 pictures drawn now");
    Files.delete(out.resolve("00000002.png"));
    assertThat(text(SD1, with(line, "--json")))
        .isEqualTo("{\"output\":\"" + out + "\",\"pictures\":5,\"drawn\":4}");
    for (int i = 0; i < 5; i++) {
      assertThat(Files.readAllBytes(out.resolve("0000000" + i + ".png"))).isEqualTo(before.get(i));
    }
    String otherwise = "text: " + out + " holds pictures that were drawn otherwise (";
    String wayOut = "); choose another folder, or the same options";
    assertThat(refused(SD1, "dog", "cat", "-n", 5, "--steps", 2, "-o", out))
        .isEqualTo(otherwise + "prompts was [\"dog, cat\"], and is [\"dog\",\"cat\"]" + wayOut);
    assertThat(refused(SD1, with(line, "-g", 2)))
        .isEqualTo(otherwise + "guidance was none, and is 2.0" + wayOut);
    assertThat(refused(SD1, with(line, "--size", "16x16")))
        .isEqualTo(otherwise + "size was none, and is 16x16" + wayOut);
    Path changed = Tiny.pipeline("sd1", folder.resolve("sd1"));
    Files.writeString(changed.resolve("notes.txt"), "other weights");
    assertThat(refused(changed, line)).contains("(model was ", ", and is ");
    assertThat(Program.run("info", out).good())
        .contains("pictures of ddpm text")
        .containsPattern("prompts +\\[\"dog, cat\"]");
    Path drawn = folder.resolve("drawn");
    Program.run(
            "sample",
            "-m",
            Tiny.model(folder.resolve("model"), 1),
            "-s",
            "ddim:2",
            "-n",
            1,
            "-o",
            drawn)
        .good();
    Files.delete(drawn.resolve("manifest.json"));
    assertThat(refused(SD1, "dog", "-o", drawn))
        .isEqualTo(
            "text: "
                + drawn
                + " holds 00000000.png, which this command did not draw; choose another folder");
  }

  @Test
  void text_onATerminal_drawsABar() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    Program.run(
            new Progress.Display(out, true, Duration.ofHours(1)),
            with(
                new Object[] {"text", "-m", SD1, "dog", "cat", "-n", 5, "--steps", 4, "-o"},
                folder.resolve("out")))
        .good();
    assertThat(bytes.toString(StandardCharsets.UTF_8))
        .containsPattern("\rdrawing +\\d+% \\[=*>.*] \\d/10 pictures")
        .containsPattern("100% \\[=+] 10/10 pictures, .*, took \\d:\\d\\d:\\d\\d");
  }

  @Test
  void interrupted_leavesNothing() {
    Path out = folder.resolve("out");
    for (Path path : List.of(out, folder.resolve("out.png"))) {
      Thread.currentThread().interrupt();
      Program.Result result = Program.run("text", "-m", SD1, "dog", "--steps", 2, "-o", path);
      assertThat(Thread.interrupted()).isTrue();
      assertThat(result.code()).isEqualTo(130);
      assertThat(result.err().strip()).isEqualTo("text: ended; nothing was written");
      assertThat(path).doesNotExist();
    }
  }

  @Test
  void config_givesWayToWhatIsTyped() throws IOException {
    Path config = folder.resolve("options.properties");
    Files.writeString(config, "ddpm.text.sampler = ddim:3\n");
    Path out = folder.resolve("out.png");
    text(SD1, "dog", "--config", config, "-o", out);
    assertThat(Pictures.provenance(out)).containsEntry("sampler", "ddim:3");
    text(SD1, "dog", "--config", config, "--steps", 2, "-o", out);
    assertThat(Pictures.provenance(out).get("sampler")).startsWith("plms");
    assertThat(refused(Path.of("nobody/none"), "dog", "-o", out))
        .endsWith(
            ": the model is not in the cache of Hugging Face; get it by: ddpm download nobody/none");
  }

  @Test
  void otherCommands_nameText() {
    Path out = folder.resolve("out.png");
    String said = SD1 + " (StableDiffusionPipeline) draws what texts say; ddpm text draws from it";
    assertThat(Program.run("sample", "-m", SD1, "-o", out).refused()).isEqualTo("sample: " + said);
  }
}
