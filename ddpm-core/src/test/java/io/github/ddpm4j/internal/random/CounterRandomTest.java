package io.github.ddpm4j.internal.random;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.internal.random.CounterRandom.Stream;
import io.github.ddpm4j.noise.NoiseSource;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.apache.commons.rng.UniformRandomProvider;
import org.apache.commons.rng.simple.RandomSource;
import org.junit.jupiter.api.Test;

class CounterRandomTest {

  private static final int SIZE = 1000;

  private static double[] normal(long seed, Stream stream, long a, long b) {
    double[] values = new double[SIZE];
    CounterRandom.of(seed, stream).normal(a, b, values);
    return values;
  }

  /* --- the same place, the same numbers --- */

  @Test
  void normal_anyOrderAndThread_sameNumbers() throws Exception {
    List<long[]> places =
        IntStream.range(0, 100).mapToObj(i -> new long[] {i / 10, i % 10}).toList();
    NoiseSource source = NoiseSource.seeded(42);
    Map<String, double[]> expected = draw(source, places);
    List<long[]> shuffled = new ArrayList<>(places);
    Collections.shuffle(shuffled, new Random(1));
    assertSame(draw(source, shuffled), expected);
    assertSame(draw(NoiseSource.seeded(42), shuffled), expected);
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      Callable<Map<String, double[]>> task = () -> draw(source, shuffled);
      for (Future<Map<String, double[]>> drawn :
          threads.invokeAll(List.of(task, task, task, task))) {
        assertSame(drawn.get(), expected);
      }
    } finally {
      threads.shutdown();
    }
  }

  private static Map<String, double[]> draw(NoiseSource source, List<long[]> places) {
    Map<String, double[]> drawn = new HashMap<>();
    for (long[] place : places) {
      double[] values = new double[20];
      source.normal(place[0], place[1], values);
      drawn.put(Arrays.toString(place), values);
    }
    return drawn;
  }

  private static void assertSame(Map<String, double[]> actual, Map<String, double[]> expected) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    actual.forEach((place, values) -> assertThat(values).isEqualTo(expected.get(place)));
  }

  @Test
  void normal_moreValues_beginWithTheSameOnes() {
    double[] few = new double[7];
    CounterRandom.of(1, Stream.SAMPLING).normal(2, 3, few);
    assertThat(Arrays.copyOf(normal(1, Stream.SAMPLING, 2, 3), 7)).isEqualTo(few);
  }

  /* --- other places, other numbers --- */

  @Test
  void normal_otherSeedStreamOrPlace_independentNumbers() {
    double[] base = normal(1, Stream.SAMPLING, 2, 3);
    List<double[]> others =
        new ArrayList<>(
            List.of(
                normal(2, Stream.SAMPLING, 2, 3),
                normal(-1, Stream.SAMPLING, 2, 3),
                normal(1, Stream.SAMPLING, 3, 2),
                normal(1, Stream.SAMPLING, 2, 4),
                normal(1, Stream.SAMPLING, 3, 3),
                normal(1, Stream.SAMPLING, -2, 3)));
    for (Stream stream : Stream.values()) {
      if (stream != Stream.SAMPLING) {
        others.add(normal(1, stream, 2, 3));
      }
    }
    for (double[] other : others) {
      double product = IntStream.range(0, SIZE).mapToDouble(i -> base[i] * other[i]).sum();
      // A sum of products of independent normals has the standard deviation √n.
      assertThat(product / Math.sqrt(SIZE)).isBetween(-4.0, 4.0);
      assertThat(Arrays.stream(other).filter(v -> Arrays.stream(base).anyMatch(w -> w == v)))
          .isEmpty();
    }
  }

  @Test
  void normal_hasTheMomentsOfTheStandardNormal() {
    int images = 200;
    double[] moments = new double[5];
    for (int image = 0; image < images; image++) {
      for (double value : normal(7, Stream.SAMPLING, image, 0)) {
        for (int k = 1; k < moments.length; k++) {
          moments[k] += Math.pow(value, k) / (images * SIZE);
        }
      }
    }
    double n = images * SIZE;
    assertThat(moments[1]).as("mean").isCloseTo(0, within(4 / Math.sqrt(n)));
    assertThat(moments[2]).as("2nd moment").isCloseTo(1, within(4 * Math.sqrt(2 / n)));
    assertThat(moments[3]).as("3rd moment").isCloseTo(0, within(4 * Math.sqrt(15 / n)));
    assertThat(moments[4]).as("4th moment").isCloseTo(3, within(4 * Math.sqrt(96 / n)));
  }

  /* --- what a seed means --- */

  /**
   * Known answers of philox4x64-10 (Random123, kat_vectors): counter, key, output. The generator
   * counts before it draws.
   */
  @Test
  void generator_isPhilox4x64() {
    assertThat(philox(new long[4], new long[2]))
        .containsExactly(
            0x16554d9eca36314cL, 0xdb20fe9d672d0fdcL, 0xd7e772cee186176bL, 0x7e68b68aec7ba23bL);
    assertThat(philox(new long[] {-1, -1, -1, -1}, new long[] {-1, -1}))
        .containsExactly(
            0x87b092c3013fe90bL, 0x438c3c67be8d0224L, 0x9cc7d7c69cd777b6L, 0xa09caebf594f0ba0L);
    assertThat(
            philox(
                new long[] {
                  0x243f6a8885a308d3L, 0x13198a2e03707344L, 0xa4093822299f31d0L, 0x082efa98ec4e6c89L
                },
                new long[] {0x452821e638d01377L, 0xbe5466cf34e90c6cL}))
        .containsExactly(
            0xa528f45403e61d95L, 0x38c72dbd566e9788L, 0xa5a1610e72fd18b5L, 0x57bd43b5e52b7fe6L);
  }

  /** One block of the library's generator, at a counter of four words. */
  private static long[] philox(long[] counter, long[] key) {
    long[] before = counter.clone();
    boolean borrow = true;
    for (int word = 0; word < before.length && borrow; word++) {
      borrow = before[word] == 0;
      before[word]--;
    }
    UniformRandomProvider random =
        RandomSource.PHILOX_4X64.create(
            new long[] {key[0], key[1], before[0], before[1], before[2], before[3]});
    return new long[] {random.nextLong(), random.nextLong(), random.nextLong(), random.nextLong()};
  }

  /** The key is (seed, stream), the counter (·, 0, a, b). */
  @Test
  void at_keysAndCountsAsItSays() {
    long[] block = philox(new long[] {1, 0, 5, 9}, new long[] {42, 4});
    UniformRandomProvider random = CounterRandom.of(42, Stream.DROPOUT).at(5, 9);
    for (long expected : block) {
      assertThat(random.nextLong()).isEqualTo(expected);
    }
  }

  /** Fails when a seed comes to mean other noise: then images and runs change for every user. */
  @Test
  void seeded_isPinned() throws NoSuchAlgorithmException {
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    NoiseSource source = NoiseSource.seeded(42);
    double[] first = new double[4];
    for (int image = 0; image < 10; image++) {
      for (int draw = 0; draw < 10; draw++) {
        double[] values = new double[1000];
        source.normal(image, draw, values);
        for (double value : values) {
          digest.update(ByteBuffer.allocate(Double.BYTES).putDouble(value).array());
        }
        if (image == 0 && draw == 0) {
          first = Arrays.copyOf(values, first.length);
        }
      }
    }
    assertThat(first)
        .containsExactly(
            -0.9801342991471358, 0.5834766684963287, -0.8497295353306223, 1.4249674921490463);
    assertThat(HexFormat.of().formatHex(digest.digest()))
        .isEqualTo("1bb1019bfb33c31e8123c7aa684485badb5527e868ae64f3718c6fd45b501fe7");
  }
}
