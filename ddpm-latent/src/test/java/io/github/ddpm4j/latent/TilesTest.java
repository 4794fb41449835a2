package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Large pictures in tiles. */
class TilesTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private NDArray ramp(long... shape) {
    Shape all = new Shape(shape);
    return manager.arange(0, (float) all.size(), 1, DataType.FLOAT32).reshape(all).div(all.size());
  }

  /** Each pixel three times in both directions, which sees nothing around it. */
  private static NDArray tripled(NDArray latents) {
    return latents.repeat(2, 3).repeat(3, 3);
  }

  /** What sees no further than a tile is put together exactly. */
  @ParameterizedTest
  @CsvSource({"8, 20, 20", "8, 9, 8", "8, 8, 9", "8, 14, 31", "12, 13, 40", "10, 7, 29"})
  void mapped_localDecoder_asTheWhole(int side, int height, int width) {
    NDArray latents = ramp(2, 3, height, width);
    NDArray whole = tripled(latents);
    assertThat(new Tiles(side).cut(height, width)).isTrue();
    NDArray pieces = new Tiles(side).mapped(latents, 1, 3, TilesTest::tripled);
    NDArray back =
        new Tiles(side).mapped(whole, 3, 1, image -> image.get("..., ::3, ::3").duplicate());

    assertThat(pieces.getShape()).isEqualTo(whole.getShape());
    assertThat(pieces.sub(whole).abs().max().getFloat()).isLessThanOrEqualTo(1e-6f);
    assertThat(back.sub(latents).abs().max().getFloat()).isLessThanOrEqualTo(1e-6f);
  }

  /** Tiles that are 0, 1, 0, 1, … bright fade into each other: no pixel jumps. */
  @Test
  void mapped_tilesOfDifferentBrightness_noSeam() {
    List<NDArray> seen = new ArrayList<>();
    NDArray faded =
        new Tiles(16)
            .mapped(
                manager.zeros(new Shape(1, 1, 16, 64)),
                1,
                8,
                tile -> {
                  seen.add(tile);
                  return tile.repeat(2, 8).repeat(3, 8).add(seen.size() % 2);
                });
    NDArray right = faded.get("..., 1:");
    NDArray left = faded.get("..., :-1");

    assertThat(seen).hasSizeGreaterThan(3);
    assertThat(faded.max().getFloat() - faded.min().getFloat()).isCloseTo(1, within(1e-5f));
    // Faded over 4 latents of 8 pixels; a hard edge is a step of 1.
    assertThat(right.sub(left).abs().max().getFloat()).isLessThanOrEqualTo(1 / 16f);
  }

  @Test
  void tiles_fixture_oneTileAsEver_moreOfTheSameSize() throws IOException {
    try (Autoencoder autoencoder =
        Autoencoder.load(PipelineFixture.DATA.resolve("sd1").resolve("vae"))) {
      NDArray latents = ramp(1, 4, 12, 20).mul(40).sin();
      NDArray whole = autoencoder.decode(latents);
      assertThat(autoencoder.tiles(20).decode(latents).toFloatArray())
          .isEqualTo(whole.toFloatArray());
      NDArray tiled = autoencoder.tiles(8).decode(latents);
      assertThat(tiled.getShape()).isEqualTo(whole.getShape());
      assertThat(tiled.toFloatArray()).isNotEqualTo(whole.toFloatArray());
      try (Autoencoder.Latents encoded = autoencoder.encode(whole)) {
        assertThat(encoded.mean().getShape()).isEqualTo(latents.getShape());
      }
    }
  }

  @Test
  void tiles_tooSmall_refused() throws IOException {
    try (Autoencoder autoencoder =
        Autoencoder.load(PipelineFixture.DATA.resolve("sd1").resolve("vae"))) {
      assertThatThrownBy(() -> autoencoder.tiles(7))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("side of a tile must be at least 8, or 0 for none, but was 7");
    }
  }
}
