package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Damaged files: whatever is in them, they are read or refused with an {@link IOException} that can
 * be read itself, soon, and with little memory.
 */
class TensorFuzzTest {

  private static final int FEW = 2_000;
  private static final int MANY = 100_000;

  /** Of the two header limits and the engine's own objects. */
  private static final long FIXED_BYTES = 8 << 20;

  private static final long TIMES_THE_FILE = 200;
  private static final long SLOWEST_NANOS = 5_000_000_000L;

  @TempDir Path folder;

  /** Where inputs come from. */
  enum Kind {
    SAFETENSORS,
    ZIP,
    STREAM;

    List<String> names() {
      return switch (this) {
        case SAFETENSORS -> List.of();
        case ZIP -> List.of("views.pt", "protocol4.pt", "trainer.pt", "lightning.ckpt", "kinds.pt");
        case STREAM -> List.of("legacy.pt", "trainer-legacy.pt");
      };
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void damaged_isReadOrRefused(Kind kind) throws IOException {
    check(kind, 1, FEW);
  }

  @Tag("slow")
  @ParameterizedTest
  @EnumSource(Kind.class)
  void damaged_manyTimes_isReadOrRefused(Kind kind) throws IOException {
    check(kind, 2, MANY);
  }

  private void check(Kind kind, long seed, int count) throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    List<byte[]> originals = originals(kind);
    ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    int refused = 0;
    Path file = folder.resolve("damaged");
    for (int i = 0; i < count; i++) {
      byte[] original = originals.get(random.nextInt(originals.size()));
      byte[] damaged = damage(original, originals, random);
      Files.write(file, damaged);
      long allocated = thread.getCurrentThreadAllocatedBytes();
      long start = System.nanoTime();
      if (!isRead(file)) {
        refused++;
      }
      long nanos = System.nanoTime() - start;
      long bytes = thread.getCurrentThreadAllocatedBytes() - allocated;
      if (bytes > FIXED_BYTES + TIMES_THE_FILE * damaged.length || nanos > SLOWEST_NANOS) {
        throw new AssertionError(
            "input " + i + " of seed " + seed + " took " + bytes + " bytes and " + nanos + " ns");
      }
    }
    // Both happen, or the damage is too little or too great to try anything.
    assertThat(refused).isBetween(count / 4, count * 99 / 100);
  }

  /** Opens a file and reads all that it lists, one after the other. */
  private static boolean isRead(Path file) {
    try (NDManager manager = NDManager.newBaseManager();
        TensorSource source = TensorFiles.open(file)) {
      for (Map.Entry<String, TensorInfo> entry : source.tensors().entrySet()) {
        if (entry.getValue().isReadable()) {
          source.read(entry.getKey(), manager).close();
        }
      }
      return true;
    } catch (IOException e) {
      assertThat(e.getMessage().replace(file.toString(), "")).isNotBlank().hasSizeLessThan(2000);
      return false;
    }
  }

  private List<byte[]> originals(Kind kind) throws IOException {
    if (kind != Kind.SAFETENSORS) {
      List<byte[]> originals = new ArrayList<>();
      for (String name : kind.names()) {
        originals.add(Files.readAllBytes(TorchFileTest.resource(name)));
      }
      return originals;
    }
    Path file = folder.resolve("original");
    try (NDManager manager = NDManager.newBaseManager()) {
      Map<String, NDArray> tensors = new LinkedHashMap<>();
      tensors.put("conv.weight", manager.arange(24f).reshape(2, 3, 2, 2));
      tensors.put("conv.bias", manager.arange(2f));
      tensors.put("scalar", manager.create(1.5f));
      Safetensors.write(file, tensors, Map.of("format", "pt"));
      byte[] floats = Files.readAllBytes(file);
      Safetensors.write(file, tensors, Map.of(), DataType.BFLOAT16);
      return List.of(floats, Files.readAllBytes(file));
    }
  }

  /**
   * One to four changes: a bit, a byte, a length field, a cut, a part of the same or another file.
   */
  private static byte[] damage(byte[] original, List<byte[]> all, SplittableRandom random) {
    byte[] bytes = original.clone();
    for (int changes = 1 + random.nextInt(4); changes > 0 && bytes.length > 8; changes--) {
      int at = random.nextInt(bytes.length);
      ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      switch (random.nextInt(7)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> buffer.putInt(Math.min(at, bytes.length - 4), length(random));
        case 3 -> buffer.putLong(Math.min(at, bytes.length - 8), length(random));
        case 4 -> bytes = Arrays.copyOf(bytes, at);
        case 5 -> {
          byte[] other = all.get(random.nextInt(all.size()));
          int from = random.nextInt(other.length);
          int count =
              random.nextInt(Math.min(64, Math.min(other.length - from, bytes.length - at)));
          System.arraycopy(other, from, bytes, at, count);
        }
        default -> {
          byte[] longer = new byte[bytes.length + random.nextInt(32)];
          System.arraycopy(bytes, 0, longer, 0, at);
          System.arraycopy(bytes, at, longer, longer.length - bytes.length + at, bytes.length - at);
          bytes = longer;
        }
      }
    }
    return bytes;
  }

  private static int length(SplittableRandom random) {
    return switch (random.nextInt(4)) {
      case 0 -> -1;
      case 1 -> Integer.MAX_VALUE;
      case 2 -> 1 << random.nextInt(31);
      default -> random.nextInt(1000);
    };
  }
}
