package io.github.ddpm4j.unet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.unet.UNetConfig.TimeDivisor;
import io.github.ddpm4j.unet.UNetConfig.TimeOrder;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The sinusoids of a timestep against what published code prints. */
class TimeEmbeddingTest {

  /** The angles are up to 999, so their own rounding is up to 1.2e-13. */
  private static final double TOLERANCE = 2e-13;

  private static final double OF_FLOATS = 6e-8;

  private static final class Golden {
    private final double[] timesteps;
    private final double[] values;

    private Golden(double[] timesteps, double[] values) {
      this.timesteps = timesteps;
      this.values = values;
    }

    static Golden read(String key) throws IOException {
      try (InputStream in = Golden.class.getResourceAsStream("/golden/time_embeddings.json")) {
        byte[] bytes = Objects.requireNonNull(in).readAllBytes();
        JsonObject one =
            JsonParser.parseString(new String(bytes, StandardCharsets.UTF_8))
                .getAsJsonObject()
                .getAsJsonObject(key);
        return new Golden(data(one, "t"), data(one, "emb"));
      }
    }

    private static double[] data(JsonObject from, String name) {
      return StreamSupport.stream(
              from.getAsJsonObject(name).getAsJsonArray("data").spliterator(), false)
          .mapToDouble(JsonElement::getAsDouble)
          .toArray();
    }
  }

  private static TimeEmbedding embedding(
      TimeOrder order, TimeDivisor divisor, int channels, double scale) {
    return new TimeEmbedding(
        UNet.builder()
            .image(1, 8, 8)
            .levelChannels(channels)
            .timeEmbedding(order, divisor)
            .timestepScale(scale)
            .config());
  }

  @ParameterizedTest
  @CsvSource({
    "improved_cos_sin_half_dim64, COS_SIN, HALF, 64",
    "improved_cos_sin_half_dim128, COS_SIN, HALF, 128",
    "lucidrains_labml_sin_cos_halfminus1_dim64, SIN_COS, HALF_MINUS_ONE, 64",
    "lucidrains_labml_sin_cos_halfminus1_dim128, SIN_COS, HALF_MINUS_ONE, 128"
  })
  void sinusoids_published_same(String key, TimeOrder order, TimeDivisor divisor, int channels)
      throws IOException {
    Golden golden = Golden.read(key);
    assertThat(golden.timesteps).hasSize(7);
    assertValues(embedding(order, divisor, channels, 1), golden.timesteps, golden.values);
    double[] fourTimes = Arrays.stream(golden.timesteps).map(t -> 4 * t).toArray();
    assertValues(embedding(order, divisor, channels, 0.25), fourTimes, golden.values);
  }

  /** As Java works them out, and as exported programs do. */
  private static void assertValues(TimeEmbedding embedding, double[] steps, double[] expected) {
    assertThat(embedding.sinusoids(steps))
        .hasSize(expected.length)
        .containsExactly(expected, within(TOLERANCE));
    Script script = new Script();
    Value written = embedding.write(script, new Value("t"));
    try (Program program = Program.compile(script.method("of", "t: Tensor", "Tensor", written));
        NDManager manager = NDManager.newBaseManager()) {
      NDArray timesteps = manager.create(steps);
      float[] values = program.call("of", timesteps, List.of()).head().toFloatArray();
      assertThat(values).hasSize(expected.length);
      for (int i = 0; i < values.length; i++) {
        assertThat((double) values[i]).as("value %s", i).isCloseTo(expected[i], within(OF_FLOATS));
      }
    }
  }
}
