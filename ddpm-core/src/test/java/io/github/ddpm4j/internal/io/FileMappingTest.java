package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.torch.Program;
import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tensors that are pages of their files. */
class FileMappingTest {

  private static final Path MAPS = Path.of("/proc/self/maps");

  private static final Shape PAIR = new Shape(2);

  /** 1.5 and −2 in each type that is mapped, then an int. */
  private static final String HEADER =
      "{'wide':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},"
          + "'half':{'dtype':'F16','shape':[2],'data_offsets':[8,12]},"
          + "'brain':{'dtype':'BF16','shape':[1,2],'data_offsets':[12,16]},"
          + "'int':{'dtype':'I32','shape':[1],'data_offsets':[16,20]},"
          + "'none':{'dtype':'F32','shape':[0],'data_offsets':[20,20]}}";

  private static final Map<String, Shape> ALL = new LinkedHashMap<>();

  static {
    ALL.put("wide", PAIR);
    ALL.put("half", PAIR);
    ALL.put("brain", PAIR);
    ALL.put("int", new Shape(1));
    ALL.put("none", new Shape(0));
  }

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private static byte[] bytes(int padding) {
    String json = HEADER.replace('\'', '"') + " ".repeat(padding);
    while ((json.length() - padding) % 8 != 0) {
      json += " ";
    }
    return ByteBuffer.allocate(8 + json.length() + 20)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length())
        .put(json.getBytes(StandardCharsets.UTF_8))
        .putFloat(1.5f)
        .putFloat(-2)
        .putShort((short) 0x3e00)
        .putShort((short) 0xc000)
        .putShort((short) 0x3fc0)
        .putShort((short) 0xc000)
        .putInt(7)
        .array();
  }

  private Path file(String name) throws IOException {
    return Files.write(folder.resolve(name), bytes(0));
  }

  /** How many mappings of files below the folder this process has. */
  private long mappings() throws IOException {
    return Files.readAllLines(MAPS).stream()
        .filter(line -> line.contains(folder.toString()))
        .count();
  }

  private static float[] widened(NDArray array) {
    try (Program program =
        Program.compile("  def widen(self, x: Tensor) -> Tensor:\n    return torch.to(x, 6)\n")) {
      return program.call("widen", array, List.of()).head().toFloatArray();
    }
  }

  /** A name that is a string of a program, too, must be quoted there. */
  @Test
  void map_eachType_theValuesOfTheFile() throws IOException {
    Map<String, MappedTensor> mapped;
    try (TensorSource source = TensorFiles.open(file("a \"b\" 'c' \\ %s {} \n.safetensors"))) {
      mapped = source.map(ALL, manager);
    }
    assertThat(mapped.keySet()).containsExactly("wide", "half", "brain");
    assertThat(mapped.values())
        .extracting(MappedTensor::type)
        .containsExactly(DataType.FLOAT32, DataType.FLOAT16, DataType.BFLOAT16);
    for (MappedTensor tensor : mapped.values()) {
      assertThat(tensor.array().getShape()).isEqualTo(PAIR);
      assertThat(widened(tensor.array())).containsExactly(1.5f, -2);
    }
  }

  /** The system knows a file by bytes, of which such a letter has several. */
  @Test
  void map_lettersBeyondAscii_theValuesOfTheFile() throws IOException {
    String name = "Gewicht \u00fc \u4f60 \ud83d\ude00.safetensors";
    Charset charset = Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));
    assumeTrue(charset.newEncoder().canEncode(name), "no such file can be here");
    try (TensorSource source = TensorFiles.open(file(name))) {
      NDArray wide = source.map(Map.of("wide", PAIR), manager).get("wide").array();
      assertThat(wide.toFloatArray()).containsExactly(1.5f, -2);
    }
  }

  @Test
  void map_belowAPrefix_theNamesWithoutIt() throws IOException {
    try (TensorSource source = TensorFiles.open(file("a.safetensors")).under("ha")) {
      assertThat(source.map(Map.of("lf", PAIR), manager).keySet()).containsExactly("lf");
    }
  }

  /** At an odd place no array can lie; one of two bytes needs an even one, of four a fourth. */
  @Test
  void map_oddPlace_leftOut() throws IOException {
    for (int padding = 1; padding < 4; padding++) {
      Path file = Files.write(folder.resolve(padding + ".safetensors"), bytes(padding));
      try (TensorSource source = TensorFiles.open(file)) {
        assertThat(source.map(ALL, manager).keySet())
            .containsExactlyElementsOf(padding == 2 ? List.of("half", "brain") : List.of());
      }
    }
  }

  /** What is written stays here, though nobody should. */
  @Test
  void map_writtenTo_fileAsItWas() throws IOException {
    Path file = file("a.safetensors");
    try (TensorSource source = TensorFiles.open(file)) {
      NDArray wide = source.map(Map.of("wide", PAIR), manager).get("wide").array();
      wide.addi(1);
      assertThat(wide.toFloatArray()).containsExactly(2.5f, -1);
    }
    assertThat(Files.readAllBytes(file)).isEqualTo(bytes(0));
  }

  @Test
  void map_replacedOrDeletedAfterwards_theValuesThatWereMapped() throws IOException {
    Path file = file("a.safetensors");
    Path other = folder.resolve("b");
    byte[] changed = bytes(0);
    Arrays.fill(changed, changed.length - 20, changed.length, (byte) 0);
    Files.write(other, changed);
    try (TensorSource source = TensorFiles.open(file)) {
      NDArray wide = source.map(Map.of("wide", PAIR), manager).get("wide").array();
      Files.move(other, file, StandardCopyOption.ATOMIC_MOVE);
      assertThat(wide.toFloatArray()).containsExactly(1.5f, -2);
      Files.delete(file);
      assertThat(wide.toFloatArray()).containsExactly(1.5f, -2);
    }
  }

  @Test
  void map_replacedBefore_refused() throws IOException {
    Path file = file("a.safetensors");
    try (TensorSource source = TensorFiles.open(file)) {
      Files.move(file("b"), file, StandardCopyOption.ATOMIC_MOVE);
      assertThatThrownBy(() -> source.map(ALL, manager))
          .isInstanceOf(IOException.class)
          .hasMessage(file + " was replaced while it was read; read it again");
      assertThat(NativeResources.of(manager)).isZero();
      Files.write(file, new byte[4]);
      assertThatThrownBy(() -> source.map(ALL, manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              file
                  + " cannot be mapped: file <"
                  + file
                  + "> size <4> is smaller than the required mapping size <"
                  + bytes(0).length / 4 * 4
                  + ">");
      Files.delete(file);
      assertThatThrownBy(() -> source.map(ALL, manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              file
                  + " cannot be mapped: unable to open file <"
                  + file
                  + "> in read-only mode: No such file or directory (2)");
      assertThat(NativeResources.of(manager)).isZero();
    }
  }

  @Test
  void map_closedArrays_endTheMapping() throws IOException {
    assumeTrue(Files.isReadable(MAPS), "mappings are listed on Linux alone");
    Path file = file("a.safetensors");
    for (int i = 0; i < 1000; i++) {
      try (TensorSource source = TensorFiles.open(file)) {
        Map<String, MappedTensor> mapped = source.map(ALL, manager);
        if (i == 0) {
          assertThat(mappings()).isEqualTo(3);
        }
        mapped.get("half").array().close();
        if (i == 0) {
          assertThat(mappings()).isEqualTo(2);
        }
        mapped.get("wide").array().close();
        mapped.get("brain").array().close();
      }
    }
    assertThat(mappings()).isZero();
    assertThat(NativeResources.of(manager)).isZero();
  }

  @Test
  void map_whatIsNotThere_refused() throws IOException {
    Path file = file("a.safetensors");
    try (TensorSource source = TensorFiles.open(file)) {
      assertThatThrownBy(() -> source.map(Map.of("other", PAIR), manager))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("there is no tensor other of " + file + "; ask for one of its tensors()");
      assertThatThrownBy(() -> source.map(Map.of("wide", new Shape(3)), manager))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "tensor wide of " + file + " has the shape (2), which cannot be mapped as (3)");
    }
  }

  @Test
  void map_otherFiles_refused() throws IOException {
    URI zip = URI.create("jar:" + folder.resolve("a.zip").toUri());
    try (FileSystem inside = FileSystems.newFileSystem(zip, Map.of("create", "true"))) {
      Path file = Files.write(inside.getPath("a.safetensors"), bytes(0));
      try (TensorSource source = TensorFiles.open(file)) {
        assertThatThrownBy(() -> source.map(ALL, manager))
            .isInstanceOf(IOException.class)
            .hasMessage("a.safetensors cannot be mapped: it is no file of the system's own");
      }
    }
    try (TensorSource source = TensorFiles.open(Path.of("src/test/resources/torch/legacy.pt"))) {
      String name = source.tensors().keySet().iterator().next();
      assertThatThrownBy(() -> source.map(Map.of(name, PAIR), manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              source.about(name)
                  + " cannot be mapped, as those of safetensors files alone can be; convert the"
                  + " file, or leave out mapped()");
    }
  }

  /** Tensors of several files beside an index. */
  @Test
  void map_severalFiles_allOfThem() throws IOException {
    Files.write(folder.resolve("1.safetensors"), bytes(0));
    Files.write(folder.resolve("2.safetensors"), other());
    Path index = folder.resolve("a.safetensors.index.json");
    Files.writeString(
        index,
        "{\"weight_map\":{\"wide\":\"1.safetensors\",\"half\":\"1.safetensors\","
            + "\"brain\":\"1.safetensors\",\"int\":\"1.safetensors\",\"none\":\"1.safetensors\","
            + "\"more\":\"2.safetensors\"}}");
    Map<String, Shape> wanted = new LinkedHashMap<>(ALL);
    wanted.put("more", PAIR);
    try (TensorSource source = TensorFiles.open(index)) {
      Map<String, MappedTensor> mapped = source.map(wanted, manager);
      assertThat(mapped.keySet()).containsExactly("wide", "half", "brain", "more");
      assertThat(mapped.get("more").array().toFloatArray()).containsExactly(3, 4);
      mapped.values().forEach(tensor -> tensor.array().close());
      // The second one is gone when the first was mapped.
      Files.delete(folder.resolve("2.safetensors"));
      assertThatThrownBy(() -> source.map(wanted, manager)).isInstanceOf(IOException.class);
      assertThat(NativeResources.of(manager)).isZero();
    }
  }

  private static byte[] other() {
    String json = "{\"more\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    json += " ".repeat((8 - json.length() % 8) % 8);
    return ByteBuffer.allocate(8 + json.length() + 8)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length())
        .put(json.getBytes(StandardCharsets.UTF_8))
        .putFloat(3)
        .putFloat(4)
        .array();
  }
}
