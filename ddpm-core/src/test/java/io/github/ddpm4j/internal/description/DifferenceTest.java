package io.github.ddpm4j.internal.description;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DifferenceTest {

  @Test
  void of_maps_isWhatTheyDoNotShare_inDepth() {
    Map<String, Object> one = Map.of("a", 1, "b", Map.of("c", List.of(2), "d", 3), "e", "more");
    Map<String, Object> other = Map.of("a", 1L, "b", Map.of("c", List.of(4), "d", 3));
    assertThat(Difference.of(one, other))
        .isEqualTo(Map.of("b", Map.of("c", List.of(2)), "e", "more"));
    assertThat(Difference.of(other, one))
        .isEqualTo(Map.of("b", Map.of("c", List.of(4)), "e", "none"));
  }

  @Test
  void of_anythingElse_isTheValue() {
    assertThat(Difference.of("a", Map.of("b", 1))).isEqualTo("a");
    assertThat(Difference.of(Map.of("b", 1), null)).isEqualTo(Map.of("b", 1));
    assertThat(Difference.of(null, 1)).isNull();
  }
}
