package io.github.ddpm4j.internal.bound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;
import static org.assertj.core.api.Assertions.within;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.ops.Upload;
import io.github.ddpm4j.internal.torch.Program;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * L_0 of one value and its gradients of mean and log variance, 0 to 40 deviations away, of levels
 * that are narrow and wide against a deviation, against sums of 4,000 terms in {@code double}.
 */
class GaussianIntervalTest {

  private static final double LEAST = Math.log(1e-12);
  private static final VariationalBound BOUND = VariationalBound.over(-1, 1);
  private static final double HALF = 1 / 255.0;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /** Printed by mpmath: log(ncdf(b) - ncdf(a)) with 40 digits. */
  @ParameterizedTest
  @CsvSource({
    "6, 1e9, -20.7367689499747",
    "5.5, 6.5, -17.7814934383664",
    "-0.25, 0.75, -0.988649153406655",
    "2.9, 3.1, -7.01510656695098",
    "0, 1e9, -0.693147180559945",
  })
  void oracle_knownChances_agrees(double from, double to, double logChance) {
    assertThat(logChance(from, to)).isCloseTo(logChance, within(1e-9));
  }

  /** Half of a level in deviations: narrow, as at the first timestep of linear schedules, wide. */
  @ParameterizedTest
  @ValueSource(doubles = {0.004, 0.05, 0.4, 0.53, 1.5, 20})
  void decoder_fromNoneTo40Deviations_asTheSum(double halfWidth) {
    double deviation = HALF / halfWidth;
    List<double[]> cases = new ArrayList<>();
    for (double deviations = 0; deviations <= 40; deviations += deviations < 9 ? 0.25 : 1) {
      double away = deviations * deviation;
      for (double x0 : new double[] {-1, -1 + 2 * HALF, 1 / 255.0, 1 - 2 * HALF, 1}) {
        cases.add(new double[] {x0, x0 - away, 2 * Math.log(deviation)});
        cases.add(new double[] {x0, x0 + away, 2 * Math.log(deviation)});
      }
    }
    double[][] columns = new double[3][cases.size()];
    double[] expected = new double[cases.size()];
    double[] ofMean = new double[cases.size()];
    double[] ofVariance = new double[cases.size()];
    for (int i = 0; i < expected.length; i++) {
      for (int k = 0; k < 3; k++) {
        columns[k][i] = (float) cases.get(i)[k];
      }
      double[] reference = reference(columns[0][i], columns[1][i], columns[2][i]);
      expected[i] = reference[0];
      ofMean[i] = reference[1];
      ofVariance[i] = reference[2];
    }
    for (DataType type : new DataType[] {DataType.FLOAT64, DataType.FLOAT32}) {
      double tolerance = type == DataType.FLOAT64 ? 1e-10 : 5e-6;
      List<double[]> eager = eager(type, columns);
      assertAgrees("eager " + type, eager, columns, tolerance, expected, ofMean, ofVariance);
    }
    assertAgrees("compiled", compiled(columns), columns, 5e-6, expected, ofMean, ofVariance);
  }

  @Test
  void decoder_sixDeviations_hasBitsAndGradient() {
    // The deviation of the first timestep: the level's nearer end is 6 deviations away.
    double[][] columns = {
      {(float) HALF}, {(float) (HALF - 6.53 * HALF / 0.53)}, {(float) (2 * Math.log(HALF / 0.53))}
    };
    List<double[]> actual = compiled(columns);
    assertThat(actual.get(0)[0]).isCloseTo(reference(columns)[0], within(1e-4)).isLessThan(31);
    assertThat(actual.get(1)[0]).isLessThan(-100);
  }

  private static double[] reference(double[][] columns) {
    return reference(columns[0][0], columns[1][0], columns[2][0]);
  }

