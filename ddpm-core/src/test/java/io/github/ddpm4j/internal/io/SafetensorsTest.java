package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.sun.management.ThreadMXBean;
import io.github.ddpm4j.NativeResources;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
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
        .hasMessage(
            "__metadata__ of " + file() + " must map words to words, but \"format\" to null");
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
  @ValueSource(longs = {0, 1, 93, 16_777_217, 100_000_001, Long.MAX_VALUE, -1})
  void read_absurdHeaderLength_isRefused(long length) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(100).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file(), bytes.putLong(length).array());
    assertRefused(
        "FILE is no safetensors file, or is cut off: its header would be "
            + Long.toUnsignedString(length)
            + " bytes long");
  }

  /** None of this is JSON by its standard, though parsers read it by default. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[1, 2]|is no JSON object",
        "nonsense|is no JSON object",
        "null|is no JSON object",
        "`  `|is no JSON object",
        "` {}`|is no JSON object",
        "{\"a\": |is no JSON object: End of input at line 1 column 6 path $.a",
        "{'a': 1}|is no JSON object: malformed JSON at line 1 column 3 path $.",
        "{\"a\"=1}|is no JSON object: malformed JSON at line 1 column 6 path $.a",
        "{a:1}|is no JSON object: malformed JSON at line 1 column 3 path $.",
        "{} {}|is no JSON object: malformed JSON at line 1 column 5 path $",
        "{}/**/|is no JSON object: malformed JSON at line 1 column 4 path $",
      })
  void read_headerThatIsNoObject_isRefused(String header, String reason) throws IOException {
    write(header, 0);
    assertRefused("FILE is no safetensors file: its header " + reason);
  }

  @Test
  void read_headerThatIsNotUtf8_isRefused() throws IOException {
    write("{\"?\":1}", 0);
    byte[] bytes = Files.readAllBytes(file());
    bytes[8 + 2] = (byte) 0xff;
    Files.write(file(), bytes);
    assertRefused("FILE is no safetensors file: its header is no JSON object: it is not in UTF-8");
  }

  @Test
  void read_aNameTwice_isRefused() throws IOException {
    String a = tensor("a", "U8", "[1]", "[0,1]");
    write("{" + a + "," + tensor("a", "U8", "[1]", "[1,2]") + "}", 2);
    assertRefused("FILE is no safetensors file: its header has the name \"a\" twice in one object");
    write("{" + a.replace("{", "{\"dtype\":\"F32\",") + "}", 1);
    assertRefused(
        "FILE is no safetensors file: its header has the name \"dtype\" twice in one object");
    write("{\"__metadata__\":{\"w\":\"1\",\"w\":\"2\"}}", 0);
    assertRefused("FILE is no safetensors file: its header has the name \"w\" twice in one object");
    write("{\"__metadata__\":{},\"__metadata__\":{}}", 0);
    assertRefused(
        "FILE is no safetensors file: its header has the name \"__metadata__\" twice in one object");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"n\":1}|, but \"n\" to 1",
        "{\"n\":1.5e300}|, but \"n\" to 1.5e300",
        "{\"n\":true}|, but \"n\" to true",
        "{\"n\":[]}|, but \"n\" to a list",
        "{\"n\":{}}|, but \"n\" to an object",
        "[]|, but was a list",
        "3|, but was 3",
        "\"x\"|, but was \"x\"",
      })
  void read_metadataThatIsNotWords_isRefused(String metadata, String reason) throws IOException {
    write("{\"__metadata__\":" + metadata + "}", 0);
    assertRefused("__metadata__ of FILE must map words to words" + reason);
  }

  @ParameterizedTest
  @ValueSource(strings = {"3", "null", "[1]", "\"F32\""})
  void read_tensorThatIsNoObject_isRefused(String description) throws IOException {
    write("{\"a\":" + description + "}", 4);
    assertRefused(
        "tensor a of FILE must be described by an object, but was "
            + (description.equals("[1]") ? "a list" : description));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'shape':[1],'data_offsets':[0,4]|it lacks \"dtype\"",
        "'dtype':'F32','data_offsets':[0,4]|it lacks \"shape\"",
        "'dtype':'F32','shape':[1]|it lacks \"data_offsets\"",
        "'dtype':'F32','shape':[1],'data_offsets':[0]"
            + "|\"data_offsets\" must be a list of two whole numbers, but has fewer",
        "'dtype':'F32','shape':[1],'data_offsets':[0,4,9]"
            + "|\"data_offsets\" must be a list of two whole numbers, but has more",
        "'dtype':'F32','shape':[1],'data_offsets':[0,4.0]"
            + "|\"data_offsets\" must be a list of two whole numbers, but holds 4.0",
        "'dtype':'F32','shape':[1],'data_offsets':[0,99999999999999999999]"
            + "|\"data_offsets\" must be a list of two whole numbers, but holds 99999999999999999999",
        "'dtype':'F32','shape':[9999999999999999999],'data_offsets':[0,4]"
            + "|\"shape\" holds 9999999999999999999, which is too large",
        "'dtype':'F32','shape':'1','data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but was \"1\"",
        "'dtype':'F32','shape':[1.9],'data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but holds 1.9",
        "'dtype':'F32','shape':[1e0],'data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but holds 1e0",
        "'dtype':'F32','shape':['1'],'data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but holds \"1\"",
        "'dtype':'F32','shape':[[1]],'data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but holds a list",
        "'dtype':'F32','shape':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
            + "'data_offsets':[0,4]"
            + "|\"shape\" must be a list of at most 32 whole numbers, but has more",
        "'dtype':'F32','shape':[-1],'data_offsets':[4,0]|a dimension of (-1) is negative",
        "'dtype':'F32','shape':[-1,-1],'data_offsets':[0,4]|a dimension of (-1, -1) is negative",
        "'dtype':'F32','shape':[1],'data_offsets':[0,4],'more':1|\"more\" is no part of the format",
      })
  void read_wrongDescription_isRefused(String description, String reason) throws IOException {
    write("{\"a\":{" + description.replace('\'', '"') + "}}", 4);
    assertRefused("tensor a of FILE is described wrongly: " + reason);
  }

  @Test
  void read_hugeDimensions_areRefusedOfAnEmptyTensorToo() throws IOException {
    for (String shape : List.of("[4294967296, 4294967296, 0]", "[4294967296, 4294967296]")) {
      write("{" + tensor("a", "F32", shape, "[0,0]") + "}", 0);
      assertRefused(
          "tensor a of FILE is larger than any file: " + shape.replace('[', '(').replace(']', ')'));
    }
  }

  /* --- how long a header may be --- */

  @Test
  void read_longHeader_isRefusedBeforeItIsRead() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(9).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file(), bytes.putLong(95_000_000).put((byte) '{').array());
    try (RandomAccessFile sparse = new RandomAccessFile(file().toFile(), "rw")) {
      sparse.setLength(100_000_000);
    }
    assertRefused(
        "FILE has a header of 95000000 bytes, where those of published models take some 100 kB and"
            + " at most 16777216 are read; if it is right, set the system property"
            + " ddpm4j.maxHeaderBytes to 95000000");
  }

  private void withLimit(Object bytes, Executable test) throws Throwable {
    System.setProperty("ddpm4j.maxHeaderBytes", bytes.toString());
    try {
      test.execute();
    } finally {
      System.clearProperty("ddpm4j.maxHeaderBytes");
    }
  }

  @Test
  void read_longHeader_insistedOn_isRead() throws Throwable {
    String words = "{\"__metadata__\":{\"w\":\"" + "x".repeat(17_000_000) + "\"}}";
    write(words, 0);
    withLimit(
        words.length(),
        () -> assertThat(Safetensors.metadata(file()).get("w")).hasSize(17_000_000));
    withLimit(
        words.length() - 1,
        () ->
            assertThatThrownBy(() -> Safetensors.metadata(file()))
                .isInstanceOf(IOException.class)
                .hasMessageEndingWith(
                    "at most 17000024 are read; if it is right, set the system property"
                        + " ddpm4j.maxHeaderBytes to 17000025"));
    withLimit(
        "many",
        () ->
            assertRefused(
                "the system property ddpm4j.maxHeaderBytes must be a whole number, but was many"));
  }

  @Test
  void read_manyTensorsOrWords_areRefused() throws Throwable {
    String three =
        String.join(
            ",",
            tensor("a", "U8", "[0]", "[0,0]"),
            tensor("b", "U8", "[0]", "[0,0]"),
            tensor("c", "U8", "[0]", "[0,0]"));
    String message =
        "FILE describes more than 2 WHAT; if it is right, set the system property"
            + " ddpm4j.maxHeaderBytes to 256 times as many or more";
    write("{" + three + "}", 0);
    withLimit(767, () -> assertRefused(message.replace("WHAT", "tensors")));
    withLimit(768, () -> assertThat(Safetensors.read(file(), manager)).hasSize(3));
    write("{\"__metadata__\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}", 0);
    withLimit(767, () -> assertRefused(message.replace("WHAT", "words")));
    withLimit(768, () -> assertThat(Safetensors.metadata(file())).hasSize(3));
  }

  /** Whatever fills the longest header, reading it takes a small multiple of its size. */
  @Test
  void read_headerOfTheLargestSize_takesLittleMemory() throws IOException {
    StringBuilder many = new StringBuilder("{");
    for (int i = 0; many.length() < 15_000_000; i++) {
      many.append(tensor(Integer.toString(i), "U8", "[0]", "[0,0]")).append(',');
    }
    write(many.substring(0, many.length() - 1) + "}", 0);
    ThreadMXBean thread = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = thread.getCurrentThreadAllocatedBytes();
    assertRefused(
        "FILE describes more than 65536 tensors; if it is right, set the system property"
            + " ddpm4j.maxHeaderBytes to 256 times as many or more");
    assertThat(thread.getCurrentThreadAllocatedBytes() - before).isLessThan(150_000_000);
  }

  /** Names, words, types and numbers of a file may be of any length; messages are not. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{'LONG':1}",
        "{'LONG':{'dtype':'LONG','shape':[1],'data_offsets':[0,4]}}",
        "{'LONG':{'dtype':'F32','shape':[9],'data_offsets':[0,4]}}",
        "{'LONG':{'dtype':'F32','shape':['LONG'],'data_offsets':[0,4]}}",
        "{'LONG':{'dtype':'F32','shape':[1DIGITS],'data_offsets':[0,4]}}",
        "{'LONG':{'dtype':'F32','shape':[1],'data_offsets':[0,4],'LONG':1}}",
        "{'LONG':{'dtype':'F32','shape':[1],'data_offsets':[1,5]}}",
        "{'LONG':{},'LONG':{}}",
        "{'a':{'LONG':1,'LONG':1}}",
        "{'__metadata__':{'LONG':1DIGITS}}",
        "{'__metadata__':{'LONG':['LONG']}}",
        "{'__metadata__':'LONG'}",
        "{'LONG':{'LONG"
      })
  void read_longTexts_areCutInMessages(String header) throws IOException {
    write(
        header
            .replace('\'', '"')
            .replace("LONG", "x".repeat(100_000))
            .replace("DIGITS", "0".repeat(100_000)),
        4);
    assertThatThrownBy(() -> Safetensors.read(file(), manager))
        .isInstanceOf(IOException.class)
        .satisfies(
            e -> assertThat(e.getMessage().replace(file().toString(), "")).hasSizeLessThan(400));
  }

  @Test
  void read_unknownType_isRefused() throws IOException {
    write("{" + tensor("a", "F4", "[2]", "[0,1]") + "}", 1);
    assertRefused(
        "tensor a of FILE must have a dtype of F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL"
            + " to be read, but has F4; convert the file");
  }

  @Test
  void read_wrongOffsets_isRefused() throws IOException {
    write("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", 8);
    assertRefused("tensor a of FILE should take 8 bytes for (2) of F32, but lies from 0 to 4");
    write("{" + tensor("a", "F32", "[2]", "[-8,0]") + "}", 8);
    assertRefused("tensor a of FILE should take 8 bytes for (2) of F32, but lies from -8 to 0");
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
    assertRefused("FILE should hold 8000000000 bytes of tensors, but holds 4; it is cut off");
  }
}
