package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A thousand pictures by one, three and seven processes at once, which are killed by SIGKILL at
 * random moments and started again: the same files by digest as by one that was left alone.
 */
@EnabledOnOs(OS.LINUX)
@Tag("slow")
class KilledShardsTest {

  private static final int PICTURES = 1000;
  private static final int KILLS = 4;
  private static final int SECONDS = 300;
  private static final int KILLED = 137;

  @TempDir private Path folder;

  private final Random random = new Random(18);

  private List<Object> command(Path model, Path out, int shard, int shards) {
    return List.of(
        "sample",
        "-m",
        model,
        "-s",
        "euler-a:5",
        "-c",
        "cat,dog",
        "-n",
        PICTURES,
        "--block",
        4,
        "--shard",
        shard + "/" + shards,
        "-o",
        out);
  }

  private List<Process> start(Path model, Path out, int shards) throws IOException {
    List<Process> all = new ArrayList<>();
    for (int shard = 1; shard <= shards; shard++) {
      List<String> args = command(model, out, shard, shards).stream().map(String::valueOf).toList();
      all.add(
          ProcessTest.java(List.of(), Ddpm.class, args)
              .redirectErrorStream(true)
              .redirectOutput(Redirect.appendTo(folder.resolve("said.txt").toFile()))
              .start());
    }
    return all;
  }

  private static long drawn(Path out) throws IOException {
    if (!Files.isDirectory(out)) {
      return 0;
    }
    try (Stream<Path> files = Files.list(out)) {
      return files.filter(file -> file.toString().endsWith(".png")).count();
    }
  }

  /** Kills all at once, when so many pictures are there and a little later. */
  private int kill(List<Process> all, Path out, long pictures) throws Exception {
    long start = System.nanoTime();
    while (drawn(out) < pictures && all.stream().anyMatch(Process::isAlive)) {
      assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(SECONDS));
      TimeUnit.MICROSECONDS.sleep(random.nextInt(3000));
    }
    int killed = 0;
    for (Process process : all) {
      process.destroyForcibly();
      assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
      killed += process.exitValue() == KILLED ? 1 : 0;
    }
    return killed;
  }

  @Test
  void aThousandPictures_ofKilledShards_areThoseOfOneProcess() throws Exception {
    Path model = Tiny.model(folder.resolve("model"), 1);
    Path alone = folder.resolve("alone");
    Program.run(command(model, alone, 1, 1).toArray()).good();
    Map<String, String> expected = SampleCommandTest.pictures(alone);
    assertThat(expected).hasSize(PICTURES);
    assertThat(expected.values()).doesNotHaveDuplicates();
    for (int shards : new int[] {1, 3, 7}) {
      Path out = folder.resolve("by-" + shards);
      int killed = 0;
      for (int i = 0; i < KILLS; i++) {
        int from = i * PICTURES / KILLS;
        killed += kill(start(model, out, shards), out, from + random.nextInt(PICTURES / KILLS / 2));
      }
      assertThat(killed).as("killed of %d shards", shards).isGreaterThanOrEqualTo(KILLS);
      assertThat(drawn(out)).isLessThan(PICTURES);
      for (Process process : start(model, out, shards)) {
        assertThat(process.waitFor(SECONDS, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue())
            .as(() -> ProcessTest.read(folder.resolve("said.txt")))
            .isZero();
      }
      assertThat(SampleCommandTest.pictures(out)).isEqualTo(expected);
      assertThat(out.resolve("manifest.json"))
          .hasSameTextualContentAs(alone.resolve("manifest.json"));
    }
  }
}
