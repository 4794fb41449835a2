package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.modality.cv.transform.ToTensor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import ai.djl.training.dataset.RandomAccessDataset;
import ai.djl.training.dataset.Record;
import ai.djl.util.Progress;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.data.ArrayFiles;
import io.github.ddpm4j.data.CifarFiles;
import io.github.ddpm4j.data.DataDoctor;
import io.github.ddpm4j.data.Faces;
import io.github.ddpm4j.data.Normalization;
import io.github.ddpm4j.data.PictureDataset;
import io.github.ddpm4j.data.PictureFolder;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.report.TrainingReport;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java snippets of docs/data.md and docs/TOUR.md, and README's about pictures and reports. */
class DataSnippetsTest {

  private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Path SOURCE =
      Path.of("src/test/java/io/github/ddpm4j/examples/DataSnippetsTest.java");

  @TempDir private Path folder;

  static void yourOwnPictures() throws IOException {
    PictureFolder photos =
        PictureFolder.builder(Path.of("photos"), new Shape(3, 64, 64))
            .setSampling(16, true)
            .horizontalFlips()
            .build();
    try (UNet unet = UNet.builder().image(3, 64, 64).classes(photos.classNames().size()).build()) {
      DDPM ddpm = DDPM.builder().classNames(photos.classNames()).denoiser(unet).build();
      try (TrainedModel trained =
          ddpm.training().steps(100_000).conditionDropout(0.1).fit(photos)) {
        trained.ddpm().save(Path.of("photos-model"));
      }
    }
    photos.brokenFiles().forEach(System.out::println);
  }

  static TrainedModel vectors(NDManager manager, float[] points) {
    NDArray spiral = manager.create(points, new Shape(points.length / 2, 2)); // pairs in [−1, 1]
    Dataset data = new ArrayDataset.Builder().setData(spiral).setSampling(250, true).build();
    DenseNetwork network = new DenseNetwork(2, 128); // its images: (2, 1, 1)
    DDPM ddpm = DDPM.builder().schedule(Schedules.cosine(50)).denoiser(network).build();
    TrainedModel trained = ddpm.training().steps(6000).learningRate(2e-3).ema(0.995).fit(data);
    return trained;
  }

  static PictureFolder folder() throws IOException {
    PictureFolder photos =
        PictureFolder.builder(Path.of("photos"), new Shape(3, 64, 64))
            .setSampling(16, true)
            .fit(PictureFolder.Fit.RANDOM_CROP) // or CENTRE_CROP, the default, PAD, STRETCH
            .horizontalFlips()
            .shifts(2)
            .cacheInFile(Path.of("cache"), 4L << 30)
            .build();
    return photos;
  }

  static DDPM normalized(UNet network) throws IOException {
    PictureFolder photos =
        PictureFolder.builder(Path.of("photos"), new Shape(3, 64, 64))
            .setSampling(16, true)
            .normalization(Normalization.IMAGENET)
            .build();
    DDPM ddpm = DDPM.builder().dataRange(photos.normalization().range()).denoiser(network).build();
    return ddpm;
  }

  static void doctor() throws IOException {
    System.out.println(DataDoctor.examine(Path.of("photos"), new Shape(3, 64, 64)));
  }

  static PictureDataset published() throws IOException {
    PictureDataset cifar10 =
        CifarFiles.cifar10Training(Path.of("cifar-10-binary.tar.gz"))
            .setSampling(128, true)
            .horizontalFlips()
            .build();
    return cifar10;
  }

  static ArrayDataset arrays(NDManager manager) throws IOException {
    ArrayDataset images =
        ArrayFiles.dataset(Path.of("images.npz"), manager).setSampling(128, true).build();
    return images;
  }

  static Dataset ofDjl(Gradients.Builder builder) {
    Dataset dataset =
        builder // Cifar10.builder(), or that of any RandomAccessDataset
            .setSampling(32, true)
            .addTransform(new ToTensor())
            .addTransform(image -> image.mul(2).sub(1))
            .build();
    return dataset;
  }

  static void portraits(Training training) {
    Faces faces = Faces.builder(50_000).seed(1).hidden(0.3).setSampling(64, true).build();
    training.condition((images, labels) -> Condition.vectors(labels.head())).fit(faces);
  }

  static void watched(DDPM ddpm, Training training) {
    training.listener(
        TrainingReport.of(ddpm, Path.of("report.html"))
            .samples(500, 8, 64, s -> s.sampler(Samplers.ddim(50))));
  }

  @Test
  void documents_holdTheseSnippets() throws IOException {
    String source = squeezed(Files.readString(SOURCE));
    List<String> found =
        Stream.concat(
                Stream.concat(
                    snippets(Path.of("../docs/data.md")), snippets(Path.of("../docs/TOUR.md"))),
                snippets(Path.of("../README.md"))
                    .filter(
                        snippet ->
                            snippet.contains("PictureFolder")
                                || snippet.contains("TrainingReport")))
            .toList();
    assertThat(found).hasSize(10);
    assertThat(found).allSatisfy(snippet -> assertThat(source).contains(squeezed(snippet)));
  }

