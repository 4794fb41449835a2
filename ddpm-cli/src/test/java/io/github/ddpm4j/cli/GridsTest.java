package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class GridsTest {

  @Test
  void requireModest_pixels_atMostThoseOf8192x8192() {
    assertThatCode(() -> Grids.requireModest(256, 512, 512)).doesNotThrowAnyException();
    assertThatThrownBy(() -> Grids.requireModest(257, 512, 512))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a grid takes at most 256 pictures of 512x512, but 257 were asked for; name a folder,"
                + " or give a smaller --count");
    assertThatCode(() -> Grids.requireModest(10_000, 64, 64)).doesNotThrowAnyException();
  }

  /** One is always taken. */
  @Test
  void requireModest_onePicture_isTaken() {
    assertThatCode(() -> Grids.requireModest(1, 9000, 9000)).doesNotThrowAnyException();
    assertThatThrownBy(() -> Grids.requireModest(2, 9000, 9000))
        .hasMessageStartingWith("a grid takes at most 1 pictures of 9000x9000");
  }
}
