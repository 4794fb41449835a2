package io.github.ddpm4j.internal.picture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** One pixel of each kind of picture, with the numbers that its samples stand for. */
class PixelsTest {

  static final ColorSpace GREY = ColorSpace.getInstance(ColorSpace.CS_GRAY);
  static final ColorSpace SRGB = ColorSpace.getInstance(ColorSpace.CS_sRGB);
  static final ColorSpace LINEAR = ColorSpace.getInstance(ColorSpace.CS_LINEAR_RGB);

  /** Shares of white, from 0 to 1, in [-1, 1]. */
  private static void assertShares(BufferedImage picture, double... shares) {
    assertNear(picture, 1e-7, shares);
  }

  private static void assertNear(BufferedImage picture, double tolerance, double... shares) {
    Pixels pixels = Pixels.of(picture);
    assertThat(pixels.channels()).isEqualTo(shares.length);
    assertThat(pixels.values()).hasSize(shares.length);
    for (int i = 0; i < shares.length; i++) {
      assertThat((double) pixels.values()[i])
          .as("channel %d", i)
          .isCloseTo(2 * shares[i] - 1, within(2 * tolerance));
    }
  }

  static BufferedImage picture(ColorModel colors, double... samples) {
    BufferedImage picture =
        new BufferedImage(
            colors,
            colors.createCompatibleWritableRaster(1, 1),
            colors.isAlphaPremultiplied(),
            null);
    picture.getRaster().setPixel(0, 0, samples);
    return picture;
  }

  static BufferedImage opaque(ColorSpace space, int type, double... samples) {
    return picture(
        new ComponentColorModel(space, false, false, Transparency.OPAQUE, type), samples);
  }

  static BufferedImage transparent(
      ColorSpace space, int type, boolean premultiplied, double... samples) {
    return picture(
        new ComponentColorModel(space, true, premultiplied, Transparency.TRANSLUCENT, type),
        samples);
  }

  private static BufferedImage standard(int type, int... samples) {
    BufferedImage picture = new BufferedImage(1, 1, type);
    picture.getRaster().setPixel(0, 0, samples);
    return picture;
  }

  @Test
  void of_standardTypes_takesTheSamples() {
    for (int type :
        new int[] {
          BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_INT_BGR, BufferedImage.TYPE_3BYTE_BGR
        }) {
      assertShares(standard(type, 64, 32, 16), 64 / 255.0, 32 / 255.0, 16 / 255.0);
    }
    double white = 1 - 128 / 255.0;
    for (int type : new int[] {BufferedImage.TYPE_INT_ARGB, BufferedImage.TYPE_4BYTE_ABGR}) {
      assertShares(standard(type, 255, 51, 0, 128), 1, 51 / 255.0 * 128 / 255 + white, white);
    }
    for (int type :
        new int[] {BufferedImage.TYPE_INT_ARGB_PRE, BufferedImage.TYPE_4BYTE_ABGR_PRE}) {
      assertShares(standard(type, 127, 51, 0, 128), 127 / 255.0 + white, 51 / 255.0 + white, white);
    }
    assertShares(
        standard(BufferedImage.TYPE_USHORT_565_RGB, 8, 9, 2), 8 / 31.0, 9 / 63.0, 2 / 31.0);
    assertShares(
        standard(BufferedImage.TYPE_USHORT_555_RGB, 8, 9, 2), 8 / 31.0, 9 / 31.0, 2 / 31.0);
    assertShares(standard(BufferedImage.TYPE_BYTE_GRAY, 64), 64 / 255.0);
    assertShares(standard(BufferedImage.TYPE_USHORT_GRAY, 12345), 12345 / 65535.0);
    assertShares(standard(BufferedImage.TYPE_BYTE_BINARY, 1), 1);
    assertShares(standard(BufferedImage.TYPE_BYTE_INDEXED, 42), 0x33 / 255.0, 0x33 / 255.0, 0);
  }

  /** The paths of a pixel in the middle of a picture: bands and rows are not mixed up. */
  @ParameterizedTest
  @CsvSource({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "13"})
  void of_manyPixels_keepsTheirPlaces(int type) {
    BufferedImage picture = new BufferedImage(3, 2, type);
    for (int x = 0; x < 3; x++) {
      for (int y = 0; y < 2; y++) {
        picture.setRGB(x, y, 0xFF000000 | (x * 0x330000 + y * 0x003300 + 0x66));
      }
    }
    Pixels pixels = Pixels.of(picture);
    Pixels part = Pixels.of(picture.getSubimage(2, 1, 1, 1));
    assertThat(pixels.channels()).isEqualTo(type == 10 || type == 11 ? 1 : 3);
    for (int channel = 0; channel < pixels.channels(); channel++) {
      for (int i = 0; i < 6; i++) {
        double one = Pixels.of(picture.getSubimage(i % 3, i / 3, 1, 1)).values()[channel];
        assertThat((double) pixels.values()[channel * 6 + i]).isEqualTo(one);
      }
    }
    assertThat(part.values()[0]).isNotEqualTo(pixels.values()[0]);
  }

