package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import io.github.ddpm4j.internal.data.DescribedDataset;
import io.github.ddpm4j.internal.data.SeededSampler;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.internal.random.CounterRandom;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures as latents: what is drawn, of which picture and visit, and the file. */
class LatentDatasetTest {

  private static final int PICTURES = 10;
  private static final long SEED = 7;
  private static final int LATENTS = 2 * 4 * 4;

  private final NDManager manager = NDManager.newBaseManager();
  private final Autoencoder autoencoder = Halves.autoencoder().build();
  private final ArrayDataset pictures = Halves.dataset(manager, PICTURES, 4);
  private float[] means;
  private float[] logVariances;

  @TempDir private Path folder;

  @BeforeEach
  void encode() {
    autoencoder.scale(0.5);
    try (Autoencoder.Latents latents = autoencoder.encode(Halves.pictures(manager, PICTURES, 1))) {
      means = latents.mean().toFloatArray();
      logVariances = latents.logVariance().orElseThrow().toFloatArray();
    }
  }

  @AfterEach
  void close() {
    autoencoder.close();
    manager.close();
  }

  private LatentDataset.Builder builder() {
    return LatentDataset.builder(autoencoder, pictures).seed(SEED).setSampling(4, true);
  }

  /** scale · (μ + σ · noise), by the formula. */
  private double[] expected(int picture, long visit) {
    double[] noise = new double[LATENTS];
    if (visit >= 0) {
      CounterRandom.of(SEED, CounterRandom.Stream.LATENTS).normal(picture, visit, noise);
    }
    double[] z = new double[LATENTS];
    Arrays.setAll(
        z,
        i ->
            0.5
                * (means[picture * LATENTS + i]
                    + Math.exp(logVariances[picture * LATENTS + i] / 2) * noise[i]));
    return z;
  }

  private void assertLatents(NDArray latents, int row, int picture, long visit) {
    float[] all = latents.toFloatArray();
    double[] expected = expected(picture, visit);
    for (int i = 0; i < LATENTS; i++) {
      assertThat((double) all[row * LATENTS + i])
          .as("picture %d, visit %d", picture, visit)
          .isCloseTo(expected[i], within(1e-4));
    }
  }

  /** A run that is gone on with in its middle draws what it would have drawn. */
  @Test
  void getData_ofATrainingRun_drawsByPictureAndEpoch() throws Exception {
    LatentDataset latents = builder().build();
    assertThat(latents.size()).isEqualTo(PICTURES);
    assertThat(latents.latentShape()).isEqualTo(new Shape(2, 4, 4));
    assertThat(latents.augmentation()).isEqualTo("seed 7: draws of latents");
    for (long before : new long[] {0, 2}) {
      SeededSampler order = new SeededSampler(PICTURES, 4, 3, before);
      Iterator<List<Long>> plan = order.plan();
      Iterator<Batch> batches = latents.getData(manager, order).iterator();
      for (long k = before; k < 6; k++) {
        List<Long> indices = plan.next();
        try (Batch batch = batches.next()) {
          NDArray drawn = batch.getData().head();
          assertThat(drawn.getShape()).isEqualTo(new Shape(4, 2, 4, 4));
          long[] labels = batch.getLabels().head().toLongArray();
          for (int i = 0; i < 4; i++) {
            int picture = indices.get(i).intValue();
            assertLatents(drawn, i, picture, (4 * k + i) / PICTURES);
            assertThat(labels[i]).isEqualTo(picture % 2);
          }
        }
      }
    }
  }

  @Test
  void getData_ofALoop_countsPasses() throws Exception {
    LatentDataset latents =
        LatentDataset.builder(autoencoder, pictures).seed(SEED).setSampling(5, false).build();
    for (int pass = 0; pass < 2; pass++) {
      int first = 0;
      for (Batch batch : latents.getData(manager)) {
        try (batch) {
          for (int i = 0; i < 5; i++) {
            assertLatents(batch.getData().head(), i, first + i, pass);
          }
        }
        first += 5;
      }
      assertThat(first).isEqualTo(PICTURES);
    }
  }

