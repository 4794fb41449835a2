package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private Path file() {
    return folder.resolve("a.safetensors");
  }

  /** Values that a detour over text or another type would change. */
  private Map<String, NDArray> tensors() {
    float[] floats = {
      0.1f,
      -0f,
      Float.MIN_VALUE,
      Float.MAX_VALUE,
      Float.NaN,
      Float.NEGATIVE_INFINITY,
      Float.intBitsToFloat(0x7fc12345)
    };
    double[] doubles = {0.1, -0.0, Double.MIN_VALUE, Math.PI};
    Map<String, NDArray> tensors = new LinkedHashMap<>();
    tensors.put("z.first", manager.create(floats, new Shape(7)));
    tensors.put("doubles", manager.create(doubles, new Shape(2, 1, 2)));
    tensors.put("scalar", manager.create(3.5f));
    tensors.put("empty", manager.create(new Shape(0, 3)));
    tensors.put("naïve \"名\"", manager.create(new float[] {1}, new Shape(1)));
    return tensors;
  }

  private static ByteBuffer bits(NDArray array) {
    return ByteBuffer.wrap(array.toByteArray());
  }

  private static void assertSame(Map<String, NDArray> actual, Map<String, NDArray> expected) {
    assertThat(actual.keySet()).containsExactlyElementsOf(expected.keySet());
    expected.forEach(
        (name, array) -> {
          assertThat(actual.get(name).getShape()).as(name).isEqualTo(array.getShape());
          assertThat(actual.get(name).getDataType()).as(name).isEqualTo(array.getDataType());
          assertThat(bits(actual.get(name))).as(name).isEqualTo(bits(array));
        });
  }

  /* --- round trips --- */

  @Test
  void read_whatWasWritten_isTheSameToTheBit() throws IOException {
    Map<String, NDArray> tensors = tensors();
    Safetensors.write(file(), tensors, Map.of("format", "ddpm4j"));
    Map<String, NDArray> read = Safetensors.read(file(), manager);
    assertSame(read, tensors);
    read.values().forEach(array -> assertThat(array.getManager()).isSameAs(manager));
  }

  @Test
  void metadata_isWhatWasWritten_toAFileAndToAStream() throws IOException {
    Map<String, NDArray> tensors = tensors();
    Map<String, String> words = new LinkedHashMap<>();
    words.put("z", "naïve \"名\"");
    words.put("a", "");
    Safetensors.write(file(), tensors, words);
    Path other = folder.resolve("stream.safetensors");
    try (OutputStream out = Files.newOutputStream(other)) {
      Safetensors.write(out, tensors, words);
    }

    assertThat(Safetensors.metadata(file())).containsExactlyEntriesOf(words);
    assertThat(other).hasSameBinaryContentAs(file());
  }

  @Test
  void metadata_thatIsMissing_isEmpty() throws IOException {
    Safetensors.write(file(), tensors(), Map.of());

    assertThat(Safetensors.metadata(file())).isEmpty();
  }

  @Test
  void metadata_thatMapsToNoWords_isRefused() throws IOException {
    byte[] json = "{\"__metadata__\":{\"format\":null}}".getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + json.length).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file(), bytes.putLong(json.length).put(json).array());

    assertThatThrownBy(() -> Safetensors.metadata(file()))
        .isInstanceOf(IOException.class)
        .hasMessage("__metadata__ of " + file() + " must map words to words: {\"format\":null}");
  }

  @Test
  void write_metadata_isInTheHeader() throws IOException {
    Safetensors.write(
        file(), Map.of("a", manager.create(new float[] {1, 2})), Map.of("format", "ddpm4j"));
    byte[] bytes = Files.readAllBytes(file());
    int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
    assertThat(length % 8).isZero();
    assertThat(new String(bytes, 8, length, StandardCharsets.UTF_8).strip())
        .isEqualTo(
            "{\"__metadata__\":{\"format\":\"ddpm4j\"},"
                + "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
    assertThat(Arrays.copyOfRange(bytes, 8 + length, bytes.length))
        .containsExactly(0, 0, (byte) 0x80, 0x3f, 0, 0, 0, 0x40);
  }

  @Test
  void read_noTensors_isEmpty() throws IOException {
    Safetensors.write(file(), Map.of(), Map.of());
    assertThat(Safetensors.read(file(), manager)).isEmpty();
  }

  @Test
  void write_shorterFileOverLonger_leavesNoRest() throws IOException {
    Safetensors.write(file(), tensors(), Map.of());
    Map<String, NDArray> one = Map.of("a", manager.ones(new Shape(1)));
    Safetensors.write(file(), one, Map.of());
    assertSame(Safetensors.read(file(), manager), one);
  }

  @Test
  void write_viewOfAnArray_writesItsOwnValues() throws IOException {
    NDArray array = manager.arange(6f).reshape(2, 3);
    Safetensors.write(file(), Map.of("t", array.transpose(), "s", array.get(":, 1:")), Map.of());
    Map<String, NDArray> read = Safetensors.read(file(), manager);
    assertThat(read.get("t").toFloatArray()).containsExactly(0, 3, 1, 4, 2, 5);
    assertThat(read.get("s").toFloatArray()).containsExactly(1, 2, 4, 5);
  }

  /* --- other programs --- */

  @Test
  void read_writtenByPython_hasItsValues() throws IOException {
    try (InputStream in =
        SafetensorsTest.class.getResourceAsStream("/safetensors/python.safetensors")) {
      Files.copy(in, file());
    }
    Map<String, NDArray> read = Safetensors.read(file(), manager);
    assertThat(read.keySet())
        .containsExactlyInAnyOrder("weight", "scalar", "empty", "steps", "small", "bytes", "flags");
    assertThat(read.get("weight").getShape()).isEqualTo(new Shape(2, 3));
    assertThat(read.get("weight").toFloatArray())
        .containsExactly(0, 1 / 7f, 2 / 7f, 3 / 7f, 4 / 7f, 5 / 7f);
    assertThat(read.get("scalar").getShape()).isEqualTo(new Shape());
    assertThat(read.get("scalar").getDouble()).isEqualTo(0.1);
    assertThat(read.get("empty").getShape()).isEqualTo(new Shape(0, 3));
    assertThat(read.get("steps").toLongArray()).containsExactly(1, -2, 1L << 40);
    assertThat(read.get("small").toIntArray()).containsExactly(-3, 4);
    assertThat(read.get("bytes").toUint8Array()).containsExactly(0, 128, 255);
    assertThat(read.get("flags").toBooleanArray()).containsExactly(true, false);
  }

  @Test
  void write_isReadByDjl() throws IOException {
    Map<String, NDArray> tensors = tensors();
    tensors.remove("empty"); // DJL refuses arrays without elements
    Safetensors.write(file(), tensors, Map.of("format", "ddpm4j"));
    try (InputStream in = Files.newInputStream(file())) {
      Map<String, NDArray> read = new LinkedHashMap<>();
      NDList.decode(manager, in).forEach(array -> read.put(array.getName(), array));
      assertSame(read, tensors);
    }
  }

  @Test
  void read_writtenByDjl_hasItsValues() throws IOException {
    Map<String, NDArray> tensors = new LinkedHashMap<>();
    tensors.put("a", manager.create(new float[] {1, 2, 3}));
    tensors.put("b", manager.create(new double[] {0.1, 0.2}, new Shape(2, 1)));
    NDList list = new NDList();
    tensors.forEach(
        (name, array) -> {
          array.setName(name);
          list.add(array);
        });
    Files.write(file(), list.encode(NDList.Encoding.SAFETENSORS));
    assertSame(Safetensors.read(file(), manager), tensors);
  }

  /* --- what can go wrong --- */

  private void write(String header, int dataBytes) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file(), bytes.putLong(json.length).put(json).array());
  }

  private void assertRefused(String message) {
    int before = NativeResources.of(manager);
    assertThatThrownBy(() -> Safetensors.read(file(), manager))
        .isInstanceOf(IOException.class)
        .hasMessage(message.replace("FILE", file().toString()));
    assertThat(NativeResources.of(manager)).isEqualTo(before);
  }

  private static String tensor(String name, String dtype, String shape, String offsets) {
    return String.format(
        Locale.ROOT,
        "\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}",
        name,
        dtype,
        shape,
        offsets);
  }

  @Test
  void write_otherType_isRefused() {
    assertThatThrownBy(
            () ->
                Safetensors.write(
                    file(), Map.of("a", manager.zeros(new Shape(1), DataType.INT64)), Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("tensor a must be FLOAT32 or FLOAT64 to be written, but is int64");
    assertThat(file()).doesNotExist();
  }

  @Test
  void write_thatFails_keepsTheOldFileAndLeavesNothing() throws IOException {
    Safetensors.write(file(), tensors(), Map.of());
    byte[] old = Files.readAllBytes(file());
    Map<String, NDArray> tensors = tensors();
    NDArray closed = manager.ones(new Shape(2));
    tensors.put("closed", closed);
    closed.close();
    assertThatThrownBy(() -> Safetensors.write(file(), tensors, Map.of()))
        .isInstanceOf(IllegalStateException.class);
    assertThat(file()).hasBinaryContent(old);
    assertThat(folder.toFile().list()).containsExactly(file().toFile().getName());
  }

  @Test
  void read_missingFile_isRefused() {
    assertThatThrownBy(() -> Safetensors.read(file(), manager))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(file().toString());
  }

  @Test
  void read_cutOff_isRefusedAtEveryLength() throws IOException {
    Safetensors.write(file(), tensors(), Map.of());
    byte[] whole = Files.readAllBytes(file());
    for (int length = 0; length < whole.length; length++) {
      Files.write(file(), Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> Safetensors.read(file(), manager))
          .isInstanceOf(IOException.class)
          .hasMessageContaining(file().toString())
          .hasMessageContaining("cut off");
    }
  }

  @Test
  void read_cutOff_saysWhere() throws IOException {
    Files.write(file(), new byte[] {1, 2, 3});
    assertRefused("FILE ends too early: it is cut off or no safetensors file");
    write("{" + tensor("a", "F32", "[2]", "[0,8]") + "}", 7);
    assertRefused("FILE should hold 8 bytes of tensors, but holds 7; it is cut off");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 93, 100_000_001, Long.MAX_VALUE, -1})
  void read_absurdHeaderLength_isRefused(long length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(100).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file(), bytes.putLong(length).array());
    assertRefused(
        "FILE is no safetensors file, or is cut off: its header would be "
            + Long.toUnsignedString(length)
            + " bytes long");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[1, 2]", "nonsense", "{\"a\": ", "null", "  "})
  void read_headerThatIsNoObject_isRefused(String header) throws IOException {
    write(header, 0);
    assertRefused("FILE is no safetensors file: its header is no JSON object");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "3",
        "{\"shape\":[1],\"data_offsets\":[0,4]}",
        "{\"dtype\":\"F32\",\"data_offsets\":[0,4]}",
        "{\"dtype\":\"F32\",\"shape\":[1]}",
        "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}",
        "{\"dtype\":\"F32\",\"shape\":\"1\",\"data_offsets\":[0,4]}",
        "{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[4,0]}",
        "{\"dtype\":\"F32\",\"shape\":[-1,-1],\"data_offsets\":[0,4]}",
        "{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}"
      })
  void read_wrongDescription_isRefused(String description) throws IOException {
    write("{\"a\":" + description + "}", 4);
    assertRefused("tensor a of FILE is described wrongly: " + description);
  }

  @Test
  void read_unknownType_isRefused() throws IOException {
    write("{" + tensor("a", "BF16", "[2]", "[0,4]") + "}", 4);
    assertRefused(
        "tensor a of FILE must have a dtype of F32, F64, I64, I32, U8 and BOOL to be read, but has"
            + " BF16; convert the file");
  }

  @Test
  void read_wrongOffsets_isRefused() throws IOException {
    write("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", 8);
    assertRefused("tensor a of FILE should take 8 bytes for (2) of float32, but lies from 0 to 4");
    write("{" + tensor("a", "F32", "[2]", "[-8,0]") + "}", 8);
    assertRefused("tensor a of FILE should take 8 bytes for (2) of float32, but lies from -8 to 0");
    write("{" + tensor("a", "F32", "[2]", "[9223372036854775807,-9223372036854775801]") + "}", 8);
    assertRefused(
        "tensor a of FILE should begin at 0, where the one before it ends, but lies from"
            + " 9223372036854775807 to -9223372036854775801");
  }

  @Test
  void read_gapsAndOverlaps_areRefused() throws IOException {
    String a = tensor("a", "F32", "[2]", "[0,8]");
    write("{" + a + "," + tensor("b", "F32", "[1]", "[12,16]") + "}", 16);
    assertRefused(
        "tensor b of FILE should begin at 8, where the one before it ends, but lies from 12 to 16");
    write("{" + a + "," + tensor("b", "F32", "[2]", "[4,12]") + "}", 12);
    assertRefused(
        "tensor b of FILE should begin at 8, where the one before it ends, but lies from 4 to 12");
    write("{" + a + "," + tensor("b", "F32", "[2]", "[0,8]") + "}", 8);
    assertRefused(
        "tensor b of FILE should begin at 8, where the one before it ends, but lies from 0 to 8");
    write("{" + a + "}", 12);
    assertRefused("FILE should hold 8 bytes of tensors, but holds 12");
  }

  @Test
  void read_hugeTensors_areRefusedBeforeTheyTakeMemory() throws IOException {
    write("{" + tensor("a", "F32", "[500000000]", "[0,2000000000]") + "}", 4);
    assertRefused("FILE should hold 2000000000 bytes of tensors, but holds 4; it is cut off");
    write("{" + tensor("a", "F64", "[1000000000]", "[0,8000000000]") + "}", 4);
    assertRefused("tensor a of FILE must take less than 2 GB, but is (1000000000)");
  }
}
