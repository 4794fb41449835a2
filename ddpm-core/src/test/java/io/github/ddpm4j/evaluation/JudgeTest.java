package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The parts by hand; what passes and fails is seen on digits, in ddpm-data. */
class JudgeTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** Images of one pixel. */
  private NDArray images(float... values) {
    return manager.create(values, new Shape(values.length, 1, 1, 1));
  }

  @Test
  void mmd_isTheUnbiasedEstimate() {
    double[][] xs = {{1, 0}, {0, 1}, {1, 1}};
    double[][] ys = {{0, 0}, {-1, 0}};
    // k(x, y) = (x·y / 2 + 1)^3; pairs of xs: 1, 3.375, 3.375; pairs of ys: 1;
    // across: with (0, 0) always 1, with (-1, 0): 0.125, 1, 0.125.
    double expected = 7.75 / 3 + 1 - 2 * (4.25 / 6);

    assertThat(KernelDistance.between(xs, ys)).isCloseTo(expected, within(1e-15));
  }

  @Test
  void precision_reachesToTheThirdNeighbour() {
    Judge judge = Judge.of(images(0, 1, 2, 4), images(0));

    assertThat(Neighbours.radii(new double[][] {{0}, {1}, {2}, {4}}, 3))
        .containsExactly(4, 3, 2, 4);
    assertThat(judge.judge(images(-3, -4.5f, 8, 8.5f)).precision()).isEqualTo(0.5);
  }

  @Test
  void twoSampleAccuracy_countsNearestNeighbours_aTieHalf() {
    double[][] generated = {{0}, {1}, {10}};
    double[][] real = {{11}, {12}, {2}};

    double accuracy =
        Judge.twoSampleAccuracy(
            Neighbours.radii(generated, 1),
            Neighbours.nearest(generated, real),
            Neighbours.radii(real, 1),
            Neighbours.nearest(real, generated));

    // 0: own; 1: a tie of 0 and 2; 10: the other's 11; 11: a tie of 10 and 12; 12: own; 2: other's.
    assertThat(accuracy).isEqualTo(3.0 / 6);
  }

  @Test
  void likeReal_reachesAsFarAsRealOnes() {
    double[][] real = {{0}, {1}, {3}};
    double[][] generated = {{5}, {-2}, {5.1}, {2}};

    assertThat(Judge.likeReal(Neighbours.nearest(generated, real), Neighbours.radii(real, 1)))
        .isEqualTo(0.75);
  }

  @Test
  void median_ofEvenAndOdd() {
    assertThat(Neighbours.median(new double[] {3, 1, 2})).isEqualTo(2);
    assertThat(Neighbours.median(new double[] {4, 3, 1, 2})).isEqualTo(2.5);
  }

  @Test
  void classes_areThoseOfTheNearestTrainingImage_theFirstOfSeveral() {
    Judge judge = Judge.of(images(0, 0.2f, 0.4f, 1), images(0, 1, 0.5f, -1), 2, 0, 1, 2);

    assertThat(judge.classesOf(images(0.9f, 0.1f, 0.25f, -5, 0.6f))).containsExactly(0, 2, 2, 2, 1);
    assertThat(judge.judge(images(0.9f, 0.1f, -5, 0.6f)).classShares())
        .containsExactly(0.25, 0.25, 0.5);
  }

  @Test
  void copying_isTheMedianDistanceToTraining_besideThatOfHeldOutImages() {
    Judge judge = Judge.of(images(0.5f, 1.5f, 2.5f, 3.5f), images(0, 1, 2, 3));

    assertThat(judge.judge(images(0.25f, 1.25f, 2.25f, 3.25f)).copying()).isEqualTo(0.5);
    assertThat(judge.judge(images(0, 1, 2, 3)).copying()).isZero();
  }

  @Test
  void judge_float64_isTheSameAsFloat32() {
    Judge judge = Judge.of(images(0, 1, 2, 4), images(0, 1));
    NDArray drawn = images(0.5f, 0.25f, 3, 1);

    assertThat(judge.judge(drawn.toType(DataType.FLOAT64, true))).isEqualTo(judge.judge(drawn));
    assertThat(judge.size()).isEqualTo(4);
  }

  @Test
  void realAgainstReal_isOfTheFirstTrainingImages_besideTheOthers() {
    NDArray heldOut = images(0, 0.3f, 0.7f, 1);
    NDArray training = images(0.1f, 0.2f, 0.8f, 0.9f, 0.4f, 0.6f);

    assertThat(Judge.of(heldOut, training, 0, 0, 1, 1, 0, 1).realAgainstReal())
        .isEqualTo(Judge.of(heldOut, training.get("4:"), 0, 1).judge(training.get("0:4")));
    assertThat(Judge.of(heldOut, training, 0, 0, 1, 2, 0, 1).realAgainstReal().classShares())
        .as("a class that only the judged images have keeps its place")
        .hasSize(3);
    Judge few = Judge.of(heldOut, training.get("0:4"));
    assertThatIllegalStateException()
        .isThrownBy(few::realAgainstReal)
        .withMessage(
            "real against real needs more training images than the 4 held-out ones, but has 4");
  }

  @Test
  void of_imagesThatDoNotGoTogether_isRefused() {
    NDArray real = images(0, 1, 2, 4);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Judge.of(images(0, 1, 2), real))
        .withMessage("held-out images must be at least 4 for a judge, but were 3; make more");
    NDArray wide = manager.zeros(new Shape(4, 1, 1, 2));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Judge.of(real, wide))
        .withMessage(
            "held-out and training images must have shapes (N, C, H, W) and (M, C, H, W), but had"
                + " (4, 1, 1, 1) and (4, 1, 1, 2)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Judge.of(real, real, 1, 2))
        .withMessage(
            "every training image must have a label, or none of them, but 4 have 2 labels");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Judge.of(real, real, 1, 2, -1, 0))
        .withMessage("labels must be at least 0, but one was -1");
  }

  @Test
  void judge_otherImages_areRefused() {
    Judge judge = Judge.of(images(0, 1, 2, 4), images(0, 1));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> judge.judge(images(0, 1, 2)))
        .withMessage(
            "generated must have shape (4, 1, 1, 1), as the held-out images, but had (3, 1, 1, 1)");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> judge.judge(images(0, 1, Float.NaN, 3)))
        .withMessage(
            "generated images must be finite, but feature 0 of image 2 was NaN; leave such images"
                + " out, or see why the images or the feature network hold such values");
    assertThatIllegalStateException()
        .isThrownBy(() -> judge.classesOf(images(0)))
        .withMessage(
            "classes need labels of the training images, but there are none; give them to of(...)");
    Judge labelled = Judge.of(images(0, 1, 2, 4), images(0, 1), 0, 1);
    NDArray wide = manager.zeros(new Shape(4, 1, 1, 2));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> labelled.classesOf(wide))
        .withMessage(
            "images must have shape (K, C, H, W) with (C, H, W) = (1, 1, 1), but had (4, 1, 1, 2)");
  }

  @Test
  void labels_areCopied() {
    int[] labels = {0, 1};
    Judge judge = Judge.of(images(0, 1, 2, 4), images(0, 1), labels);
    Arrays.fill(labels, 7);
    assertThat(judge.classesOf(images(1))).containsExactly(1);
  }
}
