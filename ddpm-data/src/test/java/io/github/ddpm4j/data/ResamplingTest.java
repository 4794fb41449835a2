package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.data.Resampling.Span;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResamplingTest {

  private static final int HEIGHT = 4;
  private static final int WIDTH = 6;

  /** Pillow's numbers, which make_files.py printed: reductions, enlargements and parts. */
  @Test
  void of_agreesWithPillow() throws IOException {
    float[] source = new float[HEIGHT * WIDTH];
    for (int i = 0; i < source.length; i++) {
      source[i] = (40 * (i % WIDTH) + 13 * (i / WIDTH)) % 256 % 97 / 97f;
    }
    List<double[]> lines = lines();
    assertThat(lines).hasSize(10);
    for (int i = 0; i < lines.size(); i += 2) {
      double[] box = lines.get(i);
      Span columns = new Span(box[0], box[2] - box[0], (int) box[4]);
      Span rows = new Span(box[1], box[3] - box[1], (int) box[5]);
      float[] resized = Resampling.of(source, HEIGHT, WIDTH, rows, columns);
      double[] expected = lines.get(i + 1);
      assertThat(resized).hasSize(expected.length);
      double most = 0;
      for (int k = 0; k < expected.length; k++) {
        most = Math.max(most, Math.abs(resized[k] - expected[k]));
      }
      assertThat(most).as("largest difference of %s", Arrays.toString(box)).isLessThan(1e-6);
    }
  }

  private static List<double[]> lines() throws IOException {
    try (InputStream in = ResamplingTest.class.getResourceAsStream("lanczos.txt");
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.US_ASCII))) {
      return reader
          .lines()
          .map(line -> Arrays.stream(line.split(" ")).mapToDouble(Double::parseDouble).toArray())
          .toList();
    }
  }

  /** What is finer than the new pixels becomes their mean, and no pattern. */
  @Test
  void of_aFineChequerboard_isGrey() {
    int size = 60;
    float[] board = new float[size * size];
    for (int i = 0; i < board.length; i++) {
      board[i] = (i % size + i / size) % 2;
    }
    float[] small = Resampling.of(board, size, size, new Span(0, size, 13), new Span(0, size, 7));
    for (float value : small) {
      assertThat(value).isCloseTo(0.5f, within(0.02f));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5, 9, 40})
  void of_oneColour_staysSo(int to) {
    float[] flat = new float[HEIGHT * WIDTH];
    Arrays.fill(flat, 0.3f);
    float[] other =
        Resampling.of(flat, HEIGHT, WIDTH, new Span(0, HEIGHT, to), new Span(0, WIDTH, 2 * to));
    assertThat(other).hasSize(2 * to * to);
    for (float value : other) {
      assertThat(value).isCloseTo(0.3f, within(1e-6f));
    }
  }

  @Test
  void of_theSameSize_changesNothing() {
    float[] source = {1, 2, 3, 4, 5, 6};
    assertThat(Resampling.of(source, 2, 3, new Span(0, 2, 2), new Span(0, 3, 3)))
        .containsExactly(source);
  }
}
