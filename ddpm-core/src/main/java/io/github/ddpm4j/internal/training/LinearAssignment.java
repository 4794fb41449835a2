package io.github.ddpm4j.internal.training;

import java.util.Arrays;

/**
 * The assignment of rows to columns of least cost, by shortest augmenting paths with potentials
 * (Kuhn 1955; Jonker and Volgenant 1987), exact but for rounding, in at most n³ operations.
 *
 * @param columns the column of each row
 * @param rowPotentials u, of which {@code u_i + v_j ≤ c_ij}, with equality where i is assigned to
 *     j: this proves that no other assignment costs less
 * @param columnPotentials v
 */
@SuppressWarnings("ArrayRecordComponent") // handed over once
record LinearAssignment(int[] columns, double[] rowPotentials, double[] columnPotentials) {

  private static final int NONE = -1;

  /**
   * Solves a problem. Among assignments of the same cost, which one is found is a function of the
   * numbers alone.
   *
   * @param cost square, all finite
   */
  static LinearAssignment of(double[][] cost) {
    int n = cost.length;
    int[] rowOf = new int[n];
    Arrays.fill(rowOf, NONE);
    double[] u = new double[n];
    double[] v = new double[n];
    for (int row = 0; row < n; row++) {
      // 1. the shortest path from the row to a column that is free
      double[] distance = new double[n];
      int[] before = new int[n];
      boolean[] done = new boolean[n];
      Arrays.fill(distance, Double.POSITIVE_INFINITY);
      Arrays.fill(before, NONE);
      int column = NONE;
      int from = row;
      double length = 0;
      while (from != NONE) {
        int nearest = NONE;
        for (int j = 0; j < n; j++) {
          if (done[j]) {
            continue;
          }
          double reduced = length + cost[from][j] - u[from] - v[j];
          if (reduced < distance[j]) {
            distance[j] = reduced;
            before[j] = column;
          }
          if (nearest == NONE || distance[j] < distance[nearest]) {
            nearest = j;
          }
        }
        column = nearest;
        length = distance[column];
        done[column] = true;
        from = rowOf[column];
      }
      // 2. potentials that keep all reduced costs at least 0
      u[row] += length;
      for (int j = 0; j < n; j++) {
        if (done[j]) {
          v[j] -= length - distance[j];
          if (rowOf[j] != NONE) {
            u[rowOf[j]] += length - distance[j];
          }
        }
      }
      // 3. each row of the path moves to the next column
      while (column != NONE) {
        int previous = before[column];
        rowOf[column] = previous == NONE ? row : rowOf[previous];
        column = previous;
      }
    }
    int[] columns = new int[n];
    for (int j = 0; j < n; j++) {
      columns[rowOf[j]] = j;
    }
    return new LinearAssignment(columns, u, v);
  }
}
