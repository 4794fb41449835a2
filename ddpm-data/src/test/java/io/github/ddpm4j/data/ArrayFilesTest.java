package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The files that make_files.py wrote with NumPy and safetensors. */
class ArrayFilesTest {

  /** The bytes of a zip file before the name of its first entry. */
  private static final int LOCAL_HEADER = 30;

  private static final int COUNT = 3;

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private Path file(String name) {
    return TestFiles.copy(name, folder.resolve(name));
  }

  private NDArray single(String name) throws IOException {
    Map<String, NDArray> all = ArrayFiles.read(file(name), manager);
    assertThat(all).containsOnlyKeys(ArrayFiles.SINGLE);
    return all.get(ArrayFiles.SINGLE);
  }

  @ParameterizedTest
  @CsvSource({
    "f2, FLOAT16",
    "f4, FLOAT32",
    "f8, FLOAT64",
    "i1, INT8",
    "i4, INT32",
    "i8, INT64",
    "u1, UINT8",
    "u2, INT32",
    "big-f4, FLOAT32",
    "big-i8, INT64",
    "fortran, FLOAT32",
    "version2, FLOAT32"
  })
  void read_arrayOfNumpy(String name, DataType type) throws IOException {
    NDArray array = single("array-" + name + ".npy");
    assertThat(array.getDataType()).isEqualTo(type);
    assertThat(array.getShape()).isEqualTo(new Shape(2, 3));
    assertThat(array.toType(DataType.FLOAT32, true).toFloatArray())
        .containsExactly(0, 1, 2, 3, 4, 5);
    assertThat(array.toType(DataType.FLOAT32, true).get(1, 0).getFloat()).isEqualTo(3);
  }

  @Test
  void read_boolAndScalar() throws IOException {
    NDArray truth = single("array-b1.npy");
    assertThat(truth.getDataType()).isEqualTo(DataType.BOOLEAN);
    assertThat(truth.toBooleanArray()).containsExactly(false, true, true, true, true, true);
    NDArray scalar = single("array-scalar.npy");
    assertThat(scalar.getShape()).isEqualTo(new Shape());
    assertThat(scalar.getFloat()).isEqualTo(7);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "object | Python objects",
        "record | records [('a', '<f4'), ('b', '<i4')]",
        "complex | '<c8'"
      })
  void read_otherTypes_areRefusedByName(String name, String words) {
    Path file = file("array-" + name + ".npy");
    assertThatThrownBy(() -> ArrayFiles.read(file, manager))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " must hold bool, integers of up to 64 bits (not uint64) or floats of up to 64"
                + " bits, but holds "
                + words
                + "; convert it by array.astype(numpy.float32) and save it again");
  }

  @Test
  void read_damagedFiles_areRefused() throws IOException {
    Path file = file("array-f4.npy");
    byte[] whole = Files.readAllBytes(file);
    for (int length : new int[] {0, 5, 9, 60, whole.length - 1}) {
      Files.write(file, Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> ArrayFiles.read(file, manager))
          .isInstanceOf(IOException.class)
          .hasMessage(file + " is cut off; copy it again");
    }
    Files.write(file, Arrays.copyOf(whole, whole.length + 1));
    assertThatThrownBy(() -> ArrayFiles.read(file, manager))
        .hasMessage(file + " has more bytes than its header says");
    whole[0] = 0;
    Files.write(file, whole);
    assertThatThrownBy(() -> ArrayFiles.read(file, manager))
        .hasMessage(file + " is no array of NumPy: it does not begin with \\x93NUMPY");
    whole[0] = (byte) 0x93;
    whole[6] = 4;
    Files.write(file, whole);
    assertThatThrownBy(() -> ArrayFiles.read(file, manager))
        .hasMessage(file + " must be of version 1, 2 or 3 of the format, but is of 4");
    String header = "{'descr': '<f4', 'fortran_order': False, 'shape': (70000, 70000), }";
    byte[] vast = new byte[10 + header.length()];
    System.arraycopy(whole, 0, vast, 0, 6);
    vast[6] = 1;
    vast[8] = (byte) header.length();
    System.arraycopy(header.getBytes(StandardCharsets.US_ASCII), 0, vast, 10, header.length());
    Files.write(file, vast);
    assertThatThrownBy(() -> ArrayFiles.read(file, manager))
        .hasMessage(file + " must take less than 2 GB, but has shape (70000, 70000); split it");
  }

  @Test
  void read_otherNames_areRefused() throws IOException {
    Path text = Files.writeString(folder.resolve("a.txt"), "no array");
    assertThatThrownBy(() -> ArrayFiles.read(text, manager))
        .hasMessage(text + " must end in .npy, .npz or .safetensors, which tells what it is");
    Path empty = Files.writeString(folder.resolve("a.npz"), "no archive");
    assertThatThrownBy(() -> ArrayFiles.read(empty, manager))
        .hasMessage(empty + " is no archive of NumPy, or holds no arrays");
    Path named = folder.resolve("c.npz");
    try (ZipOutputStream to = new ZipOutputStream(Files.newOutputStream(named))) {
      to.putNextEntry(new ZipEntry("é"));
    }
    byte[] damaged = Files.readAllBytes(named);
    damaged[LOCAL_HEADER] = (byte) 0xff;
    Files.write(named, damaged);
    assertThatThrownBy(() -> ArrayFiles.read(named, manager))
        .hasMessage(named + " is a damaged archive: a name in it is no UTF-8");
    Path nowhere = folder.resolve("b.npy");
    assertThatThrownBy(() -> ArrayFiles.read(nowhere, manager))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(nowhere.toString());
  }

  /** The same pictures in three files, one of them with its channels last and in 8 bits. */
  @ParameterizedTest
  @ValueSource(strings = {"images.npz", "images.safetensors", "images-u1.npy"})
  void dataset_ofImages_andLabels(String name) throws Exception {
    ArrayDataset dataset =
        ArrayFiles.dataset(file(name), manager).setSampling(COUNT, false).build();
    for (Batch batch : dataset.getData(manager)) {
      NDArray images = batch.getData().singletonOrThrow();
      assertThat(images.getShape()).isEqualTo(new Shape(COUNT, 3, 5, 6));
      float[] values = images.toFloatArray();
      for (int i = 0; i < values.length; i++) {
        int n = i / 90;
        int c = i / 30 % 3;
        int yx = i % 30;
        int level = (n * 90 + yx * 3 + c) % 251;
        assertThat(values[i]).isCloseTo((float) (level / 127.5 - 1), within(1e-7f));
      }
      if (!name.endsWith("npy")) {
        assertThat(batch.getLabels().singletonOrThrow().toLongArray()).containsExactly(2, 0, 1);
      }
      batch.close();
    }
  }

  @Test
  void dataset_thatIsNotOfImages_isRefused() {
    Path flat = file("array-f4.npy");
    assertThatThrownBy(() -> ArrayFiles.dataset(flat, manager))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "images of "
                + flat
                + " must have shape (N, C, H, W), (N, H, W, C) or (N, H, W), but have (2, 3)");
    Path unclear = file("images-unclear.npy");
    assertThatThrownBy(() -> ArrayFiles.dataset(unclear, manager))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "one axis of images, the second or the last, must be that of 1, 3 or 4 channels, but"
                + " those of "
                + unclear
                + " have shape (3, 4, 6, 3); read them by ArrayFiles.read and bring them to (N, C,"
                + " H, W)");
  }
}
