package io.github.ddpm4j.examples.judge;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.data.Digits;
import io.github.ddpm4j.data.LabeledImages;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.PermutationSampler;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
import org.apache.commons.rng.simple.RandomSource;
import org.junit.jupiter.api.Test;

/** The judge lets real digits pass, and nothing that only has some of their statistics. */
class JudgeTest {

  private static final Digits DIGITS = Digits.load();
  private static final Judge JUDGE = Judge.of(DIGITS);
  private static final int N = Digits.HELD_OUT;
  private static final int D = Digits.SIDE * Digits.SIDE;

  private static final String MMD = "MMD, share of the way to noise";
  private static final String PRECISION = "precision (k=3)";
  private static final String RECALL = "recall (k=3)";
  private static final String TWO_SAMPLE = "two-sample accuracy (1-NN)";
  private static final String DIGIT_LIKE = "digit-like share";
  private static final String CLASSES = "class shares (least to most)";
  private static final String COPYING = "distance to training (copying)";

  private final UniformRandomProvider random = RandomSource.XO_RO_SHI_RO_128_PP.create(7);

  /* --- what passes --- */

  @Test
  void realAgainstReal_passes() {
    assertThat(JUDGE.realAgainstReal().failures()).isEmpty();
  }

  /* --- what fails --- */

  @Test
  void pixelsShuffledWithinEachImage_fail() {
    float[][] images = training();
    for (float[] image : images) {
      float[] original = image.clone();
      int[] order = permutation(D);
      for (int k = 0; k < D; k++) {
        image[k] = original[order[k]];
      }
    }

    assertThat(failed(JUDGE.judge(images)))
        .containsExactly(MMD, PRECISION, TWO_SAMPLE, DIGIT_LIKE, CLASSES);
  }

  @Test
  void pixelsShuffledAcrossImages_fail() {
    float[][] images = training();
    for (int k = 0; k < D; k++) {
      int[] order = permutation(N);
      float[] column = new float[N];
      for (int i = 0; i < N; i++) {
        column[i] = images[order[i]][k];
      }
      for (int i = 0; i < N; i++) {
        images[i][k] = column[i];
      }
    }

    assertThat(failed(JUDGE.judge(images)))
        .containsExactly(PRECISION, TWO_SAMPLE, DIGIT_LIKE, CLASSES);
  }

  @Test
  void meanDigitRepeated_fails() {
    float[] mean = mean(IntStream.range(0, DIGITS.training().size()).toArray());
    float[][] images = new float[N][];
    Arrays.fill(images, mean);

    assertThat(failed(JUDGE.judge(images))).containsExactly(MMD, RECALL, TWO_SAMPLE, CLASSES);
  }

  @Test
  void classMeans_fail() {
    float[][] means =
        IntStream.range(0, 10)
            .mapToObj(
                label ->
                    mean(
                        IntStream.range(0, DIGITS.training().size())
                            .filter(i -> DIGITS.training().label(i) == label)
                            .toArray()))
            .toArray(float[][]::new);
    float[][] images = IntStream.range(0, N).mapToObj(i -> means[i % 10]).toArray(float[][]::new);

    assertThat(failed(JUDGE.judge(images))).containsExactly(RECALL, TWO_SAMPLE);
  }

  @Test
  void fittedGaussian_fails() {
    assertThat(failed(JUDGE.judge(gaussian(false))))
        .containsExactly(PRECISION, TWO_SAMPLE, DIGIT_LIKE);
  }

  @Test
  void fittedGaussianClipped_fails() {
    assertThat(failed(JUDGE.judge(gaussian(true))))
        .containsExactly(MMD, PRECISION, RECALL, TWO_SAMPLE, DIGIT_LIKE);
  }

  @Test
  void copiesOfTrainingDigits_fail() {
    assertThat(failed(JUDGE.judge(training()))).containsExactly(COPYING);
  }

  @Test
  void slightlyNoisyCopies_fail() {
    float[][] images = training();
    ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(random);
    for (float[] image : images) {
      for (int k = 0; k < D; k++) {
        image[k] = (float) Math.max(-1, Math.min(1, image[k] + 0.1 * normal.sample()));
      }
    }
    assertThat(failed(JUDGE.judge(images))).containsExactly(COPYING);
  }

  /* --- the parts, by hand --- */

  @Test
  void mmd_isTheUnbiasedEstimate() {
    double[][] xs = {{1, 0}, {0, 1}, {1, 1}};
    double[][] ys = {{0, 0}, {-1, 0}};
    // k(x, y) = (x·y / 2 + 1)^3; pairs of xs: 1, 3.375, 3.375; pairs of ys: 1;
    // across: with (0, 0) always 1, with (-1, 0): 0.125, 1, 0.125.
    double expected = 7.75 / 3 + 1 - 2 * (4.25 / 6);

    assertThat(Judge.mmd(xs, ys)).isCloseTo(expected, within(1e-15));
  }

  @Test
  void shareInBalls_reachesToTheThirdNeighbour() {
    double[][] real = {{0}, {1}, {2}, {4}};
    double[][] generated = {{-3}, {-4.5}, {8}, {8.5}};

    double[] radii = Judge.radii(Judge.distances(real, real));

    assertThat(radii).containsExactly(4, 3, 2, 4);
    assertThat(Judge.shareInBalls(Judge.distances(generated, real), radii)).isEqualTo(0.5);
  }

