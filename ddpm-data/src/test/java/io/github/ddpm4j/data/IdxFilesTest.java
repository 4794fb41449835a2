package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IdxFilesTest {

  private static final String WAYS_OUT =
      "; Debian's package dataset-fashion-mnist has the files in /usr/share/datasets/fashion-mnist,"
          + " and DJL's basicdataset (FashMnist) downloads them where there is a network";
  private static final byte[] IMAGES =
      idx(new int[] {0x803, 2, 2, 3}, 0, 51, 102, 153, 204, 255, 255, 0, 255, 0, 255, 0);
  private static final byte[] LABELS = idx(new int[] {0x801, 2}, 7, 200);

  private final Path folder;
  private final Path images;
  private final Path labels;

  IdxFilesTest(@TempDir Path folder) throws IOException {
    this.folder = folder;
    images = Files.write(folder.resolve("train-images-idx3-ubyte"), IMAGES);
    labels = Files.write(folder.resolve("train-labels-idx1-ubyte"), LABELS);
  }

  @Test
  void training_readsImagesAndLabels() throws IOException {
    LabeledImages read = IdxFiles.training(folder);

    assertThat(read.size()).isEqualTo(2);
    assertThat(read.height()).isEqualTo(2);
    assertThat(read.width()).isEqualTo(3);
    assertThat(read.pixels(0)).containsExactly(-1, -0.6f, -0.19999999f, 0.20000005f, 0.6f, 1);
    assertThat(read.pixels(1)).containsExactly(1, -1, 1, -1, 1, -1);
    assertThat(read.label(0)).isEqualTo(7);
    assertThat(read.label(1)).isEqualTo(200);
  }

  @Test
  void test_readsPackedFiles() throws IOException {
    Files.write(folder.resolve("t10k-images-idx3-ubyte.gz"), gzip(IMAGES));
    Files.write(folder.resolve("t10k-labels-idx1-ubyte.gz"), gzip(LABELS));

    assertThat(IdxFiles.test(folder).pixels(1)).containsExactly(1, -1, 1, -1, 1, -1);
  }

  @Test
  void training_missingFolder_saysWhereDataIs() {
    Path nowhere = folder.resolve("nowhere");

    assertThatThrownBy(() -> IdxFiles.training(nowhere))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessage("the data folder " + nowhere + " does not exist" + WAYS_OUT);
  }

  @Test
  void training_fileForFolder_isRefused() {
    assertThatThrownBy(() -> IdxFiles.training(images))
        .isInstanceOf(IOException.class)
        .hasMessage(images + " must be a folder that holds train-images-idx3-ubyte");
  }

  @Test
  void test_missingFiles_saysWhereDataIs() {
    assertThatThrownBy(() -> IdxFiles.test(folder))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessage(
            "the data folder "
                + folder
                + " holds neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte.gz"
                + WAYS_OUT);
  }

  @Test
  void read_missingFile_isRefused() {
    Path nowhere = folder.resolve("nowhere");

    assertThatThrownBy(() -> IdxFiles.read(images, nowhere))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessage(nowhere + " does not exist");
  }

  @Test
  void read_wrongMagic_isRefused() {
    assertThatThrownBy(() -> IdxFiles.read(labels, labels))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "an IDX file of images must start with 0x00000803, but "
                + labels
                + " starts with 0x00000801");
  }

  @Test
  void read_truncated_isRefused() throws IOException {
    Files.write(images, Arrays.copyOf(IMAGES, IMAGES.length - 5));

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(images + " must hold 12 values, but ends after 7");
  }

  @Test
  void read_truncatedPackedFile_isRefused() throws IOException {
    byte[] packed = gzip(IMAGES);
    Files.write(images, Arrays.copyOf(packed, packed.length - 12));

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(images + " must hold 12 values, but was cut off");
  }

  @Test
  void read_truncatedHeader_isRefused() throws IOException {
    Files.write(images, new byte[] {0, 0, 8, 3, 0, 0});

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(images + " ends within its header");
  }

  @Test
  void read_emptyFile_isRefused() throws IOException {
    Files.write(labels, new byte[0]);

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(labels + " ends within its header");
  }

  @Test
  void read_noImages_isRefused() throws IOException {
    Files.write(labels, idx(new int[] {0x801, 0}));

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage("the number of labels must be at least 1, but " + labels + " says 0");
  }

  @Test
  void read_hugeSize_isRefused() throws IOException {
    Files.write(images, idx(new int[] {0x803, 2, 50_000, 50_000}));

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage("at most 2147483639 values can be read, but " + images + " says 5000000000");
  }

  @Test
  void read_countsDiffer_isRefused() throws IOException {
    Files.write(labels, idx(new int[] {0x801, 3}, 1, 2, 3));

    assertThatThrownBy(() -> IdxFiles.training(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "every image must have a label, but "
                + images
                + " holds 2 images and "
                + labels
                + " 3 labels");
  }

  private static byte[] idx(int[] header, int... values) {
    ByteBuffer buffer = ByteBuffer.allocate(4 * header.length + values.length);
    for (int number : header) {
      buffer.putInt(number);
    }
    for (int value : values) {
      buffer.put((byte) value);
    }
    return buffer.array();
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(packed)) {
      out.write(bytes);
    }
    return packed.toByteArray();
  }
}
