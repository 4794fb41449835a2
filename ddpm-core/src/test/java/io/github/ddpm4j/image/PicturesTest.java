package io.github.ddpm4j.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.modality.cv.Image;
import ai.djl.modality.cv.ImageFactory;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.awt.Color;
import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PicturesTest {

  private final NDManager manager = NDManager.newBaseManager();
  private final Path folder;

  PicturesTest(@TempDir Path folder) {
    this.folder = folder;
  }

  @AfterEach
  void close() {
    manager.close();
  }

  /* --- tensors to pictures --- */

  @Test
  void toImages_grey_mapsTheRangeToLevels() {
    Pictures pictures = Pictures.of(array(new Shape(1, 1, 5), -1, -0.5f, 0, 0.5f, 1));

    BufferedImage picture = pictures.toImages().get(0);

    assertThat(picture.getType()).isEqualTo(BufferedImage.TYPE_BYTE_GRAY);
    assertThat(levels(picture, 0)).containsExactly(0, 64, 128, 191, 255);
  }

  @Test
  void toImages_outsideTheRange_showsItsEnds() {
    Pictures pictures =
        Pictures.of(
            array(new Shape(1, 1, 4), -7, 1.5f, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY));

    assertThat(levels(pictures.toImages().get(0), 0)).containsExactly(0, 255, 0, 255);
  }

  @Test
  void toImages_otherRange_mapsThat() {
    Pictures pictures = Pictures.of(array(new Shape(1, 1, 3), 0, 0.5f, 1)).dataRange(0, 1);

    assertThat(levels(pictures.toImages().get(0), 0)).containsExactly(0, 128, 255);
  }

  @Test
  void toImages_rgb_keepsTheChannels() {
    Pictures pictures = Pictures.of(array(new Shape(2, 3, 1, 1), 1, 0, -1, -1, -1, 1));

    assertThat(pictures.size()).isEqualTo(2);
    assertThat(pictures.toImages().get(0).getRGB(0, 0)).isEqualTo(0xFFFF8000);
    assertThat(pictures.toImages().get(1).getRGB(0, 0)).isEqualTo(0xFF0000FF);
  }

  @Test
  void toImages_float64_isTaken() {
    NDArray images = manager.create(new double[] {-1, 1}).reshape(1, 1, 2);

    assertThat(levels(Pictures.of(images).toImages().get(0), 0)).containsExactly(0, 255);
  }

  @Test
  void toImages_becomeDjlImages() {
    BufferedImage picture = Pictures.of(array(new Shape(1, 1, 3), -1, 0, 1)).toImages().get(0);

    Image image = ImageFactory.getInstance().fromImage(picture);

    assertThat(image.toNDArray(manager, Image.Flag.GRAYSCALE).toUint8Array())
        .containsExactly(0, 128, 255);
  }

  @Test
  void toGrid_placesImagesInRowsWithGaps() {
    NDArray images = array(new Shape(3, 1, 1, 2), -1, 0, 0, 1, 1, -1);

    BufferedImage grid =
        Pictures.of(images).columns(2).gap(1).enlarge(2).background(new Color(9, 9, 9)).toGrid();

    assertThat(grid.getType()).isEqualTo(BufferedImage.TYPE_BYTE_GRAY);
    assertThat(rows(grid))
        .containsExactly(
            "9 9 9 9 9 9 9 9 9 9 9",
            "9 0 0 128 128 9 128 128 255 255 9",
            "9 0 0 128 128 9 128 128 255 255 9",
            "9 9 9 9 9 9 9 9 9 9 9",
            "9 255 255 0 0 9 9 9 9 9 9",
            "9 255 255 0 0 9 9 9 9 9 9",
            "9 9 9 9 9 9 9 9 9 9 9");
  }

  @Test
  void toGrid_byDefault_isAsWideAsHigh() {
    BufferedImage grid = Pictures.of(manager.zeros(new Shape(9, 1, 4, 4))).gap(0).toGrid();

    assertThat(grid.getWidth()).isEqualTo(12);
    assertThat(grid.getHeight()).isEqualTo(12);
  }

  @Test
  void toGrid_moreColumnsThanImages_hasNoEmptyCells() {
    BufferedImage grid = Pictures.of(manager.zeros(new Shape(1, 4, 4))).columns(5).gap(0).toGrid();

    assertThat(grid.getWidth()).isEqualTo(4);
  }

  @Test
  void toGrid_greyOnAColour_isRgb() {
    BufferedImage grid =
        Pictures.of(array(new Shape(1, 1, 1), 0)).gap(1).background(Color.RED).toGrid();

    assertThat(grid.getRGB(0, 0)).isEqualTo(0xFFFF0000);
    assertThat(grid.getRGB(1, 1)).isEqualTo(0xFF808080);
  }

  @Test
  void strip_isOneRow() {
    BufferedImage strip = Pictures.of(manager.zeros(new Shape(5, 3, 2, 4))).strip().gap(0).toGrid();

    assertThat(strip.getWidth()).isEqualTo(20);
    assertThat(strip.getHeight()).isEqualTo(2);
  }

  @Test
  void of_keepsACopy() {
    NDArray images = array(new Shape(1, 1, 1), 1);
    Pictures pictures = Pictures.of(images);

    images.subi(2);
    images.close();

    assertThat(levels(pictures.toImages().get(0), 0)).containsExactly(255);
  }

  /* --- refused --- */

  @Test
  void of_twoChannels_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.zeros(new Shape(4, 2, 8, 8))))
        .withMessage(
            "images must have 1 channel (grey) or 3 (RGB), but had 2 in shape (4, 2, 8, 8); choose"
                + " channels with images.get(\":, 0:1\")");
  }

  @Test
  void of_twoAxes_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.zeros(new Shape(8, 8))))
        .withMessage("images must have shape (N, C, H, W) or (C, H, W), but had (8, 8)");
  }

  @Test
  void of_noImages_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.zeros(new Shape(0, 1, 8, 8))))
        .withMessage("images must hold at least one pixel, but had shape (0, 1, 8, 8)");
  }

  @Test
  void of_integers_isRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.zeros(new Shape(1, 8, 8), DataType.UINT8)))
        .withMessage(
            "images must be float32 or float64, but were uint8; call"
                + " images.toType(DataType.FLOAT32, false)");
  }

  @Test
  void of_nan_isRefusedWithItsIndex() {
    float[] values = new float[2 * 3 * 4 * 5];
    values[1 * 60 + 2 * 20 + 3 * 5 + 4] = Float.NaN;

    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.of(manager.create(values, new Shape(2, 3, 4, 5))))
        .withMessage(
            "images must hold numbers, but the one at [1, 2, 3, 4] (image, channel, row, column)"
                + " is NaN");
  }

  @Test
  void settings_outOfRange_areRefused() {
    Pictures pictures = Pictures.of(manager.zeros(new Shape(1, 1, 1)));

    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.columns(0))
        .withMessage("columns must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.gap(-1))
        .withMessage("gap must be at least 0, but was -1");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.enlarge(0))
        .withMessage("enlarge must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.dataRange(1, 1))
        .withMessage("dataRange must be finite with minimum < maximum, but was [1.0, 1.0]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.dataRange(Double.NaN, 1))
        .withMessage("dataRange must be finite with minimum < maximum, but was [NaN, 1.0]");
  }

  /* --- files --- */

  @Test
  void save_thenRead_givesTheSameLevels() throws IOException {
    NDArray grey = array(new Shape(1, 2, 3), -1, -0.6f, -0.2f, 0.2f, 0.6f, 1);
    NDArray rgb = array(new Shape(3, 1, 2), -1, -0.6f, -0.2f, 0.2f, 0.6f, 1);

    for (NDArray image : new NDArray[] {grey, rgb}) {
      Path file = folder.resolve("new/folders/picture.png");
      Pictures.of(image).gap(0).save(file);

      NDArray back = Pictures.read(manager, file);

      assertThat(back.getShape()).isEqualTo(image.getShape());
      assertThat(back.getDataType()).isEqualTo(DataType.FLOAT32);
      assertThat(back.toFloatArray()).containsExactly(image.toFloatArray(), within(1e-6f));
    }
  }

  @Test
  void save_replacesAndLeavesNothingBeside() throws IOException {
    Path file = Files.writeString(folder.resolve("picture.png"), "old");

    Pictures.of(manager.zeros(new Shape(1, 2, 2))).save(file);

    assertThat(ImageIO.read(file.toFile()).getWidth()).isEqualTo(6);
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).containsExactly(file);
    }
  }

  @Test
  void save_toAFolder_isRefused() {
    assertThatThrownBy(() -> Pictures.of(manager.zeros(new Shape(1, 2, 2))).save(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a file in it");
  }

  @Test
  void read_transparentPixels_areShownOnWhite() throws IOException {
    BufferedImage picture = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
    picture.setRGB(0, 0, 0x00FF0000);
    picture.setRGB(1, 0, 0xFFFF0000);
    picture.setRGB(2, 0, 0x80000000);

    NDArray image = Pictures.read(manager, written(picture));

    assertThat(image.getShape()).isEqualTo(new Shape(3, 1, 3));
    float half = 1 - 2 * 128 / 255f;
    assertThat(image.toFloatArray())
        .containsExactly(new float[] {1, 1, half, 1, -1, half, 1, -1, half}, within(1e-6f));
  }

  @Test
  void read_palette_isRgb() throws IOException {
    byte[] red = {0, (byte) 255};
    byte[] others = {0, 0};
    IndexColorModel palette = new IndexColorModel(1, 2, red, others, others);
    BufferedImage picture = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY, palette);
    picture.getRaster().setSample(1, 0, 0, 1);

    assertThat(Pictures.read(manager, written(picture)).toFloatArray())
        .containsExactly(-1, 1, -1, -1, -1, -1);
  }

  @Test
  void read_blackAndWhite_isGrey() throws IOException {
    BufferedImage picture = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY);
    picture.getRaster().setSample(1, 0, 0, 1);

    NDArray image = Pictures.read(manager, written(picture));

    assertThat(image.getShape()).isEqualTo(new Shape(1, 1, 2));
    assertThat(image.toFloatArray()).containsExactly(-1, 1);
  }

  @Test
  void read_sixteenBits_keepsThem() throws IOException {
    BufferedImage picture = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_GRAY);
    picture.getRaster().setSample(0, 0, 0, 1);
    picture.getRaster().setSample(1, 0, 0, 65535);

    assertThat(Pictures.read(manager, written(picture)).toFloatArray())
        .containsExactly(2 / 65535f - 1, 1);
  }

  @Test
  void toArray_greyWithAlpha_isShownOnWhite() {
    for (boolean premultiplied : new boolean[] {false, true}) {
      BufferedImage picture = greyWithAlpha(premultiplied);
      picture.getRaster().setPixel(0, 0, new int[] {0, 0});
      picture.getRaster().setPixel(1, 0, new int[] {premultiplied ? 51 : 255, 51});

      NDArray image = Pictures.toArray(manager, picture);

      assertThat(image.getShape()).isEqualTo(new Shape(1, 1, 2));
      assertThat(image.toFloatArray()).containsExactly(new float[] {1, 1}, within(1e-6f));
    }
  }

  @Test
  void read_missing_saysSo() {
    Path file = folder.resolve("nowhere.png");

    assertThatThrownBy(() -> Pictures.read(manager, file))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(file + ": does not exist");
  }

  @Test
  void read_folder_saysSo() {
    assertThatThrownBy(() -> Pictures.read(manager, folder))
        .isInstanceOf(IOException.class)
        .hasMessage(folder + " is a folder; name a picture file");
  }

  @Test
  void read_text_saysWhatCanBeRead() throws IOException {
    Path file = Files.writeString(folder.resolve("notes.png"), "no picture");

    assertThatThrownBy(() -> Pictures.read(manager, file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " is not a picture that Java can read; the formats are "
                + Arrays.stream(ImageIO.getReaderFormatNames())
                    .map(name -> name.toUpperCase(Locale.ROOT))
                    .collect(
                        Collectors.collectingAndThen(
                            Collectors.toCollection(TreeSet::new),
                            names -> String.join(", ", names))));
    assertThat(ImageIO.getReaderFormatNames()).contains("BMP", "GIF", "JPEG", "PNG", "TIFF");
  }

  @Test
  void read_halfAFile_saysSo() throws IOException {
    Path file = folder.resolve("half.png");
    Pictures.of(manager.randomUniform(-1, 1, new Shape(3, 40, 40))).save(file);
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));

    assertThatThrownBy(() -> Pictures.read(manager, file))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " is damaged or of an unusual kind: Error reading PNG image data");
  }

  /* --- helpers --- */

  private NDArray array(Shape shape, float... values) {
    return manager.create(values, shape);
  }

  private Path written(BufferedImage picture) throws IOException {
    Path file = folder.resolve("picture.png");
    Pictures.write(picture, file);
    return file;
  }

  private static BufferedImage greyWithAlpha(boolean premultiplied) {
    var colors =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_GRAY),
            true,
            premultiplied,
            Transparency.TRANSLUCENT,
            DataBuffer.TYPE_BYTE);
    return new BufferedImage(
        colors, colors.createCompatibleWritableRaster(2, 1), premultiplied, null);
  }

  private static int[] levels(BufferedImage picture, int row) {
    return picture
        .getRaster()
        .getSamples(0, row, picture.getWidth(), 1, 0, new int[picture.getWidth()]);
  }

  private static Stream<String> rows(BufferedImage picture) {
    return IntStream.range(0, picture.getHeight())
        .mapToObj(
            y ->
                String.join(
                    " ", Arrays.stream(levels(picture, y)).mapToObj(Integer::toString).toList()));
  }

  private static Offset<Float> within(float tolerance) {
    return Offset.offset(tolerance);
  }

  /* --- labels and animations --- */

  @Test
  void toGrid_labels_standBesideTheImagesAndChangeNoneOfTheirPixels() {
    Pictures plain = Pictures.of(manager.ones(new Shape(4, 1, 2, 2)).muli(0.5)).enlarge(20);
    BufferedImage without = plain.toGrid();
    BufferedImage with = plain.columnLabels("a", "two words").rowLabels("row").toGrid();

    assertThat(with.getType()).isEqualTo(BufferedImage.TYPE_BYTE_GRAY);
    int left = 2 + Labels.width(List.of("row"));
    int top = 2 + Labels.height(List.of("a"));
    int cell = Labels.width(List.of("two words"));
    assertThat(cell).isGreaterThan(40);
    assertThat(with.getWidth()).isEqualTo(left + 2 * (cell + 2));
    assertThat(with.getHeight()).isEqualTo(top + 2 * 42);
    assertThat(without.getHeight()).isEqualTo(2 + 2 * 42);
    assertThat(
            with.getSubimage(left + (cell - 40) / 2, top, 40, 40)
                .getData()
                .getSamples(0, 0, 40, 40, 0, (int[]) null))
        .containsOnly(191);
    // words are drawn, lighter than the background, where they belong and nowhere else
    assertThat(greatest(with, left, 0, cell, top)).isGreaterThan(180);
    assertThat(greatest(with, left + cell + 2, 0, cell, top)).isGreaterThan(180);
    assertThat(greatest(with, 0, top, left, 40)).isGreaterThan(180);
    assertThat(greatest(with, 0, top + 42, left, 40)).isEqualTo(0x2B);
    assertThat(greatest(with, 0, 0, left, top)).isEqualTo(0x2B);
  }

  private static int greatest(BufferedImage picture, int x, int y, int width, int height) {
    return Arrays.stream(picture.getData().getSamples(x, y, width, height, 0, (int[]) null))
        .max()
        .orElseThrow();
  }

  @Test
  void toGrid_labelsOnWhiteInColour_areDark() {
    BufferedImage grid =
        Pictures.of(manager.ones(new Shape(1, 3, 2, 2)))
            .enlarge(30)
            .background(Color.WHITE)
            .columnLabels("x")
            .toGrid();
    for (int band = 0; band < 3; band++) {
      int[] levels = grid.getData().getSamples(0, 0, grid.getWidth(), 20, band, (int[]) null);
      assertThat(Arrays.stream(levels).min().orElseThrow()).isLessThan(80);
    }
  }

  @Test
  void toGrid_moreLabelsThanRows_isRefused() {
    Pictures pictures = Pictures.of(manager.ones(new Shape(2, 1, 2, 2)));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.strip().rowLabels("a", "b").toGrid())
        .withMessage("rowLabels must be at most one per row, but are 2 for 1: [a, b]");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> pictures.columns(1).columnLabels("a", "b").toGrid())
        .withMessage("columnLabels must be at most one per column, but are 2 for 1: [a, b]");
  }

  @Test
  void animate_framesAreReadBackExactly_andRepeatForever() throws IOException {
    Path file = folder.resolve("new").resolve("run.gif");
    List<BufferedImage> frames =
        Pictures.of(array(new Shape(3, 1, 1, 4), -1, -0.5f, 0, 1, 1, 1, 0.5f, -1, 0, 0, 0, 0.5f))
            .toImages();

    Pictures.animate(frames, 120, file);

    ImageReader reader = ImageIO.getImageReadersByFormatName("gif").next();
    try (var stream = ImageIO.createImageInputStream(file.toFile())) {
      reader.setInput(stream);
      assertThat(reader.getNumImages(true)).isEqualTo(3);
      for (int i = 0; i < 3; i++) {
        BufferedImage found = reader.read(i);
        int[] expected = levels(frames.get(i), 0);
        for (int x = 0; x < 4; x++) {
          assertThat(found.getRGB(x, 0) & 0xFF).isEqualTo(expected[x]);
        }
      }
    }
    byte[] bytes = Files.readAllBytes(file);
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    // the length of the block, sub-block 1, a count of 0, and the end
    assertThat(text.split("NETSCAPE2.0\3\1\0\0\0", -1)).hasSize(2);
    // flags of the graphic control block, then 12 hundredths of a second
    assertThat(text.split("!\u00F9\4\0\u000C\0\0\0", -1)).hasSize(4);
    assertThat(folder.resolve("new").toFile().list()).containsExactly("run.gif");
  }

  @Test
  void animate_badInput_isRefused() {
    BufferedImage small = new BufferedImage(2, 2, BufferedImage.TYPE_BYTE_GRAY);
    BufferedImage large = new BufferedImage(3, 2, BufferedImage.TYPE_BYTE_GRAY);
    Path file = folder.resolve("run.gif");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.animate(List.of(), 100, file))
        .withMessage("the number of frames must be at least 1, but was 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.animate(List.of(small), 9, file))
        .withMessage("millisPerFrame must be at least 10, but was 9");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.animate(List.of(small, large), 100, file))
        .withMessage("frames must have one size, but one is 2 x 2 and another 3 x 2");
    assertThat(file).doesNotExist();
  }

  /* --- names and ranges --- */

  @ParameterizedTest
  @ValueSource(strings = {"a.jpg", "a.JPEG", "b.c.gif", "a.bmp", "a.tif", "a.webp", "a.svg"})
  void save_nameOfAnotherFormat_isRefusedAndKeepsTheFile(String name, @TempDir Path folder)
      throws IOException {
    Path file = folder.resolve(name);
    Files.writeString(file, "good");
    Pictures pictures = Pictures.of(manager.zeros(new Shape(1, 2, 2)));
    String stem = name.substring(0, name.lastIndexOf('.'));
    String suffix = name.substring(name.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
    String message =
        file
            + " would be a PNG file under the name of another format; call it "
            + stem
            + ".png, or write the picture of toGrid() by ImageIO.write(picture, \""
            + suffix
            + "\", file)";
    assertThatThrownBy(() -> pictures.save(file)).hasMessage(message);
    assertThatThrownBy(() -> Pictures.write(pictures.toGrid(), file))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThat(file).hasContent("good");
  }

  @ParameterizedTest
  @ValueSource(strings = {"a.png", "a.PNG", "a", "epoch-0.5", "a.part"})
  void save_otherNames_arePng(String name, @TempDir Path folder) throws IOException {
    Path file = folder.resolve(name);
    Pictures.of(manager.zeros(new Shape(1, 2, 2))).save(file);
    assertThat(Files.readAllBytes(file)).startsWith(0x89, 'P', 'N', 'G');
  }

  @Test
  void animate_nameOfAnotherFormat_isRefused(@TempDir Path folder) throws IOException {
    List<BufferedImage> frames = Pictures.of(manager.zeros(new Shape(1, 2, 2))).toImages();
    Path file = folder.resolve("a.png");
    assertThatThrownBy(() -> Pictures.animate(frames, 100, file))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(file + " would be a GIF file under the name of another format; call it a.gif");
    assertThat(file).doesNotExist();
    Pictures.animate(frames, 100, folder.resolve("a.gif"));
  }

  @Test
  void of_0To255_isRefusedUnlessTheRangeIsTold() {
    NDArray bytes = manager.create(new float[] {0, 16, 200, 255}, new Shape(1, 2, 2));
    String message =
        "images must lie in [-1.0, 1.0] or near it, but hold values from 0.0 to 255.0, which looks"
            + " like 0..255; map them by images.div(127.5).sub(1), or tell their range by"
            + " dataRange(min, max)";
    Pictures pictures = Pictures.of(bytes);
    assertThatThrownBy(pictures::toGrid)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThatThrownBy(pictures::toImages).hasMessage(message);
    assertThat(pictures.dataRange(0, 255).toGrid().getRaster().getSample(3, 2, 0)).isEqualTo(16);
  }

  @Test
  void of_finiteOvershoot_isClamped() {
    NDArray wild = manager.create(new float[] {-300, 0.5f, 9, 400}, new Shape(1, 2, 2));
    assertThat(Pictures.of(wild).toImages().get(0).getRaster().getSample(1, 1, 0)).isEqualTo(255);
    NDArray bright = manager.create(new float[] {0, 1, 1.5f, 15}, new Shape(1, 2, 2));
    assertThat(Pictures.of(bright).toImages().get(0).getRaster().getSample(1, 1, 0)).isEqualTo(255);
  }
}
