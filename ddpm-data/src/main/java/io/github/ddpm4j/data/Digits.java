package io.github.ddpm4j.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.apache.commons.rng.sampling.PermutationSampler;
import org.apache.commons.rng.simple.RandomSource;

/**
 * The bundled dataset: 1,797 handwritten digits of 8x8 pixels, white on black, split into {@value
 * #TRAINING} for training and {@value #HELD_OUT} held out.
 *
 * <p>The split is fixed: the lines of the file are permuted with xoroshiro128++ and the seed
 * {@value #SPLIT_SEED}, and the first {@value #TRAINING} are for training. (The file groups digits
 * by writer.)
 *
 * <p>E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (1998), UCI Machine
 * Learning Repository, CC BY 4.0.
 *
 * @param training the training digits
 * @param heldOut the held-out digits, for evaluation
 */
public record Digits(LabeledImages training, LabeledImages heldOut) {

  /** The side length in pixels: {@value}. */
  public static final int SIDE = 8;

  /** The number of training digits: {@value}. */
  public static final int TRAINING = 1297;

  /** The number of held-out digits: {@value}. */
  public static final int HELD_OUT = 500;

  /** The seed of the split: {@value}. */
  public static final long SPLIT_SEED = 1998;

  private static final String RESOURCE = "optdigits-8x8.csv.gz";
  private static final int PIXELS = SIDE * SIDE;

  /** Pixels of the file are 0 to 16. */
  private static final float HALF_RANGE = 8;

  /**
   * Reads the bundled digits.
   *
   * @return the digits, with pixel p of the file as p / 8 − 1
   * @throws UncheckedIOException if the resource is missing or unreadable
   */
  public static Digits load() {
    List<String> lines = lines();
    int[] order = PermutationSampler.natural(TRAINING + HELD_OUT);
    PermutationSampler.shuffle(RandomSource.XO_RO_SHI_RO_128_PP.create(SPLIT_SEED), order);
    float[] pixels = new float[order.length * PIXELS];
    int[] labels = new int[order.length];
    for (int i = 0; i < order.length; i++) {
      String[] cells = lines.get(order[i]).split(",", -1);
      for (int k = 0; k < PIXELS; k++) {
        pixels[i * PIXELS + k] = Integer.parseInt(cells[k]) / HALF_RANGE - 1;
      }
      labels[i] = Integer.parseInt(cells[PIXELS]);
    }
    LabeledImages all = new LabeledImages(SIDE, SIDE, pixels, labels);
    return new Digits(all.slice(0, TRAINING), all.slice(TRAINING, TRAINING + HELD_OUT));
  }

  private static List<String> lines() {
    InputStream resource = Digits.class.getResourceAsStream(RESOURCE);
    if (resource == null) {
      throw new UncheckedIOException(new IOException(RESOURCE + " is missing from the class path"));
    }
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(new GZIPInputStream(resource), StandardCharsets.US_ASCII))) {
      return reader.lines().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
