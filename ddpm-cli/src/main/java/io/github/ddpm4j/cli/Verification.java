package io.github.ddpm4j.cli;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.files.ResourceFile;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import io.github.ddpm4j.unet.UNet;
import io.github.ddpm4j.unet.UNetConfig;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.BiConsumer;

/**
 * Compares what a device computes with what is known: numbers that PyTorch and diffusers printed, a
 * distribution whose samples have a closed form, and pictures of the model in the box. The numbers
 * are those of the library's own tests, in {@code verify.json} and {@code verify.safetensors}.
 */
final class Verification {

  /**
   * A comparison.
   *
   * @param name what is compared with what
   * @param difference the largest difference
   * @param allowed the largest that is allowed
   */
  record Check(String name, double difference, double allowed) {

    boolean passed() {
      return difference <= allowed; // not if it is NaN
    }
  }

  private static final int IMAGES = 2;
  private static final int SIDE = 28;

  /** Of outputs whose size is about 1, from float32 with additions in another order. */
  private static final double FLOAT32 = 1e-4;

  /** On GPUs that multiply float32 with the 10 bits of TF32 in convolutions. */
  private static final double TF32 = 1e-2;

  private static final double FLOAT64 = 1e-9;
  private static final double LEVELS = 2;

  /** The variances of data for the oracle. */
  private static final double[] VARIANCES = {0.25, 1, 0.01};

  private final Device device;
  private final Map<String, double[]> known;

  Verification(Device device) throws IOException {
    this.device = device;
    try (InputStream in = resource("verify.json");
        Reader text = new InputStreamReader(in, StandardCharsets.UTF_8)) {
      known = new Gson().fromJson(text, new TypeToken<Map<String, double[]>>() {});
    }
  }

  /** How a comparison is made. */
  @FunctionalInterface
  private interface Comparison {
    Check made() throws IOException;
  }

  /**
   * Makes all comparisons, in some seconds.
   *
   * @param progress hears how many of how many are made
   */
  List<Check> run(BiConsumer<Integer, Integer> progress) throws IOException {
    List<Comparison> all = comparisons();
    List<Check> checks = new ArrayList<>();
    for (Comparison comparison : all) {
      checks.add(comparison.made());
      progress.accept(checks.size(), all.size());
    }
    return checks;
  }

  private List<Comparison> comparisons() {
    List<Comparison> all = new ArrayList<>();
    double allowed = device.isGpu() ? TF32 : FLOAT32;
    all.add(
        () -> network("a network, compiled, against PyTorch's", UNet.Execution.COMPILED, allowed));
    all.add(() -> network("a network, eager, against PyTorch's", UNet.Execution.EAGER, allowed));
    all.add(
        () ->
            trajectory(
                "ddim",
                Samplers.ddim(50).spacing(TimestepSpacing.LEADING).rawEpsilon(true),
                "50 steps of DDIM against diffusers'"));
    all.add(
        () ->
            trajectory(
                "dpmsolver++",
                Samplers.dpmSolverPlusPlus(20).spacing(TimestepSpacing.LEADING),
                "20 steps of DPM-Solver++ against diffusers'"));
    samplers()
        .forEach(
            (name, sampler) ->
                all.add(() -> oracle("Gaussian data by " + name + ", in closed form", sampler)));
    all.add(this::pictures);
    return all;
  }

  private static Map<String, Sampler> samplers() {
    Map<String, Sampler> samplers = new LinkedHashMap<>();
    samplers.put("1000 steps of DDPM", Samplers.ddpm());
    samplers.put("50 of DDIM", Samplers.ddim(50));
    samplers.put("50 of DDIM with noise", Samplers.ddim(50).eta(1));
    return samplers;
  }

  /** A small U-Net of diffusers with random weights, and what it answered. */
  private Check network(String name, UNet.Execution execution, double allowed) throws IOException {
    try (ResourceFile file = ResourceFile.of(resource("verify.safetensors"), "ddpm4j-verify-");
        TensorSource source = TensorFiles.open(file.path());
        UNet unet = unet(execution);
        NDManager manager = NDManager.newBaseManager(device)) {
      for (Map.Entry<String, NDArray> weight : unet.weights().entrySet()) {
        source.readInto(weight.getKey(), weight.getValue());
      }
      NDArray input = source.readFloat32("input", manager);
      double[] steps = numbers(source.readFloat32("timesteps", manager));
      double[] labels = numbers(source.readFloat32("labels", manager));
      double[] some = new double[steps.length];
      Arrays.fill(some, Math.sqrt(0.5));
      int[] classes = new int[labels.length];
      for (int i = 0; i < labels.length; i++) {
        // The last class of diffusers is ours for none.
        classes[i] = labels[i] == unet.classes().orElseThrow() ? Condition.ABSENT : (int) labels[i];
      }
      NDArray answer =
          unet.predict(input, NoiseLevels.of(steps, some, some), Condition.labels(classes));
      return new Check(
          name,
          difference(numbers(answer), numbers(source.readFloat32("output", manager))),
          allowed);
    }
  }

  private UNet unet(UNet.Execution execution) {
    return UNet.builder()
        .image(1, 8, 8)
        .levelChannels(8, 12)
        .attentionAtLevels(1)
        .residualBlocks(1)
        .groups(4)
        .normEpsilon(1e-6)
        .downsamplePadding(UNetConfig.DownsamplePadding.RIGHT_BOTTOM)
        .timeEmbedding(UNetConfig.TimeOrder.SIN_COS, UNetConfig.TimeDivisor.HALF_MINUS_ONE)
        .classes(4)
        .execution(execution)
        .precision(UNet.Precision.FLOAT32)
        .device(device)
        .seed(0)
        .build();
  }

