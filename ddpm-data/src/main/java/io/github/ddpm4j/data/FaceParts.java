package io.github.ddpm4j.data;

import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;

/**
 * The parts of pixel-art portraits on a grid of 16x16: sprites, the colours that they come in, and
 * how they are laid on one another.
 *
 * <pre>
 *   x' = (1 − a) x + q c + r        x: the picture below, c: the colour of the part
 * </pre>
 *
 * <p>The design is "Pixel Art" by DiceBear, CC0 1.0; the backgrounds are ours.
 */
// The order of the slots is part of what a seed means.
@SuppressWarnings("EnumOrdinal")
final class FaceParts {

  /** The side of the grid. */
  static final int GRID = 16;

  static final int CELLS = GRID * GRID;
  static final int CHANNELS = 3;

  private static final int COLUMNS = 16;
  private static final double WHITE = 255;
  private static final int HEX = 16;
  private static final int BYTE = 8;

  /** What is chosen of a face, in the order in which it is drawn: a style or a colour. */
  enum Slot {
    BACKGROUND,
    SKIN,
    ACCESSORIES,
    ACCESSORIES_COLOR,
    CLOTHING,
    CLOTHING_COLOR,
    EYES,
    EYES_COLOR,
    GLASSES,
    GLASSES_COLOR,
    BEARD,
    MOUTH,
    MOUTH_COLOR,
    HAIR,
    HAIR_COLOR,
    HAT,
    HAT_COLOR;

    /** Its place in the choices of a face. */
    @SuppressWarnings("EnumOrdinal") // where it lies in an array
    int index() {
      return ordinal();
    }

    /** Whether a face may be without it; choice 0 is none then. */
    boolean optional() {
      return this == ACCESSORIES || this == GLASSES || this == BEARD || this == HAT;
    }
  }

  /** A layer: what it shows, and in which colour. */
  enum Layer {
    BODY(null, Slot.SKIN),
    ACCESSORIES(Slot.ACCESSORIES, Slot.ACCESSORIES_COLOR),
    CLOTHING(Slot.CLOTHING, Slot.CLOTHING_COLOR),
    EYES(Slot.EYES, Slot.EYES_COLOR),
    GLASSES(Slot.GLASSES, Slot.GLASSES_COLOR),
    BEARD(Slot.BEARD, Slot.HAIR_COLOR),
    MOUTH(Slot.MOUTH, Slot.MOUTH_COLOR),
    HAIR(Slot.HAIR, Slot.HAIR_COLOR),
    HAT(Slot.HAT, Slot.HAT_COLOR);

    private final @Nullable Slot style;
    private final Slot color;

    Layer(@Nullable Slot style, Slot color) {
      this.style = style;
      this.color = color;
    }

    private String key() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** The cells of a sprite that are not empty. */
  // Made once and never changed.
  @SuppressWarnings("ArrayRecordComponent")
  private record Sprite(int[] cells, double[] keep, double[] share, double[] fixed) {}

  // Soft colours, so that faces stand out: white, blue, green, yellow, pink, purple.
  private static final int[] BACKGROUNDS = {
    0xf4f4f0, 0xb6e3f4, 0xc7ecc9, 0xfbe8a6, 0xffd5dc, 0xd1d4f9
  };

  private static final FaceParts SHARED = read();

  private final Map<Layer, List<Sprite>> sprites = new EnumMap<>(Layer.class);
  private final Map<Layer, List<String>> names = new EnumMap<>(Layer.class);
  private final Map<Slot, int[]> palettes = new EnumMap<>(Slot.class);

  private FaceParts() {}

  static FaceParts get() {
    return SHARED;
  }

  /** The number of choices of a slot, that of none included. */
  int choices(Slot slot) {
    int[] palette = palettes.get(slot);
    if (palette != null) {
      return palette.length;
    }
    return (slot.optional() ? 1 : 0) + styles(slot).size();
  }

  /**
   * The names of the styles of a slot in the design; for an optional one that of choice 1 first.
   */
  List<String> styles(Slot slot) {
    return Objects.requireNonNull(names.get(Layer.valueOf(slot.name())), slot.name());
  }