  /** Bits, and their gradients of mean and log variance in units of a deviation. */
  private static double[] reference(double x0, double mean, double logVariance) {
    double deviation = Math.exp(logVariance / 2);
    double centred = x0 - mean;
    boolean lowest = x0 < -1 + HALF;
    boolean highest = x0 > 1 - HALF;
    double sign = lowest || (!highest && centred < 0) ? -1 : 1;
    double from = (sign * centred - HALF) / deviation;
    double to = lowest || highest ? 1e9 : (sign * centred + HALF) / deviation;
    double log = from > 9 ? Double.NEGATIVE_INFINITY : logChance(from, to);
    if (log < LEAST) {
      return new double[] {-LEAST / Math.log(2), 0, 0};
    }
    double atFrom = density(from, log);
    double atTo = density(to, log);
    // d from / d mean = −sign / σ;  d from / d ln σ² = −from / 2
    double ofMean = sign * (atTo - atFrom);
    double ofVariance = 0.5 * ((to > 1e8 ? 0 : atTo * to) - atFrom * from);
    return new double[] {-log / Math.log(2), ofMean / Math.log(2), ofVariance / Math.log(2)};
  }

  private static double density(double z, double log) {
    return Math.exp(-z * z / 2 - Math.log(2 * Math.PI) / 2 - log);
  }

  private static double logChance(double from, double to) {
    double nearest = Math.max(from, 0);
    double least = Math.max(from, -10);
    double greatest = Math.min(to, nearest + 40 / (nearest + 4));
    int parts = 4000;
    double sum = 0;
    for (int i = 0; i <= parts; i++) {
      double z = least + (greatest - least) * i / parts;
      int weight = i == 0 || i == parts ? 1 : 2 + 2 * (i % 2);
      sum += weight * Math.exp(-(z - nearest) * (z + nearest) / 2);
    }
    return Math.log(sum * (greatest - least) / (3 * parts) / Math.sqrt(2 * Math.PI))
        - nearest * nearest / 2;
  }

  private List<double[]> eager(DataType type, double[][] columns) {
    NDArray[] arrays = arrays(type, columns);
    arrays[1].setRequiresGradient(true);
    arrays[2].setRequiresGradient(true);
    try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
      NDArray bits = BOUND.decoder(EagerOps.training(0, 0), arrays[0], arrays[1], arrays[2]);
      collector.backward(bits.sum());
      return List.of(
          doubles(bits), doubles(arrays[1].getGradient()), doubles(arrays[2].getGradient()));
    }
  }

  private List<double[]> compiled(double[][] columns) {
    NDArray[] arrays = arrays(DataType.FLOAT32, columns);
    arrays[1].setRequiresGradient(true);
    arrays[2].setRequiresGradient(true);
    Script script = new Script();
    ScriptOps ops = ScriptOps.training(script, Script.Type.FLOAT32, new Value("none"));
    Value bits = BOUND.decoder(ops, new Value("x0"), new Value("p[0]"), new Value("p[1]"));
    Value gradients = script.let("torch.grad([torch.sum(%s)], p)", bits);
    Value all =
        script.let(
            "[torch.detach(%1$s), unchecked_cast(Tensor, %2$s[0]), unchecked_cast(Tensor,"
                + " %2$s[1])]",
            bits, gradients);
    try (Program program =
        Program.compile(script.method("run", "x0: Tensor, p: List[Tensor]", "List[Tensor]", all))) {
      NDList made =
          program.callRecording("run", arrays[0], List.of(new NDList(arrays[1], arrays[2])));
      return made.stream().map(GaussianIntervalTest::doubles).toList();
    }
  }

  private NDArray[] arrays(DataType type, double[][] columns) {
    NDArray[] arrays = new NDArray[columns.length];
    for (int k = 0; k < arrays.length; k++) {
      arrays[k] =
          Upload.doubles(manager, columns[k], new Shape(columns[k].length, 1, 1, 1), type)
              .duplicate();
    }
    return arrays;
  }

  private static double[] doubles(NDArray array) {
    return array.toType(DataType.FLOAT64, false).toDoubleArray();
  }

  private static void assertAgrees(
      String name, List<double[]> actual, double[][] columns, double tolerance, double[]... all) {
    String[] what = {" bits", " of mean", " of log variance"};
    for (int k = 0; k < 3; k++) {
      for (int i = 0; i < columns[0].length; i++) {
        double deviation = Math.exp(columns[2][i] / 2);
        double value = actual.get(k)[i] * (k == 1 ? deviation : 1);
        double expected = all[k][i];
        if (!(Math.abs(value - expected) <= tolerance * Math.max(1, Math.abs(expected)))) {
          double away = (columns[0][i] - columns[1][i]) / deviation;
          fail(
              "%s of %s, %s deviations away, should be %s, but was %s",
              name + what[k], columns[0][i], away, expected, value);
        }
      }
    }
  }
}
