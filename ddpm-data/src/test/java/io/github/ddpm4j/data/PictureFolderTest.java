package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.translate.Batchifier;
import io.github.ddpm4j.data.PictureFolder.BrokenFile;
import io.github.ddpm4j.data.PictureFolder.Fit;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PictureFolderTest {

  private static final Shape GREY = new Shape(1, 2, 2);

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private Path grey(String name, int level) throws IOException {
    return MadePictures.flat(folder.resolve(name), 2, 2, level);
  }

  private PictureFolder.Builder builder() {
    return PictureFolder.builder(folder, GREY).setSampling(2, false);
  }

  /** The level of the first pixel of each picture of each batch, in one pass. */
  private List<List<Long>> pass(PictureDataset dataset) throws Exception {
    List<List<Long>> all = new ArrayList<>();
    for (Batch batch : dataset.getData(manager)) {
      try (batch) {
        NDArray images = batch.getData().singletonOrThrow();
        List<Long> levels = new ArrayList<>();
        for (int i = 0; i < images.getShape().get(0); i++) {
          levels.add(Math.round((images.getFloat(i, 0, 0, 0) + 1.0) * 127.5));
        }
        all.add(levels);
      }
    }
    return all;
  }

  private static float[] floats(PictureDataset dataset, NDManager manager) throws Exception {
    List<float[]> all = new ArrayList<>();
    int length = 0;
    for (Batch batch : dataset.getData(manager)) {
      try (batch) {
        all.add(batch.getData().singletonOrThrow().toFloatArray());
        length += all.get(all.size() - 1).length;
      }
    }
    float[] joined = new float[length];
    int at = 0;
    for (float[] one : all) {
      System.arraycopy(one, 0, joined, at, one.length);
      at += one.length;
    }
    return joined;
  }

  /* --- what is in a folder --- */

  @Test
  void flatFolder_picturesByName_withoutLabels() throws Exception {
    grey("b.png", 20);
    grey("B.png", 30);
    grey("a.PNG", 10);
    grey("c.bmp", 40);
    grey(".hidden.png", 99);
    Files.writeString(folder.resolve("notes.txt"), "no picture");
    Files.createDirectory(folder.resolve("empty"));
    PictureFolder pictures = builder().build();
    assertThat(pictures.size()).isEqualTo(4);
    assertThat(pass(pictures)).containsExactly(List.of(30L, 10L), List.of(20L, 40L));
    assertThat(pictures.classNames()).isEmpty();
    assertThat(pictures.brokenFiles()).isEmpty();
    for (Batch batch : pictures.getData(manager)) {
      assertThat(batch.getLabels()).isEmpty();
      assertThat(batch.getData().singletonOrThrow().getShape()).isEqualTo(new Shape(2, 1, 2, 2));
      assertThat(batch.getData().singletonOrThrow().getDataType()).isEqualTo(DataType.FLOAT32);
      assertThat(batch.getSize()).isEqualTo(2);
      assertThat(batch.getProgressTotal()).isEqualTo(4);
      batch.close();
    }
    assertThat(pictures.imageShape()).isEqualTo(GREY);
    assertThat(pictures).hasToString("PictureFolder[" + folder + "]");
  }

  @Test
  void classFolders_giveLabelsAndNames() throws Exception {
    grey("dogs/1.png", 10);
    grey("cats/deep/2.png", 20);
    grey("cats/1.png", 30);
    grey("cats/.thumbnails/1.png", 40);
    grey(".git/1.png", 50);
    PictureFolder pictures = builder().setSampling(3, false).build();
    assertThat(pictures.classNames()).containsExactly("cats", "dogs");
    assertThat(pass(pictures)).containsExactly(List.of(30L, 20L, 10L));
    for (Batch batch : pictures.getData(manager)) {
      assertThat(batch.getLabels().singletonOrThrow().toLongArray()).containsExactly(0, 0, 1);
      batch.close();
    }
    assertThat(pictures.get(manager, 2).getLabels().singletonOrThrow().getLong()).isEqualTo(1);
    assertThat(pictures.nameOf(1)).isEqualTo("cats/deep/2.png");
  }

  @Test
  void build_whatIsNoFolderOfPictures_isRefused() throws IOException {
    assertThatThrownBy(() -> builder().build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder
                + " holds no pictures; name a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files, or"
                + " one with a folder of them for each class");
    Path nowhere = folder.resolve("nowhere");
    assertThatThrownBy(() -> PictureFolder.builder(nowhere, GREY).setSampling(1, false).build())
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(nowhere.toString());
    Path file = grey("cats/1.png", 1);
    assertThatThrownBy(() -> PictureFolder.builder(file, GREY).setSampling(1, false).build())
        .isInstanceOf(NotDirectoryException.class)
        .hasMessage(file.toString());
    Files.createDirectory(folder.resolve("dogs"));
    assertThatThrownBy(() -> builder().build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            "every folder of a class must hold a picture, but dogs of "
                + folder
                + " holds none, and without it the others would have other labels; take it away, or"
                + " put pictures into it");
    grey("2.png", 1);
    assertThatThrownBy(() -> builder().build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            folder
                + " holds pictures, such as 2.png, and folders of pictures, such as cats, so that"
                + " it is not known whether folders are classes; move one or the other away");
  }

  /* --- settings --- */

  @Test
  void builder_refusesWhatItCannotDo() throws IOException {
    grey("1.png", 1);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PictureFolder.builder(folder, new Shape(2, 8, 8)))
        .withMessage("image must have shape (1, H, W), (3, H, W) or (4, H, W), but was (2, 8, 8)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PictureFolder.builder(folder, GREY).build())
        .withMessage("the batch size is not set; call setSampling(batchSize, true)");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> builder().optDataBatchifier(Batchifier.STACK).addTransform(a -> a).build())
        .withMessage(
            "pictures are not passed through transforms, pipelines and batchifiers of DJL; use"
                + " augment(…)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder().shifts(2))
        .withMessage(
            "shifts must be at least 0 and less than 2 pixels, the smaller side of (1, 2, 2), but"
                + " was 2");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> PictureFolder.builder(folder, new Shape(1, 2, 3)).quarterTurns())
        .withMessage("quarterTurns() needs square images, but they are (1, 2, 3)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder().threads(0))
        .withMessage("threads must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder().cacheInMemory(-1))
        .withMessage("a cache must have at least 0 bytes, but had -1");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> builder().normalization(Normalization.IMAGENET))
        .withMessage(
            "the normalization is one of 3 channels, but the pictures have 1; give a mean and a"
                + " deviation for each");
  }

  @Test
  void first_beyondTheLast_beginsAgain() throws Exception {
    grey("a.png", 0);
    grey("b.png", 255);
    PictureFolder pictures =
        PictureFolder.builder(folder, new Shape(1, 1, 1)).setSampling(1, false).build();
    NDArray five = pictures.first(manager, 5);
    assertThat(five.getShape()).isEqualTo(new Shape(5, 1, 1, 1));
    assertThat(five.toFloatArray()).containsExactly(-1, 1, -1, 1, -1);
  }

  @Test
  void normalization_imagenet_isThatOfTorchvision() throws Exception {
    MadePictures.flat(folder.resolve("a.png"), 1, 1, 255, 51, 0);
    PictureFolder pictures =
        PictureFolder.builder(folder, new Shape(3, 1, 1))
            .setSampling(1, false)
            .normalization(Normalization.IMAGENET)
            .build();
    assertThat(pictures.first(manager, 1).toFloatArray())
        .containsExactly(
            (float) ((1 - 0.485) / 0.229),
            (float) ((0.2 - 0.456) / 0.224),
            (float) (-0.406 / 0.225));
    NDArray seen = pictures.normalization().restore(pictures.first(manager, 1));
    assertThat(seen.getFloat(0, 0, 0, 0)).isCloseTo(1, within(1e-6f));
    assertThat(seen.getFloat(0, 1, 0, 0)).isCloseTo(-0.6f, within(1e-6f));
    assertThat(seen.getFloat(0, 2, 0, 0)).isCloseTo(-1, within(1e-6f));
  }

  /* --- broken files --- */

  private void someBroken() throws IOException {
    grey("1.png", 10);
    Files.write(folder.resolve("2.png"), new byte[0]);
    grey("3.png", 30);
    Files.writeString(folder.resolve("4.jpg"), "no picture");
    grey("5.png", 50);
  }

  @Test
  void brokenFiles_areLeftOutAndListed() throws Exception {
    someBroken();
    PictureFolder pictures = builder().setSampling(3, false).build();
    assertThat(pass(pictures)).containsExactly(List.of(10L, 30L, 50L));
    assertThat(pictures.brokenFiles())
        .extracting(BrokenFile::file)
        .containsExactly(folder.resolve("2.png"), folder.resolve("4.jpg"));
    assertThat(pictures.brokenFiles().get(1).reason())
        .startsWith(folder.resolve("4.jpg") + " is not a picture that Java can read; the formats");
    assertThat(pictures.nameOf(2)).isEqualTo("5.png");
  }

  @Test
  void failOnBroken_namesThem() throws Exception {
    grey("1.png", 10);
    Path broken = TestFiles.copy("orientation-1.png", folder.resolve("2.png"));
    Files.write(broken, Arrays.copyOf(Files.readAllBytes(broken), 60));
    PictureFolder pictures = builder().failOnBroken().build();
    assertThatThrownBy(pictures::prepare)
        .isInstanceOf(IOException.class)
        .hasMessage(
            "1 of 2 pictures of "
                + folder
                + " are broken: "
                + broken
                + " is damaged or of an unusual kind: Error skipping PNG metadata; mend them or take"
                + " them away, or leave out failOnBroken() to train on the others");
    Files.delete(folder.resolve("1.png"));
    assertThatThrownBy(() -> builder().build().prepare())
        .isInstanceOf(IOException.class)
        .hasMessage(
            "1 of 1 pictures of "
                + folder
                + " are broken: "
                + broken
                + " is damaged or of an unusual kind: Error skipping PNG metadata; there is no other"
                + " to train on");
  }

  /** A file that is lost after the pictures were counted ends the pass, and is named. */
  @Test
  void fileThatIsLostLater_isNamed() throws Exception {
    grey("1.png", 10);
    Path lost = grey("2.png", 20);
    PictureFolder pictures = builder().cacheInMemory(0).build();
    pictures.prepare();
    Files.delete(lost);
    assertThatThrownBy(() -> pass(pictures)).hasMessage(lost + ": does not exist");
  }

  /* --- caches --- */

  @Test
  void cache_givesTheSame_andKeepsItsLimit() throws Exception {
    for (int i = 0; i < 6; i++) {
      int seed = i;
      MadePictures.write(
          MadePictures.picture(5, 7, 3, 16, (y, x) -> new int[] {seed * 999, y * 7777, x * 4321}),
          folder.resolve(i + ".png"));
    }
    Path files = folder.resolve(".cache");
    PictureFolder.Builder three =
        PictureFolder.builder(folder, new Shape(3, 4, 4)).setSampling(6, false);
    float[] read = floats(three.cacheInMemory(0).build(), manager);
    assertThat(floats(three.cacheInMemory(1 << 20).build(), manager)).containsExactly(read);
    // room for two of 96 bytes
    assertThat(floats(three.cacheInMemory(200).build(), manager)).containsExactly(read);
    PictureFolder inFile = three.cacheInFile(files, 200).build();
    assertThat(floats(inFile, manager)).containsExactly(read);
    // what is kept is not read again
    for (int i = 0; i < 6; i++) {
      Files.delete(folder.resolve(i + ".png"));
    }
    int kept = 0;
    for (int i = 0; i < 6; i++) {
      try (var record = inFile.get(manager, i).getData()) {
        kept++;
      } catch (IOException e) {
        assertThat(e).hasMessageContaining("does not exist");
      }
    }
    assertThat(kept).isEqualTo(2);
  }

  /* --- augmentation --- */

  private void ramps(int count) throws IOException {
    for (int i = 0; i < count; i++) {
      int own = i;
      MadePictures.write(
          MadePictures.picture(4, 9, 1, 8, (y, x) -> new int[] {20 * x + 5 * y + own}),
          folder.resolve(i + ".png"));
    }
  }

  private PictureFolder.Builder random() {
    return PictureFolder.builder(folder, new Shape(1, 4, 4))
        .setSampling(5, false)
        .fit(Fit.RANDOM_CROP)
        .horizontalFlips()
        .verticalFlips()
        .quarterTurns()
        .shifts(1)
        .augment((values, chance) -> values[0] = (float) chance.nextDouble());
  }

  @Test
  void augmentation_isAFunctionOfSeedPictureAndVisit() throws Exception {
    ramps(20);
    PictureFolder one = random().threads(1).cacheInMemory(0).build();
    PictureFolder many = random().threads(8).optPrefetchNumber(7).build();
    float[] first = floats(one, manager);
    assertThat(floats(many, manager)).containsExactly(first);
    float[] second = floats(one, manager);
    assertThat(second).isNotEqualTo(first);
    assertThat(floats(many, manager)).containsExactly(second);
    assertThat(floats(random().seed(7).build(), manager)).isNotEqualTo(first);
    assertThat(one.augmentation())
        .isEqualTo("seed 0: crops, flips, vertical flips, turns, shifts 1, 1 own");
  }

  /** Read by index, a picture is as it is: the middle, and nothing else done to it. */
  @Test
  void get_isThePictureItself() throws Exception {
    ramps(2);
    float[] plain =
        floats(
            PictureFolder.builder(folder, new Shape(1, 4, 4)).setSampling(2, false).build(),
            manager);
    float[] got = random().build().first(manager, 2).toFloatArray();
    for (int i = 0; i < 32; i++) {
      int y = i / 4 % 4;
      assertThat(Math.round((got[i] + 1) * 127.5)).isEqualTo(20 * (2 + i % 4) + 5 * y + i / 16);
    }
    assertThat(plain).hasSize(32);
  }

  /** Each flip and turn alone is one of the few pictures that it can be, and all of them occur. */
  @Test
  void flipsTurnsAndShifts_giveWhatTheyShould() throws Exception {
    MadePictures.write(
        MadePictures.picture(2, 2, 1, 8, (y, x) -> new int[] {2 * y + x}), folder.resolve("a.png"));
    PictureFolder.Builder fresh = builder().setSampling(1, false);
    assertThat(occurring(fresh.horizontalFlips().build()))
        .containsExactlyInAnyOrder("0123", "1032");
    assertThat(occurring(builder().setSampling(1, false).verticalFlips().build()))
        .containsExactlyInAnyOrder("0123", "2301");
    assertThat(occurring(builder().setSampling(1, false).quarterTurns().build()))
        .containsExactlyInAnyOrder("0123", "1302", "3210", "2031");
    assertThat(occurring(builder().setSampling(1, false).shifts(1).build()))
        .containsExactlyInAnyOrder(
            "0123", "0101", "2323", "0022", "1133", "0000", "1111", "2222", "3333");
  }

  private Set<String> occurring(PictureFolder pictures) throws Exception {
    Set<String> seen = new TreeSet<>();
    for (int i = 0; i < 60; i++) {
      StringBuilder levels = new StringBuilder();
      for (float value : floats(pictures, manager)) {
        levels.append(Math.round((value + 1) * 127.5));
      }
      seen.add(levels.toString());
    }
    return seen;
  }

  /** The parts of a split are augmented as the whole is. */
  @Test
  void split_keepsAugmentationAndNames() throws Exception {
    grey("cats/1.png", 10);
    grey("cats/2.png", 20);
    grey("dogs/1.png", 30);
    grey("dogs/2.png", 40);
    PictureFolder pictures =
        builder().setSampling(1, false).augment((v, chance) -> v[1] = 7).build();
    RandomAccessDataset part = pictures.subDataset(1, 3);
    assertThat(part.size()).isEqualTo(2);
    PictureDataset named = (PictureDataset) part;
    assertThat(named.nameOf(0)).isEqualTo("cats/2.png");
    assertThat(named.classNames()).containsExactly("cats", "dogs");
    assertThat(pass(named)).containsExactly(List.of(20L), List.of(30L));
    assertThat(floats(named, manager)[1]).isEqualTo(7);
    assertThat(pictures.randomSplit(1, 1)[1].size()).isEqualTo(2);
  }
}
