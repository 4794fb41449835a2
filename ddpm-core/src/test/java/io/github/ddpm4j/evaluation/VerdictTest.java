package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class VerdictTest {

  private static final List<Double> SHARES =
      List.of(0.04, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.08, 0.08);
  private static final List<Double> LESS =
      List.of(0.039, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.08, 0.081);

  private static final Judge.Verdict AT_THE_BOUNDS =
      new Judge.Verdict(0.01, 0.60, 0.70, 0.70, 0.65, SHARES, 0.8);
  private static final Judge.Verdict BEYOND =
      new Judge.Verdict(0.0101, 0.599, 0.699, 0.701, 0.649, LESS, 0.799);

  @Test
  void passes_atTheBounds() {
    assertThat(AT_THE_BOUNDS.passes()).isTrue();
    assertThat(AT_THE_BOUNDS.failures()).isEmpty();
  }

  @Test
  void failures_beyondTheBounds_nameEach() {
    assertThat(BEYOND.passes()).isFalse();
    assertThat(BEYOND.failures())
        .containsExactly(
            "MMD, share of the way to noise must be at most 0.010, but was 0.0101",
            "precision (k=3) must be at least 0.600, but was 0.599",
            "recall (k=3) must be at least 0.700, but was 0.699",
            "two-sample accuracy (1-NN) must be at most 0.700, but was 0.701",
            "share like real ones must be at least 0.650, but was 0.649",
            "class shares (least to most) must be 0.040 to 0.200, but was 0.039 to 0.200",
            "distance to training (copying) must be at least 0.800, but was 0.799");
  }

  @Test
  void failures_nan_fails() {
    double nan = Double.NaN;

    assertThat(new Judge.Verdict(nan, nan, nan, nan, nan, List.of(nan), nan).failures()).hasSize(7);
  }

  @Test
  void table_showsBothBesideTheBounds() {
    assertThat(BEYOND.table(AT_THE_BOUNDS))
        .isEqualTo(
            """
                                                  generated  real against real           bound
            MMD, share of the way to noise           0.0101             0.0100   at most 0.010  FAILS
            precision (k=3)                           0.599              0.600  at least 0.600  FAILS
            recall (k=3)                              0.699              0.700  at least 0.700  FAILS
            two-sample accuracy (1-NN)                0.701              0.700   at most 0.700  FAILS
            share like real ones                      0.649              0.650  at least 0.650  FAILS
            class shares (least to most)     0.039 to 0.200     0.040 to 0.200  0.040 to 0.200  FAILS
            distance to training (copying)            0.799              0.800  at least 0.800  FAILS

            class              0     1     2     3     4     5     6     7     8     9
            generated, %     3.9  20.0  10.0  10.0  10.0  10.0  10.0  10.0   8.0   8.1
            real, %          4.0  20.0  10.0  10.0  10.0  10.0  10.0  10.0   8.0   8.0
            """);
    assertThat(AT_THE_BOUNDS.table(AT_THE_BOUNDS)).doesNotContain("FAILS").contains("0.800  ok");
  }

  /** An even share of two classes is a half: 0.4 and 2 of it. */
  @Test
  void figures_boundsOfClassShares_followTheirNumber() {
    assertThat(verdict(List.of(0.2, 0.8)).passes()).isTrue();
    assertThat(verdict(List.of(0.19, 0.81)).failures())
        .containsExactly(
            "class shares (least to most) must be 0.200 to 1.000, but was 0.190 to 0.810");
  }

  @Test
  void figures_withoutClasses_leaveTheSharesOut() {
    Judge.Verdict verdict = verdict(List.of());
    assertThat(verdict.passes()).isTrue();
    assertThat(verdict.figures()).hasSize(6);
    assertThat(verdict.table(verdict)).doesNotContain("class").hasLineCount(7);
  }

  private static Judge.Verdict verdict(List<Double> classShares) {
    return new Judge.Verdict(0, 1, 1, 0.5, 1, classShares, 1);
  }
}