  @Test
  void get_oneOrAPart_theMostLikely() throws Exception {
    RandomAccessDataset part = builder().build().subDataset(List.of(8L, 3L));
    assertThat(part.size()).isEqualTo(2);
    try (NDManager own = manager.newSubManager()) {
      Record record = part.get(own, 1);
      assertThat(record.getData().head().getShape()).isEqualTo(new Shape(2, 4, 4));
      assertLatents(record.getData().head(), 0, 3, -1);
      assertThat(record.getLabels().head().getLong()).isEqualTo(1);
    }
    SeededSampler order = new SeededSampler(2, 2, 1, 0);
    int firstPicture = order.plan().next().get(0) == 0 ? 8 : 3;
    try (Batch batch = part.getData(manager, order).iterator().next()) {
      assertLatents(batch.getData().head(), 0, firstPicture, 0);
    }
    assertThat(((DescribedDataset) part).nameOf(1)).isEqualTo("picture 3");
  }

  /** Builder and autoencoder go on with something else. */
  @Test
  void parts_haveTheSettingsOfTheWhole() throws Exception {
    LatentDataset.Builder builder = builder();
    LatentDataset whole = builder.build();
    builder.seed(8).setSampling(1, true).optLimit(1);
    autoencoder.scale(3);
    List<RandomAccessDataset> parts =
        List.of(
            whole.subDataset(2, 8), whole.subDataset(List.of(3L, 5L)), whole.randomSplit(1, 1)[1]);
    for (RandomAccessDataset part : parts) {
      int size = Math.toIntExact(part.size());
      assertThat(size).isGreaterThan(1);
      assertThat(((LatentDataset) part).augmentation()).isEqualTo(whole.augmentation());
      List<Long> order = new SeededSampler(size, size, 3, 0).plan().next();
      try (Batch batch =
          part.getData(manager, new SeededSampler(size, size, 3, 0)).iterator().next()) {
        for (int i = 0; i < size; i++) {
          String name = ((DescribedDataset) part).nameOf(order.get(i));
          int picture = Integer.parseInt(name.substring("picture ".length()));
          assertLatents(batch.getData().head(), i, picture, 0);
        }
      }
      try (Batch batch = part.getData(manager).iterator().next()) {
        assertThat(batch.getSize()).isEqualTo(Math.min(size, 4));
      }
    }
  }

  @Test
  void getData_leavesNothing() throws Exception {
    LatentDataset latents = builder().build();
    int before = manager.getManagedArrays().size();
    SeededSampler order = new SeededSampler(PICTURES, 4, 3, 0);
    Iterator<Batch> batches = latents.getData(manager, order).iterator();
    for (int k = 0; k < 3; k++) {
      batches.next().close();
    }
    assertThat(manager.getManagedArrays()).hasSize(before);
  }

  /* ---------------- The file ---------------- */

  private Path file() {
    return folder.resolve("latents.safetensors");
  }

  /** Tensors of the file, with other words. */
  private void rewrite(Map<String, NDArray> changed) throws IOException {
    Map<String, String> words = Safetensors.metadata(file());
    Map<String, NDArray> all = Safetensors.read(file(), manager);
    all.putAll(changed);
    Safetensors.write(file(), all, words);
  }

  @Test
  void cache_thereAlready_isRead() throws Exception {
    builder().cache(file()).build();
    LatentDataset again = builder().cache(file()).build();
    SeededSampler order = new SeededSampler(PICTURES, PICTURES, 3, 0);
    int first = order.plan().next().get(0).intValue();
    try (Batch batch = again.getData(manager, order).iterator().next()) {
      assertLatents(batch.getData().head(), 0, first, 0);
      assertThat(batch.getLabels().head().toLongArray()[0]).isEqualTo(first % 2);
    }
    // The scale is not in the file.
    autoencoder.scale(1);
    rewrite(Map.of("mean", manager.full(new Shape(PICTURES, 2, 4, 4), 3f)));
    NDArray read = builder().cache(file()).build().get(manager, 4).getData().head();
    assertThat(read.toFloatArray()).containsOnly(3f);
  }

