package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Safetensors files as sources of tensors: types, sizes, parts, several files. */
class TensorSourceTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private Path file() {
    return folder.resolve("a.safetensors");
  }

  private static byte[] file(String header, int... data) {
    byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(json.length).put(json);
    for (int value : data) {
      bytes.put((byte) value);
    }
    return bytes.array();
  }

  private TensorSource open(String header, int... data) throws IOException {
    Files.write(file(), file(header, data));
    return TensorFiles.open(file());
  }

  private static String one(String dtype, int values, int bytes) {
    return "{'a':{'dtype':'"
        + dtype
        + "','shape':["
        + values
        + "],'data_offsets':[0,"
        + bytes
        + "]}}";
  }

  /* --- types --- */

  /** 1.5, −2, the smallest subnormal, the largest value, −∞; from the definition of the formats. */
  @Test
  void halves_areWidenedExactly() throws IOException {
    int[] halves = {0x00, 0x3e, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b, 0x00, 0xfc};
    try (TensorSource source = open(one("F16", 5, 10), halves)) {
      assertThat(source.tensors().get("a"))
          .isEqualTo(new TensorInfo(new Shape(5), DataType.FLOAT16, "F16"));
      assertThat(source.read("a", manager).getDataType()).isEqualTo(DataType.FLOAT16);
      assertThat(source.readFloat32("a", manager).toFloatArray())
          .containsExactly(1.5f, -2, 0x1p-24f, 65504, Float.NEGATIVE_INFINITY);
    }
    int[] brains = {0xc0, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x7f, 0x7f, 0x80, 0xff};
    try (TensorSource source = open(one("BF16", 5, 10), brains)) {
      assertThat(source.tensors().get("a"))
          .isEqualTo(new TensorInfo(new Shape(5), DataType.FLOAT32, "BF16"));
      float[] expected = {1.5f, -2, 0x1p-133f, 0x1.fep127f, Float.NEGATIVE_INFINITY};
      assertThat(source.read("a", manager).toFloatArray()).containsExactly(expected);
      NDArray doubles = manager.zeros(new Shape(5), DataType.FLOAT64);
      source.readInto("a", doubles);
      assertThat(doubles.toType(DataType.FLOAT32, false).toFloatArray()).containsExactly(expected);
    }
  }

  @Test
  void bfloat16_isWidenedInManySteps() throws IOException {
    int size = 40_001;
    NDArray values = manager.arange(0, size, 1, DataType.FLOAT32);
    Safetensors.write(file(), Map.of("a", values), Map.of(), DataType.BFLOAT16);
    try (TensorSource source = TensorFiles.open(file())) {
      float[] read = source.read("a", manager).toFloatArray();
      for (int i = 0; i < size; i++) {
        assertThat(read[i]).isBetween(i * (1 - 0x1p-8f), i * (1 + 0x1p-8f));
      }
      assertThat(read).startsWith(0, 1, 2).endsWith(39936, 39936, 39936, 39936, 39936);
    }
  }

  @Test
  void integers_areReadInTheirTypes() throws IOException {
    try (TensorSource source = open(one("I16", 2, 4), 0xfe, 0xff, 0x00, 0x01)) {
      NDArray read = source.read("a", manager);
      assertThat(read.toIntArray()).containsExactly(-2, 256);
      assertThatThrownBy(() -> source.readFloat32("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage("tensor a of " + file() + " must hold floats, but is I16");
    }
    try (TensorSource source = open(one("I8", 2, 2), 0x80, 0x7f)) {
      assertThat(source.read("a", manager).toType(DataType.INT32, false).toIntArray())
          .containsExactly(-128, 127);
    }
  }

  @Test
  void doubles_asFloats_areRounded() throws IOException {
    NDArray doubles = manager.create(new double[] {0.1, 1 + 0x1p-24, 1 + 0x1.000001p-24});
    Safetensors.write(file(), Map.of("a", doubles), Map.of());
    try (TensorSource source = TensorFiles.open(file())) {
      assertThat(source.readFloat32("a", manager).toFloatArray())
          .containsExactly(0.1f, 1, 1 + 0x1p-23f);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"F8_E4M3", "F8_E5M2"})
  void float8_isRefusedByName_andTheOthersAreRead(String kind) throws IOException {
    String header =
        "{'a':{'dtype':'"
            + kind
            + "','shape':[2],'data_offsets':[0,2]},"
            + "'b':{'dtype':'U8','shape':[1],'data_offsets':[2,3]}}";
    try (TensorSource source = open(header, 1, 2, 3)) {
      assertThat(source.tensors().get("a").isReadable()).isFalse();
      assertThat(source.read("b", manager).toUint8Array()).containsExactly(3);
      assertThatThrownBy(() -> source.read("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "tensor a of "
                  + file()
                  + " cannot be read: it is "
                  + kind
                  + "; convert it in Python, such as with tensor.float()");
    }
    assertThatThrownBy(() -> Safetensors.read(file(), manager))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(kind);
  }

  /* --- reading into arrays --- */

  @Test
  void readInto_anArrayInAnyOrder_setsItsValues() throws IOException {
    NDArray values = manager.arange(6f).reshape(2, 3);
    Safetensors.write(file(), Map.of("a", values), Map.of());
    try (TensorSource source = TensorFiles.open(file())) {
      NDArray inOrder = manager.zeros(new Shape(2, 3));
      NDArray transposed = manager.zeros(new Shape(3, 2)).transpose();
      NDArray wide = manager.zeros(new Shape(2, 4));
      NDArray part = wide.get(":, 1:");
      int before = NativeResources.of(manager);
      source.readInto("a", inOrder);
      source.readInto("a", transposed);
      source.readInto("a", part);
      assertThat(NativeResources.of(manager)).isEqualTo(before);
      assertThat(inOrder).isEqualTo(values);
      assertThat(transposed).isEqualTo(values);
      assertThat(part).isEqualTo(values);
      assertThat(wide.toFloatArray()).containsExactly(0, 0, 1, 2, 0, 3, 4, 5);
    }
  }

  /** Values are seen in pieces, whose borders fall into this tensor. */
  @Test
  void readInto_largerThanAPiece_setsAllValues() throws IOException {
    int size = 3 * (EngineMemory.PIECE_BYTES / 4) / 2;
    NDArray values = manager.arange(0, size, 1, DataType.INT32).toType(DataType.FLOAT32, false);
    Safetensors.write(file(), Map.of("a", values), Map.of());
    try (TensorSource source = TensorFiles.open(file())) {
      NDArray stepped = manager.zeros(new Shape(2L * size)).get("::2");
      source.readInto("a", stepped);
      assertThat(stepped.contentEquals(values)).isTrue();
      assertThat(source.read("a", manager).contentEquals(values)).isTrue();
    }
  }

  @Test
  void readInto_anotherShape_isRefused() throws IOException {
    try (TensorSource source = open(one("U8", 2, 2), 1, 2)) {
      assertThatThrownBy(() -> source.readInto("a", manager.zeros(new Shape(1, 2))))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "tensor a of "
                  + file()
                  + " has the shape (2), but the array that receives it has (1, 2)");
      assertThatThrownBy(() -> source.read("b", manager))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("there is no tensor b of " + file() + "; ask for one of its tensors()");
    }
  }

  @Test
  void read_onAnInterruptedThread_readsAndStaysInterrupted() throws IOException {
    try (TensorSource source = open(one("U8", 2, 2), 1, 2)) {
      for (int i = 0; i < 2; i++) {
        Thread.currentThread().interrupt();
        assertThat(source.read("a", manager).toUint8Array()).containsExactly(1, 2);
        assertThat(Thread.interrupted()).isTrue();
      }
    }
  }

  /** What is open is the file of the moment when it was opened. */
  @Test
  void read_afterTheFileWasReplaced_isOfTheOldFile() throws IOException {
    try (TensorSource source = open(one("U8", 2, 2), 1, 2)) {
      Path other = folder.resolve("b");
      Files.write(other, file(one("U8", 2, 2), 3, 4));
      Files.move(other, file(), StandardCopyOption.REPLACE_EXISTING);
      assertThat(source.read("a", manager).toUint8Array()).containsExactly(1, 2);
    }
  }

  @Test
  void read_afterTheFileWasCut_saysSo() throws IOException {
    try (TensorSource source = open(one("U8", 2, 2), 1, 2)) {
      try (RandomAccessFile file = new RandomAccessFile(file().toFile(), "rw")) {
        file.setLength(file.length() - 1);
      }
      int before = NativeResources.of(manager);
      assertThatThrownBy(() -> source.read("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage(file() + " ends too early: it is cut off");
      assertThat(NativeResources.of(manager)).isEqualTo(before);
    }
  }

  @Test
  void read_afterClose_isRefused() throws IOException {
    TensorSource source = open(one("U8", 2, 2), 1, 2);
    source.close();
    assertThatThrownBy(() -> source.read("a", manager))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(file() + " was closed; read from it before");
  }

  /** Nearly all of it is a hole on the disk. */
  @Test
  void read_beyondTwoAndFourGigabytes_findsTheValues() throws IOException {
    long big = 5_000_000_000L;
    String header =
        "{'big':{'dtype':'F32','shape':["
            + big / 4
            + "],'data_offsets':[0,"
            + big
            + "]},"
            + "'last':{'dtype':'U8','shape':[2],'data_offsets':["
            + big
            + ","
            + (big + 2)
            + "]}}";
    byte[] start = file(header);
    Files.write(file(), start);
    try (RandomAccessFile sparse = new RandomAccessFile(file().toFile(), "rw")) {
      sparse.seek(start.length + big);
      sparse.write(new byte[] {7, 8});
    }
    try (TensorSource source = TensorFiles.open(file())) {
      assertThat(source.tensors().get("big").bytes()).isEqualTo(big);
      assertThat(source.read("last", manager).toUint8Array()).containsExactly(7, 8);
    }
  }

  /* --- parts --- */

  @Test
  void under_aPrefix_hasTheNamesWithoutIt() throws IOException {
    NDArray one = manager.create(new float[] {1});
    Safetensors.write(
        file(),
        Map.of("ema.w", one, "ema.", one, "emb", one),
        Map.of("ema.step", "3", "format", "pt"));
    try (TensorSource source = TensorFiles.open(file()).under("ema.")) {
      assertThat(source.tensors().keySet()).containsExactly("w");
      assertThat(source.metadata()).containsExactly(Map.entry("step", "3"));
      assertThat(source.read("w", manager).toFloatArray()).containsExactly(1);
      assertThat(source.about("w")).isEqualTo("tensor ema.w of " + file());
    }
  }

  /* --- half precision, written --- */

  @Test
  void write_half_roundsToTheNearestTiesToEven() throws IOException {
    float half = 0x1p-11f; // half of the last place at 1 in float16
    float[] values = {1 + half, 1 + 3 * half, 1 + half * 1.001f, -65504, 0x1p-25f, 65519};
    Safetensors.write(
        file(), Map.of("a", manager.create(values)), Map.of("w", "x"), DataType.FLOAT16);
    try (TensorSource source = TensorFiles.open(file())) {
      assertThat(source.metadata()).containsExactly(Map.entry("w", "x"));
      assertThat(source.tensors().get("a").kind()).isEqualTo("F16");
      assertThat(source.readFloat32("a", manager).toFloatArray())
          .containsExactly(1, 1 + 4 * half, 1 + 2 * half, -65504, 0, 65504);
    }
    float part = 0x1p-8f; // half of the last place at 1 in bfloat16
    Safetensors.write(
        file(),
        Map.of(
            "a",
            manager.create(
                new float[] {
                  1 + part,
                  1 + 3 * part,
                  1 + part * 1.001f,
                  -0x1p-149f,
                  0x1.fefffep127f,
                  Float.NaN,
                  Float.NEGATIVE_INFINITY
                })),
        Map.of(),
        DataType.BFLOAT16);
    try (TensorSource source = TensorFiles.open(file())) {
      assertThat(source.tensors().get("a").kind()).isEqualTo("BF16");
      assertThat(source.readFloat32("a", manager).toFloatArray())
          .containsExactly(
              1, 1 + 4 * part, 1 + 2 * part, -0f, 0x1.fep127f, Float.NaN, Float.NEGATIVE_INFINITY);
    }
  }

  @Test
  void write_valuesThatWouldBecomeInfinite_isRefused() {
    NDArray values = manager.create(new float[] {Float.POSITIVE_INFINITY, 65520});
    assertThatThrownBy(
            () -> Safetensors.write(file(), Map.of("a", values), Map.of(), DataType.FLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "tensor a holds values that are too large for float16 and would become infinite; write"
                + " another type, such as FLOAT32");
    assertThatThrownBy(
            () -> Safetensors.write(file(), Map.of("a", values), Map.of(), DataType.INT8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("tensors can be written as FLOAT32, BFLOAT16 or FLOAT16, but not as int8");
    NDArray large = manager.create(new float[] {-0x1.ffp127f});
    assertThatThrownBy(
            () -> Safetensors.write(file(), Map.of("a", large), Map.of(), DataType.BFLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("tensor a holds values that are too large for bfloat16");
    NDArray doubles = manager.create(new double[] {1});
    assertThatThrownBy(
            () -> Safetensors.write(file(), Map.of("a", doubles), Map.of(), DataType.FLOAT16))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "tensor a must be FLOAT32 to be written as float16, but is float64; convert it with"
                + " toType before");
    assertThat(file()).doesNotExist();
  }

  /* --- several files --- */

  private Path shards(String index) throws IOException {
    for (int i = 1; i <= 2; i++) {
      Safetensors.write(
          folder.resolve(i + ".safetensors"),
          Map.of("t" + i, manager.create(new float[] {i})),
          Map.of());
    }
    return Files.writeString(folder.resolve("m.safetensors.index.json"), index.replace('\'', '"'));
  }

  @Test
  void shards_areOneSource() throws IOException {
    Path index =
        shards(
            "{'metadata':{'total_size':8},"
                + "'weight_map':{'t2':'2.safetensors','t1':'1.safetensors'}}");
    try (TensorSource source = TensorFiles.open(index)) {
      assertThat(source.tensors().keySet()).containsExactly("t2", "t1");
      assertThat(source.metadata()).containsExactly(Map.entry("total_size", 8L));
      assertThat(source.read("t1", manager).toFloatArray()).containsExactly(1);
      NDArray target = manager.zeros(new Shape(1));
      source.readInto("t2", target);
      assertThat(target.toFloatArray()).containsExactly(2);
      assertThat(source.about("t1")).isEqualTo("tensor t1 of " + index);
    }
  }

  private void assertShardsRefused(String index, String message) throws IOException {
    Path file = shards(index);
    assertThatThrownBy(() -> TensorFiles.open(file))
        .isInstanceOf(IOException.class)
        .hasMessage(message.replace("INDEX", file.toString()).replace("DIR", folder.toString()));
  }

  @Test
  void shards_thatDoNotAgree_areRefused() throws IOException {
    assertShardsRefused(
        "{}", "INDEX is no index of safetensors files: it has no object \"weight_map\"");
    assertShardsRefused(
        "{'weight_map':{'t2':'1.safetensors'}}",
        "INDEX says that tensor t2 is in DIR/1.safetensors, but it is not; get the files again, of"
            + " one model");
    String both = "'t1':'1.safetensors','t2':'2.safetensors'";
    Safetensors.write(
        folder.resolve("3.safetensors"),
        Map.of("t1", manager.create(1f), "t3", manager.create(1f)),
        Map.of());
    assertShardsRefused(
        "{'weight_map':{" + both + ",'t3':'3.safetensors'}}",
        "tensor t1 of DIR/3.safetensors is not what INDEX lists; get the files again, of one"
            + " model");
    assertShardsRefused(
        "{'weight_map':",
        "INDEX is no JSON object: End of input at line 1 column 15 path $.weight_map");
    Path index = shards("{'weight_map':{'t1':'4.safetensors'}}");
    assertThatThrownBy(() -> TensorFiles.open(index))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            folder.resolve("4.safetensors")
                + ": a file that "
                + index
                + " names is missing; get all of its files");
  }

  @Test
  void shards_outsideTheFolder_areRefused() throws IOException {
    Path inside = Files.createDirectory(folder.resolve("inside"));
    Safetensors.write(file(), Map.of("t", manager.create(1f)), Map.of());
    for (String name :
        List.of(
            "../a.safetensors",
            file().toString(),
            "..\\\\a.safetensors",
            "x/../a.safetensors",
            "C:a.safetensors",
            "a",
            "")) {
      Path index =
          Files.writeString(
              inside.resolve("m.safetensors.index.json"),
              "{\"weight_map\":{\"t\":\"" + name + "\"}}");
      assertThatThrownBy(() -> TensorFiles.open(index))
          .isInstanceOf(IOException.class)
          .hasMessage(
              index
                  + " must say for each tensor the name of a safetensors file beside it, but says"
                  + " for t "
                  + name.replace("\\\\", "\\"));
    }
  }

  @Test
  void write_toAStream_isTheSameAsBefore() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Safetensors.write(out, Map.of("a", manager.create(new float[] {1})), Map.of());
    Safetensors.write(file(), Map.of("a", manager.create(new float[] {1})), Map.of());
    assertThat(file()).hasBinaryContent(out.toByteArray());
  }
}
