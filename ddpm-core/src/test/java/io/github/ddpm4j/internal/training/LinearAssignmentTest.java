package io.github.ddpm4j.internal.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinearAssignmentTest {

  /** All permutations are tried; small whole numbers make many of them equally good. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7})
  void of_smallProblem_costsAsLittleAsTheBestOfAll(int n) {
    Random random = new Random(n);
    for (int trial = 0; trial < 60; trial++) {
      boolean whole = trial % 2 == 0;
      double[][] cost = new double[n][n];
      for (double[] row : cost) {
        Arrays.setAll(row, j -> whole ? random.nextInt(4) - 1 : 10 * random.nextGaussian());
      }
      LinearAssignment found = LinearAssignment.of(cost);
      requirePermutation(found);
      assertThat(total(cost, found)).isCloseTo(least(cost, 0, new boolean[n]), within(1e-12));
    }
  }

  /** Potentials below all costs, whose sum is that of the assignment: no other costs less. */
  @ParameterizedTest
  @CsvSource({"50, 1", "128, 2", "300, 3"})
  void of_largerProblem_isProvedByItsPotentials(int n, long seed) {
    Random random = new Random(seed);
    double[][] cost = new double[n][n];
    for (double[] row : cost) {
      Arrays.setAll(row, j -> random.nextGaussian() * 30);
    }
    requireProved(cost, LinearAssignment.of(cost));
  }

  /** Distances of points, as training has them: near to equal for all in many dimensions. */
  @Test
  void of_distancesOfPoints_isProvedByItsPotentials() {
    Random random = new Random(4);
    int n = 100;
    double[][] points = new double[2 * n][40];
    for (double[] point : points) {
      Arrays.setAll(point, k -> random.nextGaussian());
    }
    double[][] cost = new double[n][n];
    for (int i = 0; i < n; i++) {
      for (int j = 0; j < n; j++) {
        for (int k = 0; k < 40; k++) {
          cost[i][j] -= 2 * points[i][k] * points[n + j][k];
        }
      }
    }
    requireProved(cost, LinearAssignment.of(cost));
  }

  /** On a line, least squares keep the order. */
  @Test
  void of_pointsOnALine_keepsTheirOrder() {
    double[][] cost = new double[9][9];
    for (int i = 0; i < 9; i++) {
      for (int j = 0; j < 9; j++) {
        cost[i][j] = Math.pow(i - (8 - j) * 1.3, 2);
      }
    }
    assertThat(LinearAssignment.of(cost).columns()).containsExactly(8, 7, 6, 5, 4, 3, 2, 1, 0);
  }

  private static void requireProved(double[][] cost, LinearAssignment found) {
    requirePermutation(found);
    double potentials = 0;
    for (int i = 0; i < cost.length; i++) {
      potentials += found.rowPotentials()[i] + found.columnPotentials()[i];
      for (int j = 0; j < cost.length; j++) {
        assertThat(found.rowPotentials()[i] + found.columnPotentials()[j] - cost[i][j])
            .isLessThan(1e-9);
      }
    }
    assertThat(total(cost, found)).isCloseTo(potentials, within(1e-8));
  }

  private static void requirePermutation(LinearAssignment found) {
    assertThat(Arrays.stream(found.columns()).sorted().toArray())
        .containsExactly(IntStream.range(0, found.columns().length).toArray());
  }

  private static double total(double[][] cost, LinearAssignment found) {
    return IntStream.range(0, cost.length).mapToDouble(i -> cost[i][found.columns()[i]]).sum();
  }

  private static double least(double[][] cost, int row, boolean[] taken) {
    if (row == cost.length) {
      return 0;
    }
    double best = Double.POSITIVE_INFINITY;
    for (int j = 0; j < cost.length; j++) {
      if (!taken[j]) {
        taken[j] = true;
        best = Math.min(best, cost[row][j] + least(cost, row + 1, taken));
        taken[j] = false;
      }
    }
    return best;
  }
}
