package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole way: an autoencoder, a network of its latents by class, pictures, and the folder. */
class LatentTrainingTest {

  private static final int STEPS = 150;

  private static final NDManager manager = NDManager.newBaseManager();
  private static final Autoencoder autoencoder = Halves.autoencoder().build();
  private static UNet network;
  private static TrainedModel trained;

  @TempDir private Path folder;

  private static UNetBuilder network(int channels) {
    return UNet.builder()
        .image(channels, 4, 4)
        .baseChannels(16)
        .channelMultipliers(1)
        .residualBlocks(1)
        .groups(4)
        .dropout(0)
        .classes(2)
        .seed(2);
  }

  private static DDPM.Builder ddpm(UNet unet) {
    return DDPM.builder().schedule(Schedules.cosine(100)).denoiser(unet);
  }

  @BeforeAll
  static void train() throws IOException {
    var pictures = Halves.dataset(manager, 64, 32);
    autoencoder.training().steps(60).learningRate(1e-2).seed(1).fit(pictures);
    LatentDataset latents =
        LatentDataset.builder(autoencoder, pictures).setSampling(32, true).build();
    network = network(2).build();
    trained =
        ddpm(network)
            .clip(false)
            .build()
            .training()
            .anyRange()
            .steps(STEPS)
            .learningRate(5e-3)
            .ema(0.9)
            .conditionDropout(0.1)
            .seed(1)
            .fit(latents);
  }

  @AfterAll
  static void close() {
    trained.close();
    network.close();
    autoencoder.close();
    manager.close();
  }

  /** Half of the pictures, in the mean: bright on the left less bright on the right. */
  private static float leftMinusRight(NDArray pictures, String rows) {
    NDArray some = pictures.get(rows);
    int half = Halves.SIDE / 2;
    NDArray left = some.get("..., 0:{}", half);
    NDArray right = some.get("..., {}:{}", half, Halves.SIDE);
    return left.mean().getFloat() - right.mean().getFloat();
  }

  @Test
  void train_onLatents_lossFalls() {
    double[] losses = trained.losses().toArray();
    double before = 0;
    for (int i = 0; i < 10; i++) {
      before += losses[i] / 10;
    }
    assertThat(trained.losses().mean(20)).isLessThan(0.6 * before);
    assertThat(trained.ddpm().provenance())
        .containsEntry("data", "64 records, seed 0: draws of latents");
  }