  /** The colours of what cannot be seen do not count. */
  @Test
  void of_palette_withTransparency() {
    byte[] red = {0, (byte) 255, 51};
    byte[] green = {0, 0, 51};
    byte[] alpha = {0, (byte) 128, (byte) 255};
    IndexColorModel colours = new IndexColorModel(8, 3, red, green, green, alpha);
    double white = 1 - 128 / 255.0;
    assertShares(picture(colours, 0), 1, 1, 1);
    assertShares(picture(colours, 1), 1, white, white);
    assertShares(picture(colours, 2), 0.2, 0.2, 0.2);
    IndexColorModel greys = new IndexColorModel(8, 3, red, red, red, alpha);
    assertShares(picture(greys, 0), 1);
    assertShares(picture(greys, 1), 1);
    assertShares(picture(greys, 2), 0.2);
  }

  @Test
  void of_sixteenBits_keepsThem() {
    int type = DataBuffer.TYPE_USHORT;
    double unit = 65535;
    assertShares(opaque(SRGB, type, 1, 258, 65534), 1 / unit, 258 / unit, 65534 / unit);
    assertShares(opaque(GREY, type, 258), 258 / unit);
    double share = 12345 / unit;
    assertShares(
        transparent(SRGB, type, false, 1, 258, 65534, 12345),
        1 / unit * share + 1 - share,
        258 / unit * share + 1 - share,
        65534 / unit * share + 1 - share);
    assertShares(
        transparent(SRGB, type, true, 1, 258, 12340, 12345),
        1 / unit + 1 - share,
        258 / unit + 1 - share,
        12340 / unit + 1 - share);
    assertShares(transparent(GREY, type, false, 258, 12345), 258 / unit * share + 1 - share);
    assertShares(transparent(GREY, type, true, 258, 12345), 258 / unit + 1 - share);
  }

  @Test
  void of_fewerBitsThanTheTypeHas_dividesByTheirMaximum() {
    int[] bits = {12};
    ColorModel colors =
        new ComponentColorModel(
            GREY, bits, false, false, Transparency.OPAQUE, DataBuffer.TYPE_USHORT);
    assertShares(picture(colors, 1000), 1000 / 4095.0);
  }

  @Test
  void of_floats_areShares() {
    for (int type : new int[] {DataBuffer.TYPE_FLOAT, DataBuffer.TYPE_DOUBLE}) {
      assertShares(opaque(GREY, type, 0.25), 0.25);
      assertShares(opaque(SRGB, type, 0, 0.5, 1), 0, 0.5, 1);
      assertShares(transparent(GREY, type, false, 0.25, 0.5), 0.625);
      assertShares(transparent(SRGB, type, true, 0.25, 0, 0.5, 0.5), 0.75, 0.5, 1);
    }
  }

  /** 0.055 below 1.055 times the root of 2.4, IEC 61966-2-1. */
  private static double encoded(double light) {
    return 1.055 * Math.pow(light, 1 / 2.4) - 0.055;
  }

  @Test
  void of_linearLight_isEncoded() {
    assertNear(
        opaque(LINEAR, DataBuffer.TYPE_BYTE, 64, 32, 16),
        1e-4,
        encoded(64 / 255.0),
        encoded(32 / 255.0),
        encoded(16 / 255.0));
    double half = 128 / 255.0;
    for (boolean premultiplied : new boolean[] {false, true}) {
      int[] samples = premultiplied ? new int[] {64, 128, 32} : new int[] {127, 255, 64};
      assertNear(
          transparent(
              LINEAR, DataBuffer.TYPE_BYTE, premultiplied, samples[0], samples[1], samples[2], 128),
          2e-3,
          encoded(0.5) * half + 1 - half,
          1,
          encoded(0.25) * half + 1 - half);
    }
    assertNear(
        opaque(LINEAR, DataBuffer.TYPE_USHORT, 20000, 10000, 12345),
        1e-4,
        encoded(20000 / 65535.0),
        encoded(10000 / 65535.0),
        encoded(12345 / 65535.0));
  }

  /** Components of a type, of which nobody says what colour they have. */
  static final class Unnamed extends ColorSpace {
    private static final long serialVersionUID = 1;

    Unnamed(int type, int components) {
      super(type, components);
    }

    @Override
    public float[] toRGB(float[] values) {
      return new float[3];
    }

