package io.github.ddpm4j.image;

import java.awt.Color;
import java.awt.Font;
import java.awt.FontMetrics;
import java.awt.Graphics2D;
import java.awt.RenderingHints;
import java.awt.image.BufferedImage;
import java.util.List;

/**
 * The words above the columns of a grid and left of its rows.
 *
 * @param columns from left to right, as many as there are
 * @param rows from top to bottom, as many as there are
 */
record Labels(List<String> columns, List<String> rows) {

  static final Labels NONE = new Labels(List.of(), List.of());

  private static final int SIZE = 12;

  /** Free pixels left and right of a word, and above and below. */
  private static final int MARGIN = 3;

  private static final Color ON_DARK = new Color(0xE6E6E6);
  private static final Color ON_LIGHT = new Color(0x202020);
  private static final int LEVELS = 255;

  /** The pixels that the widest of some words needs; 0 for none. */
  static int width(List<String> words) {
    return words.isEmpty()
        ? 0
        : words.stream().mapToInt(metrics()::stringWidth).max().orElse(0) + 2 * MARGIN;
  }

  /** The pixels that a line of words needs; 0 for none. */
  static int height(List<String> words) {
    return words.isEmpty() ? 0 : metrics().getHeight() + 2 * MARGIN;
  }

  /**
   * Writes a word into the middle of a box. Where the box is too small, the end of the word is
   * lost.
   */
  static void write(
      String word, BufferedImage canvas, int left, int top, int width, int height, Color on) {
    BufferedImage box = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = graphics(box);
    FontMetrics metrics = graphics.getFontMetrics();
    graphics.setColor(Color.WHITE);
    graphics.drawString(
        word,
        Math.max(0, (width - metrics.stringWidth(word)) / 2),
        (height - metrics.getHeight()) / 2 + metrics.getAscent());
    graphics.dispose();
    Color ink = on.getRed() + on.getGreen() + on.getBlue() < 3 * 128 ? ON_DARK : ON_LIGHT;
    int[] from = {on.getRed(), on.getGreen(), on.getBlue()};
    int[] to = {ink.getRed(), ink.getGreen(), ink.getBlue()};
    int[] coverage = box.getRaster().getSamples(0, 0, width, height, 0, (int[]) null);
    int[] levels = new int[coverage.length];
    // Bands are written directly, as those of the images: a grey canvas would get a gamma.
    for (int band = 0; band < canvas.getRaster().getNumBands(); band++) {
      for (int i = 0; i < levels.length; i++) {
        levels[i] = from[band] + (to[band] - from[band]) * coverage[i] / LEVELS;
      }
      canvas.getRaster().setSamples(left, top, width, height, band, levels);
    }
  }

  private static FontMetrics metrics() {
    Graphics2D graphics = graphics(new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB));
    FontMetrics metrics = graphics.getFontMetrics();
    graphics.dispose();
    return metrics;
  }

  private static Graphics2D graphics(BufferedImage image) {
    Graphics2D graphics = image.createGraphics();
    graphics.setFont(new Font(Font.SANS_SERIF, Font.PLAIN, SIZE));
    graphics.setRenderingHint(
        RenderingHints.KEY_TEXT_ANTIALIASING, RenderingHints.VALUE_TEXT_ANTIALIAS_ON);
    return graphics;
  }
}
