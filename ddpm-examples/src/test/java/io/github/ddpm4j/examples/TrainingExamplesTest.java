package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.CifarFiles;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.Normalization;
import io.github.ddpm4j.data.PictureDataset;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.latent.LatentDiffusion;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.UNetBuilder;
import java.awt.image.BufferedImage;
import java.io.DataOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The mains that train. */
class TrainingExamplesTest {

  @TempDir private Path folder;

  @Test
  void autoguidance_short_printsARowPerWorseModelAndScale() {
    List<String> lines = Autoguidance.run(4, 2, 100, 2).lines().toList();
    assertThat(lines).hasSize(2 + 3 + 8);
    assertThat(lines.get(0)).isEqualTo("| guidance | MMD | like real | precision | recall |");
    assertThat(lines.get(2)).startsWith("| the network alone | ").matches("(.* ± .*){4}");
    assertThat(lines.get(12)).startsWith("| away from half the channels, 3.0 | ");
  }

  @Test
  void conditionalDigits_short_writesARowPerClassAndTheModel() throws Exception {
    String out = Printed.by(() -> ConditionalDigits.run(folder, 3, 2));

    assertThat(out)
        .containsPattern("\\d+ of 160 digits are what was asked for\\.")
        .contains(folder.resolve("digits.png").toString());
    BufferedImage picture = ImageIO.read(folder.resolve("digits.png").toFile());
    assertThat(picture.getWidth()).isEqualTo(16 * 50 + 2);
    assertThat(picture.getHeight()).isEqualTo(10 * 50 + 2);
    try (DDPM model = DDPM.load(folder.resolve("model"))) {
      assertThat(model.denoiser().orElseThrow().conditionKinds())
          .containsExactly(Condition.Kind.LABELS);
      assertThat(model.provenance()).containsEntry("conditionDropout", 0.1);
    }
  }

  @Test
  void trainLatent_short_writesARowPerClassAndTheModel() throws Exception {
    String out =
        Printed.by(() -> TrainLatent.run(Digits.load().training().slice(0, 128), folder, 2, 3, 2));

    assertThat(out)
        .containsPattern("\\rStep\\[number=2, loss=\\d\\.\\d+, squaredError=")
        .containsPattern("\\d+ of 160 are what was asked for: ")
        .contains(folder.resolve("drawn.png").toString());
    BufferedImage picture = ImageIO.read(folder.resolve("drawn.png").toFile());
    assertThat(picture.getWidth()).isEqualTo(16 * 34 + 2);
    assertThat(picture.getHeight()).isEqualTo(10 * 34 + 2);
    try (LatentDiffusion model = LatentDiffusion.load(folder.resolve("model"))) {
      assertThat(model.autoencoder().latentChannels()).isEqualTo(4);
      assertThat(model.autoencoder().scale()).isNotEqualTo(1);
      assertThat(model.ddpm().denoiser(UNet.class).config().classes()).isEqualTo(10);
    }
  }

  @Test
  void tuneDigits_short_hasARowPerSampler_andItsCost() {
    List<String> lines = TuneDigits.run(2, 2, 2, 20).lines().toList();

    assertThat(lines).hasSize(2 + 6 + 2);
    assertThat(lines.get(2)).matches("\\| - \\| real images \\|( -?\\d\\.\\d+ \\|){4} - \\|");
    String figures = "( -?\\d\\.\\d+ ± \\d\\.\\d+ \\|){4} \\d+\\.\\d \\|";
    List<String> samplers =
        List.of(
            "15 \\| ddim:15",
            "50 \\| ddim:50",
            "1 \\| consistency:1",
            "2 \\| consistency:2",
            "4 \\| consistency:4");
    for (int i = 0; i < samplers.size(); i++) {
      assertThat(lines.get(3 + i)).matches("\\| " + samplers.get(i) + " \\|" + figures);
    }
    assertThat(lines.get(9)).matches("Tuning took \\d+\\.\\d\\d of the time of training\\.");
  }

