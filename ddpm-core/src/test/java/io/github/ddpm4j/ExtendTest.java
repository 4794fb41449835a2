package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.ScriptedDenoiser;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Every Java snippet of docs/EXTEND.md is compiled and run: it stands here, word for word. */
class ExtendTest {

  private static final Pattern SNIPPET = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL);
  private static final Path SOURCE = Path.of("src/test/java/io/github/ddpm4j/ExtendTest.java");

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  record EveryNth(int n) implements Sampler {
    @Override
    public SamplingPlan plan(Diffusion diffusion, int start) {
      Schedule schedule = diffusion.schedule();
      List<SamplingPlan.Step> rows = new ArrayList<>();
      for (int t = Math.min(start, schedule.timesteps() - 1); t >= 0; t -= n) {
        Level from = Level.of(schedule, t);
        Level to = t < n ? Level.CLEAN : Level.of(schedule, t - n);
        double cX = to.noise() / from.noise(); // so that the noise of x' is right
        double cX0 = to.signal() - cX * from.signal(); // and its signal
        rows.add(new SamplingPlan.Step(from, cX, cX0, 0, List.of(), 0));
      }
      return new SamplingPlan(rows, SamplingPlan.Memory.X0, 1, Level.CLEAN);
    }
  }

  record PseudoHuber(double c) implements Loss {
    @Override
    public <T> T perImage(Ops<T> ops, T output, T target) {
      T square = ops.square(ops.subtract(output, target));
      T root = ops.exp(ops.scale(ops.log(ops.shift(square, c * c)), 0.5)); // √(e² + c²)
      return ops.meanPerImage(ops.shift(root, -c));
    }
  }

  static final class TwoConvolutions implements ScriptedDenoiser {
    private final NDManager manager = NDManager.newBaseManager();
    private final Map<String, NDArray> weights = new LinkedHashMap<>();

    TwoConvolutions() {
      NoiseSource random = NoiseSource.seeded(1);
      add(random, "in.weight", new Shape(8, 1, 3, 3));
      add(random, "in.bias", new Shape(8));
      add(random, "time.weight", new Shape(8, 1));
      add(random, "time.bias", new Shape(8));
      add(random, "out.weight", new Shape(1, 8, 3, 3));
      add(random, "out.bias", new Shape(1));
    }

    private TwoConvolutions(Map<String, NDArray> others) {
      others.forEach(this::keep);
    }

    private void add(NoiseSource random, String name, Shape shape) {
      Shape one = new Shape(1).addAll(shape);
      NDArray start = random.array(manager, weights.size(), 0, one, DataType.FLOAT32);
      keep(name, start.mul(0.2f).reshape(shape));
    }

    private void keep(String name, NDArray value) {
      NDArray weight = value.stopGradient().duplicate();
      weight.attach(manager);
      weight.setRequiresGradient(true);
      weights.put(name, weight);
    }

    @Override
    public <T> T forward(Ops<T> ops, List<T> w, T x, T levels, List<T> conditions) {
      T hidden = ops.conv(ops.enter(x), w.get(0), w.get(1), 1, 1);
      T time = ops.linear(ops.enterFeatures(levels), w.get(2), w.get(3));
      T told = ops.silu(ops.addPerChannel(hidden, time));
      return ops.leave(ops.conv(told, w.get(4), w.get(5), 1, 1));
    }

    @Override
    public double[] levelFeatures(NoiseLevels levels) {
      return IntStream.range(0, levels.size())
          .mapToDouble(i -> levels.timestep(i) / 1000)
          .toArray();
    }

    @Override
    public Optional<Shape> imageShape() {
      return Optional.of(new Shape(1, 8, 8));
    }

    @Override
    public Map<String, NDArray> weights() {
      return weights;
    }

    @Override
    public TwoConvolutions copy() {
      return new TwoConvolutions(weights);
    }

    @Override
    public String type() {
      return "two-convolutions";
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of();
    }

    @Override
    public void close() {
      manager.close();
    }
  }

  @Test
  void page_holdsTheseSnippets() throws IOException {
    String source = Files.readString(SOURCE).replaceAll("\\s+", "");
    Matcher snippets = SNIPPET.matcher(Files.readString(Path.of("../docs/EXTEND.md")));
    List<String> found = snippets.results().map(result -> result.group(1)).toList();
    assertThat(found).hasSize(4);
    assertThat(found).allSatisfy(code -> assertThat(source).contains(code.replaceAll("\\s+", "")));
  }

  /** The sampler is DDIM. */
  @Test
  void sampler_drawsAsDdimDoes() {
    try (TwoConvolutions network = new TwoConvolutions()) {
      DDPM ddpm = DDPM.builder().denoiser(network).build();
      int[] visited = IntStream.iterate(999, t -> t >= 0, t -> t - 100).toArray();
      assertThat(pixels(ddpm, new EveryNth(100)))
          .usingComparatorWithPrecision(1e-4f)
          .containsExactly(pixels(ddpm, Samplers.ddim(10).timesteps(visited)));
    }
  }

  private float[] pixels(DDPM ddpm, Sampler sampler) {
    try (Samples samples = ddpm.sampling().sampler(sampler).seed(1).generate(2)) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  /** For small errors c · loss is half of the squared error. */
  @Test
  void loss_isSquaredForSmallErrors() {
    NDArray zeros = manager.zeros(new Shape(2, 1, 4, 4));
    NDArray small = zeros.add(0.001);
    double huber = new PseudoHuber(1).evaluate(small, zeros).getFloat();
    double half = Losses.simple().evaluate(small, zeros).getFloat() / 2;
    assertThat(huber).isCloseTo(half, org.assertj.core.data.Offset.offset(3e-7));
  }

  /** Compiled, since forward says all that a program needs. */
  @Test
  void network_isTrained() {
    NDArray images = manager.zeros(new Shape(16, 1, 8, 8)).add(0.5);
    Dataset dataset = new ArrayDataset.Builder().setData(images).setSampling(1, false).build();
    try (TwoConvolutions network = new TwoConvolutions()) {
      TrainedModel trained = trained(network, dataset);
      try (trained) {
        double first = trained.losses().loss(1);
        assertThat(trained.losses().mean(10)).isLessThan(0.9 * first);
        NDArray x = manager.randomNormal(new Shape(2, 1, 8, 8));
        NoiseLevels levels = NoiseLevels.of(trained.ddpm().schedule(), 3, 900);
        float[] raw =
            trained
                .raw()
                .model()
                .ask(x, levels, io.github.ddpm4j.model.Condition.none())
                .prediction()
                .toFloatArray();
        assertThat(raw).doesNotContain(Float.NaN).hasSize(128);
      }
    }
  }

  private static TrainedModel trained(TwoConvolutions network, Dataset dataset) {
    TrainedModel trained =
        DDPM.builder()
            .denoiser(network)
            .build()
            .training()
            .loss(new PseudoHuber(0.03))
            .batchSize(16)
            .steps(60)
            .learningRate(1e-2)
            .seed(1)
            .fit(dataset);
    return trained;
  }
}
