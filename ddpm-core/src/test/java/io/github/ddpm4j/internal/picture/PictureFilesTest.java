package io.github.ddpm4j.internal.picture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.image.Pictures;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.ImageOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What files of unusual kinds hold is read rightly, or they are refused by name. */
class PictureFilesTest {

  private final Path folder;

  PictureFilesTest(@TempDir Path folder) {
    this.folder = folder;
  }

  private Pixels read(String name, byte[] bytes) throws IOException {
    return PictureFiles.read(Files.write(folder.resolve(name), bytes)).pixels();
  }

  private static void assertShares(Pixels pixels, double... shares) {
    assertThat(pixels.values()).hasSize(shares.length);
    for (int i = 0; i < shares.length; i++) {
      assertThat((double) pixels.values()[i]).isCloseTo(2 * shares[i] - 1, within(2e-7));
    }
  }

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  /* --- PNG --- */

  /** One row; {@code transparent} is the level, or colour, of tRNS. */
  private static byte[] png(int width, int bits, int type, byte[] row, int... transparent)
      throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(file);
    out.writeLong(0x89504E470D0A1A0AL);
    byte[] header = bytes(0, 0, 0, width, 0, 0, 0, 1, bits, type, 0, 0, 0);
    chunk(out, "IHDR", header);
    chunk(out, "tEXt", "Comment\0tRNS".getBytes(StandardCharsets.ISO_8859_1));
    if (transparent.length > 0) {
      ByteBuffer levels = ByteBuffer.allocate(2 * transparent.length);
      Arrays.stream(transparent).forEach(level -> levels.putShort((short) level));
      chunk(out, "tRNS", levels.array());
    }
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    try (DeflaterOutputStream deflater = new DeflaterOutputStream(data)) {
      deflater.write(0);
      deflater.write(row);
    }
    chunk(out, "IDAT", data.toByteArray());
    chunk(out, "IEND", new byte[0]);
    return file.toByteArray();
  }

  private static void chunk(DataOutputStream out, String name, byte[] data) throws IOException {
    byte[] kind = name.getBytes(StandardCharsets.ISO_8859_1);
    CRC32 sum = new CRC32();
    sum.update(kind);
    sum.update(data);
    out.writeInt(data.length);
    out.write(kind);
    out.write(data);
    out.writeInt((int) sum.getValue());
  }

  @Test
  void read_greyPngOfFewBits_oneLevelTransparent() throws IOException {
    byte[] two = bytes(0b00011011);
    byte[] four = bytes(0x0F, 0x1A);
    assertShares(read("1.png", png(4, 1, 0, bytes(0b01010000))), 0, 1, 0, 1);
    assertShares(read("1.png", png(4, 1, 0, bytes(0b01010000), 0)), 1, 1, 1, 1);
    assertShares(read("1.png", png(4, 1, 0, bytes(0b01010000), 1)), 0, 1, 0, 1);
    assertShares(read("2.png", png(4, 2, 0, two)), 0, 1 / 3.0, 2 / 3.0, 1);
    assertShares(read("2.png", png(4, 2, 0, two, 1)), 0, 1, 2 / 3.0, 1);
    assertShares(read("2.png", png(4, 2, 0, two, 0)), 1, 1 / 3.0, 2 / 3.0, 1);
    assertShares(read("4.png", png(4, 4, 0, four)), 0, 1, 1 / 15.0, 2 / 3.0);
    assertShares(read("4.png", png(4, 4, 0, four, 10)), 0, 1, 1 / 15.0, 1);
    assertShares(read("4.png", png(4, 4, 0, four, 1)), 0, 1, 1, 2 / 3.0);
    // as the format says: higher bits do not count
    assertShares(read("4.png", png(4, 4, 0, four, 0x31)), 0, 1, 1, 2 / 3.0);
  }

  @Test
  void read_pngOfEightAndSixteenBits() throws IOException {
    double byteUnit = 255;
    double unit = 65535;
    assertShares(read("8.png", png(2, 8, 0, bytes(3, 4), 3)), 1, 4 / byteUnit);
    assertShares(
        read("8.png", png(2, 8, 2, bytes(3, 4, 5, 3, 4, 6), 3, 4, 5)),
        1,
        3 / byteUnit,
        1,
        4 / byteUnit,
        1,
        6 / byteUnit);
    assertShares(read("16.png", png(2, 16, 0, bytes(3, 4, 5, 6), 772)), 1, 1286 / unit);
    assertShares(
        read("16.png", png(1, 16, 2, bytes(1, 2, 3, 4, 5, 6))),
        258 / unit,
        772 / unit,
        1286 / unit);
    double share = 1800 / unit;
    assertShares(
        read("16.png", png(1, 16, 6, bytes(1, 2, 3, 4, 5, 6, 7, 8))),
        258 / unit * share + 1 - share,
        772 / unit * share + 1 - share,
        1286 / unit * share + 1 - share);
    assertShares(read("16.png", png(1, 16, 4, bytes(1, 2, 7, 8))), 258 / unit * share + 1 - share);
  }

  @Test
  void read_pngThatEndsInItsHead_isRefused() throws IOException {
    byte[] whole = png(4, 4, 0, bytes(0, 0));
    for (int length : new int[] {9, 24, 30, 40}) {
      Path file = Files.write(folder.resolve("head.png"), Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> PictureFiles.read(file))
          .isInstanceOf(IOException.class)
          .hasMessageStartingWith(file + " is damaged or of an unusual kind: ");
    }
  }

  /* --- TIFF --- */

  /** One row of a TIFF file, big endian. */
  private record Tiff(int width, int colors, int format, List<Integer> samples) {

    Tiff(int width, int colors, int format, Integer... samples) {
      this(width, colors, format, List.of(samples));
    }

    byte[] of(byte... data) {
      int[] bits = samples.stream().mapToInt(Integer::intValue).toArray();
      ByteBuffer file = ByteBuffer.allocate(1024);
      file.put((byte) 'M').put((byte) 'M').putShort((short) 42).putInt(512).put(data).position(512);
      int[] formats = new int[bits.length];
      Arrays.fill(formats, format);
      int[][] tags = {
        {256, width},
        {257, 1},
        {258},
        {259, 1},
        {262, colors},
        {273, 8},
        {277, bits.length},
        {278, 1},
        {279, data.length},
        {339}
      };
      file.putShort((short) tags.length);
      int heap = 800;
      for (int[] tag : tags) {
        int[] values = tag.length > 1 ? new int[] {tag[1]} : tag[0] == 258 ? bits : formats;
        file.putShort((short) tag[0]).putShort((short) 3).putInt(values.length);
        if (values.length > 2) {
          file.putInt(heap);
          for (int value : values) {
            file.putShort(heap, (short) value);
            heap += 2;
          }
        } else {
          file.putShort((short) values[0]).putShort((short) values[values.length - 1]);
        }
      }
      return file.array();
    }
  }

  private Pixels tiff(int width, int colors, int format, int bits, int... data) throws IOException {
    return read("some.tiff", new Tiff(width, colors, format, bits).of(bytes(data)));
  }

  @Test
  void read_greyTiff() throws IOException {
    assertShares(tiff(4, 1, 1, 8, 0, 64, 128, 255), 0, 64 / 255.0, 128 / 255.0, 1);
    assertShares(tiff(4, 0, 1, 8, 0, 64, 128, 255), 1, 191 / 255.0, 127 / 255.0, 0);
    assertShares(tiff(2, 1, 1, 16, 0, 64, 128, 255), 64 / 65535.0, 33023 / 65535.0);
    assertShares(tiff(2, 0, 1, 16, 0, 64, 128, 255), 1 - 64 / 65535.0, 1 - 33023 / 65535.0);
    assertShares(tiff(4, 1, 1, 4, 0x0F, 0x1A), 0, 1, 1 / 15.0, 2 / 3.0);
    assertShares(tiff(4, 0, 1, 2, 0b00011011), 1, 2 / 3.0, 1 / 3.0, 0);
    assertShares(tiff(4, 0, 1, 1, 0b01010000), 1, 0, 1, 0);
    assertShares(tiff(2, 1, 3, 32, 0x3F, 0x80, 0, 0, 0x3E, 0x80, 0, 0), 1, 0.25);
    assertShares(tiff(2, 0, 3, 32, 0x3F, 0x80, 0, 0, 0x3E, 0x80, 0, 0), 0, 0.75);
    assertShares(tiff(1, 1, 3, 64, 0x3F, 0xE0, 0, 0, 0, 0, 0, 0), 0.5);
  }

  @Test
  void read_colourTiff() throws IOException {
    assertShares(
        read("rgb.tiff", new Tiff(1, 2, 1, 8, 8, 8).of(bytes(1, 2, 3))),
        1 / 255.0,
        2 / 255.0,
        3 / 255.0);
    assertShares(
        read("rgb.tiff", new Tiff(1, 2, 1, 16, 16, 16).of(bytes(0, 1, 1, 2, 255, 254))),
        1 / 65535.0,
        258 / 65535.0,
        65534 / 65535.0);
    assertShares(
        read(
            "rgb.tiff",
            new Tiff(1, 2, 3, 32, 32, 32)
                .of(bytes(0x3F, 0x80, 0, 0, 0x3E, 0x80, 0, 0, 0, 0, 0, 0))),
        1,
        0.25,
        0);
    // white less ink, as it stands: no light that would have to be encoded
    assertShares(
        read("cmyk.tiff", new Tiff(1, 5, 1, 8, 8, 8, 8).of(bytes(51, 102, 0, 51))),
        0.64,
        0.48,
        0.8);
  }

  /** Java writes it as YCbCr; grey in it stays that grey. */
  @Test
  void read_jpegInTiff() throws IOException {
    BufferedImage picture = new BufferedImage(16, 16, BufferedImage.TYPE_3BYTE_BGR);
    int[] grey = new int[3 * 256];
    Arrays.fill(grey, 100);
    picture.getRaster().setPixels(0, 0, 16, 16, grey);
    ImageWriter writer = ImageIO.getImageWritersByFormatName("tiff").next();
    ImageWriteParam param = writer.getDefaultWriteParam();
    param.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    param.setCompressionType("JPEG");
    Path file = folder.resolve("jpeg.tiff");
    try (ImageOutputStream out = ImageIO.createImageOutputStream(file.toFile())) {
      writer.setOutput(out);
      writer.write(null, new IIOImage(picture, null, null), param);
    } finally {
      writer.dispose();
    }
    double[] expected = new double[3 * 256];
    Arrays.fill(expected, 100 / 255.0);
    assertShares(PictureFiles.read(file).pixels(), expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "1 | 2 | 8 | 'of sample format 2, such as signed integers'",
        "1 | 2 | 16 | 'of sample format 2, such as signed integers'",
        "1 | 2 | 32 | 'integers of 32 bits'",
        "1 | 1 | 32 | 'integers of 32 bits'",
        "1 | 1 | 64 | 'integers of 64 bits'",
        "1 | 1 | 12 | 'integers of 12 bits'",
        "1 | 1 | 6 | 'integers of 6 bits'",
        "1 | 3 | 16 | 'floats of 16 bits'",
        "1 | 3 | 24 | 'floats of 24 bits'",
        "1 | 5 | 16 | 'of sample format 5, such as signed integers'",
        "2 | 2 | 8,8,8 | 'of sample format 2, such as signed integers'",
        "2 | 1 | 12,12,12 | 'integers of 12 bits'",
        "2 | 1 | 5,6,5 | 'integers of 5, 6 bits'",
        "2 | 1 | 8,16,8 | 'integers of 8, 16 bits'",
        "5 | 1 | 16,16,16,16 | 'of photometric interpretation 5, 16 bits'",
        "5 | 1 | 8,8,8,8,8 | 'of photometric interpretation 5, 8 bits'",
        "6 | 1 | 8,8,8 | 'of photometric interpretation 6, 8 bits'",
        "8 | 1 | 8,8,8 | 'of photometric interpretation 8, 8 bits'",
        "9 | 1 | 8,8,8 | 'of photometric interpretation 9, 8 bits'",
        "32803 | 1 | 8 | 'of photometric interpretation 32803, 8 bits'",
      })
  void read_tiffThatWouldBeMisread_isRefused(int colors, int format, String bits, String what)
      throws IOException {
    List<Integer> each = Arrays.stream(bits.split(",")).map(Integer::valueOf).toList();
    Path file =
        Files.write(
            folder.resolve("some.tiff"), new Tiff(1, colors, format, each).of(new byte[64]));
    assertThatThrownBy(() -> PictureFiles.read(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " cannot be read: samples of a TIFF file must be unsigned integers of 1, 2, 4, 8"
                + " or 16 bits, or floats of 32 or 64, of grey, RGB, a"
                + " palette or CMYK in 8 bits, but were "
                + what
                + "; convert it to 8 or 16 bits of RGB");
  }

  @Test
  void read_tiffOfFloatsBeyondWhite_isRefused() throws IOException {
    Path file =
        Files.write(
            folder.resolve("height.tiff"), new Tiff(1, 1, 3, 32).of(bytes(0x43, 0x7F, 0, 0)));
    assertThatThrownBy(() -> PictureFiles.read(file))
        .isInstanceOf(IOException.class)
        .hasMessage(
            file
                + " cannot be read: the samples of a picture must be shares of white, from 0 to 1,"
                + " but lie in [0.0, 255.0]; scale them");
  }

  /* --- JPEG --- */

  /** Inks are stored inverted, as programs that write such files do. */
  @Test
  void read_jpegOfFourInks_isCmyk() throws IOException {
    WritableRaster inks = Raster.createInterleavedRaster(DataBuffer.TYPE_BYTE, 8, 8, 4, null);
    int[] levels = {255 - 51, 255 - 102, 255, 255 - 51};
    int[] all = new int[4 * 64];
    Arrays.setAll(all, i -> levels[i % 4]);
    inks.setPixels(0, 0, 8, 8, all);
    Path file = folder.resolve("inks.jpg");
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    try (ImageOutputStream out = ImageIO.createImageOutputStream(file.toFile())) {
      writer.setOutput(out);
      writer.write(new IIOImage(inks, null, null));
    } finally {
      writer.dispose();
    }
    double[] shares = new double[3 * 64];
    Arrays.setAll(shares, i -> i < 64 ? 0.64 : i < 128 ? 0.48 : 0.8);
    assertShares(PictureFiles.read(file).pixels(), shares);
  }

  /* --- with its opacity, for data --- */

  @Test
  void readWithOpacity_keepsColoursAndOpacity() throws IOException {
    double unit = 65535;
    Path file = Files.write(folder.resolve("16.png"), png(1, 16, 6, bytes(1, 2, 3, 4, 5, 6, 7, 8)));
    PictureFiles.Picture picture = PictureFiles.readWithOpacity(file, 1);
    assertThat(picture.pixels().channels()).isEqualTo(4);
    assertShares(picture.pixels(), 258 / unit, 772 / unit, 1286 / unit, 1800 / unit);
    Files.write(file, png(1, 8, 0, bytes(51)));
    assertThat(PictureFiles.readWithOpacity(file, 1).pixels().channels()).isEqualTo(1);
    Files.write(file, png(4, 2, 0, bytes(0b00011011), 1));
    assertShares(
        PictureFiles.readWithOpacity(file, 4).pixels(), 0, 1 / 3.0, 2 / 3.0, 1, 1, 0, 1, 1);
  }

  @Test
  void readWithOpacity_ofMorePixelsThanAllowed_isRefused() throws IOException {
    Path file = Files.write(folder.resolve("8.png"), png(3, 8, 0, bytes(1, 2, 3)));
    assertThat(PictureFiles.readWithOpacity(file, 3).width()).isEqualTo(3);
    assertThatThrownBy(() -> PictureFiles.readWithOpacity(file, 2))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " cannot be read: a picture must have at most 2 pixels, but has 3");
  }

  /** The JDK's reader fills up what is missing, and only warns. */
  @Test
  void readWithOpacity_ofAJpegThatIsCutOff_isRefused() throws IOException {
    BufferedImage noise = new BufferedImage(64, 64, BufferedImage.TYPE_3BYTE_BGR);
    int[] levels = new int[3 * 64 * 64];
    Arrays.setAll(levels, i -> i * 7919 % 256);
    noise.getRaster().setPixels(0, 0, 64, 64, levels);
    Path file = folder.resolve("cut.jpg");
    ImageIO.write(noise, "jpeg", file.toFile());
    assertThat(PictureFiles.readWithOpacity(file, 1 << 20).height()).isEqualTo(64);
    byte[] whole = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(whole, whole.length * 2 / 3));
    assertThat(PictureFiles.read(file).height()).isEqualTo(64);
    assertThatThrownBy(() -> PictureFiles.readWithOpacity(file, 1 << 20))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " cannot be read: it is cut off; copy it again, or take it away");
  }

  @ParameterizedTest
  @ValueSource(strings = {"P1", "GIF89a", "no PNG at all"})
  void words_ofAnotherFile_none(String content) throws IOException {
    Path file = Files.writeString(folder.resolve("other"), content);
    assertThat(PictureFiles.words(file)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 8, 20})
  void words_ofThePictureCutOff_isRefused(int bytes) throws IOException {
    Path file = folder.resolve("cut.png");
    PictureFiles.write(new BufferedImage(2, 2, BufferedImage.TYPE_INT_RGB), file, Map.of("a", "b"));
    assertThat(PictureFiles.words(file)).isEqualTo(Map.of("a", "b"));
    Files.write(file, Arrays.copyOf(Files.readAllBytes(file), bytes));
    assertThatThrownBy(() -> PictureFiles.words(file))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " is cut off");
  }

  /* --- written --- */

  @Test
  void write_eachStandardType_isReadBack() throws IOException {
    Path file = folder.resolve("some.png");
    for (int type = BufferedImage.TYPE_INT_RGB; type <= BufferedImage.TYPE_BYTE_INDEXED; type++) {
      BufferedImage picture = new BufferedImage(3, 2, type);
      for (int i = 0; i < 6; i++) {
        picture.setRGB(i % 3, i / 3, 0xFF000000 | 0x11AAC9 * i);
      }
      picture.setRGB(0, 0, 0x80336699);
      PictureFiles.write(picture, file, Map.of());
      Pixels expected = Pixels.of(picture);
      Pixels found = PictureFiles.read(file).pixels();
      // 5 and 6 bits are spread over 8, and shares of an alpha are divided by it
      assertThat(found.channels()).as("type %d", type).isEqualTo(expected.channels());
      assertThat(found.values())
          .as("type %d", type)
          .containsExactly(expected.values(), within(1.01f / 255));
    }
  }

  @Test
  void write_sixteenBits_isReadBackExactly() throws IOException {
    Path file = folder.resolve("some.png");
    int type = DataBuffer.TYPE_USHORT;
    for (BufferedImage picture :
        List.of(
            PixelsTest.opaque(PixelsTest.GREY, type, 258),
            PixelsTest.opaque(PixelsTest.SRGB, type, 1, 258, 65534),
            PixelsTest.transparent(PixelsTest.GREY, type, false, 258, 1000),
            PixelsTest.transparent(PixelsTest.SRGB, type, false, 1, 258, 65534, 1000))) {
      PictureFiles.write(picture, file, Map.of());
      assertThat(PictureFiles.read(file).pixels().values())
          .containsExactly(Pixels.of(picture).values());
    }
  }

  /** Neither an empty file nor other values, and the good one stays. */
  @Test
  void write_whatTheFormatCannotHold_isRefused() throws IOException {
    assertUnwritable(PixelsTest.opaque(PixelsTest.GREY, DataBuffer.TYPE_FLOAT, 0.5), "floats");
    assertUnwritable(
        PixelsTest.opaque(PixelsTest.SRGB, DataBuffer.TYPE_DOUBLE, 0, 0.5, 1), "floats");
    assertUnwritable(
        PixelsTest.opaque(PixelsTest.GREY, DataBuffer.TYPE_SHORT, 7), "signed integers");
    assertUnwritable(
        PixelsTest.opaque(PixelsTest.SRGB, DataBuffer.TYPE_INT, 7, 8, 9), "integers of 32 bits");
    assertUnwritable(
        PixelsTest.opaque(PixelsTest.LINEAR, DataBuffer.TYPE_BYTE, 64, 32, 16),
        "not of grey or sRGB");
    assertUnwritable(
        PixelsTest.opaque(
            new PixelsTest.Unnamed(ColorSpace.TYPE_CMYK, 4), DataBuffer.TYPE_BYTE, 1, 2, 3, 4),
        "not of grey or sRGB");
  }

  private void assertUnwritable(BufferedImage picture, String kind) throws IOException {
    Path file = Files.writeString(folder.resolve("good.png"), "good");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.write(picture, file))
        .withMessage(
            "a PNG file holds samples of at most 16 bits, of grey or sRGB, but those of the picture"
                + " of 1 x 1 were "
                + kind
                + "; convert it, as Pictures.of(Pictures.toArray(manager, picture)).toImages()"
                + " does");
    assertThat(file).hasContent("good");
    assertThat(folder.toFile().list()).containsExactly("good.png");
  }

  /** The JDK's writer of GIF would show 0.25 of grey as 0x89. */
  @Test
  void animate_unusualFrames_haveTheirValues() throws IOException {
    Path file = folder.resolve("some.gif");
    List<BufferedImage> frames =
        List.of(
            PixelsTest.opaque(PixelsTest.GREY, DataBuffer.TYPE_FLOAT, 0.25),
            PixelsTest.opaque(PixelsTest.GREY, DataBuffer.TYPE_USHORT, 0x4000),
            PixelsTest.transparent(PixelsTest.GREY, DataBuffer.TYPE_BYTE, false, 64, 255),
            PixelsTest.opaque(PixelsTest.SRGB, DataBuffer.TYPE_USHORT, 0x4000, 0x4000, 0x4000));
    for (BufferedImage frame : frames) {
      Pictures.animate(List.of(frame), 100, file);
      assertThat(ImageIO.read(file.toFile()).getRGB(0, 0)).isEqualTo(0xFF404040);
    }
  }

  @Test
  void animate_aFrameOfNothingCertain_isRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("good.gif"), "good");
    BufferedImage frame = PixelsTest.opaque(PixelsTest.GREY, DataBuffer.TYPE_SHORT, 7);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pictures.animate(List.of(frame), 100, file))
        .withMessageContaining("but were signed integers;");
    assertThat(file).hasContent("good");
  }
}
