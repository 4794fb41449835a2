package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Measurement;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.TimestepSpacing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every Java snippet of docs/uses.md is compiled and run: it stands here, word for word. */
class UsesSnippetsTest {

  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/unet/UsesSnippetsTest.java");

  private final NDManager manager = NDManager.newBaseManager();
  private final UNet unet = tiny().build();
  private final DDPM ddpm = DDPM.builder().timesteps(1000).denoiser(unet).build();

  private static UNetBuilder tiny() {
    return UNet.builder()
        .image(1, 4, 4)
        .baseChannels(4)
        .channelMultipliers(1)
        .residualBlocks(1)
        .groups(2)
        .seed(1);
  }

  @AfterEach
  void close() {
    unet.close();
    manager.close();
  }

  static List<SamplingRun> goingOn(List<SamplingRun> runs) {
    List<SamplingRun> going = runs.stream().filter(SamplingRun::hasNext).toList();
    return going;
  }

  static Samples interpolateLatents(DDPM ddpm, NDArray from, NDArray to) {
    Sampler back = Samplers.ddim(100).spacing(TimestepSpacing.TRAILING);
    NDArray ends = NDArrays.stack(new NDList(from, to)); // (2, C, H, W)
    try (Samples encoded = ddpm.sampling().encode(ends, 100)) {
      NDArray xT = encoded.toNDArray(ends.getManager());
      return ddpm.sampling()
          .sampler(back)
          .interpolateLatents(xT.get(0), xT.get(1), 0, 0.25, 0.5, 0.75, 1);
    }
  }

  static Samples measured(DDPM ddpm, NDArray y, int count) {
    Measurement small = Measurement.of(Measurement.averages(2), y, 0.05); // y: (N, C, H / 2, W / 2)
    return ddpm.sampling()
        .sampler(Samplers.ddim(100).eta(1))
        .guidance(Guidance.posterior(small).interval(0, 3))
        .generate(count);
  }

  static Samples interpolate(DDPM ddpm, NDArray from, NDArray to) {
    // 499: noised by 500 of the 1000 steps
    return ddpm.sampling()
        .sampler(Samplers.ddim(50))
        .seed(1)
        .interpolate(from, to, 499, 0, 0.25, 0.5, 0.75, 1);
  }

  static Samples inpaint(DDPM ddpm, NDArray images, NDArray mask) {
    // mask: (1, 1, H, W) or (N, 1, H, W), 1 where a pixel is known
    Sampler sampler = Samplers.resampling(Samplers.ddim(100).eta(1), 10, 10);
    return ddpm.sampling().sampler(sampler).seed(1).inpaint(images, mask);
  }

  static Samples imageToImage(DDPM ddpm, NDArray images) {
    return ddpm.sampling().sampler(Samplers.ddim(100).eta(1)).seed(1).imageToImage(images, 0.3);
  }

  static Samples sharing(DDPM ddpm) {
    return ddpm.sampling().sampler(Samplers.ddim(100).eta(1)).seed(3).generateSharing(499, 10);
  }

  static Samples encodeAndDecode(DDPM ddpm, NDArray images) {
    try (Samples encoded = ddpm.sampling().encode(images, 200)) {
      NDArray xT = encoded.toNDArray(images.getManager());
      return ddpm.sampling()
          .sampler(Samplers.ddim(200).spacing(TimestepSpacing.TRAILING))
          .decode(xT);
    }
  }

  static TrainedModel superResolution(
      UNet unet, UnaryOperator<NDArray> coarse, Dataset dataset, int steps) {
    // unet: built with imageCondition(1); coarse: made small and large again, (N, 1, H, W)
    DDPM ddpm = DDPM.builder().denoiser(unet).build();
    return ddpm.training()
        .steps(steps)
        .condition((images, labels) -> Condition.images(coarse.apply(images)))
        .fit(dataset);
  }

  static Samples enlarge(DDPM ddpm, NDArray coarse, int count) {
    return ddpm.sampling().condition(Condition.images(coarse)).seed(1).generate(count);
  }

  static Samples stepByStep(DDPM ddpm, NDArray images, Consumer<NDArray> preview, Path file)
      throws IOException {
    try (SamplingRun run = ddpm.sampling().seed(1).startImageToImage(images, 0.3)) {
      while (run.hasNext()) {
        preview.accept(run.next().predictedX0());
        if (run.step() == 100) {
          run.save(file); // startImageToImage(images, 0.3).restore(file) goes on from here
        }
      }
      return run.finish();
    }
  }

  private void assertImages(Samples samples, int count) {
    try (samples;
        NDArray images = samples.toNDArray(manager)) {
      assertThat(images.getShape()).isEqualTo(new Shape(count, 1, 4, 4));
    }
  }

  @Test
  void document_holdsTheseSnippets() throws IOException {
    String source = SnippetsTest.squeezed(Files.readString(SOURCE));
    List<String> found = SnippetsTest.snippets(Path.of("../docs/uses.md"));
    assertThat(found).hasSize(11);
    assertThat(found)
        .allSatisfy(snippet -> assertThat(source).contains(SnippetsTest.squeezed(snippet)));
  }

  @Test
  void snippets_run(@TempDir Path folder) throws IOException {
    NDArray images = manager.randomUniform(-1, 1, new Shape(3, 1, 4, 4), DataType.FLOAT32);
    assertImages(interpolateLatents(ddpm, images.get(0), images.get(1)), 5);
    assertImages(interpolate(ddpm, images.get(0), images.get(1)), 5);
    assertImages(inpaint(ddpm, images, manager.ones(new Shape(1, 1, 4, 4))), 3);
    assertImages(imageToImage(ddpm, images), 3);
    assertImages(sharing(ddpm), 10);
    assertImages(measured(ddpm, manager.zeros(new Shape(2, 1, 2, 2)), 2), 2);
    assertImages(encodeAndDecode(ddpm, images), 3);
    Path file = folder.resolve("run.safetensors");
    int[] previews = {0};
    assertImages(stepByStep(ddpm, images, x0 -> previews[0]++, file), 3);
    assertThat(previews[0]).isEqualTo(300);
    try (SamplingRun run = ddpm.sampling().seed(1).startImageToImage(images, 0.3).restore(file)) {
      assertThat(run.step()).isEqualTo(100);
    }
  }

  @Test
  void superResolution_runs() {
    NDArray images = manager.randomUniform(-1, 1, new Shape(128, 1, 4, 4), DataType.FLOAT32);
    Dataset dataset = new ArrayDataset.Builder().setData(images).setSampling(128, true).build();
    try (UNet conditional = tiny().imageCondition(1).build();
        TrainedModel result = superResolution(conditional, batch -> batch.mul(0.5), dataset, 2)) {
      assertImages(enlarge(result.ddpm(), images.get(":2"), 2), 2);
    }
  }
}
