package io.github.ddpm4j.internal.data;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.internal.data.Images.Extent;
import io.github.ddpm4j.model.DataRange;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PictureRangeTest {

  private static final DataRange CENTRED = DataRange.DEFAULT;
  private static final DataRange UNIT = new DataRange(0, 1);
  private static final DataRange BYTES = new DataRange(0, 255);

  private static String guess(double least, double greatest, DataRange range) {
    return PictureRange.of(new Extent(least, greatest), range).map(Object::toString).orElse("-");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1, 0..1",
    "0.2, 0.7, 0..1",
    "-1, 1, -",
    "-0.5, 1, -",
    "0, 255, 0..255",
    "3, 16, 0..255",
    "3, 15.9, -",
    "-0.1, 255, -",
    "0, 255.5, -",
    "0, 4096, 0..65535",
    "0, 65535, 0..65535",
    "0, 65536, -",
    "-3, 2.5, -"
  })
  void of_values_namesTheNarrowestUsualRange(double least, double greatest, String expected) {
    assertThat(guess(least, greatest, CENTRED)).isEqualTo(expected);
  }

  @Test
  void of_otherModels_leavesOutTheirOwn() {
    assertThat(guess(0, 1, UNIT)).isEqualTo("-");
    assertThat(guess(-1, 1, UNIT)).isEqualTo("-1..1");
    assertThat(guess(0, 255, BYTES)).isEqualTo("-");
    assertThat(guess(0, 1, BYTES)).isEqualTo("0..1");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 255, -1, 1, images.div(127.5).sub(1)",
    "0, 255, 0, 1, images.div(255)",
    "0, 1, -1, 1, images.mul(2).sub(1)",
    "0, 1, 0, 255, images.mul(255)",
    "0, 1, -0.5, 0.5, images.sub(0.5)",
    "-1, 1, 0, 1, images.div(2).add(0.5)",
    "-1, 1, 0, 255, images.mul(127.5).add(127.5)",
    "0, 65535, -1, 1, images.div(32767.5).sub(1)"
  })
  void mapping_isTheLineOfCode(double a, double b, double min, double max, String expected) {
    assertThat(new PictureRange(a, b, 0).mapping(new DataRange(min, max))).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "-2, 2, -1, 1, false",
    "-2.001, 0, -1, 1, true",
    "0, 2.001, -1, 1, true",
    "-0.5, 1.5, 0, 1, false",
    "-0.51, 1, 0, 1, true",
    "0, NaN, 0, 1, true"
  })
  void isBeyond_isTwiceTheWidth(double a, double b, double min, double max, boolean expected) {
    assertThat(PictureRange.isBeyond(new Extent(a, b), new DataRange(min, max)))
        .isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1, -1, 1, 0..1",
    "0, 0.3, -1, 1, 0..1",
    "0.5, 0.5, -1, 1, -", // one value says nothing
    "-0.01, 1, -1, 1, -",
    "0, 1, 0, 1, -",
    "0, 1, 0, 2, -",
    "0, 1, 0, 255, 0..1",
    "-1, 1, 0, 255, -1..1",
    "-1, 1, -4, 4, -",
    "0, 1.5, -4, 4, -"
  })
  void within_isAPartOfTheRange(double a, double b, double min, double max, String expected) {
    Optional<PictureRange> within = PictureRange.within(new Extent(a, b), new DataRange(min, max));
    assertThat(within.map(Object::toString).orElse("-")).isEqualTo(expected);
  }

  @Test
  void beyond_valuesOfNoUsualRange_areOfNone() {
    assertThat(PictureRange.beyond(new Extent(-40, 60), CENTRED)).isEmpty();
    assertThat(PictureRange.beyond(new Extent(0, 1), CENTRED)).isEmpty();
    assertThat(PictureRange.beyond(new Extent(0, 255), CENTRED)).isPresent();
    assertThat(PictureRange.beyond(new Extent(-1, 1), UNIT)).isPresent();
  }
}