  private static Stream<String> snippets(Path page) throws IOException {
    Matcher snippets = SNIPPET.matcher(Files.readString(page));
    return snippets.results().map(result -> result.group(1)).toList().stream();
  }

  private static String squeezed(String code) {
    return code.replaceAll("\\s+", "");
  }

  /** As basicdataset has them: bytes (H, W, C), of a builder of DJL's kind. */
  static final class Gradients extends RandomAccessDataset {

    private Gradients(Builder builder) {
      super(builder);
    }

    @Override
    public Record get(NDManager manager, long index) {
      NDArray levels = manager.arange(16).mul(17).sub(index).clip(0, 255).reshape(4, 4, 1);
      return new Record(
          new NDList(levels.toType(DataType.UINT8, false)), new NDList(manager.create(index % 2)));
    }

    @Override
    protected long availableSize() {
      return 64;
    }

    @Override
    public void prepare(@Nullable Progress progress) {}

    static final class Builder extends BaseBuilder<Builder> {
      @Override
      protected Builder self() {
        return this;
      }

      Gradients build() {
        return new Gradients(this);
      }
    }
  }

  private static UNet tiny(int classes) {
    return UNet.builder()
        .image(1, 4, 4)
        .baseChannels(4)
        .channelMultipliers(1)
        .residualBlocks(1)
        .groups(2)
        .classes(classes)
        .seed(1)
        .build();
  }

  /** The transforms bring it to the range, and the batch size is that of setSampling. */
  @Test
  void datasetOfDjl_isTrainedOn() {
    try (UNet unet = tiny(2)) {
      DDPM ddpm = DDPM.builder().timesteps(10).denoiser(unet).build();
      try (TrainedModel trained = ddpm.training().epochs(1).fit(ofDjl(new Gradients.Builder()))) {
        assertThat(trained.losses().steps()).isEqualTo(2);
      }
    }
  }

  /** The U-Net takes signals as docs/data.md has it. */
  @Test
  void signals_areTakenByAUNetOfOneLevel() {
    try (NDManager manager = NDManager.newBaseManager();
        UNet unet =
            UNet.builder()
                .image(2, 1, 8)
                .baseChannels(4)
                .channelMultipliers(1)
                .residualBlocks(1)
                .groups(2)
                .build()) {
      Dataset data =
          new ArrayDataset.Builder()
              .setData(manager.zeros(new Shape(4, 2, 8)))
              .setSampling(2, true)
              .build();
      DDPM ddpm = DDPM.builder().timesteps(10).denoiser(unet).build();
      try (TrainedModel trained = ddpm.training().steps(2).anyRange().seed(1).fit(data);
          Samples samples =
              trained.ddpm().sampling().sampler(Samplers.ddim(2)).seed(1).generate(3)) {
        assertThat(samples.toNDArray(manager).getShape()).isEqualTo(new Shape(3, 2, 1, 8));
      }
    }
  }

  /** From pictures to samples by class, as README has it, in small. */
  @Test
  void ownPictures_areDrawnByTheNamesOfTheirClasses() throws Exception {
    try (NDManager manager = NDManager.newBaseManager()) {
      for (String name : new String[] {"dark", "light"}) {
        for (int i = 0; i < 4; i++) {
          NDArray picture = manager.full(new Shape(1, 5, 6), name.equals("dark") ? -1f : 1f);
          Pictures.of(picture).gap(0).save(folder.resolve(name).resolve(i + ".png"));
        }
      }
    }
    Files.writeString(folder.resolve("dark/broken.png"), "no picture");
    PictureFolder photos =
        PictureFolder.builder(folder, new Shape(1, 4, 4)).setSampling(8, true).build();
    try (UNet unet = tiny(photos.classNames().size())) {
      DDPM ddpm =
          DDPM.builder().timesteps(10).classNames(photos.classNames()).denoiser(unet).build();
      try (TrainedModel trained =
          ddpm.training().steps(3).conditionDropout(0.1).seed(1).fit(photos)) {
        trained.ddpm().save(folder.resolve("model"));
      }
    }
    assertThat(photos.brokenFiles()).hasSize(1);
    try (DDPM model = DDPM.load(folder.resolve("model"));
        Samples samples =
            model
                .sampling()
                .sampler(Samplers.ddim(2))
                .condition(Condition.labels(model.classNames().indexOf("light")))
                .seed(1)
                .generate(1)) {
      assertThat(model.classNames()).containsExactly("dark", "light");
      assertThat(samples.size()).isEqualTo(1);
    }
  }
}
