package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.picture.PngChunks;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Ctrl-C in the midst of what writes a result: it is there whole or not at all. */
@EnabledOnOs(OS.LINUX)
class InterruptedTest {

  private static final int SECONDS = 120;
  private static final int CTRL_C = 130;

  @TempDir private Path folder;

  private final List<Process> started = new ArrayList<>();

  /** Those that a failure left. */
  @AfterEach
  void end() {
    started.forEach(Process::destroyForcibly);
  }

  private Process start(Object... args) throws IOException {
    Path said = folder.resolve(args[0] + ".txt");
    Process process =
        ProcessTest.java(List.of(), Ddpm.class, Stream.of(args).map(String::valueOf).toList())
            .redirectErrorStream(true)
            .redirectOutput(Redirect.to(said.toFile()))
            .start();
    started.add(process);
    return process;
  }

  private String said(String command) {
    return ProcessTest.read(folder.resolve(command + ".txt"));
  }

  /** Ctrl-C, once something holds, and the exit code. */
  private int interrupt(String command, Process process, Callable<Boolean> midst) throws Exception {
    long start = System.nanoTime();
    while (!midst.call()) {
      assertThat(process.isAlive()).as(() -> said(command)).isTrue();
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(SECONDS));
      TimeUnit.MILLISECONDS.sleep(1);
    }
    assertThat(new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor()).isZero();
    assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  /** Whether a process has the engine for a while, and asks the network. */
  private static Callable<Boolean> drawing(Process process) {
    long[] since = {Long.MAX_VALUE};
    return () -> {
      if (since[0] == Long.MAX_VALUE) {
        boolean engine =
            ProcessTest.read(Path.of("/proc/" + process.pid() + "/maps")).contains("libtorch_cpu");
        since[0] = engine ? System.nanoTime() : Long.MAX_VALUE;
        return false;
      }
      return System.nanoTime() - since[0] > TimeUnit.SECONDS.toNanos(1);
    };
  }

  private List<String> names(Path where) throws IOException {
    if (!Files.isDirectory(where)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(where)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** Runs of a million pictures, or of more steps than there is time for. */
  @Test
  void drawing_onCtrlC_leavesNothing() throws Exception {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Path one = Tiny.picture(folder.resolve("one.png"), 8, 1);
    Path out = Files.createDirectories(folder.resolve("out"));
    Path edited = out.resolve("edited.png");
    Path saved = out.resolve("saved.safetensors");
    Map<String, Process> all = new LinkedHashMap<>();
    all.put("edit", start("edit", "vary", "-m", model, one, "-n", 1_000_000, "-o", edited));
    all.put("evaluate", start("evaluate", model, "-s", "ddpm", "-n", 1_000_000, "--save", saved));
    Path drawn = out.resolve("drawn");
    all.put(
        "sample",
        start("sample", "-m", model, "-n", 100_000, "--block", 100_000, "-o", drawn, "-s", "ddpm"));
    Path texts = Tiny.PIPELINES.resolve("sd1");
    Path dogs = out.resolve("dogs.png");
    all.put("text", start("text", "-m", texts, "dog", "-n", 1000, "--steps", 999, "-o", dogs));
    for (Map.Entry<String, Process> run : all.entrySet()) {
      assertThat(interrupt(run.getKey(), run.getValue(), drawing(run.getValue())))
          .as(() -> said(run.getKey()))
          .isEqualTo(CTRL_C);
    }
    assertThat(names(out)).isEmpty();
  }

  private static Path large(Path to) throws IOException {
    try (UNet unet =
            UNet.builder()
                .image(1, 8, 8)
                .baseChannels(256)
                .channelMultipliers(1, 2)
                .residualBlocks(1)
                .attentionAtLevels()
                .build();
        DDPM ddpm = DDPM.builder().denoiser(unet).build()) {
      ddpm.save(to);
    }
    return to;
  }

  @Test
  @Tag("slow")
  void denoise_onCtrlC_leavesNothing() throws Exception {
    Path model = large(folder.resolve("model"));
    Path out = Files.createDirectories(folder.resolve("out"));
    Process process =
        start("denoise", "-m", model, "-s", "ddpm", "-n", 64, "-o", out.resolve("x.gif"));
    assertThat(interrupt("denoise", process, drawing(process)))
        .as(() -> said("denoise"))
        .isEqualTo(CTRL_C);
    assertThat(names(out)).isEmpty();
  }

  /** What is being written is written to its end. */
  @Test
  @Tag("slow")
  void convert_onCtrlC_leavesAWholeFile() throws Exception {
    Path model = large(folder.resolve("model"));
    Path out = Files.createDirectories(folder.resolve("out"));
    Path file = out.resolve("x.safetensors");
    Process process = start("convert", "-m", model, "-f", "safetensors", "-o", file);
    assertThat(interrupt("convert", process, () -> !names(out).isEmpty()))
        .as(() -> said("convert"))
        .isEqualTo(CTRL_C);
    assertThat(names(out)).containsExactly("x.safetensors");
    DDPM.load(file).close();
  }

  @Test
  @Tag("slow")
  void reproduce_onCtrlC_leavesWholePictures() throws Exception {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Path drawn = folder.resolve("drawn");
    Program.run("sample", "-m", model, "-s", "ddpm", "-n", "16", "-o", drawn).good();
    List<Object> args = new ArrayList<>(List.of("reproduce", "-m", model, "-o"));
    Path out = folder.resolve("out");
    args.add(out);
    args.addAll(Collections.nCopies(10_000, drawn.resolve("00000003.png")));
    Process process = start(args.toArray());
    assertThat(interrupt("reproduce", process, () -> !names(out).isEmpty())).isEqualTo(CTRL_C);
    for (String name : names(out)) {
      assertThat(name).isEqualTo("00000003.png");
      assertThat(PngChunks.areWhole(out.resolve(name))).isTrue();
    }
  }
}
