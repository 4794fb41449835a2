package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.internal.picture.SampleFolder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Folders that several processes fill, and killed ones go on with. */
class SampleFolderTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;

  @BeforeAll
  static void model() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
  }

  private Map<String, String> drawn(String name, int count, int shards) throws IOException {
    Path out = folder.resolve(name);
    for (int k = shards; k >= 1; k--) {
      sample(out, count, k + "/" + shards);
    }
    return SampleCommandTest.pictures(out);
  }

  private static String sample(Path out, int count, String shard) {
    return Program.run(
            "sample",
            "-m",
            model,
            "-s",
            "euler-a:3",
            "-c",
            "cat,dog",
            "-n",
            count,
            "--shard",
            shard,
            "-o",
            out)
        .good()
        .strip();
  }

  /** What a killed process leaves: files of some blocks, of one not all, and a part of a file. */
  private void kill(String name, Map<String, String> whole, int count) throws IOException {
    Path out = folder.resolve(name);
    for (int index = count / 3; index < count; index++) {
      Files.delete(out.resolve(file(index)));
    }
    Files.writeString(
        out.resolve("." + file(count / 3) + ".0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f.part"), "half");
    assertThat(SampleCommandTest.pictures(out)).hasSize(count / 3).isNotEqualTo(whole);
  }

  private static String file(int index) {
    return String.format(Locale.ROOT, "%08d.png", index);
  }

  private void sameInShards(int count) throws IOException {
    Map<String, String> whole = drawn("one", count, 1);
    assertThat(whole).hasSize(count);
    assertThat(whole.values()).doesNotHaveDuplicates();
    assertThat(drawn("three", count, 3)).isEqualTo(whole);
    assertThat(drawn("seven", count, 7)).isEqualTo(whole);
    for (String name : List.of("one", "seven")) {
      kill(name, whole, count);
      assertThat(drawn(name, count, name.equals("one") ? 1 : 3)).isEqualTo(whole);
    }
  }

  @Test
  void pictures_inShardsAndAfterAKill_areTheSame() throws IOException {
    sameInShards(100);
  }

  @Test
  @Tag("slow")
  void aThousandPictures_inShardsAndAfterAKill_areTheSame() throws IOException {
    sameInShards(1000);
  }

  @Test
  void damagedFiles_areDrawnAgain_withTheirBlockAlone() throws IOException {
    Map<String, String> whole = drawn("out", 48, 1);
    Path out = folder.resolve("out");
    byte[] bytes = Files.readAllBytes(out.resolve(file(17)));
    List<byte[]> damages = new ArrayList<>();
    damages.add(new byte[0]);
    damages.add("no picture at all".getBytes(StandardCharsets.UTF_8));
    damages.add(Arrays.copyOf(bytes, bytes.length - 1));
    damages.add(Arrays.copyOf(bytes, bytes.length - 12));
    damages.add(Arrays.copyOf(bytes, bytes.length + 1));
    byte[] flipped = bytes.clone();
    flipped[bytes.length / 2] ^= 1;
    damages.add(flipped);
    byte[] length = bytes.clone();
    length[8] = (byte) 0x80;
    damages.add(length);
    for (byte[] damage : damages) {
      Files.write(out.resolve(file(17)), damage);
      assertThat(sample(out, 48, "1/1")).isEqualTo(out + ": 16 of 48 pictures drawn now");
      assertThat(SampleCommandTest.pictures(out)).isEqualTo(whole);
    }
  }

  @Test
  void shards_ofNothing_drawNothing() throws IOException {
    assertThat(sample(folder.resolve("out"), 3, "2/2"))
        .isEqualTo(folder.resolve("out") + ": 0 of 3 pictures drawn now");
  }

  /** Each round, one of two wins; the other must see what the first wrote. */
  @Test
  void open_byTwoAtOnce_holdsOneManifest() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      for (int round = 0; round < 20; round++) {
        Path out = folder.resolve("round" + round);
        CyclicBarrier start = new CyclicBarrier(2);
        List<Future<SampleFolder>> opened = new ArrayList<>();
        for (String seed : List.of("1", "2")) {
          opened.add(
              threads.submit(
                  () -> {
                    start.await();
                    return SampleFolder.open(out, Map.of("seed", seed));
                  }));
        }
        int refused = 0;
        for (Future<SampleFolder> one : opened) {
          try {
            one.get();
          } catch (ExecutionException e) {
            assertThat(e.getCause()).isInstanceOf(IllegalArgumentException.class);
            refused++;
          }
        }
        assertThat(refused).isEqualTo(1);
      }
    } finally {
      threads.shutdownNow();
    }
    assertThatThrownBy(() -> SampleFolder.open(folder.resolve("round0"), Map.of("seed", "3")))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
