package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Archives of NumPy as sources of tensors. DJL reads and writes them, too, by other code. */
class NpzTensorsTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("a.npz");
  }

  @AfterEach
  void close() {
    manager.close();
  }

  @Test
  void read_whatDjlWrote_sameValues() throws IOException {
    NDArray matrix = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3));
    matrix.setName("model/temb/dense0/W");
    NDArray step = manager.create(new long[] {790_000});
    step.setName("global_step");
    Files.write(file, new NDList(matrix, step).encode(NDList.Encoding.NPZ));
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.tensors().keySet()).containsExactly("model/temb/dense0/W", "global_step");
      assertThat(source.info("model/temb/dense0/W"))
          .isEqualTo(new TensorInfo(new Shape(2, 3), DataType.FLOAT32, "'<f4'"));
      assertThat(source.read("model/temb/dense0/W", manager)).isEqualTo(matrix);
      assertThat(source.read("global_step", manager)).isEqualTo(step);
      NDArray target = manager.zeros(new Shape(2, 3));
      source.readInto("model/temb/dense0/W", target);
      assertThat(target).isEqualTo(matrix);
      assertThat(source.metadata()).isEmpty();
      assertThatThrownBy(() -> source.read("b", manager))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("there is no array b of " + file + "; ask for one of its tensors()");
    }
  }

  @Test
  void write_readByDjl_sameValues() throws IOException {
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    arrays.put("a/W", manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3)).transpose());
    arrays.put("b", manager.create(new float[] {0.5f}));
    arrays.put("scalar", manager.create(-3f));
    NpzTensors.write(file, arrays);
    try (InputStream in = Files.newInputStream(file)) {
      NDList read = NDList.decode(manager, in);
      assertThat(read).extracting(NDArray::getName).containsExactly("a/W", "b", "scalar");
      for (NDArray array : read) {
        assertThat(array).isEqualTo(arrays.get(array.getName()));
      }
    }
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.read("a/W", manager)).isEqualTo(arrays.get("a/W"));
    }
    byte[] first = Files.readAllBytes(file);
    NpzTensors.write(file, arrays);
    assertThat(Files.readAllBytes(file)).isEqualTo(first);
    // NumPy begins values at multiples of 64.
    try (ZipFile zip = new ZipFile(file.toFile());
        InputStream in = zip.getInputStream(zip.getEntry("a/W.npy"))) {
      byte[] bytes = in.readAllBytes();
      assertThat(bytes).hasSize(128 + 6 * Float.BYTES);
      assertThat(new String(bytes, 10, 118, StandardCharsets.US_ASCII))
          .startsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2,), }   ")
          .endsWith(" \n");
    }
  }

  @Test
  void write_otherTypes_refusedAndNothingWritten() {
    Map<String, NDArray> arrays = Map.of("a", manager.create(new long[] {1}));
    assertThatThrownBy(() -> NpzTensors.write(file, arrays))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("array a must be float32, but is int64; convert it by toType");
    assertThat(file).doesNotExist();
  }

  private static byte[] npy(String header, int... values) {
    byte[] text = header.replace('"', '\'').getBytes(StandardCharsets.US_ASCII);
    ByteBuffer bytes =
        ByteBuffer.allocate(10 + text.length + values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put((byte) 0x93).put("NUMPY".getBytes(StandardCharsets.US_ASCII)).putShort((short) 1);
    bytes.putShort((short) text.length).put(text);
    for (int value : values) {
      bytes.put((byte) value);
    }
    return bytes.array();
  }

  private void zip(String name, byte[] content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.putNextEntry(new ZipEntry(name));
      zip.write(content);
    }
    Files.write(file, bytes.toByteArray());
  }

  /** Sizes of which the product is 0, or below, in 64 bits. */
  @ParameterizedTest
  @ValueSource(
      strings = {"4, 4611686018427387904", "2, 9223372036854775807", "2147483647, 8589934592"})
  void read_shapeBeyondLong_refused(String shape) throws IOException {
    zip("a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }"));
    try (TensorSource source = TensorFiles.open(file)) {
      assertThatThrownBy(() -> source.read("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "array a of "
                  + file
                  + " must take less than 2 GB, but has shape ("
                  + shape
                  + "); split it");
    }
  }

  @Test
  void read_columnMajor_nothingIsLeft() throws IOException {
    zip("a.npy", npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 2), }", 1, 2, 3, 4));
    int before = manager.getManagedArrays().size();
    try (TensorSource source = TensorFiles.open(file);
        NDArray read = source.read("a", manager)) {
      assertThat(read.toByteArray()).containsExactly(1, 3, 2, 4);
      assertThat(manager.getManagedArrays()).hasSize(before + 1);
    }
  }

  @Test
  void open_damaged_refusedByName() throws IOException {
    zip("a.npy", npy("{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (2,), }", 1, 2));
    try (TensorSource source = TensorFiles.open(file)) {
      assertThatThrownBy(() -> source.read("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage("array a of " + file + " is cut off; copy it again");
    }
    zip(
        "a.npy",
        npy(
            "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\":"
                + " (99999999999999999999,), }"));
    assertThatThrownBy(() -> TensorFiles.open(file))
        .isInstanceOf(IOException.class)
        .hasMessage("array a of " + file + " is damaged: its shape is (99999999999999999999,)");
    zip("a.npy", "hello, world".getBytes(StandardCharsets.US_ASCII));
    assertThatThrownBy(() -> TensorFiles.open(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "array a of " + file + " is no array of NumPy: it does not begin with \\x93NUMPY");
    zip("a.npy", npy("{\"descr\": \"|O\", \"fortran_order\": False, \"shape\": (1,), }", 1));
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.info("a").isReadable()).isFalse();
      assertThatThrownBy(() -> source.read("a", manager))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "array a of "
                  + file
                  + " cannot be read: it is '|O'; convert it in Python, such as with"
                  + " tensor.float()");
    }
    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length - 10));
    assertThatThrownBy(() -> TensorFiles.open(file)).isInstanceOf(IOException.class);
  }
}
