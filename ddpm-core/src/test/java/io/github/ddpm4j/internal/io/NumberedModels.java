package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.model.TinyDenoiser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Models of equal shapes that differ in every weight and in one word of their description, so that
 * a mixture of two of them would load, and is found out.
 */
final class NumberedModels implements AutoCloseable {

  private static final String NUMBER = "number";
  private static final int SIZE = 6;

  private final List<TinyDenoiser> networks;

  /** As many models, numbered from 0. */
  NumberedModels(int count) {
    networks =
        Stream.iterate(0, i -> i + 1).limit(count).map(i -> new TinyDenoiser(SIZE, 0, i)).toList();
  }

  int count() {
    return networks.size();
  }

  DDPM get(int number) {
    return DDPM.builder()
        .timesteps(20)
        .denoiser(networks.get(number))
        .metadata(Map.of(NUMBER, String.valueOf(number)))
        .build();
  }

  /** Loads a folder, and fails unless it holds one of the models, whole. */
  int load(Path folder) throws IOException {
    try (DDPM loaded = DDPM.load(folder)) {
      return numberOf(loaded);
    }
  }

  private int numberOf(DDPM model) {
    int number = Integer.parseInt(model.metadata().get(NUMBER));
    Map<String, NDArray> actual = model.denoiser(TinyDenoiser.class).weights();
    networks
        .get(number)
        .weights()
        .forEach(
            (name, weight) ->
                assertThat(actual.get(name).toByteArray())
                    .as("%s of model %s", name, number)
                    .isEqualTo(weight.toByteArray()));
    return number;
  }

  /** A folder that holds a model and nothing else. */
  static void assertHoldsAModelAlone(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names = files.map(file -> file.getFileName().toString()).sorted().toList();
      assertThat(names).hasSize(2);
      assertThat(names.get(0)).isEqualTo("ddpm.json");
      assertThat(names.get(1)).matches("weights-[0-9a-f]{16}\\.safetensors");
    }
  }

  @Override
  public void close() {
    networks.forEach(TinyDenoiser::close);
  }
}
