package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.evaluation.SamplerComparison;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.latent.TextToImage;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetBuilder;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The mains that use a model: one tiny network for all, and one that knows classes. */
class ModelExamplesTest {

  @TempDir private static Path models;
  private static Path target;

  @BeforeAll
  static void saveModels() throws IOException {
    save(network(1, 8, 8), "digits");
    save(network(1, 8, 8).classes(10), "classes");
    save(network(3, 4, 8), "colour");
    target = models.resolve("target");
    System.setProperty("ddpm4j.target", target.toString());
  }

  @AfterAll
  static void clear() {
    System.clearProperty("ddpm4j.target");
  }

  private static UNetBuilder network(int channels, int height, int width) {
    return UNet.builder()
        .image(channels, height, width)
        .baseChannels(8)
        .channelMultipliers(1)
        .residualBlocks(1)
        .groups(4)
        .seed(3);
  }

  private static void save(UNetBuilder network, String name) throws IOException {
    try (UNet unet = network.build()) {
      DDPM.builder()
          .schedule(Schedules.cosine(100))
          .denoiser(unet)
          .build()
          .save(models.resolve(name));
    }
  }

  private static String[] model(String name) {
    return new String[] {models.resolve(name).toString()};
  }

  /** A grid whose cells have this size, beside labels. */
  private static void assertPicture(Path file, int columns, int rows, int width, int height)
      throws IOException {
    BufferedImage picture = ImageIO.read(file.toFile());
    assertThat(picture.getWidth())
        .as("width of %s", file)
        .isBetween(columns * (width + 2) + 2, columns * (width + 2) + 142);
    assertThat(picture.getHeight())
        .as("height of %s", file)
        .isBetween(rows * (height + 2) + 2, rows * (height + 2) + 32);
  }

  @Test
  void interpolate_writesAPairPerRowAndADepthPerRow() throws Exception {
    String out =
        Printed.by(
            () -> Interpolate.run(models.resolve("digits"), target.resolve("interpolate"), 4));
    assertThat(out.strip()).isEqualTo(target.resolve("interpolate").toString());
    assertPicture(target.resolve("interpolate/latents.png"), 13, 4, 48, 48);
    assertPicture(target.resolve("interpolate/depths.png"), 13, 5, 48, 48);
  }

  @Test
  void inpaint_writesWhatIsKnownAndThreeWaysToFillIt() throws Exception {
    Path file = target.resolve("inpainted.png");
    String out = Printed.by(() -> Inpaint.run(models.resolve("digits"), file, 6, 2, 2));
    assertPicture(file, 10, 5, 48, 48);
    List<String> lines = out.lines().toList();
    assertThat(lines).hasSize(5);
    assertThat(lines.get(0)).isEqualTo("real: 0.483 across the border");
    assertThat(lines.subList(1, 4)).allMatch(line -> line.matches(".*\\d\\.\\d{3} across.*"));
    BufferedImage picture = ImageIO.read(file.toFile());
    // The left half of the last digit is the same in all rows.
    int left = picture.getWidth() - 50 + 10;
    for (int row = 1; row < 5; row++) {
      for (int y = 0; y < 48; y++) {
        assertThat(picture.getRGB(left, 2 + 50 * row + y)).isEqualTo(picture.getRGB(left, 2 + y));
      }
    }
  }

  @Test
  void posterior_printsARowPerTaskAndMethod() throws Exception {
    String out = Printed.by(() -> Posterior.run(models.resolve("digits"), 40, 4, 2, 2));
    List<String> lines = out.lines().toList();
    assertThat(lines).hasSize(2 + 1 + 5 + 4 + 4 + 5);
    assertThat(lines.get(0)).startsWith("| measured | drawn by | network calls |");
    assertThat(lines.get(3)).startsWith("| left half | replaced | 4 | 0.000 | ");
    assertThat(lines.get(8)).startsWith("| means of 2x2 | free | 4 | ");
    assertThat(lines.get(12)).startsWith("| blur of 1 pixel | free | 4 | ");
    assertThat(lines.get(16)).startsWith("| 16 of 64 pixels | replaced | 4 | 0.000 | ");
    assertThat(lines.get(17)).startsWith("| 16 of 64 pixels | RePaint | ");
    assertThat(lines.get(20)).startsWith("| 16 of 64 pixels | posterior | 8 | ");
  }