  @Test
  void labels_guided_picturesOfTheClass() {
    try (LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), autoencoder);
        Samples samples =
            model
                .drawing()
                .labels(0, 1)
                .guidance(2)
                .sampler(Samplers.ddim(10))
                .seed(1)
                .generate(4)) {
      NDArray pictures = samples.toNDArray(manager);
      assertThat(pictures.getShape().getShape()).containsExactly(8, 1, 8, 8);
      assertThat(leftMinusRight(pictures, "0:4")).isGreaterThan(Halves.BRIGHT);
      assertThat(leftMinusRight(pictures, "4:8")).isLessThan(-Halves.BRIGHT);
      assertThat(samples.provenance(5)).containsEntry("label", "1").containsEntry("seed", "1");
      assertThat(samples.provenance(5)).doesNotContainKey("model");
      assertThat(samples.provenance(5).get("guidance")).contains("2");
    }
  }

  @Test
  void save_andLoad_thePictures() throws IOException {
    Path saved = folder.resolve("models").resolve("latent");
    try (LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), autoencoder)) {
      model.save(saved);
      model.save(saved);
      try (Stream<Path> beside = Files.list(folder.resolve("models"))) {
        assertThat(beside).containsExactly(saved);
      }
      try (LatentDiffusion loaded = LatentDiffusion.load(saved);
          Samples own = model.drawing().labels(1).steps(5).seed(3).generate(2);
          Samples same = loaded.drawing().labels(1).steps(5).seed(3).generate(2)) {
        assertThat(same.toNDArray(manager).toFloatArray())
            .isEqualTo(own.toNDArray(manager).toFloatArray());
        assertThat(loaded.sampler(5)).hasToString(model.sampler(5).toString());
        assertThat(loaded.autoencoder().scale()).isEqualTo(autoencoder.scale());
        assertThat(same.provenance(0)).containsEntry("model", "latent");
        // A picture goes in, and comes out near what it was.
        NDArray x = Halves.pictures(manager, 2, 9);
        try (Samples near = loaded.drawing().labels(0, 1).steps(10).imageToImage(x, 0.2)) {
          assertThat(near.toNDArray(manager).sub(x).square().mean().getFloat()).isLessThan(0.2f);
        }
      }
      Files.createFile(saved.resolve("notes.txt"));
      assertThatThrownBy(() -> model.save(saved))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              saved
                  + ": it holds notes.txt, which is no part of a model that was saved there; choose"
                  + " another folder");
    }
  }

  @Test
  void save_whatDiffusersHasNot_nothingIsLeft() throws IOException {
    DDPM ranged = ddpm(network).dataRange(-2, 2).clip(false).build();
    try (LatentDiffusion model = LatentDiffusion.of(ranged, autoencoder)) {
      assertThatThrownBy(() -> model.save(folder.resolve("ranged")))
          .isInstanceOf(IllegalArgumentException.class);
    }
    try (Autoencoder broken = Halves.autoencoder().build();
        LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), broken)) {
      broken.weights().get("quant_conv.bias").set(new float[] {0, 0, 0, Float.NaN});
      // The network is written before.
      assertThatThrownBy(() -> model.save(folder.resolve("broken")))
          .isInstanceOf(IllegalStateException.class);
    }
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
    try (TextToImage text = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
      assertThatThrownBy(() -> text.latentDiffusion().save(folder.resolve("text")))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "a StableDiffusionPipeline has parts that are not here: save it by"
                  + " TextToImage.save(folder)");
      assertThatThrownBy(() -> text.prompt("a").labels(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("this model was trained without classes, so it takes no labels");
    }
  }

  @Test
  void of_whatDoesNotGoTogether_refused() {
    assertThatThrownBy(() -> LatentDiffusion.of(ddpm(network).build(), autoencoder))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the model clips x̂_0 to [-1.0, 1.0], which latents are not held in; build it with"
                + " DDPM.builder().clip(false)");
    try (UNet other = network(3).build();
        UNet seeing = network(2).vectorCondition(4).build()) {
      assertThatThrownBy(() -> LatentDiffusion.of(ddpm(other).clip(false).build(), autoencoder))
          .hasMessage(
              "the model draws latents of 3 channels, but the autoencoder decodes those of 2: they"
                  + " do not belong together");
      assertThatThrownBy(() -> LatentDiffusion.of(ddpm(seeing).clip(false).build(), autoencoder))
          .hasMessage(
              "the network must see nothing beside latents but classes, but it sees [labels,"
                  + " vectors]; draw latents by ddpm.sampling(), and decode them");
    }
  }

  @Test
  void labels_whatCannotBe_refused() {
    try (LatentDiffusion model = LatentDiffusion.of(trained.ddpm(), autoencoder)) {
      Drawing drawing = model.drawing();
      assertThatThrownBy(() -> drawing.labels())
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("labels must be at least 1, but were 0");
      assertThatThrownBy(() -> drawing.labels(0, 2))
          .hasMessage("labels must be in [0, 2), the classes of the model, but one was 2");
      NDArray x = Halves.pictures(manager, 2, 9);
      assertThatThrownBy(() -> model.drawing().labels(0, 1, 1).imageToImage(x, 0.5))
          .hasMessage("labels must be 1 for all pictures or one for each of the 2, but were 3");
      assertThatThrownBy(() -> model.drawing().labels(0, 1).variations(0, 0.5, 2))
          .hasMessage("pictures between others are of one label, but there were 2");
      for (Samples way :
          List.of(
              model.drawing().labels(1).steps(5).seed(1).interpolate(0, 1),
              model.drawing().labels(1).steps(5).seed(1).generate(1))) {
        assertThat(leftMinusRight(way.toNDArray(manager), "0:1")).isNegative();
        way.close();
      }
    }
  }
}