  /**
   * Draws a face onto the grid.
   *
   * @param choices one per slot
   * @param picture receives 16·16 cells of three levels from 0 to 255, red, green, blue
   */
  void draw(int[] choices, double[] picture) {
    int background = BACKGROUNDS[choices[Slot.BACKGROUND.index()]];
    for (int i = 0; i < picture.length; i++) {
      picture[i] = channel(background, i % CHANNELS);
    }
    for (Layer layer : Layer.values()) {
      int style = layer.style == null ? 0 : choices[layer.style.index()];
      if (layer.style != null && layer.style.optional() && --style < 0) {
        continue;
      }
      Sprite sprite = Objects.requireNonNull(sprites.get(layer)).get(style);
      int color = Objects.requireNonNull(palettes.get(layer.color))[choices[layer.color.index()]];
      for (int channel = 0; channel < CHANNELS; channel++) {
        double level = channel(color, channel);
        for (int k = 0; k < sprite.cells.length; k++) {
          int at = sprite.cells[k] * CHANNELS + channel;
          picture[at] = sprite.keep[k] * picture[at] + sprite.share[k] * level + sprite.fixed[k];
        }
      }
    }
  }

  private static int channel(int color, int channel) {
    return (color >> (BYTE * (CHANNELS - 1 - channel))) & 0xff;
  }

  private static FaceParts read() {
    FaceParts parts = new FaceParts();
    Map<String, String[]> lines = lines();
    try (InputStream in = open("faces.png")) {
      BufferedImage atlas = ImageIO.read(in);
      int place = 0;
      for (Layer layer : Layer.values()) {
        String[] own = Objects.requireNonNull(lines.get(layer.key()), layer.key());
        List<Sprite> of = new ArrayList<>();
        for (int i = 0; i < own.length; i++) {
          of.add(sprite(atlas, place++));
        }
        parts.sprites.put(layer, of);
        parts.names.put(layer, List.of(own));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    parts.palettes.put(Slot.BACKGROUND, BACKGROUNDS);
    for (Layer layer : Layer.values()) {
      String key = layer == Layer.BODY ? "skin" : layer == Layer.BEARD ? "hair" : layer.key();
      String[] colors = Objects.requireNonNull(lines.get(key + " colours"), key);
      int[] palette = new int[colors.length];
      for (int i = 0; i < palette.length; i++) {
        palette[i] = Integer.parseInt(colors[i], HEX);
      }
      parts.palettes.put(layer.color, palette);
    }
    return parts;
  }

  private static Map<String, String[]> lines() {
    Map<String, String[]> lines = new HashMap<>();
    try (BufferedReader reader =
        new BufferedReader(new InputStreamReader(open("faces.txt"), StandardCharsets.US_ASCII))) {
      reader
          .lines()
          .filter(line -> !line.startsWith("#"))
          .forEach(
              line -> {
                int colon = line.indexOf(": ");
                lines.put(line.substring(0, colon), line.substring(colon + 2).split(" ", -1));
              });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return lines;
  }

  private static InputStream open(String resource) {
    InputStream in = FaceParts.class.getResourceAsStream(resource);
    if (in == null) {
      throw new UncheckedIOException(new IOException(resource + " is missing from the class path"));
    }
    return in;
  }

  private static Sprite sprite(BufferedImage atlas, int place) {
    int left = place % COLUMNS * GRID;
    int top = place / COLUMNS * GRID;
    int[] cells = new int[CELLS];
    double[][] values = new double[CHANNELS][CELLS];
    int count = 0;
    for (int cell = 0; cell < CELLS; cell++) {
      int rgb = atlas.getRGB(left + cell % GRID, top + cell / GRID);
      if (channel(rgb, 0) != 0) {
        cells[count] = cell;
        values[0][count] = 1 - channel(rgb, 0) / WHITE;
        values[1][count] = channel(rgb, 1) / WHITE;
        values[2][count++] = channel(rgb, 2);
      }
    }
    return new Sprite(Arrays.copyOf(cells, count), values[0].clone(), values[1].clone(), values[2]);
  }
}
