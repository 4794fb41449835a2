package io.github.ddpm4j.internal.ops;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ImageLayoutTest {

  private static final Script.Value X = new Script.Value("x");

  @Test
  void format_fixed_isTheNumberOfTheFormat() {
    assertThat(ImageLayout.CHANNELS_FIRST.format(X)).isEqualTo("0");
    assertThat(ImageLayout.CHANNELS_LAST.format(X)).isEqualTo("2");
  }

  @Test
  void format_bySize_channelsLastForMoreThan4096Pixels() {
    assertThat(ImageLayout.BY_SIZE.format(X))
        .isEqualTo("(2 if torch.size(x, 0) * torch.size(x, 2) * torch.size(x, 3) > 4096 else 0)");
  }

  @Test
  void convolved_fixed_asTheyAre() {
    assertThat(ImageLayout.CHANNELS_FIRST.convolved("x")).isEqualTo("x");
    assertThat(ImageLayout.CHANNELS_LAST.convolved("x")).isEqualTo("x");
  }

  @Test
  void convolved_bySize_inTheFormatOfTheirSize() {
    assertThat(ImageLayout.BY_SIZE.convolved("x"))
        .isEqualTo("torch.contiguous(x, memory_format=" + ImageLayout.BY_SIZE.format(X) + ")");
  }
}
