package io.github.ddpm4j.evaluation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedules;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class SamplerComparisonTest {

  /** Says of everything that half of it is noise. */
  private static final Denoiser HALF = (x, levels, condition) -> x.mul(0.5f);

  private static final DDPM MODEL =
      DDPM.builder().schedule(Schedules.cosine(12)).denoiser(HALF).build();

  private static final int IMAGES = 5;

  private final List<String> progress = new ArrayList<>();

  private static SamplerPlanner planner() {
    return MODEL.samplerPlanner().setUp(run -> run.shape(1, 2, 2)).seed(5);
  }

  private static Judge judge(NDManager manager) {
    NDArray images = manager.arange(48f).mul(0.7f).sin().reshape(new Shape(12, 1, 2, 2));
    return Judge.of(images.get("0:5"), images.get("5:"));
  }

  private SamplerComparison compare(NDManager manager, int seeds, Sampler... samplers) {
    return planner()
        .compare(judge(manager), List.of(samplers), seeds, row -> progress.add(row.toString()));
  }

  private static NDArray draw(NDManager manager, Sampler sampler, long seed) {
    try (Samples samples =
        MODEL.sampling().shape(1, 2, 2).sampler(sampler).seed(seed).generate(IMAGES)) {
      return samples.toNDArray(manager);
    }
  }

  @Test
  void compare_judgesEachSeed_andMeasuresTheErrorOfWhatAddsNoNoise() {
    Sampler euler = Samplers.euler(3);
    Sampler noisy = Samplers.ddim(4).eta(1);
    try (NDManager manager = NDManager.newBaseManager()) {
      Judge judge = judge(manager);
      SamplerComparison comparison = compare(manager, 2, euler, noisy, Samplers.ddim(12));

      assertThat(comparison.real()).isEqualTo(judge.realAgainstReal());
      assertThat(comparison.rows().stream().map(SamplerComparison.Row::calls))
          .containsExactly(12, 3, 4, 12);
      SamplerComparison.Row row = comparison.rows().get(1);
      for (int k = 0; k < 2; k++) {
        NDArray drawn = draw(manager, euler, 5 + k);
        assertThat(row.verdicts().get(k)).isEqualTo(judge.judge(drawn));
        double square = drawn.sub(draw(manager, Samplers.ddim(12), 5 + k)).pow(2).mean().getFloat();
        assertThat(row.errors().get(k)).isCloseTo(Math.sqrt(square), within(1e-6));
      }
      assertThat(comparison.rows().get(0).errors()).isEmpty();
      assertThat(comparison.rows().get(2).errors()).isEmpty();
      assertThat(comparison.rows().get(2).verdicts()).hasSize(2);
      assertThat(comparison.rows().get(3).errors()).containsExactly(0.0, 0.0);
      assertThat(progress)
          .containsExactlyElementsOf(
              comparison.rows().stream().map(SamplerComparison.Row::toString).toList());
    }
  }

  @Test
  void toString_isATable_withWhatWasLeftOutUnderIt() {
    try (NDManager manager = NDManager.newBaseManager()) {
      SamplerComparison comparison =
          compare(manager, 1, Samplers.euler(3), Samplers.ddim(13), Samplers.ddim(12));
      List<String> lines = comparison.toString().lines().toList();
      assertThat(lines).hasSize(7);
      assertThat(lines.get(0))
          .matches(
              "\\| calls \\| sampler +\\| MMD, share of noise's \\| like real \\| precision \\| recall"
                  + " \\| RMSE to the long chain \\|");
      assertThat(lines.get(1)).matches("\\|-+:\\|-+-\\|(-+:\\|){5}");
      assertThat(lines.get(2)).startsWith("|     - | real images ").endsWith(" - |");
      assertThat(lines.get(3)).startsWith("|    12 | ddim:12 ").endsWith(" - |");
      assertThat(lines.get(4)).startsWith("|     3 | euler:3").matches(".* \\d\\.\\d{4} \\|");
      assertThat(lines.get(5)).startsWith("|    12 | ddim:12 ").endsWith(" 0.0000 |");
      assertThat(lines.get(6))
          .startsWith("ddim:13")
          .contains(" left out: ")
          .isEqualTo(comparison.rows().get(2).toString())
          .isEqualTo(progress.get(2));
      assertThat(
              compare(manager, 1, Samplers.euler(3), Samplers.ddim(13), Samplers.ddim(12))
                  .toString())
          .as("the same again")
          .isEqualTo(comparison.toString());
    }
  }

  @Test
  void compare_noSeeds_isRefused() {
    try (NDManager manager = NDManager.newBaseManager()) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> compare(manager, 0, Samplers.ddim(2)))
          .withMessage("seeds must be at least 1, but was 0");
    }
  }

  @Test
  void meanAndSpread_ofOneSeveralOrLarge() {
    assertThat(SamplerComparison.meanAndSpread("%.3f", 0.12345)).isEqualTo("0.123");
    assertThat(SamplerComparison.meanAndSpread("%.2f", 0.1, 0.3)).isEqualTo("0.20 ± 0.14");
    // √7 = 2.6458
    assertThat(SamplerComparison.meanAndSpread("%.3f", 1, 2, 6)).isEqualTo("3.000 ± 2.646");
    assertThat(SamplerComparison.meanAndSpread("%.2f", 1e6, 3e6)).isEqualTo("2.0e+06 ± 1.4e+06");
  }

  @Test
  void rootMeanSquare_isOverAllPixels() {
    assertThat(SamplerPlanner.rootMeanSquare(new float[] {0, 1, 2, 3}, new float[] {0, 1, 2, 7}))
        .isCloseTo(2, within(1e-12));
  }
}
