package io.github.ddpm4j.internal.description;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class QuoteTest {

  @Test
  void of_shortValue_isItsText() {
    assertThat(Quote.of(null)).isEqualTo("null");
    assertThat(Quote.of(List.of(1, 2))).isEqualTo("[1, 2]");
    assertThat(Quote.of("x".repeat(80))).isEqualTo("x".repeat(80));
  }

  @Test
  void of_longValue_isCutAt80Characters() {
    assertThat(Quote.of("x".repeat(81))).isEqualTo("x".repeat(79) + "…");
  }

  @Test
  void of_characterOfTwoHalves_isNotCutInTwo() {
    assertThat(Quote.of("x".repeat(78) + "🙂🙂")).isEqualTo("x".repeat(78) + "…");
  }

  @Test
  void message_longMessage_isCutAt1000Characters() {
    assertThat(Quote.message("x".repeat(1000))).isEqualTo("x".repeat(1000));
    assertThat(Quote.message("x".repeat(1001))).isEqualTo("x".repeat(999) + "…");
  }
}