  @Test
  void cache_ofAnotherAutoencoder_refused() throws IOException {
    builder().cache(file()).build();
    byte[] before = Files.readAllBytes(file());
    String was = autoencoder.weighted().digest();
    NDArray weight = autoencoder.weights().get("encoder.conv_in.bias");
    weight.set(new float[] {1e-6f, 0, 0, 0});
    assertThatThrownBy(() -> builder().cache(file()).build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            file()
                + " was made by another autoencoder, or other weights of it: ddpm4j.autoencoder is "
                + was
                + " there, and "
                + autoencoder.weighted().digest()
                + " here; delete it to encode the pictures anew, or name another file");
    assertThat(Files.readAllBytes(file())).isEqualTo(before);
  }

  private void assertRefused(Autoencoder other, String why) {
    LatentDataset.Builder builder =
        LatentDataset.builder(other, pictures).cache(file()).setSampling(4, true);
    assertThatThrownBy(builder::build)
        .isInstanceOf(IOException.class)
        .hasMessage(
            file()
                + " was made "
                + why
                + "; delete it to encode the pictures anew, or name another file");
  }

  /** The same weights encode otherwise. */
  @Test
  void cache_encodedInAnotherWay_refused() throws IOException {
    builder().cache(file()).build();
    try (Autoencoder other = Halves.autoencoder().groups(4).build()) {
      assertThat(other.weighted().digest()).isEqualTo(autoencoder.weighted().digest());
      assertRefused(
          other,
          "by an autoencoder of another configuration: ddpm4j.configuration.norm_num_groups is 2"
              + " there, and 4 here");
    }
    autoencoder.runAs(UNet.Execution.COMPILED, UNet.Precision.BFLOAT16);
    assertRefused(
        autoencoder, "in another precision: ddpm4j.precision is FLOAT32 there, and BFLOAT16 here");
    autoencoder.runAs(UNet.Execution.EAGER, UNet.Precision.FLOAT32);
    autoencoder.tiles(8); // of which the pictures are one
    builder().cache(file()).build();
    autoencoder.runAs(UNet.Execution.COMPILED, UNet.Precision.FLOAT32);
    autoencoder.hold(UNet.Precision.BFLOAT16);
    assertThatThrownBy(() -> builder().cache(file()).build())
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "the weights of the autoencoder are held in BFLOAT16, for use alone; call"
                + " hold(Precision.FLOAT32) first");
    autoencoder.hold(UNet.Precision.FLOAT32); // rounded
    assertThatThrownBy(() -> builder().cache(file()).build())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("was made by another autoencoder, or other weights of it");
  }

  @Test
  void cache_ofOtherTiles_refused() throws IOException {
    ArrayDataset large =
        new ArrayDataset.Builder()
            .setData(manager.zeros(new Shape(1, 1, 32, 32)))
            .setSampling(1, true)
            .build();
    LatentDataset.Builder builder =
        LatentDataset.builder(autoencoder, large).cache(file()).setSampling(1, true);
    autoencoder.tiles(8);
    builder.build();
    builder.build();
    for (int side : new int[] {12, 0}) {
      autoencoder.tiles(side);
      assertThatThrownBy(builder::build)
          .isInstanceOf(IOException.class)
          .hasMessage(
              file()
                  + " was made with other tiles: ddpm4j.tiles is 8 there, and "
                  + side
                  + " here; delete it to encode the pictures anew, or name another file");
    }
    assertThat(Safetensors.metadata(file()))
        .doesNotContainKey("ddpm4j.configuration.scaling_factor");
  }

  @Test
  void cache_ofOtherPictures_refused() throws IOException {
    builder().cache(file()).build();
    ArrayDataset fewer = Halves.dataset(manager, 8, 4);
    assertThatThrownBy(
            () ->
                LatentDataset.builder(autoencoder, fewer)
                    .cache(file())
                    .setSampling(4, true)
                    .build())
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            "\\Q"
                + file()
                + " was made of other pictures: ddpm4j.data is 10 records, sample \\E[0-9a-f]{16}"
                + " there, and 8 records, sample [0-9a-f]{16} here; delete it to encode the"
                + " pictures anew, or name another file");
  }

  @Test
  void cache_somethingElseOrDamaged_refused() throws IOException {
    Safetensors.write(file(), Map.of("mean", manager.ones(new Shape(1))), Map.of());
    assertThatThrownBy(() -> builder().cache(file()).build())
        .hasMessage(
            file()
                + " holds no latents of a dataset: it does not say ddpm4j.autoencoder; name another"
                + " file");
    Files.delete(file());
    builder().cache(file()).build();
    rewrite(Map.of("log_variance", manager.ones(new Shape(PICTURES, 2, 4, 5))));
    assertThatThrownBy(() -> builder().cache(file()).build())
        .isInstanceOf(IOException.class)
        .hasMessage(
            file() + " is damaged: its tensors are not those of latents of a dataset; delete it");
  }

  /* ---------------- What cannot be ---------------- */

  @Test
  void build_withoutSampling_refused() {
    assertThatThrownBy(() -> LatentDataset.builder(autoencoder, pictures).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the batch size is not set; call setSampling(batchSize, true)");
  }

  @Test
  void build_picturesThatChange_refused() {
    LatentDataset drawn;
    try {
      drawn = builder().build();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    assertThatThrownBy(() -> LatentDataset.builder(autoencoder, drawn).setSampling(4, true).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "pictures are encoded once, so they must be the same each time they are read, but the"
                + " dataset changes them at random (seed 7: draws of latents); build it without");
  }

  @Test
  void build_severalLabels_refused() {
    ArrayDataset two =
        new ArrayDataset.Builder()
            .setData(Halves.pictures(manager, 4, 1))
            .optLabels(manager.zeros(new Shape(4, 3)))
            .setSampling(4, true)
            .build();
    assertThatThrownBy(() -> LatentDataset.builder(autoencoder, two).setSampling(4, true).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "labels of pictures that are encoded must be one whole number each, but those of image"
                + " 0 of the dataset are 1 array of float32 of shape (1, 3); leave them out, and"
                + " give conditions by training().condition(...)");
  }

  /** A book of codes has no variance: the latents are always the same. */
  @Test
  void build_ofABookOfCodes_drawsNothing() throws Exception {
    PartFixture fixture = PartFixture.read("vq", manager);
    fixture.config.put("_class_name", "VQModel");
    NDArray images = fixture.value("input").clip(-1, 1);
    ArrayDataset data = new ArrayDataset.Builder().setData(images).setSampling(1, true).build();
    Path file = folder.resolve("vq.safetensors");
    try (Autoencoder vq =
            Autoencoder.load(fixture.write(folder, "diffusion_pytorch_model.safetensors"));
        Autoencoder.Latents latents = vq.encode(images)) {
      for (int i = 0; i < 2; i++) {
        LatentDataset own =
            LatentDataset.builder(vq, data).cache(file).setSampling(1, true).build();
        assertThat(own.augmentation()).isEmpty();
        SeededSampler order = new SeededSampler(1, 1, 1, i);
        try (Batch batch = own.getData(manager, order).iterator().next()) {
          NDArray drawn = batch.getData().head();
          PartFixture.assertClose(drawn, latents.mode().get("0:1"), 1e-5);
          assertThat(batch.getLabels()).isEmpty();
        }
      }
    }
  }
}