  @Test
  void imageToImage_inColour_readsAFolder() throws Exception {
    Path pictures = Files.createDirectories(models.resolve("pictures"));
    ImageIO.write(
        new BufferedImage(40, 30, BufferedImage.TYPE_INT_RGB),
        "png",
        pictures.resolve("a.png").toFile());
    String[] args = {models.resolve("colour").toString(), pictures.toString()};
    String out = Printed.by(() -> ImageToImage.main(args));
    assertPicture(target.resolve("image-to-image/variations.png"), 10, 6, 48, 24);
    assertThat(out).contains("strength 0.9: differs by ");
  }

  @Test
  void sharedLatent_writesARowPerT() throws Exception {
    String out =
        Printed.by(
            () -> SharedLatent.run(models.resolve("colour"), target.resolve("shared.png"), 20));
    assertPicture(target.resolve("shared.png"), 10, 5, 48, 24);
    assertThat(out).contains("parted at t = 100: ", "parted at t = 10: ");
  }

  @Test
  void encodeDecode_writesARowPerNumberOfCalls_andTheNoise() throws Exception {
    Path file = target.resolve("decoded.png");
    String out = Printed.by(() -> EncodeDecode.run(models.resolve("digits"), file, 2, 5));
    assertPicture(file, 10, 4, 48, 48);
    assertThat(out).contains("   2 calls each way: error ", "   5 calls each way: error ");
  }

  @Test
  void steering_previewsSavesCancelsAndShares() throws Exception {
    String out = Printed.by(() -> Steering.main(model("digits")));
    ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
    try (ImageInputStream gif =
        ImageIO.createImageInputStream(target.resolve("steering/previews.gif").toFile())) {
      reader.setInput(gif);
      assertThat(reader.getNumImages(true)).isEqualTo(50);
    }
    assertThat(out)
        .contains(
            "Cancelled: sampling was cancelled before step 0 of 50 of the images from 0; no image"
                + " was kept.")
        .contains("In one network call, two runs: ");
  }

  @Test
  void compareSamplers_printsARowPerSamplerAndCalls() throws Exception {
    Digits digits = Digits.load();
    SamplerComparison comparison =
        CompareSamplers.run(
            models.resolve("digits"),
            digits.heldOut().slice(0, 8),
            digits.training().slice(0, 30),
            6,
            2,
            3,
            5);
    List<Sampler> expected = new ArrayList<>(List.of(Samplers.ddim(6)));
    for (int calls : new int[] {3, 5}) {
      Samplers.usual().forEach(text -> expected.add(Samplers.parse(text, calls)));
    }
    assertThat(comparison.rows().stream().map(row -> row.sampler().toString()))
        .containsExactlyElementsOf(expected.stream().map(Sampler::toString).toList());
    // with so few calls of a cosine schedule two are refused, and said so under the table
    assertThat(comparison.rows())
        .filteredOn(row -> !row.refusal().isEmpty())
        .extracting(row -> row.sampler().toString())
        .containsExactly(
            "edm:2, karras, lambdaMin=-5.1, churn=10",
            "plms:2",
            "edm:3, karras, lambdaMin=-5.1, churn=10",
            "plms:4");
    assertThat(comparison.rows())
        .filteredOn(row -> row.refusal().isEmpty())
        .allMatch(row -> row.verdicts().size() == 2);
  }

  @Test
  void guidanceScales_printsARowPerScale_andPlots() throws Exception {
    String out =
        Printed.by(
            () -> GuidanceScales.run(models.resolve("classes"), target.resolve("plot.png"), 2));
    assertThat(out.lines().skip(1).limit(9).map(line -> line.strip().split(" ", 2)[0]))
        .containsExactly("0.0", "0.5", "1.0", "1.5", "2.0", "3.0", "4.0", "6.0", "8.0");
    assertThat(ImageIO.read(target.resolve("plot.png").toFile()).getWidth()).isEqualTo(720);
  }

