package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.evaluation.Judge;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.sampling.PermutationSampler;
import org.apache.commons.rng.sampling.distribution.ZigguratSampler;
import org.apache.commons.rng.simple.RandomSource;
import org.junit.jupiter.api.Test;

/** The judge lets real digits pass, and nothing that only has some of their statistics. */
/** What passes and what fails when real digits are the measure. */
class JudgeOnDigitsTest {

  private static final Digits DIGITS = Digits.load();
  private static final Judge JUDGE = judge();
  private static final int N = Digits.HELD_OUT;
  private static final int D = Digits.SIDE * Digits.SIDE;

  private static final String MMD = "MMD, share of the way to noise";
  private static final String PRECISION = "precision (k=3)";
  private static final String RECALL = "recall (k=3)";
  private static final String TWO_SAMPLE = "two-sample accuracy (1-NN)";
  private static final String LIKE_REAL = "share like real ones";
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

    assertThat(failed(judge(images)))
        .containsExactly(MMD, PRECISION, TWO_SAMPLE, LIKE_REAL, CLASSES);
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

    assertThat(failed(judge(images))).containsExactly(PRECISION, TWO_SAMPLE, LIKE_REAL, CLASSES);
  }

  @Test
  void meanDigitRepeated_fails() {
    float[] mean = mean(IntStream.range(0, DIGITS.training().size()).toArray());
    float[][] images = new float[N][];
    Arrays.fill(images, mean);

    assertThat(failed(judge(images))).containsExactly(MMD, RECALL, TWO_SAMPLE, CLASSES);
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

    assertThat(failed(judge(images))).containsExactly(RECALL, TWO_SAMPLE);
  }

  @Test
  void fittedGaussian_fails() {
    assertThat(failed(judge(gaussian(false)))).containsExactly(PRECISION, TWO_SAMPLE, LIKE_REAL);
  }

  @Test
  void fittedGaussianClipped_fails() {
    assertThat(failed(judge(gaussian(true))))
        .containsExactly(MMD, PRECISION, RECALL, TWO_SAMPLE, LIKE_REAL);
  }

  @Test
  void copiesOfTrainingDigits_fail() {
    assertThat(failed(judge(training()))).containsExactly(COPYING);
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
    assertThat(failed(judge(images))).containsExactly(COPYING);
  }

  @Test
  void classesOf_heldOutDigits_areNearlyAllRight() {
    try (NDManager manager = NDManager.newBaseManager()) {
      int[] classes = JUDGE.classesOf(DIGITS.heldOut().toArray(manager));
      long right =
          IntStream.range(0, N).filter(i -> classes[i] == DIGITS.heldOut().label(i)).count();
      assertThat(right).isEqualTo(495);
    }
  }

  /* --- helpers --- */

  private static Judge judge() {
    try (NDManager manager = NDManager.newBaseManager()) {
      return Judge.of(
          DIGITS.heldOut().toArray(manager),
          DIGITS.training().toArray(manager),
          DIGITS.training().labels());
    }
  }

  private static Judge.Verdict judge(float[][] images) {
    try (NDManager manager = NDManager.newBaseManager()) {
      return JUDGE.judge(manager.create(images).reshape(N, 1, Digits.SIDE, Digits.SIDE));
    }
  }

  private static List<String> failed(Judge.Verdict verdict) {
    return verdict.figures().stream()
        .filter(figure -> !figure.kept())
        .map(Judge.Figure::name)
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
}