  @Test
  void twoSampleAccuracy_countsNearestNeighbours_aTieHalf() {
    double[][] generated = {{0}, {1}, {10}};
    double[][] real = {{11}, {12}, {2}};

    double accuracy =
        Judge.twoSampleAccuracy(
            Judge.distances(generated, generated),
            Judge.distances(real, real),
            Judge.distances(generated, real));

    // 0: own; 1: a tie of 0 and 2; 10: the other's 11; 11: a tie of 10 and 12; 12: own; 2: other's.
    assertThat(accuracy).isEqualTo(3.0 / 6);
  }

  @Test
  void digitLike_reachesAsFarAsRealOnes() {
    double[][] real = {{0}, {1}, {3}};
    double[][] generated = {{5}, {-2}, {5.1}, {2}};

    double share = Judge.digitLike(Judge.distances(generated, real), Judge.distances(real, real));

    assertThat(share).isEqualTo(0.75);
  }

  @Test
  void median_ofEvenAndOdd() {
    assertThat(Judge.median(new double[] {3, 1, 2})).isEqualTo(2);
    assertThat(Judge.median(new double[] {4, 3, 1, 2})).isEqualTo(2.5);
  }

  /* --- input --- */

  @Test
  void judge_array_isTheSameAsRows() {
    float[][] rows = training();
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray array = manager.create(rows).reshape(N, 1, Digits.SIDE, Digits.SIDE);

      assertThat(JUDGE.judge(array)).isEqualTo(JUDGE.judge(rows));
    }
  }

  @Test
  void judge_arrayOfAnotherShape_isRefused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray array = manager.zeros(new Shape(64, 1, 8, 8));

      assertThatIllegalArgumentException()
          .isThrownBy(() -> JUDGE.judge(array))
          .withMessage(
              "generated must have shape (500, 1, 8, 8), as the held-out images, but had"
                  + " (64, 1, 8, 8)");
    }
  }

  @Test
  void judge_badRows_areRefused() {
    float[][] rows = training();

    assertThatIllegalArgumentException()
        .isThrownBy(() -> JUDGE.judge(Arrays.copyOf(rows, 499)))
        .withMessage("generated must hold 500 images, as many as are held out, but held 499");
    rows[3][7] = Float.NaN;
    assertThatIllegalArgumentException()
        .isThrownBy(() -> JUDGE.judge(rows))
        .withMessage("generated image 3 must be finite, but value 7 was NaN");
    rows[2] = new float[63];
    assertThatIllegalArgumentException()
        .isThrownBy(() -> JUDGE.judge(rows))
        .withMessage("generated image 2 must have 64 values, but had 63");
  }

  /* --- helpers --- */

  private static List<String> failed(Judgement judgement) {
    return judgement.figures().stream()
        .filter(figure -> !figure.kept())
        .map(Judgement.Figure::name)
        .toList();
  }

  private float[][] gaussian(boolean clipped) {
    LabeledImages data = DIGITS.training();
    float[] mean = mean(IntStream.range(0, data.size()).toArray());
    double[][] covariance = new double[D][D];
    for (int n = 0; n < data.size(); n++) {
      float[] x = data.pixels(n);
      for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) {
          covariance[i][j] += (x[i] - mean[i]) * (double) (x[j] - mean[j]) / (data.size() - 1);
        }
      }
    }
    double[][] factor = cholesky(covariance);
    ZigguratSampler.NormalizedGaussian normal = ZigguratSampler.NormalizedGaussian.of(random);
    float[][] images = new float[N][D];
    for (float[] image : images) {
      double[] z = normal.samples(D).toArray();
      for (int i = 0; i < D; i++) {
        double value = mean[i];
        for (int j = 0; j <= i; j++) {
          value += factor[i][j] * z[j];
        }
        image[i] = (float) (clipped ? Math.max(-1, Math.min(1, value)) : value);
      }
    }
    return images;
  }

  /** L with L·Lᵀ = A; pixels that never change give rows of zeros. */
  private static double[][] cholesky(double[][] a) {
    double[][] l = new double[a.length][a.length];
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j <= i; j++) {
        double rest = a[i][j];
        for (int k = 0; k < j; k++) {
          rest -= l[i][k] * l[j][k];
        }
        if (i == j) {
          l[i][i] = Math.sqrt(Math.max(0, rest));
        } else {
          l[i][j] = l[j][j] < 1e-9 ? 0 : rest / l[j][j];
        }
      }
    }
    return l;
  }

  private static float[][] training() {
    return IntStream.range(0, N).mapToObj(DIGITS.training()::pixels).toArray(float[][]::new);
  }

  private static float[] mean(int[] images) {
    double[] sum = new double[D];
    for (int i : images) {
      float[] pixels = DIGITS.training().pixels(i);
      for (int k = 0; k < D; k++) {
        sum[k] += pixels[k];
      }
    }
    float[] mean = new float[D];
    for (int k = 0; k < D; k++) {
      mean[k] = (float) (sum[k] / images.length);
    }
    return mean;
  }

  private int[] permutation(int n) {
    int[] order = PermutationSampler.natural(n);
    PermutationSampler.shuffle(random, order);
    return order;
  }

  @Test
  void of_imagesThatDoNotGoTogether_isRefused() {
    LabeledImages heldOut = DIGITS.heldOut();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Judge.of(heldOut.slice(0, 3), DIGITS.training()))
        .withMessage("a judge needs at least 4 held-out images, but has 3");
    assertThat(Judge.of(heldOut.slice(0, 4), DIGITS.training()).realAgainstReal().precision())
        .isBetween(0.0, 1.0);
  }
}
