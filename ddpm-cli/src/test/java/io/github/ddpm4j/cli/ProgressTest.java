package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.evaluation.SamplerPlanner;
import io.github.ddpm4j.report.internal.Progress;
import io.github.ddpm4j.sampling.Samplers;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** How commands show how far they are: a bar on a terminal, lines elsewhere. */
class ProgressTest {

  private static final Duration OFTEN = Duration.ofMillis(1);
  private static final Duration NEVER = Duration.ofHours(1);
  private static final String TOOK = ", took \\d:\\d\\d:\\d\\d";

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path pictures;

  @BeforeAll
  static void make() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    pictures = Tiny.pictures(shared.resolve("pictures"), 4, 1);
  }

  private static String shown(boolean terminal, Duration interval, Object... args) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(bytes, true, StandardCharsets.UTF_8);
    Program.run(new Progress.Display(out, terminal, interval), args).good();
    return bytes.toString(StandardCharsets.UTF_8);
  }

  private Object[] sample(String output, Object... more) {
    return Stream.concat(
            Stream.of("sample", "-m", model, "-s", "ddim:20", "-o", folder.resolve(output)),
            Stream.of(more))
        .toArray();
  }

  @Test
  void sample_onATerminal_drawsABar() {
    String grid = shown(true, NEVER, sample("grid.png", "-n", "6", "--block", "4"));
    assertThat(grid).containsPattern("\rdrawing +\\d+% \\[=*>.*] \\d/6 pictures");
    assertThat(grid.stripTrailing()).containsPattern("100% \\[=+] 6/6 pictures, .*" + TOOK + "$");
    assertThat(shown(true, NEVER, sample("seeds", "--seeds", "3,4")))
        .containsPattern("100% \\[=+] 2/2 pictures, .*" + TOOK);
    String part = shown(true, NEVER, sample("out", "-n", "10", "--block", "2", "--shard", "2/2"));
    assertThat(part).containsPattern("100% \\[=+] 4/4 pictures, .*" + TOOK);
  }

  /** What is there is not counted, or the time that is left would be told too short. */
  @Test
  void sample_thatGoesOn_countsWhatIsLeft() throws IOException {
    Object[] args = sample("out", "-n", "10", "--block", "2");
    shown(false, NEVER, args);
    Files.delete(folder.resolve("out/00000003.png"));
    Files.delete(folder.resolve("out/00000008.png"));
    assertThat(shown(true, NEVER, args)).containsPattern("100% \\[=+] 4/4 pictures, .*" + TOOK);
    assertThat(shown(true, NEVER, args)).isEmpty();
  }

  @Test
  void sample_elsewhere_printsLines_orNothingIfShort() {
    Object[] args = sample("out", "-n", "16", "--block", "1");
    assertThat(shown(false, NEVER, args)).isEmpty();
    List<String> lines =
        shown(false, OFTEN, sample("lines", "-n", "16", "--block", "1")).lines().toList();
    assertThat(lines).hasSizeGreaterThan(2);
    assertThat(lines)
        .allSatisfy(line -> assertThat(line).matches("drawing +\\d+% \\[.*] \\d+/16 pictures.*"));
    assertThat(lines.get(lines.size() - 1)).matches(".* 16/16 pictures, .*" + TOOK);
  }

  @Test
  void evaluate_showsDrawingFeaturesAndLikelihood() {
    String shown =
        shown(true, NEVER, "evaluate", pictures, model, "-s", "ddim:2", "-n", "4", "--bits", "3");
    assertThat(shown)
        .containsPattern("drawing 100% \\[=+] 4/4 pictures, .*" + TOOK)
        .containsPattern("features 100% \\[=+] 4/4 pictures" + TOOK)
        .containsPattern("likelihood 100% \\[=+] 3/3 pictures" + TOOK);
    assertThat(shown(false, NEVER, "evaluate", pictures, pictures, "--size", "1x8x8")).isEmpty();
  }

  @Test
  void edit_and_denoise_showDrawing() throws IOException {
    Path one = Tiny.picture(folder.resolve("one.png"), 8, 1);
    Object[] edit = {
      "edit", "vary", "-m", model, one, "-s", "ddim:4", "-n", "3", "-o", folder.resolve("e.png")
    };
    assertThat(shown(true, NEVER, edit))
        .containsPattern("drawing 100% \\[=+] 3/3 pictures, .*" + TOOK);
    assertThat(shown(false, NEVER, edit)).isEmpty();
    Object[] denoise = {
      "denoise", "-m", model, "-s", "ddim:4", "-n", "2", "-o", folder.resolve("d.png")
    };
    assertThat(shown(true, NEVER, denoise))
        .containsPattern("drawing 100% \\[=+] 2/2 pictures, .*" + TOOK);
    assertThat(shown(false, NEVER, denoise)).isEmpty();
  }

  @Test
  void reproduce_showsPictures() throws IOException {
    Path one = Tiny.picture(folder.resolve("one.png"), 8, 1);
    Path edited = folder.resolve("edited.png");
    Program.run("edit", "vary", "-m", model, one, "-s", "ddim:4", "-n", "70", "-o", edited).good();
    Program.run(sample("drawn", "-n", "3", "--block", "2")).good();
    Object[] args = {
      "reproduce",
      "-m",
      model,
      folder.resolve("drawn/00000000.png"),
      edited,
      folder.resolve("drawn/00000002.png"),
      "--given",
      one
    };
    assertThat(shown(true, NEVER, args))
        .containsPattern("drawing 100% \\[=+] 3/3 pictures, .*" + TOOK);
    assertThat(shown(false, NEVER, args)).isEmpty();
  }

  /** The long chain of 6 calls, and 2 of each sampler that is not refused. */
  @Test
  void samplers_showCalls() throws IOException {
    Object[] args = {"samplers", "-m", model, "--calls", "2", "--long-chain", "6", "-n", "70"};
    int calls;
    try (DDPM ddpm = DDPM.load(model)) {
      SamplerPlanner planner = ddpm.samplerPlanner().longChain(Samplers.ddim(6)).images(1);
      calls = 6 + planner.plan(2).rows().stream().mapToInt(SamplerPlanner.Row::calls).sum();
    }
    assertThat(calls).isGreaterThan(8);
    assertThat(shown(true, NEVER, args))
        .containsPattern("comparing 100% \\[=+] " + calls + "/" + calls + " calls, .*" + TOOK);
    List<String> lines = shown(false, OFTEN, args).lines().toList();
    assertThat(lines).hasSizeGreaterThan(2);
    assertThat(lines)
        .allSatisfy(line -> assertThat(line).matches("comparing +\\d+% .*/" + calls + " calls.*"));
    assertThat(shown(false, NEVER, args)).isEmpty();
  }

  @Test
  void data_showsFiles_andVerify_checks() {
    Object[] data = {"data", pictures, "--size", "1x8x8"};
    assertThat(shown(true, NEVER, data))
        .containsPattern("looking 100% \\[=+] 4/4 files" + ".*" + TOOK);
    assertThat(shown(false, NEVER, data)).isEmpty();
    assertThat(shown(true, NEVER, "verify"))
        .containsPattern("verifying 100% \\[=+] 8/8 checks, .*" + TOOK);
  }

  /** A program reads what is told as JSON, and its log shall not be full of bars. */
  @Test
  void commands_thatTellJson_showNothing() {
    assertThat(shown(true, NEVER, "data", pictures, "--size", "1x8x8", "--json")).isEmpty();
    assertThat(shown(false, OFTEN, sample("out", "-n", "16", "--block", "1", "--json"))).isEmpty();
    assertThat(
            shown(
                true,
                NEVER,
                "samplers",
                "-m",
                model,
                "--calls",
                "1",
                "--long-chain",
                "2",
                "-n",
                "1",
                "--json"))
        .isEmpty();
    assertThat(shown(true, NEVER, "evaluate", pictures, pictures, "--size", "1x8x8", "--json"))
        .isEmpty();
  }

  /** A terminal that the program itself finds. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void download_onATerminal_drawsABarForEachFile() throws Exception {
    Path converted = folder.resolve("converted");
    Program.run("convert", "-m", model, "-f", "diffusers", "-o", converted).good();
    try (FolderHub hub = new FolderHub(converted)) {
      ProcessBuilder program =
          ProcessTest.java(List.of(), Ddpm.class, List.of("download", "nobody/tiny"));
      String command = String.join(" ", program.command());
      ProcessBuilder terminal = new ProcessBuilder("script", "-qefc", command, "/dev/null");
      hub.announce(terminal.environment(), folder.resolve("cache"));
      Process process = terminal.redirectErrorStream(true).start();
      process.getOutputStream().close();
      String shown = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor()).as(shown).isZero();
      assertThat(shown)
          .contains("\rmodel_index.json 100% [")
          .containsPattern("unet/diffusion_pytorch_model.safetensors 100% \\[=+] 0.1/0.1 MB" + TOOK)
          .contains("snapshots");
    }
  }
}
