package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.internal.picture.PngChunks;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The program in processes of its own, and Ctrl-C in their midst. */
@EnabledOnOs(OS.LINUX)
class ProcessTest {

  static final String JAVA = Path.of(System.getProperty("java.home"), "bin", "java").toString();

  private static final int SECONDS = 120;

  @TempDir private Path folder;

  /** A process of this Java and class path. */
  static ProcessBuilder java(List<String> options, Class<?> main, List<String> args) {
    List<String> command = new ArrayList<>();
    // A shell that runs the tests in the background may ignore Ctrl-C, which is inherited.
    command.addAll(List.of("env", "--default-signal=INT"));
    command.add(JAVA);
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-Dai.djl.pytorch.num_threads=1"));
    command.addAll(options);
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add(main.getName());
    command.addAll(args);
    return new ProcessBuilder(command);
  }

  private Process start(Object... args) throws IOException {
    return java(List.of(), Ddpm.class, Stream.of(args).map(String::valueOf).toList())
        .redirectOutput(Redirect.to(folder.resolve("out.txt").toFile()))
        .redirectError(Redirect.to(folder.resolve("err.txt").toFile()))
        .start();
  }

  private int end(Process process) throws Exception {
    try {
      assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  /** Ctrl-C, once there are files of a kind. */
  private int interrupt(Process process, Path where, Predicate<String> kind) throws Exception {
    try {
      long start = System.nanoTime();
      while (names(where, kind).size() < 2) {
        assertThat(process.isAlive()).as(() -> read("err.txt")).isTrue();
        assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(SECONDS));
        TimeUnit.MILLISECONDS.sleep(20);
      }
      assertThat(new ProcessBuilder("kill", "-INT", "" + process.pid()).start().waitFor()).isZero();
    } catch (Throwable e) {
      process.destroyForcibly();
      throw e;
    }
    return end(process);
  }

  private static List<String> names(Path where, Predicate<String> kind) throws IOException {
    if (!Files.isDirectory(where)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(where)) {
      return files.map(f -> f.getFileName().toString()).filter(kind).toList();
    }
  }

  private String read(String name) {
    return read(folder.resolve(name));
  }

  static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }

  @Test
  void wrongOptions_endWith2_andOneLine() throws Exception {
    assertThat(end(start("info", folder.resolve("none")))).isEqualTo(2);
    assertThat(read("err.txt")).isEqualTo("info: " + folder.resolve("none") + " does not exist\n");
    assertThat(read("out.txt")).isEmpty();
  }

  /** A limit on the length of files, in KiB, stands for a disk that is full. */
  @Test
  void disk_thatIsFull_isSaidOfTheFile() throws Exception {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Path grid = folder.resolve("grid.png");
    Path file = folder.resolve("model.safetensors");
    assertThat(limited("sample", "-m", model, "-s", "ddim:1", "-n", 100, "-o", grid)).isEqualTo(2);
    assertThat(read("err.txt"))
        .isEqualTo(
            "sample: " + grid + " cannot be written: File too large; choose another folder\n");
    assertThat(limited("convert", "-m", model, "-f", "safetensors", "-o", file)).isEqualTo(2);
    assertThat(read("err.txt"))
        .isEqualTo(
            "convert: " + file + " cannot be written: File too large; choose another folder\n");
    assertThat(grid).doesNotExist();
    assertThat(file).doesNotExist();
  }

  private int limited(Object... args) throws Exception {
    ProcessBuilder process =
        java(
            List.of("-XX:-UsePerfData"), Ddpm.class, Stream.of(args).map(String::valueOf).toList());
    List<String> command = new ArrayList<>(List.of("bash", "-c", "ulimit -f 1; exec \"$@\"", "-"));
    command.addAll(process.command());
    return end(
        process
            .command(command)
            .redirectOutput(Redirect.to(folder.resolve("out.txt").toFile()))
            .redirectError(Redirect.to(folder.resolve("err.txt").toFile()))
            .start());
  }

  @Test
  void training_onCtrlC_leavesACheckpoint_fromWhichItGoesOn() throws Exception {
    Path pictures = Tiny.pictures(folder.resolve("pictures"), 4, 1);
    Path out = folder.resolve("out");
    Path checkpoints = out.resolve("checkpoints");
    Predicate<String> whole = name -> name.matches("step-\\d+\\.[0-9a-f]+\\.safetensors");
    Object[] args = {
      "train",
      pictures,
      "-o",
      out,
      "--size",
      "1x8x8",
      "--batch",
      "2",
      "--channels",
      "4",
      "--groups",
      "2",
      "--multipliers",
      "1,1",
      "--steps",
      "1000000",
      "--checkpoint-every",
      "20"
    };
    assertThat(interrupt(start(args), checkpoints, whole)).isEqualTo(130);
    assertThat(read("err.txt"))
        .containsPattern(
            "(?m)^train: ended after step \\d+ of 1000000; --resume goes on from its checkpoint in "
                + checkpoints
                + "$");
    List<String> left = names(checkpoints, whole);
    assertThat(left).isNotEmpty();
    assertThat(names(checkpoints, name -> name.endsWith(".part"))).isEmpty();
    int last =
        left.stream().mapToInt(name -> Integer.parseInt(name.split("\\D+")[1])).max().orElseThrow();

    assertThat(Program.run("info", out).good())
        .startsWith("what               a training run that has not ended\ncheckpoint         ")
        .containsPattern("steps +" + last + "\n");

    List<Object> more = new ArrayList<>(List.of(args));
    more.set(more.indexOf("1000000"), String.valueOf(last + 3));
    List<Object> undisturbed = new ArrayList<>(more);
    undisturbed.set(undisturbed.indexOf(out), folder.resolve("undisturbed"));
    more.add("--resume");
    // As tests are, in one thread of libtorch, on which its sums depend.
    Program.run(more.toArray()).good();
    Program.run(undisturbed.toArray()).good();
    assertThat(Program.run("info", out.resolve("model")).good())
        .containsPattern("steps +" + (last + 3) + "\n");
    Predicate<String> weights = name -> name.startsWith("weights-"); // and a digest of them
    assertThat(names(out.resolve("model"), weights))
        .hasSize(1)
        .isEqualTo(names(folder.resolve("undisturbed/model"), weights));
  }

  @Test
  void sampling_onCtrlC_leavesWholeFiles_afterWhichItGoesOn() throws Exception {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Path out = folder.resolve("pictures");
    Process process =
        start("sample", "-m", model, "-s", "ddim:5", "-n", "1000000", "--block", "2", "-o", out);
    assertThat(interrupt(process, out, name -> name.endsWith(".png"))).isEqualTo(130);
    List<String> left = names(out, name -> name.endsWith(".png"));
    assertThat(read("err.txt"))
        .contains(
            "sample: ended; "
                + left.size()
                + " of 1000000 pictures are there, and the same line goes on\n");
    for (String name : left) {
      assertThat(PngChunks.areWhole(out.resolve(name))).as(name).isTrue();
    }
    assertThat(names(out, name -> name.endsWith(".part"))).isEmpty();
    int count = left.size() + 2;
    Path undisturbed = folder.resolve("undisturbed");
    for (Path to : List.of(out, undisturbed)) {
      Program.run("sample", "-m", model, "-s", "ddim:5", "-n", count, "--block", "2", "-o", to)
          .good();
    }
    assertThat(SampleCommandTest.pictures(out))
        .hasSize(count)
        .isEqualTo(SampleCommandTest.pictures(undisturbed));
    assertThat(out.resolve("manifest.json"))
        .hasSameTextualContentAs(undisturbed.resolve("manifest.json"));
  }
}