  /** Model G of the golden numbers: the exact score of N(0.3, 0.5²). */
  private Check trajectory(String key, Sampler sampler, String name) {
    double[] start = known("start");
    double[] wanted = known(key);
    int size = start.length / IMAGES;
    NoiseSource noise =
        (image, draw, target) ->
            System.arraycopy(start, Math.toIntExact(image) * size, target, 0, size);
    double[] drawn =
        draw(new Gaussian(device, 0.3, 0.25), sampler, noise, new Shape(3, 4, 4), IMAGES);
    return new Check(name, difference(drawn, wanted), FLOAT64);
  }

  /**
   * Data N(0, s²) has the optimal x̂_0 = √ᾱ s² / (ᾱ s² + 1 − ᾱ) · x, so that each sample is worked
   * out from its noise by the rows of the plan, in double.
   */
  private Check oracle(String name, Sampler sampler) {
    NoiseSource noise = NoiseSource.seeded(7);
    SamplingPlan plan = sampler.plan(diffusion());
    double largest = 0;
    for (double variance : VARIANCES) {
      double[] drawn =
          draw(new Gaussian(device, 0, variance), sampler, noise, new Shape(1, 1, 1), 4);
      double[] exact = new double[drawn.length];
      for (int i = 0; i < exact.length; i++) {
        exact[i] = follow(plan, variance, noise, i);
      }
      largest = Math.max(largest, difference(drawn, exact));
    }
    return new Check(name, largest, FLOAT64);
  }

  private static double follow(SamplingPlan plan, double variance, NoiseSource noise, int image) {
    double[] z = new double[1];
    noise.normal(image, 0, z);
    double x = plan.initialScale() * z[0];
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double total = row.signal() * row.signal() * variance + row.noise() * row.noise();
      double x0 = row.signal() * variance / total * x;
      double eps = (x - row.signal() * x0) / row.noise();
      noise.normal(image, i + 1L, z);
      x = row.cX() * x + row.cX0() * x0 + row.cEps() * eps + row.noiseHigh() * z[0];
    }
    return x;
  }

  private static Diffusion diffusion() {
    return new Diffusion(
        Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_LARGE, DataRange.DEFAULT);
  }

  private double[] draw(
      Denoiser model, Sampler sampler, NoiseSource noise, Shape shape, int count) {
    try (NDManager manager = NDManager.newBaseManager(device);
        Samples samples =
            Sampling.of(DenoisingModel.of(diffusion(), model))
                .sampler(sampler)
                .shape((int) shape.get(0), (int) shape.get(1), (int) shape.get(2))
                .clip(false)
                .dataType(DataType.FLOAT64)
                .noise(noise)
                .generate(count)) {
      return numbers(samples.toNDArray(manager));
    }
  }

  private Check pictures() throws IOException {
    return new Check(
        "pictures of the model in the box, in 255 levels",
        difference(fashion(), known("fashion")),
        LEVELS);
  }

  /** Two pictures of the model in the box, as the levels of their pixels. */
  double[] fashion() throws IOException {
    try (DDPM ddpm = Models.load("fashion", device);
        NDManager manager = NDManager.newBaseManager(device);
        Samples samples =
            ddpm.sampling()
                .sampler(Samplers.ddim(3))
                .condition(Condition.labels(0, 9))
                .seed(0)
                .generate(IMAGES)) {
      double[] values = numbers(samples.toNDArray(manager));
      double[] levels = new double[IMAGES * SIDE * SIDE];
      for (int i = 0; i < levels.length; i++) {
        levels[i] = Math.rint(255 * Math.min(1, Math.max(0, (values[i] + 1) / 2)));
      }
      return levels;
    }
  }

  /** The exact noise of images whose pixels are N(mean, variance). */
  private record Gaussian(Device on, double mean, double variance) implements Denoiser {

    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      double[] centre = new double[levels.size()];
      double[] factor = new double[levels.size()];
      for (int i = 0; i < centre.length; i++) {
        double signal = levels.signal(i);
        double noise = levels.noise(i);
        centre[i] = signal * mean;
        factor[i] = noise / (signal * signal * variance + noise * noise);
      }
      return x.sub(PerImage.column(x, centre)).mul(PerImage.column(x, factor));
    }

    @Override
    public Optional<Device> device() {
      return Optional.of(on);
    }
  }

  private double[] known(String name) {
    return Objects.requireNonNull(known.get(name), name);
  }

  private static double[] numbers(NDArray array) {
    try (NDArray all = array.toType(DataType.FLOAT64, true).toDevice(Device.cpu(), true)) {
      return all.toDoubleArray();
    }
  }

  /** The largest, of the size of what is expected where that is above 1; NaN if one is. */
  static double difference(double[] actual, double[] expected) {
    if (actual.length != expected.length) {
      return Double.POSITIVE_INFINITY;
    }
    double largest = 0;
    for (int i = 0; i < actual.length; i++) {
      double one = Math.abs(actual[i] - expected[i]) / Math.max(1, Math.abs(expected[i]));
      largest = Math.max(largest, one);
    }
    return largest;
  }

  private static InputStream resource(String name) {
    return Objects.requireNonNull(Verification.class.getResourceAsStream(name), name);
  }
}
