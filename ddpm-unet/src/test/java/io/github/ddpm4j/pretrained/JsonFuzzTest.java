package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.unet.NativeMemory;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Damaged descriptions of models: whatever they say, the model is loaded or refused with an {@link
 * IOException} that can be read itself, soon, with little memory, and nothing of the engine's is
 * left.
 */
class JsonFuzzTest {

  private static final int FEW = 2_000;
  private static final int MANY = 100_000;

  /** Of a schedule of a million timesteps, which a few words ask for. */
  private static final long FIXED_BYTES = 256L << 20;

  private static final long TIMES_THE_FILE = 200;
  private static final long SLOWEST_NANOS = 5_000_000_000L;
  private static final long ALLOWED_KB = 512 << 10;

  private static final Pattern TOKEN =
      Pattern.compile(
          "\"(?:[^\"\\\\]|\\\\.)*\"|-?\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?|true|false|null");

  private static final List<String> VALUES =
      List.of(
          "0",
          "-1",
          "1",
          "3",
          "0.5",
          "1e-300",
          "1e9",
          "2000000000",
          "2147483648",
          "999999",
          "1000001",
          "9223372036854775807",
          "9223372036854775808",
          "1e308",
          "1e400",
          "-0.0",
          "true",
          "false",
          "null",
          "\"\"",
          "\"SILU\"",
          "\"../../x\"",
          "\"/etc/passwd\"",
          "\"java.lang.Runtime\"",
          "[]",
          "{}",
          "[1, 2, 3]",
          "[[[[]]]]",
          "[1e9, 2000000000]",
          "{\"a\": {\"b\": []}}");

  @TempDir private Path folder;

  /** The file that is damaged, in a folder that is whole. */
  enum Kind {
    DESCRIPTION("own", "ddpm.json"),
    CONFIG("theirs", "unet/config.json"),
    SCHEDULER("theirs", "scheduler/scheduler_config.json");

    final String model;
    final String file;

    Kind(String model, String file) {
      this.model = model;
      this.file = file;
    }
  }

  @BeforeEach
  void save() throws IOException {
    try (UNet network =
        UNet.builder()
            .image(1, 4, 4)
            .baseChannels(2)
            .channelMultipliers(1)
            .residualBlocks(1)
            .groups(1)
            .seed(1)
            .build()) {
      DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();
      ddpm.save(folder.resolve("own"));
      Pretrained.saveDiffusers(ddpm, folder.resolve("theirs"));
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void damaged_isLoadedOrRefused(Kind kind) throws IOException {
    check(kind, 1, FEW);
  }

  @Tag("slow")
  @ParameterizedTest
  @EnumSource(Kind.class)
  void damaged_manyTimes_isLoadedOrRefused(Kind kind) throws IOException {
    check(kind, 2, MANY);
  }

  private void check(Kind kind, long seed, int count) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    Path model = folder.resolve(kind.model);
    Path file = model.resolve(kind.file);
    String original = Files.readString(file);
    assertThat(isLoaded(kind, model)).isTrue();
    int before = NativeMemory.resources();
    long resident = NativeMemory.isKnown() ? NativeMemory.residentKb() : 0;
    int refused = 0;
    for (int i = 0; i < count; i++) {
      byte[] damaged = damaged(original, random);
      Files.write(file, damaged);
      long allocated = thread.getCurrentThreadAllocatedBytes();
      long start = System.nanoTime();
      if (!isLoaded(kind, model)) {
        refused++;
      }
      long bytes = thread.getCurrentThreadAllocatedBytes() - allocated;
      long nanos = System.nanoTime() - start;
      if (bytes > FIXED_BYTES + TIMES_THE_FILE * damaged.length || nanos > SLOWEST_NANOS) {
        assertThat(new String(damaged, StandardCharsets.UTF_8))
            .as("input %d of seed %d took %d bytes and %d ns", i, seed, bytes, nanos)
            .isEmpty();
      }
    }
    // Both happen, or the damage is too little or too great to try anything.
    assertThat(refused).isBetween(count / 4, count * 99 / 100);
    assertThat(NativeMemory.resources()).isEqualTo(before);
    if (NativeMemory.isKnown()) {
      assertThat(NativeMemory.residentKb() - resident).isLessThan(ALLOWED_KB);
    }
  }

  private static boolean isLoaded(Kind kind, Path model) {
    try {
      if (kind == Kind.DESCRIPTION) {
        DDPM.load(model).close();
      } else {
        Pretrained.load(model).close();
      }
      return true;
    } catch (IOException e) {
      assertThat(e.getMessage()).isNotBlank().hasSizeLessThan(4000);
      return false;
    }
  }

  /** One to three changes: of bytes, or of what they mean. */
  private static byte[] damaged(String original, SplittableRandom random) {
    if (random.nextInt(4) == 0) {
      return bytes(original.getBytes(StandardCharsets.UTF_8), random);
    }
    String text = original;
    for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
      List<MatchResult> tokens = new ArrayList<>(TOKEN.matcher(text).results().toList());
      if (tokens.isEmpty()) {
        break;
      }
      MatchResult at = tokens.get(random.nextInt(tokens.size()));
      String value =
          random.nextInt(3) == 0
              ? tokens.get(random.nextInt(tokens.size())).group()
              : VALUES.get(random.nextInt(VALUES.size()));
      boolean name = text.startsWith(":", at.end());
      if (name && random.nextBoolean()) {
        // A member twice, or gone.
        int end = text.indexOf('\n', at.end());
        String member = end < 0 ? "" : text.substring(at.start(), end);
        text =
            text.substring(0, at.start())
                + (random.nextBoolean() ? member : "")
                + (end < 0 ? "" : text.substring(random.nextBoolean() ? at.start() : end));
      } else {
        text = text.substring(0, at.start()) + value + text.substring(at.end());
      }
    }
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] bytes(byte[] original, SplittableRandom random) {
    byte[] bytes = original.clone();
    for (int changes = 1 + random.nextInt(3); changes > 0 && bytes.length > 1; changes--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(4)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes = Arrays.copyOf(bytes, at);
        default -> {
          int from = random.nextInt(original.length);
          int length = Math.min(64, Math.min(original.length - from, bytes.length - at));
          System.arraycopy(original, from, bytes, at, random.nextInt(length + 1));
        }
      }
    }
    return bytes;
  }
}
