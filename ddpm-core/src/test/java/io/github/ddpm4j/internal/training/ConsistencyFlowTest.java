package io.github.ddpm4j.internal.training;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.loss.Weighting;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.DoubleBinaryOperator;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the consistency loss leads to as its levels come together, on data whose flow is known: at
 * f, its slope in any direction g is
 *
 * <pre>
 *   2 E[(f(x_t, t) − f(x_r, r)) g(x_t)] / (t − r)
 * </pre>
 *
 * <p>by quadrature. Where f is constant along the flow it goes to 0 as t − r does, and only there.
 */
class ConsistencyFlowTest {

  private static final Schedule SCHEDULE = Schedules.linear(1000);

  /** Of x_0 about its means, and of ε, for the steep places of fields. */
  private static final int NODES = 41;

  private static final int FINE = 241;

  /** A number that depends on a noisy one, x_0 + σ ε, and on σ. */
  private interface Field {
    double at(double y, double sigma);
  }

  /** A mixture of Gaussians. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Mixture(double[] shares, double[] means, double[] deviations) {

    static Mixture gaussian(double mean, double deviation) {
      return new Mixture(new double[] {1}, new double[] {mean}, new double[] {deviation});
    }

    /** E[x_0 given x_0 + σ ε = y]. */
    double mean(double y, double sigma) {
      double sum = 0;
      double all = 0;
      for (int i = 0; i < shares.length; i++) {
        double variance = deviations[i] * deviations[i];
        double total = variance + sigma * sigma;
        double z = y - means[i];
        double likelihood = shares[i] * Math.exp(-z * z / (2 * total)) / Math.sqrt(total);
        sum += likelihood * (means[i] + variance / total * z);
        all += likelihood;
      }
      return sum / all;
    }

    /** The share of x_0 + σ ε below a point. */
    double share(double y, double sigma) {
      double sum = 0;
      for (int i = 0; i < shares.length; i++) {
        sum += shares[i] * normal((y - means[i]) / Math.hypot(deviations[i], sigma));
      }
      return sum;
    }

    /** The exact consistency function: the flow keeps the share that lies below. */
    double end(double y, double sigma) {
      double share = share(y, sigma);
      double low = -5;
      double high = 5;
      for (int i = 0; i < 12; i++) {
        double middle = (low + high) / 2;
        if (share(middle, 0) < share) {
          low = middle;
        } else {
          high = middle;
        }
      }
      double end = (low + high) / 2;
      for (int i = 0; i < 3; i++) {
        end -= Math.max(-1, Math.min(1, (share(end, 0) - share) / density(end)));
      }
      return end;
    }

    private double density(double x) {
      double sum = 1e-300;
      for (int i = 0; i < shares.length; i++) {
        double z = (x - means[i]) / deviations[i];
        sum += shares[i] * Math.exp(-z * z / 2) / (deviations[i] * Math.sqrt(2 * Math.PI));
      }
      return sum;
    }

