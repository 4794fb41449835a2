package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every command with bad inputs, each refused in one line that says the way out, with nothing
 * written: {@code bad-inputs.txt} has what is typed and what is said, F being a folder.
 */
class BadInputsTest {

  private static final Path CASES = Path.of("src/test/resources/bad-inputs.txt");

  @TempDir private static Path folder;

  @BeforeAll
  static void make() throws IOException {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Tiny.model(folder.resolve("run/model"), 1);
    Tiny.model(folder.resolve("plain"), 1, List.of());
    Tiny.pictures(folder.resolve("pictures"), 4, 1);
    Tiny.picture(folder.resolve("one.png"), 8, 1);
    Path nine = Tiny.picture(folder.resolve("nine.png"), 9, 1);
    Files.writeString(folder.resolve("text.safetensors"), "none");
    Files.writeString(folder.resolve("one.txt"), "none");
    Tiny.pictures(folder.resolve("broken"), 1, 1);
    Files.writeString(folder.resolve("broken/z.png"), "none");
    Files.createDirectories(folder.resolve("empty"));
    Files.createDirectories(folder.resolve("folder.png"));
    Files.createDirectories(folder.resolve("pipeline"));
    Files.writeString(
        folder.resolve("pipeline/model_index.json"),
        "{\"_class_name\": \"StableDiffusionXLPipeline\"}");
    Tiny.pipeline("sd1", folder.resolve("words"));
    Tiny.pipeline("ldm_unconditional", folder.resolve("wordless"));
    Tiny.pipeline("sd_inpaint", folder.resolve("filling"));
    Tiny.pipeline("ldm_text2im", folder.resolve("unguided"));
    larger(folder.resolve("larger"));
    Program.run(
            "convert", "-m", model, "-f", "safetensors", "-o", folder.resolve("single.safetensors"))
        .good();
    Program.run("convert", "-m", model, "-f", "diffusers", "-o", folder.resolve("of-pixels"))
        .good();
    Program.run(
            "evaluate",
            folder.resolve("pictures"),
            "--size",
            "1x8x8",
            "--save",
            folder.resolve("small.safetensors"))
        .good();
    Files.copy(folder.resolve("small.safetensors"), folder.resolve("again.safetensors"));
    Path one = folder.resolve("one.png");
    Program.run(
            "edit",
            "vary",
            "-m",
            model,
            one,
            "-n",
            "1",
            "-s",
            "ddim:2",
            "-o",
            folder.resolve("edited.png"))
        .good();
    Program.run("noise", one, "-o", folder.resolve("noised.png")).good();
    Path drawn = folder.resolve("drawn");
    Program.run("sample", "-m", model, "-s", "ddim:2", "-n", "1", "-o", drawn).good();
    Pictures.write(
        ImageIO.read(nine.toFile()),
        folder.resolve("drawn-nine.png"),
        Pictures.provenance(drawn.resolve("00000000.png")));
  }

  /** A model of pictures of another size. */
  private static void larger(Path to) throws IOException {
    try (UNet unet =
            UNet.builder()
                .image(1, 16, 16)
                .baseChannels(4)
                .channelMultipliers(1, 2)
                .groups(2)
                .residualBlocks(1)
                .attentionAtLevels()
                .classes(2)
                .build();
        DDPM ddpm = DDPM.builder().schedule(Schedules.linear(20)).denoiser(unet).build()) {
      ddpm.save(to);
    }
  }

  /** A line of the file. */
  record Case(String typed, String said) {

    @Override
    public String toString() {
      return typed;
    }
  }

  static Stream<Case> cases() throws IOException {
    return Files.readString(CASES)
        .lines()
        .filter(line -> !line.isEmpty() && !line.startsWith("#"))
        .map(line -> new Case(line.split(" \\| ")[0], line.split(" \\| ")[1]));
  }

  private static List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.sorted().toList();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void command_withABadInput_isRefusedInOneLine_andWritesNothing(Case bad) throws IOException {
    List<Path> before = files();
    Object[] args =
        Stream.of(bad.typed().split(" "))
            .map(arg -> arg.equals("\"\"") ? "" : arg.replaceAll("(^|,)F/", "$1" + folder + "/"))
            .toArray();
    assertThat(Program.run(args).refused().replace(folder.toString(), "F")).isEqualTo(bad.said());
    assertThat(files()).isEqualTo(before);
  }

  /** The file has a line of each command for each kind of input that it takes. */
  @Test
  void cases_areOfEveryCommand() throws IOException {
    List<String> typed = cases().map(one -> one.typed().split(" ")[0]).distinct().toList();
    assertThat(typed).containsAll(Ddpm.commandLine().getSubcommands().keySet());
  }
}