  @Test
  void superResolution_short_writesPictureAndTable() throws Exception {
    Path file = folder.resolve("new/digits.png");
    String out = Printed.by(() -> SuperResolution.run(file, 3, 2, 2));

    // A mean of pixels that takes the place of each of them: as numpy has it.
    assertThat(out)
        .contains("pixels repeated: PSNR 13.08 dB")
        .containsPattern("drawn by seed 1: PSNR -?\\d+\\.\\d+ dB")
        .containsPattern("mean of them: PSNR -?\\d+\\.\\d+ dB")
        .contains(file.toString());
    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth()).isBetween(12 * 50 + 2, 12 * 50 + 142);
    assertThat(picture.getHeight()).isEqualTo(5 * 50 + 2);
  }

  @Test
  void trainFashionMnist_short_writesReportAndModel() throws Exception {
    writeData();
    Path out = folder.resolve("out");
    String printed =
        Printed.by(() -> TrainFashionMnist.run(IdxFiles.training(folder), 1, out, 3, 4, 8));
    assertThat(printed).contains(out.toString());
    // A row of eight for the one class of the data.
    assertThat(out.resolve("report.html"))
        .content()
        .contains("<strong>finished</strong> 3 of 3 steps")
        .contains(
            "alt=\"Samples after step 3\" data-step=\"3\" width=\"" + 2 * (8 * 29 + 1) + "\"");
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.provenance())
          .containsEntry("batchSize", 4L)
          .containsEntry("conditionDropout", 0.2);
    }
    // Started again, it finds itself done, and says so by writing the same model.
    Printed.by(() -> TrainFashionMnist.run(IdxFiles.training(folder), 1, out, 3, 4, 8));
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.provenance()).containsEntry("steps", 3L);
    }
  }

  @Test
  void trainFaces_short_leavesGlassesUnderHatsOut() throws Exception {
    Path out = folder.resolve("faces");
    String printed = Printed.by(() -> TrainFaces.run(out, 2, 4, 8, 8, 8));
    assertThat(printed).contains(out.toString());
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.provenance())
          .containsEntry("data", "8 records, faces of seed 1, 0.3 of attributes hidden")
          .containsEntry("conditionDropout", 0.1);
    }
    long both =
        LongStream.range(0, 200).filter(i -> FaceSets.glassesUnderHat(Face.of(1, i))).count();
    assertThat(both).isBetween(5L, 30L);
  }

  @Test
  void trainPictures_ofAFolder_goesOnAndListsWhatIsBroken() throws Exception {
    Path pictures = Files.createDirectory(folder.resolve("pictures"));
    Random random = new Random(1);
    for (int i = 0; i < 6; i++) {
      BufferedImage picture = new BufferedImage(20 + i, 30, BufferedImage.TYPE_INT_RGB);
      picture.getRaster().setPixel(3, 4, new int[] {random.nextInt(256), 200, 0});
      ImageIO.write(picture, "png", pictures.resolve(i + ".png").toFile());
    }
    Files.writeString(pictures.resolve("broken.png"), "no picture");
    Path out = folder.resolve("out");
    for (int steps : new int[] {2, 2}) {
      UNetBuilder network = UNet.builder().image(3, 8, 8).baseChannels(4).groups(2);
      network.channelMultipliers(1).residualBlocks(1);
      String printed = Printed.by(() -> TrainPictures.run(pictures, out, network, 8, steps, 2, 3));
      assertThat(printed).contains("broken.png").contains(out.toString());
    }
    assertThat(out.resolve("report.html")).content().contains("data:image/png");
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.prediction()).isEqualTo(Prediction.VELOCITY);
      assertThat(model.provenance()).containsEntry("data", "6 records, seed 0: flips");
    }
  }

  @Test
  void conditionalMnist_short_writesAPictureAndAnAnimationForEachW() throws Exception {
    byte[] pixels = new byte[20 * 28 * 28];
    new Random(1).nextBytes(pixels);
    byte[] labels = new byte[20];
    for (int i = 0; i < labels.length; i++) {
      labels[i] = (byte) (i % 10);
    }
    write("train-images-idx3-ubyte.gz", new int[] {0x803, 20, 28, 28}, pixels);
    write("train-labels-idx1-ubyte.gz", new int[] {0x801, 20}, labels);
    Path out = folder.resolve("out");
    Printed.by(() -> ConditionalMnist.run(IdxFiles.training(folder), out, 8, 1, 10, 20));
    for (String w : List.of("w0.0", "w0.5", "w2.0")) {
      assertThat(ImageIO.read(out.resolve(w + ".png").toFile()).getWidth()).isGreaterThan(560);
      assertThat(out.resolve(w + ".gif")).isNotEmptyFile();
    }
  }

  @Test
  void labmlMnist_short_writesSamplesStripsAndAnimations() throws Exception {
    UNetBuilder network = UNet.builder().image(1, 32, 32).baseChannels(2).groups(2);
    network.channelMultipliers(1).residualBlocks(1);
    PictureDataset data =
        Digits.load()
            .training()
            .slice(0, 8)
            .pictures(32, 32)
            .normalization(new Normalization(List.of(0.0), List.of(1.0)))
            .setSampling(4, true)
            .build();
    Path out = folder.resolve("out");
    Printed.by(() -> LabmlMnist.run(data, out, network, 4, 2, 6));
    Printed.by(() -> LabmlEvaluation.run(Digits.load().training(), out));
    assertThat(out.resolve("samples-000002.png")).isNotEmptyFile();
    assertThat(out.resolve("samples-000004.png")).isNotEmptyFile();
    for (String name : List.of("sample", "interpolation")) {
      assertThat(frames(out.resolve(name + ".gif"))).isEqualTo(name.equals("sample") ? 6 : 21);
      BufferedImage strip = ImageIO.read(out.resolve(name + ".png").toFile());
      assertThat(strip.getHeight()).isEqualTo(4 * 32 + 4);
    }
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.dataRange()).isEqualTo(new DataRange(0, 1));
      assertThat(model.provenance()).containsEntry("steps", 4L).containsEntry("batchSize", 4L);
    }
  }

  @Test
  void spiral_short_animatesBothProcesses() throws Exception {
    Path file = folder.resolve("spiral.gif");
    assertThat(Printed.by(() -> Spiral.run(file, 2, 50))).contains(file.toString());
    assertThat(frames(file)).isEqualTo(50);
    BufferedImage first = ImageIO.read(file.toFile());
    // The spiral is still there on the left, and noise on the right.
    assertThat(bright(first, 0, 128)).isBetween(100, 700);
    assertThat(bright(first, 128, 256)).isGreaterThan(700);
  }

  @Test
  void generateHeartbeats_short_plotsRealAndDrawn() throws Exception {
    Path file = folder.resolve("heartbeats.png");
    assertThat(Printed.by(() -> GenerateHeartbeats.run(file, 2, 32))).contains(file.toString());
    BufferedImage plot = ImageIO.read(file.toFile());
    assertThat(plot.getWidth()).isEqualTo(4 * 320);
    assertThat(plot.getHeight()).isEqualTo(4 * 200);
  }

  /** About two beats in two seconds, with the highest peak R of each well above all else. */
  @Test
  void heartbeats_peaks_asHeartsBeat() {
    try (NDManager manager = NDManager.newBaseManager()) {
      float[] values = Heartbeats.signals(manager, 64, 256, 3).toFloatArray();
      int peaks = 0;
      for (int i = 1; i < values.length - 1; i++) {
        boolean inside = i % 256 != 0 && i % 256 != 255;
        peaks +=
            inside && values[i] > 0.35 && values[i] >= values[i - 1] && values[i] > values[i + 1]
                ? 1
                : 0;
      }
      assertThat(peaks / 64.0).isBetween(1.8, 2.6);
      assertThat(values).isEqualTo(Heartbeats.signals(manager, 64, 256, 3).toFloatArray());
    }
  }

  private static int bright(BufferedImage picture, int from, int to) {
    int count = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = from; x < to; x++) {
        count += picture.getRaster().getSample(x, y, 0) > 127 ? 1 : 0;
      }
    }
    return count;
  }

  private static int frames(Path gif) throws IOException {
    ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
    try (ImageInputStream in = ImageIO.createImageInputStream(gif.toFile())) {
      reader.setInput(in);
      return reader.getNumImages(true);
    } finally {
      reader.dispose();
    }
  }

  @Test
  void trainTinyImageNet_ofItsLayout_keepsTheRangeOfEachChannel() throws Exception {
    Path data = Files.createDirectories(folder.resolve("tiny"));
    Files.writeString(data.resolve("wnids.txt"), "n02\nn01\n");
    Files.writeString(data.resolve("words.txt"), "n01\tcat\nn02\tdog\n");
    for (String name : List.of("train/n01/images/a", "train/n02/images/b", "val/images/v")) {
      BufferedImage picture = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
      picture.getRaster().setPixel(3, 4, new int[] {255, 200, 0});
      Path file = data.resolve(name + ".JPEG");
      Files.createDirectories(file.getParent());
      ImageIO.write(picture, "jpg", file.toFile());
    }
    Files.writeString(data.resolve("val/val_annotations.txt"), "v.JPEG\tn02\t0\t0\t9\t9\n");
    UNetBuilder network = UNet.builder().image(3, 64, 64).baseChannels(2).groups(2);
    network.channelMultipliers(1).residualBlocks(1);
    Path out = folder.resolve("out");
    Printed.by(() -> TrainTinyImageNet.run(data, out, network, 1, 2, 2));
    assertThat(out.resolve("report.html")).content().contains("data:image/png");
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.dataRange()).isEqualTo(Normalization.IMAGENET.range());
      assertThat(model.classNames()).containsExactly("cat", "dog");
    }
  }

  @Test
  void trainCifar10_ofItsFiles_writesReportModelAndDistance() throws Exception {
    byte[] records = new byte[2 * 3073];
    new Random(1).nextBytes(records);
    records[0] = 3;
    records[3073] = 9;
    for (int i = 1; i <= 5; i++) {
      Files.write(folder.resolve("data_batch_" + i + ".bin"), records);
    }
    Files.writeString(folder.resolve("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    PictureDataset data = CifarFiles.cifar10Training(folder).setSampling(5, true).build();
    UNetBuilder network = UNet.builder().image(3, 32, 32).baseChannels(2).groups(2);
    network.channelMultipliers(1).residualBlocks(1);
    Features few = Features.function(images -> images.mean(new int[] {3}).mean(new int[] {2}));
    Path out = folder.resolve("out");
    String printed = Printed.by(() -> TrainCifar10.run(data, out, network, 20, 2, few));
    assertThat(printed).containsPattern("Fréchet distance [0-9.E-]+ of 10 images");
    assertThat(out.resolve("report.html")).isNotEmptyFile();
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.provenance()).containsEntry("data", "10 records");
    }
  }

  /** Before a network is made, let alone trained. */
  @Test
  void mainsOfPeers_noData_sayWhichFolder() {
    String nowhere = folder.resolve("nowhere").toString();
    for (ThrowingCallable main :
        List.<ThrowingCallable>of(
            () -> TrainPictures.main(new String[] {nowhere, folder.resolve("out").toString()}),
            () -> ConditionalMnist.main(new String[] {nowhere}),
            () -> LabmlMnist.main(new String[] {nowhere}),
            () -> LabmlEvaluation.main(new String[] {nowhere}),
            () -> TrainTinyImageNet.main(new String[] {nowhere, folder.resolve("out").toString()}),
            () -> TrainCifar10.main(new String[] {nowhere, folder.resolve("out").toString()}))) {
      assertThatThrownBy(main).isInstanceOf(IOException.class).hasMessageContaining(nowhere);
    }
    assertThat(folder.resolve("out")).doesNotExist();
  }

  private void writeData() throws IOException {
    byte[] pixels = new byte[8 * 28 * 28];
    new Random(1).nextBytes(pixels);
    write("train-images-idx3-ubyte.gz", new int[] {0x803, 8, 28, 28}, pixels);
    write("train-labels-idx1-ubyte.gz", new int[] {0x801, 8}, new byte[8]);
  }

  private void write(String name, int[] header, byte[] values) throws IOException {
    try (DataOutputStream data =
        new DataOutputStream(new GZIPOutputStream(Files.newOutputStream(folder.resolve(name))))) {
      for (int number : header) {
        data.writeInt(number);
      }
      data.write(values);
    }
  }

  @Test
  void trainFashionMnist_noData_saysWhereItIs() {
    Path nowhere = folder.resolve("nowhere");
    assertThatThrownBy(() -> TrainFashionMnist.main(new String[] {nowhere.toString()}))
        .isInstanceOf(FileNotFoundException.class)
        .hasMessageStartingWith(
            "the data folder " + nowhere + " does not exist; Debian's package ");
  }

  /** With no steps to train, whatever comes after the check of the output fails otherwise. */
  @Test
  void model_foreignFileInItsFolder_isRefusedBeforeTraining() throws IOException {
    Files.createDirectory(folder.resolve("model"));
    Path precious = Files.writeString(folder.resolve("model/notes.txt"), "precious");
    writeData();
    for (ThrowingCallable run :
        List.<ThrowingCallable>of(
            () -> Quickstart.run(folder, 0, 50, Precision.FLOAT32),
            () -> ConditionalDigits.run(folder, 0, 50),
            () -> TrainFashionMnist.run(IdxFiles.training(folder), 1, folder, 0, 4, 8))) {
      assertThatThrownBy(run)
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              folder.toRealPath().resolve("model")
                  + ": it exists and is no model folder, so it is not replaced; choose another"
                  + " name");
    }
    assertThat(precious).hasContent("precious");
  }

  @Test
  void picture_whereNoneCanBe_isRefusedBeforeTraining() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "data");
    assertThatThrownBy(() -> SuperResolution.run(file.resolve("a.png"), 0, 8, 50))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file.resolve("a.png")
                + " must lie in a folder, but "
                + file
                + " is none; choose another folder");
  }

  /** A name that is none was trained as another. */
  @Test
  void compareObjectives_unknownName_isRefusedBeforeTraining() {
    assertThatThrownBy(() -> CompareObjectives.main(new String[] {"simple", "edm"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "objectives must be of [simple, simple-small, bound, bound-small, min-SNR-5, hybrid, EDM],"
                + " but were [simple, edm]");
  }

  @Test
  void compareObjectives_hybrid_judgesAndMeasures() {
    assertObjective("hybrid");
  }

  @ParameterizedTest
  @ValueSource(strings = {"simple", "simple-small", "bound", "bound-small", "min-SNR-5", "EDM"})
  @Tag("slow")
  void compareObjectives_others_judgeAndMeasure(String objective) {
    assertObjective(objective);
  }

  private static void assertObjective(String objective) {
    assertThat(CompareObjectives.run(objective, 3, 2, 3))
        .startsWith(objective + "\n")
        .contains("recall (k=3)")
        .contains(" bits/dim over 3 images (rate ");
  }

  @Test
  void flowDigits_aRecipe_isARowForEachNumberOfCalls() {
    assertThat(FlowDigits.run("flow, assigned", 2, 100, 2, 1, 2).lines())
        .hasSize(2)
        .allMatch(
            line ->
                line.matches(
                    "\\| flow, assigned \\| [12] \\|( -?\\d\\.\\d{4} \\(-?\\d.\\d{4} to"
                        + " -?\\d.\\d{4}\\) \\|){3}"));
  }

  /** As README has it: a page of code each; the network of one of them is another. */
  @Test
  void mains_areShort_andAlone() throws IOException {
    Path sources = Path.of("src/main/java/io/github/ddpm4j/examples");
    List<String> others = new ArrayList<>();
    try (Stream<Path> files = Files.list(sources)) {
      for (Path file : files.filter(file -> file.toString().endsWith(".java")).toList()) {
        List<String> lines = Files.readAllLines(file);
        if (lines.stream().noneMatch(line -> line.contains("static void main(String[] args)"))) {
          others.add(file.getFileName().toString());
        } else {
          assertThat(lines).as("lines of %s", file).hasSizeLessThanOrEqualTo(80);
          assertThat(lines)
              .as(file.toString())
              .noneMatch(line -> line.startsWith("import io.github.ddpm4j.examples"));
        }
      }
    }
    // What several mains use, or what is a user's own.
    assertThat(others)
        .containsExactlyInAnyOrder(
            "package-info.java",
            "DenseNetwork.java",
            "DigitsRuns.java",
            "FaceReading.java",
            "FaceSets.java",
            "FacesInTheBox.java",
            "FeatureReport.java",
            "Heartbeats.java",
            "PictureClassifier.java",
            "PosteriorTask.java",
            "TuningCost.java",
            "TuningRows.java",
            "TuningTask.java");
  }
}