    @Override
    public float[] fromRGB(float[] values) {
      return new float[getNumComponents()];
    }

    @Override
    public float[] toCIEXYZ(float[] values) {
      return new float[3];
    }

    @Override
    public float[] fromCIEXYZ(float[] values) {
      return new float[getNumComponents()];
    }
  }

  @Test
  void of_cmyk_isWhatInkLeaves() {
    ColorSpace inks = new Unnamed(ColorSpace.TYPE_CMYK, 4);
    assertShares(opaque(inks, DataBuffer.TYPE_BYTE, 51, 102, 255, 51), 0.8 * 0.8, 0.6 * 0.8, 0);
    assertShares(
        transparent(inks, DataBuffer.TYPE_BYTE, false, 51, 102, 255, 51, 51),
        0.64 * 0.2 + 0.8,
        0.48 * 0.2 + 0.8,
        0.8);
  }

  @Test
  void of_samplesThatMeanNothingCertain_isRefused() {
    assertUnusual(opaque(GREY, DataBuffer.TYPE_SHORT, 100), "signed integers");
    assertUnusual(opaque(SRGB, DataBuffer.TYPE_INT, 1, 2, 3), "integers of 32 bits");
    assertUnusual(
        opaque(new Unnamed(ColorSpace.TYPE_5CLR, 5), DataBuffer.TYPE_BYTE, 1, 2, 3, 4, 5),
        "5 components of no known colour");
  }

  private static void assertUnusual(BufferedImage picture, String what) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pixels.of(picture))
        .withMessage(
            "the samples of a picture must be unsigned integers of at most 16 bits, or floats, of"
                + " grey, RGB or CMYK, but were "
                + what
                + "; convert the picture to 8 or 16 bits of RGB");
  }

  @Test
  void of_samplesBeyondWhite_isRefused() {
    assertOutside(opaque(SRGB, DataBuffer.TYPE_FLOAT, 0.5, 255, 3), "[0.0, 255.0]");
    assertOutside(opaque(GREY, DataBuffer.TYPE_DOUBLE, -0.5), "[-0.5, 1.0]");
    assertOutside(opaque(GREY, DataBuffer.TYPE_FLOAT, Double.NaN), "[NaN, NaN]");
    assertOutside(transparent(GREY, DataBuffer.TYPE_FLOAT, false, 0.5, 2), "[0.0, 2.0]");
    ColorModel twelve =
        new ComponentColorModel(
            GREY, new int[] {12}, false, false, Transparency.OPAQUE, DataBuffer.TYPE_USHORT);
    assertOutside(picture(twelve, 8190), "[0.0, 2.0]");
  }

  private static void assertOutside(BufferedImage picture, String extent) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Pixels.of(picture))
        .withMessage(
            "the samples of a picture must be shares of white, from 0 to 1, but lie in "
                + extent
                + "; scale them");
  }

  @Test
  void toPicture_thenOf_isTheSame() {
    float[] grey = {-1, -0.6f, 0.2f, 1};
    assertThat(Pixels.of(new Pixels(1, grey).toPicture(2, 2)).values()).containsExactly(grey);
    float[] rgb = {-1, -0.6f, -0.2f, 0.2f, 0.6f, 1};
    Pixels back = Pixels.of(new Pixels(3, rgb).toPicture(2, 1));
    assertThat(back.channels()).isEqualTo(3);
    IntStream.range(0, 6)
        .forEach(i -> assertThat(back.values()[i]).isCloseTo(rgb[i], within(1e-6f)));
  }

  /** What is premultiplied is divided again; palettes have an opacity too. */
  @Test
  void withOpacity_isTheColourAsItIs() {
    Pixels straight =
        Pixels.withOpacity(transparent(SRGB, DataBuffer.TYPE_BYTE, false, 51, 102, 204, 127.5));
    assertThat(straight.channels()).isEqualTo(4);
    Pixels multiplied =
        Pixels.withOpacity(transparent(GREY, DataBuffer.TYPE_USHORT, true, 13107, 26214));
    assertThat(multiplied.channels()).isEqualTo(2);
    assertThat(multiplied.values()).containsExactly(0, (float) (2 * 0.4 - 1));
    byte[] levels = {0, 51};
    IndexColorModel palette =
        new IndexColorModel(8, 2, levels, levels, levels, new byte[] {(byte) 255, 51});
    Pixels indexed = Pixels.withOpacity(picture(palette, 1));
    assertThat(indexed.channels()).isEqualTo(2);
    assertThat(indexed.values()).containsExactly(-0.6f, -0.6f);
    assertThat(Pixels.withOpacity(opaque(SRGB, DataBuffer.TYPE_BYTE, 1, 2, 3)).channels())
        .isEqualTo(3);
  }
}