  @Test
  void distance_isThatOfAllPairs() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = manager.create(new float[] {0, 0, 3, 4, 0, 2}, new Shape(3, 1, 1, 2));
      // 5, 2 and √13
      assertThat(GuidanceScales.distance(images))
          .isCloseTo((5 + 2 + Math.sqrt(13)) / 3, within(1e-6));
    }
  }

  @Test
  void progressiveDecoding_writesPicturesAndTable() throws Exception {
    String out = Printed.by(() -> ProgressiveDecoding.run(models.resolve("digits"), target, 3, 20));
    assertThat(out).contains(" bits/dim over 3 images (rate ");
    double[] rates =
        out.lines()
            .filter(line -> line.matches("[0-9.]+ bits, off by [0-9.]+ of 255"))
            .mapToDouble(line -> Double.parseDouble(line.split(" ", 2)[0]))
            .toArray();
    assertThat(rates).hasSize(10).isSorted();
    assertPicture(target.resolve("decoding.png"), 8, 11, 48, 48);
    BufferedImage plot = ImageIO.read(target.resolve("rate-distortion.png").toFile());
    assertThat(plot.getWidth()).isEqualTo(1440);
  }

  /** A model of EDM is asked at images in its scale, by ln σ / 4. */
  @Test
  void estimate_preconditionedPrediction_isAskedAsItWasTrained() {
    double[] told = new double[1];
    float[] seen = new float[1];
    DDPM ddpm =
        DDPM.builder()
            .timesteps(10)
            .prediction(Prediction.edm(0.5))
            .denoiser(
                (x, levels, condition) -> {
                  told[0] = levels.timestep(0);
                  seen[0] = x.getFloat(0, 0, 0, 0);
                  return x.zerosLike();
                })
            .build();
    double signal = ddpm.schedule().signal(4);
    double noise = ddpm.schedule().noise(4);
    double variance = noise * noise + signal * signal * 0.25;
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray x = manager.full(new Shape(1, 1, 1, 1), 0.5f);
      NDArray estimate = ProgressiveDecoding.estimate(ddpm, x, 4);

      assertThat(told[0]).isCloseTo(Math.log(noise / signal) / 4, within(1e-12));
      assertThat((double) seen[0]).isCloseTo(0.5 / Math.sqrt(variance), within(1e-6));
      assertThat((double) estimate.getFloat(0, 0, 0, 0))
          .isCloseTo(0.5 * signal * 0.25 / variance, within(1e-6));
    }
  }

  @Test
  void serving_printsARowPerNumberOfThreads() throws Exception {
    try (UNet unet = network(1, 4, 4).build()) {
      String out = Printed.by(() -> Serving.run(unet, 50, 1, 2));
      assertThat(out.lines().toList())
          .satisfiesExactly(
              line -> assertThat(line).matches("1 threads: [0-9.]+ images/s, 1.00 of one"),
              line -> assertThat(line).matches("2 threads: [0-9.]+ images/s, [0-9.]+ of one"));
    }
  }

  private static final Path TINY = Path.of("../ddpm-latent/src/test/resources/pipelines/sd1");

  @Test
  void drawFromText_tinyModel_drawsItsPicture() throws Exception {
    Path file = target.resolve("cat.png");
    String out = Printed.by(() -> DrawFromText.run(TINY.toString(), "a photo of a cat", file, 3));
    // PNDM, which this model suggests, asks twice at its first level.
    assertThat(out.lines())
        .containsExactly(
            "step 1 of 4", "step 2 of 4", "step 3 of 4", "step 4 of 4", file.toString());
    try (TextToImage model = TextToImage.load(TINY);
        Samples same = model.prompt("a photo of a cat").guidance(6).steps(3).seed(42).generate(1)) {
      Path expected = target.resolve("expected.png");
      same.save(0, expected);
      assertThat(file).hasSameBinaryContentAs(expected);
    }
    assertThat(Pictures.provenance(file)).containsEntry("prompt", "a photo of a cat");
  }

  @Test
  void drawFromText_otherNumberOfArguments_saysWhatIsNeeded() {
    assertThatThrownBy(() -> DrawFromText.main(new String[] {"a/b"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "two arguments are needed, a model and a text in quotes, such as"
                + " CompVis/ldm-text2im-large-256 'An image of a cat laughing', but there were 1");
  }

  @Test
  void drawFromText_neitherFolderNorName_isRefused() {
    assertThatThrownBy(() -> DrawFromText.main(new String[] {"/no/such/folder", "a cat"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "the name of a model must be like google/ddpm-cifar10-32, but was \"/no/such/folder\";"
                + " for a folder or file call load(Path.of(...))");
  }

  /** A main with its arguments. */
  interface Main {
    void run(String... args) throws Exception;
  }

  private static List<Arguments> mains() {
    return List.of(
        Arguments.of("quickstart", (Main) Interpolate::main),
        Arguments.of("quickstart", (Main) Inpaint::main),
        Arguments.of("quickstart", (Main) ImageToImage::main),
        Arguments.of("quickstart", (Main) SharedLatent::main),
        Arguments.of("quickstart", (Main) EncodeDecode::main),
        Arguments.of("quickstart", (Main) Steering::main),
        Arguments.of("quickstart", (Main) CompareSamplers::main),
        Arguments.of("quickstart", (Main) ProgressiveDecoding::main),
        Arguments.of("conditional-digits", (Main) GuidanceScales::main));
  }

  @ParameterizedTest
  @MethodSource("mains")
  void noModel_saysWhatIsMissing(String folder, Main main) {
    assertThatThrownBy(main::run)
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(
            target.resolve(folder).resolve("model")
                + ": no model folder: it has no ddpm.json; choose a folder that DDPM.save wrote,"
                + " with all of its files");
  }

  /** What draws into a folder, or a picture in it. */
  interface Drawing {
    void run(Path folder) throws Exception;
  }

  private static List<Drawing> drawings() {
    Path model = models.resolve("nowhere");
    return List.of(
        folder -> Interpolate.run(model, folder, 4),
        folder -> Inpaint.run(model, folder.resolve("a.png"), 6, 2, 2),
        folder -> SharedLatent.run(model, folder.resolve("a.png"), 4),
        folder -> EncodeDecode.run(model, folder.resolve("a.png"), 4),
        folder -> ProgressiveDecoding.run(model, folder, 2, 4),
        folder -> DrawFromText.run(model.toString(), "a cat", folder.resolve("a.png"), 4),
        folder -> GuidanceScales.run(model, folder.resolve("a.png"), 4));
  }

  /** Though there is no model: where the pictures go is looked at first. */
  @ParameterizedTest
  @MethodSource("drawings")
  void pictures_whereNoneCanBe_areRefusedBeforeDrawing(Drawing drawing) throws IOException {
    Path file = models.resolve("digits").resolve("ddpm.json");
    assertThatThrownBy(() -> drawing.run(file))
        .isInstanceOf(IOException.class)
        .hasMessageEndingWith(
            " must lie in a folder, but " + file + " is none; choose another folder");
  }

  @Test
  void forwardProcessDemo_withoutAPicture_noisesADigit() throws Exception {
    String out = Printed.by(() -> ForwardProcessDemo.main(new String[0]));
    BufferedImage strip = ImageIO.read(target.resolve("forward.png").toFile());
    assertThat(strip.getType()).isEqualTo(BufferedImage.TYPE_BYTE_GRAY);
    assertThat(strip.getWidth()).isEqualTo(10 * (8 * 16 + 2) + 2);
    assertThat(strip.getHeight()).isEqualTo(8 * 16 + 4);
    assertThat(out.lines())
        .startsWith("x_t = signal * x_0 + noise * epsilon", " noising steps  signal   noise")
        .contains("            12   0.999   0.050", "          1000   0.006   1.000")
        .endsWith(target.resolve("forward.png").toString());
  }

  @Test
  void forwardProcessDemo_bigPicture_isMadeSmallerToFit_theSameEachTime() throws Exception {
    Path picture = models.resolve("big.png");
    BufferedImage big = new BufferedImage(701, 300, BufferedImage.TYPE_INT_RGB);
    big.createGraphics().drawLine(0, 0, 700, 299);
    ImageIO.write(big, "png", picture.toFile());
    Printed.by(() -> ForwardProcessDemo.main(new String[] {picture.toString()}));
    byte[] first = Files.readAllBytes(target.resolve("forward.png"));
    Printed.by(() -> ForwardProcessDemo.main(new String[] {picture.toString()}));
    assertThat(Files.readAllBytes(target.resolve("forward.png"))).isEqualTo(first);
    // 7,010 pixels fit into 1,600 when divided by 5.
    BufferedImage strip = ImageIO.read(target.resolve("forward.png").toFile());
    assertThat(strip.getWidth()).isEqualTo(10 * (140 + 2) + 2);
    assertThat(strip.getHeight()).isEqualTo(60 + 4);
  }
}
