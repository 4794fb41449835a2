package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LayerTimesTest {

  @Test
  void ofStableDiffusion_published_allButThoseThatDouble() {
    Map<SizedConvolution, Integer> all = SizedConvolution.ofStableDiffusion();

    assertThat(all.values().stream().mapToInt(Integer::intValue).sum()).isEqualTo(95);
    assertThat(all)
        .containsEntry(new SizedConvolution(320, 320, 64, 3, 1), 7)
        .containsEntry(new SizedConvolution(1280, 1280, 16, 3, 2), 1)
        .containsEntry(new SizedConvolution(1280, 1280, 8, 3, 1), 11)
        .containsEntry(new SizedConvolution(2560, 1280, 8, 1, 1), 3);
  }

  @ParameterizedTest
  @CsvSource({"3, 1", "3, 2", "1, 1"})
  void convolution_everyWay_asPlain(int kernel, int stride) {
    try (NDManager manager = NDManager.newBaseManager()) {
      SizedConvolution small = new SizedConvolution(16, 32, 6, kernel, stride);
      NDArray[] outputs = LayerTimes.convolution(manager, small, 2, 1, new double[4]);
      assertThat(outputs).hasSize(4);
      assertSame(outputs);
    }
  }

  /** Of two pieces, the last a short one. */
  @Test
  void attention_twoProducts_asTheEngines() {
    try (NDManager manager = NDManager.newBaseManager()) {
      assertSame(LayerTimes.attention(manager, new int[] {700, 9, 8}, 2, 1, new double[2]));
    }
  }

  private static void assertSame(NDArray... outputs) {
    for (NDArray output : outputs) {
      assertThat(output.getShape()).isEqualTo(outputs[0].getShape());
      assertThat(output.sub(outputs[0]).abs().max().getFloat()).isLessThan(1e-4f);
    }
  }
}
