package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What all commands share: unknown options, the file of options, exit codes. */
class OptionsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;

  @BeforeAll
  static void train() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
  }

  @Test
  void commands_unknown_areRefused() {
    assertThat(Program.run("smaple").misspelt())
        .isEqualTo(
            "Unmatched argument at index 0: 'smaple'; is it sample or samplers or completion?");
    assertThat(Program.run("sample", "--sampelr", "ddim:4").misspelt())
        .isEqualTo("Unknown options: '--sampelr', 'ddim:4'; is it --sampler?");
    assertThat(Program.run("sample", "-s", "ddim:4").misspelt())
        .isEqualTo("Missing required options: '--model=MODEL', '--output=PATH'");
    assertThat(Program.run("sample", "-m", model, "-o", "x", "--sampelr", "ddim:4").misspelt())
        .isEqualTo("Unknown options: '--sampelr', 'ddim:4'; is it --sampler?");
    assertThat(Program.run().misspelt()).isEqualTo("Missing required subcommand");
  }

  @Test
  void device_thatIsNotHere_isRefusedBeforeTheModelIsLookedFor() {
    assertThat(Program.run("sample", "-m", "none", "-o", "x", "--device", "tpu").refused())
        .isEqualTo("sample: --device must be cpu, gpu0, gpu1, ..., but was tpu");
    assertThat(Program.run("sample", "-m", "none", "-o", "x", "--device", "gpu99").refused())
        .isEqualTo(
            "sample: --device must be one that is here, but was gpu99, and the engine sees 0 GPUs;"
                + " use cpu, or a libtorch built for the GPU");
  }

  private Path config(String text) throws IOException {
    return Files.writeString(folder.resolve("options.properties"), text);
  }

  @Test
  void config_givesOptionsThatTheCommandLineOverrides() throws IOException {
    Path grid = folder.resolve("a grid.png");
    Path config =
        config(
            "ddpm.sample.model = "
                + model
                + "\n"
                + "ddpm.sample.sampler = ddim:3\n"
                + "ddpm.sample.count = 2\n"
                + "ddpm.train.flips = true\n");
    Program.run("sample", "--config", config, "-o", grid).good();
    Map<String, String> words = Pictures.provenance(grid);
    assertThat(words).containsEntry("sampler", "ddim:3").containsEntry("image", "0 to 1");

    Program.run("--config=" + config, "sample", "-o", grid, "-n", "3", "-s", "euler:2, trailing")
        .good();
    words = Pictures.provenance(grid);
    assertThat(words)
        .containsEntry("sampler", "euler:2, trailing")
        .containsEntry("image", "0 to 2");
  }

  @Test
  void config_withUnknownOptionsOrMissing_isRefused() throws IOException {
    Path config = config("ddpm.sample.sampelr = ddim:3");
    assertThat(Program.run("info", "--config", config, model).refused())
        .isEqualTo(
            "ddpm: "
                + config
                + " sets ddpm.sample.sampelr, but no command has that option; names are like"
                + " ddpm.sample.sampler, and ddpm sample --help lists them");
    config("sampler = ddim:3");
    assertThat(Program.run("info", "--config", config, model).refused())
        .isEqualTo(
            "ddpm: "
                + config
                + " sets sampler, but no command has that option; names are like"
                + " ddpm.sample.sampler");
    config("ddpm.info.stacktrace = true");
    assertThat(Program.run("info", "--config", config, model).refused())
        .isEqualTo(
            "ddpm: "
                + config
                + " sets ddpm.info.stacktrace, but --stacktrace is for the command line alone");
    config("ddpm.sample.sampler = \\u12");
    assertThat(Program.run("info", "--config", config, model).refused())
        .isEqualTo("ddpm: " + config + " is no file of options: Malformed \\uxxxx encoding.");
    Path none = folder.resolve("none");
    assertThat(Program.run("info", "--config", none, model).refused())
        .isEqualTo("ddpm: " + none + " does not exist");
    config("ddpm.sample.count = many");
    assertThat(Program.run("sample", "--config", config, "-m", model, "-o", "x.png").misspelt())
        .isEqualTo("Invalid value for option '--count': must be a whole number, but was many");
  }

  @Test
  void config_withAFlag_isNotInvertedByTheSameFlag() throws IOException {
    Path grid = folder.resolve("grid.png");
    Path config = config("ddpm.sample.json = true");
    String said = "{\"output\":\"" + grid + "\",\"pictures\":1,\"drawn\":1}";
    Object[] args = {"sample", "--config", config, "-m", model, "-s", "ddim:2", "-n", "1", "-o"};
    assertThat(Program.run(with(args, grid)).good().strip()).isEqualTo(said);
    assertThat(Program.run(with(args, grid, "--json")).good().strip()).isEqualTo(said);
  }

  private static Object[] with(Object[] args, Object... more) {
    return Stream.concat(Stream.of(args), Stream.of(more)).toArray();
  }

  @Test
  void stacktrace_isPrintedBeforeTheLine_andChangesNoExitCode() {
    Program.Result result = Program.run("info", "none", "--stacktrace");
    assertThat(result.code()).isEqualTo(2);
    assertThat(result.out()).isEmpty();
    assertThat(result.err())
        .startsWith("java.lang.IllegalArgumentException: none")
        .contains("\tat io.github.ddpm4j.cli.InfoCommand.call(InfoCommand.java:")
        .endsWith(
            "info: none does not exist; the models in the box are faces and fashion"
                + System.lineSeparator());
    Thread.currentThread().interrupt();
    result =
        Program.run(
            "sample", "--stacktrace", "-m", model, "-o", folder.resolve("x.png"), "-s", "ddim:4");
    assertThat(Thread.interrupted()).isTrue();
    assertThat(result.code()).isEqualTo(130);
    assertThat(result.err()).startsWith("java.util.concurrent.CancellationException: ");
  }

  @Test
  void interrupted_endsWith130() {
    Thread.currentThread().interrupt();
    Program.Result result =
        Program.run("sample", "-m", model, "-o", folder.resolve("x.png"), "-s", "ddim:4");
    assertThat(Thread.interrupted()).isTrue();
    assertThat(result.code()).isEqualTo(130);
    assertThat(result.err().strip()).isEqualTo("sample: ended; nothing was written");
    assertThat(folder.resolve("x.png")).doesNotExist();
  }

  @Test
  void interrupted_saysWhatIsThere() throws IOException {
    Path drawn = folder.resolve("drawn");
    Program.run("sample", "-m", model, "-o", drawn, "-s", "ddim:4", "-n", 3, "--block", 3).good();
    Path pictures = Tiny.pictures(folder.resolve("pictures"), 4, 1);
    Path saved = folder.resolve("saved.safetensors");
    String sample = "sample -m M -s ddim:4 -n 9 --block 3 -o ";
    assertThat(ended(sample + drawn)).isEqualTo("sample: ended; nothing was written");
    assertThat(ended(sample + folder.resolve("none")))
        .isEqualTo("sample: ended; nothing was written");
    assertThat(folder.resolve("none")).doesNotExist();
    assertThat(ended("sample -m M -s ddim:4 --seeds 1,2 -o " + folder.resolve("none")))
        .isEqualTo("sample: ended; nothing was written");
    assertThat(folder.resolve("none")).doesNotExist();
    assertThat(ended("reproduce -m M " + drawn.resolve("00000000.png")))
        .isEqualTo("reproduce: ended; 0 of 1 pictures were compared");
    assertThat(ended("denoise -m M -s ddim:4 -o " + folder.resolve("x.gif")))
        .isEqualTo("denoise: ended; nothing was written");
    assertThat(ended("evaluate M -s ddim:4 --save " + saved))
        .isEqualTo("evaluate: ended; nothing was written");
    assertThat(ended("samplers -m M --long-chain 20")).isEqualTo("samplers: ended");
    Path out = folder.resolve("out");
    assertThat(
            ended(
                "train "
                    + pictures
                    + " --size 1x8x8 --channels 4 --groups 2 --multipliers 1,1 --batch 2"
                    + " --steps 9 -o "
                    + out))
        .isEqualTo("train: ended");
  }

  private static String ended(String typed) {
    Thread.currentThread().interrupt();
    Program.Result result = Program.run((Object[]) typed.replace(" M", " " + model).split(" "));
    assertThat(Thread.interrupted()).isTrue();
    assertThat(result.code()).as(result.err()).isEqualTo(130);
    return result.err().strip();
  }
}