    /** Φ by its series about 0, Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/15 + …). */
    private static double normal(double x) {
      if (Math.abs(x) > 7) {
        return x > 0 ? 1 : 0;
      }
      double term = x;
      double sum = x;
      for (int k = 3; Math.abs(term) > 1e-17; k += 2) {
        term *= x * x / k;
        sum += term;
      }
      return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    }
  }

  /** Says the mean of the data, and of other data where the condition is dropped. */
  private record Means(Mixture data, Mixture others) implements TrainableDenoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      Mixture of = condition.label(0).isPresent() ? data : others;
      return said(x, levels.level(0), of::mean);
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, Pass pass) {
      throw new UnsupportedOperationException("the teacher is not trained");
    }

    @Override
    public Set<Kind> conditionKinds() {
      return Set.of(Kind.LABELS);
    }

    @Override
    public Map<String, NDArray> weights() {
      return Map.of();
    }

    @Override
    public Means copy() {
      return this;
    }

    @Override
    public String type() {
      return "means";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {}
  }

  /** A field as a network that predicts x_0 says it of x_t. */
  private static NDArray said(NDArray x, Level level, Field field) {
    double[] values = x.toDoubleArray();
    Arrays.setAll(values, i -> field.at(values[i] / level.signal(), level.sigma()));
    return x.getManager().create(values, x.getShape());
  }

  /** Functions of y, told t. */
  private static final List<DoubleBinaryOperator> DIRECTIONS =
      List.of((y, t) -> Math.tanh(y / t), (y, t) -> Math.exp(-y * y));

  /** Asks once, as all that ask give the same images. */
  private static UnaryOperator<NDArray> once(UnaryOperator<NDArray> of) {
    NDArray[] kept = new NDArray[1];
    return x -> {
      if (kept[0] == null) {
        kept[0] = of.apply(x);
      }
      return kept[0].duplicate();
    };
  }

  /**
   * The slopes of the expected loss at f in some directions.
   *
   * @param ratio r / t
   * @param guidance w, where the teacher knows the other data without a condition
   */
  private static double[] slopes(Means network, Field f, double t, double ratio, double guidance) {
    Mixture data = network.data;
    int components = data.shares.length;
    int count = components * NODES * FINE;
    double[] x0 = new double[count];
    double[] noise = new double[count];
    double[] probabilities = new double[count];
    double step = 16.0 / (NODES - 1);
    double fine = 16.0 / (FINE - 1);
    for (int i = 0; i < count; i++) {
      int component = i / (NODES * FINE);
      double one = -8 + step * (i / FINE % NODES);
      double two = -8 + fine * (i % FINE);
      x0[i] = data.means[component] + data.deviations[component] * one;
      noise[i] = two;
      probabilities[i] =
          data.shares[component]
              * step
              * fine
              * Math.exp(-(one * one + two * two) / 2)
              / (2 * Math.PI);
    }
    Diffusion diffusion =
        new Diffusion(SCHEDULE, Prediction.X0, Variance.FIXED_LARGE, new DataRange(-1e3, 1e3));
    DenoisingModel model = DenoisingModel.of(diffusion, network);
    Level level = Level.ofSigma(SCHEDULE, t);
    Level earlier = Level.ofSigma(SCHEDULE, ratio * t);
    NoiseLevels levels = NoiseLevels.of(level, count);
    NoiseLevels compared = NoiseLevels.of(earlier, count);
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray images = manager.create(x0, new Shape(count, 1, 1, 1));
      NDArray epsilon = manager.create(noise, new Shape(count, 1, 1, 1));
      TrainingBatch plain =
          new TrainingBatch(
              new TrainableDenoiser.Pass(0, 0),
              images,
              levels,
              epsilon,
              epsilon,
              Condition.labels(new int[count]),
              new TrainingBatch.Earlier(compared, images));
      TrainingBatch batch = new Teacher(model, network, guidance).guided(plain);
      ImageNumbers numbers =
          new ImageNumbers(diffusion, Weighting.uniform(), (n, random) -> levels, levels, compared);
      UnaryOperator<NDArray> now = once(x -> said(x, level, f));
      UnaryOperator<NDArray> before = once(x -> said(x, earlier, f));
      double[] slopes = new double[DIRECTIONS.size()];
      for (int d = 0; d < slopes.length; d++) {
        DoubleBinaryOperator direction = DIRECTIONS.get(d);
        UnaryOperator<NDArray> moved =
            once(x -> said(x, level, (y, sigma) -> direction.applyAsDouble(y, t)));
        for (double h : new double[] {0.1, -0.1}) {
          double[] each =
              new ConsistencyObjective(model, Losses.simple())
                  .of(
                      EagerOps.inference(),
                      new ArrayColumns(images, numbers),
                      batch.values(),
                      x -> now.apply(x).add(moved.apply(x).mul(h)),
                      before)
                  .each()
                  .toDoubleArray();
          for (int i = 0; i < count; i++) {
            slopes[d] += probabilities[i] * each[i] / (2 * h);
          }
        }
      }
      return slopes;
    }
  }

  /** Goes to 0 at first order at one field, and not at another. */
  private static void assertFixed(
      Means network, Field fixed, Field other, double t, double guidance) {
    double[][] found = new double[3][];
    Arrays.setAll(found, i -> slopes(network, fixed, t, 1 - 0.08 / (1 << i), guidance));
    double[] elsewhere = slopes(network, other, t, 0.98, guidance);
    for (int d = 0; d < elsewhere.length; d++) {
      double most = Math.abs(elsewhere[d]);
      double limit = (found[0][d] - 6 * found[1][d] + 8 * found[2][d]) / 3;
      assertThat(limit).as("limit at t = %s", t).isCloseTo(0, within(2e-3 * most));
      assertThat(Math.abs(found[2][d])).isLessThan(0.3 * most);
    }
  }

  private static final Mixture TWO =
      new Mixture(new double[] {0.3, 0.7}, new double[] {-0.8, 0.5}, new double[] {0.25, 0.35});

  /** The mean of the data, which a denoiser says, is no fixed point: its ways do not end. */
  @ParameterizedTest
  @ValueSource(doubles = {0.4, 1, 4})
  void loss_ofAMixture_isLeastAtTheEndsOfItsFlow(double t) {
    assertFixed(new Means(TWO, TWO), TWO::end, TWO::mean, t, 1);
  }

  /**
   * The guided flow of Gaussians in y = x / signal is dy / dσ = σ (w (y − μ) / (s² + σ²) + (1 − w)
   * (y − μ') / (s'² + σ²)), and linear in y.
   */
  @Test
  void loss_underATeacher_isLeastAtTheEndsOfTheGuidedFlow() {
    Mixture data = Mixture.gaussian(0.4, 0.5);
    Mixture others = Mixture.gaussian(-0.2, 0.8);
    for (double w : new double[] {1, 2.5}) {
      for (double t : new double[] {0.5, 2}) {
        assertFixed(
            new Means(data, others),
            (y, sigma) -> end(y, sigma, data, others, w),
            (y, sigma) -> end(y, sigma, data, others, w == 1 ? 2.5 : 1),
            t,
            w);
      }
    }
  }

  /** By Runge and Kutta. */
  private static double end(double y, double sigma, Mixture data, Mixture others, double w) {
    Field flow = (at, s) -> s * (w * pull(data, at, s) + (1 - w) * pull(others, at, s));
    double step = -sigma / 64;
    for (int i = 0; i < 64; i++) {
      double s = sigma + i * step;
      double k1 = flow.at(y, s);
      double k2 = flow.at(y + step / 2 * k1, s + step / 2);
      double k3 = flow.at(y + step / 2 * k2, s + step / 2);
      double k4 = flow.at(y + step * k3, s + step);
      y += step / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
    }
    return y;
  }

  /** −∂ ln p / ∂y of a Gaussian. */
  private static double pull(Mixture gaussian, double y, double sigma) {
    double deviation = gaussian.deviations[0];
    return (y - gaussian.means[0]) / (deviation * deviation + sigma * sigma);
  }
}
