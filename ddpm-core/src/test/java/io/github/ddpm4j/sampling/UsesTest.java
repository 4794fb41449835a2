package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.SphericalPath;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is made of images that are given, on data that is N(0.3, 1/4) in each pixel. */
class UsesTest {

  private static final Shape IMAGES = new Shape(3, 2, 4, 4);
  private static final Diffusion DIFFUSION =
      new Diffusion(
          Schedules.linear(1000), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static Sampling sampling(Sampler sampler) {
    return Sampling.of(DenoisingModel.of(DIFFUSION, StandIns.modelG()))
        .sampler(sampler)
        .shape(2, 4, 4)
        .batchSize(2)
        .clip(false)
        .seed(7);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  private NDArray images() {
    return manager.randomUniform(-1, 1, IMAGES);
  }

  /** The left half is known. */
  private NDArray leftHalf() {
    float[] mask = new float[16];
    for (int i = 0; i < mask.length; i++) {
      mask[i] = i % 4 < 2 ? 1 : 0;
    }
    return manager.create(mask, new Shape(1, 1, 4, 4));
  }

  @Test
  void inpaint_keepsKnownPixelsExactly_andDrawsTheOthers() {
    NDArray images = images();
    double[] known = Golden.values(images);
    for (Sampler sampler :
        List.of(
            Samplers.ddim(10),
            Samplers.ddim(10).endAtFirstTimestep(true),
            Samplers.dpmSolverPlusPlus(10),
            Samplers.heun(5).spacing(TimestepSpacing.TRAILING).endAtFirstTimestep(true),
            Samplers.ddpm(20),
            Samplers.resampling(Samplers.ddpm(20), 5, 3),
            Samplers.resampling(Samplers.ddim(20).eta(0.7), 5, 3))) {
      double[] found = pixels(sampling(sampler).inpaint(images, leftHalf()));
      for (int i = 0; i < found.length; i++) {
        if (i % 4 < 2) {
          assertThat(found[i]).as("%s, pixel %d", sampler, i).isEqualTo(known[i]);
        } else {
          assertThat(found[i]).as("%s, pixel %d", sampler, i).isNotEqualTo(known[i]);
        }
      }
    }
  }

  /**
   * Where pixels are independent, what is known says nothing, and the rest is drawn as if alone:
   * mean 0.3, and the variance that the plan makes of exact predictions, which is below 1/4.
   */
  @Test
  void inpaint_ofIndependentPixels_hasTheDistributionOfTheData() {
    NDArray images = manager.ones(new Shape(200, 2, 4, 4));
    Sampler sampler = Samplers.resampling(Samplers.ddpm(50), 10, 3);
    double[] found = pixels(sampling(sampler).batchSize(200).inpaint(images, leftHalf()));
    double[] drawn =
        java.util.stream.IntStream.range(0, found.length)
            .filter(i -> i % 4 >= 2)
            .mapToDouble(i -> found[i])
            .toArray();
    double mean = Arrays.stream(drawn).average().orElse(0);
    double variance = Arrays.stream(drawn).map(v -> (v - mean) * (v - mean)).sum() / drawn.length;
    double expected = 1;
    for (SamplingPlan.Step row : sampler.plan(DIFFUSION).steps()) {
      double total = row.signal() * row.signal() / 4 + row.noise() * row.noise();
      double slope = row.cX() + row.cX0() * row.signal() / 4 / total;
      expected = slope * slope * expected + row.noiseHigh() * row.noiseHigh();
    }
    System.out.println(
        "inpainted pixels: mean " + mean + ", variance " + variance + " of " + expected);
    assertThat(mean).isCloseTo(0.3, within(4 * 0.5 / Math.sqrt(drawn.length)));
    assertThat(variance).isCloseTo(expected, within(4 * expected * Math.sqrt(2.0 / drawn.length)));
    assertThat(expected).isBetween(0.15, 0.25);
  }

  /**
   * Known pixels are those of the image, noised to the level that the row led to: mean signal · 0.7
   * and variance noise², with noise that is new in each row and no other pixel's. What is unknown
   * is drawn beside them: of independent pixels, with no correlation.
   */
  @Test
  void inpaint_knownPixels_standAtEachLevel() {
    int count = 2000;
    NDArray images = manager.full(new Shape(count, 2, 1, 2), 0.7f);
    NDArray mask = manager.create(new float[] {1, 0}, new Shape(1, 1, 1, 2));
    for (Sampler sampler :
        List.of(
            Samplers.ddpm(8),
            Samplers.dpmSolverPlusPlus(8),
            Samplers.resampling(Samplers.ddim(6).eta(1), 2, 2))) {
      SamplingPlan plan = sampler.plan(DIFFUSION);
      List<double[]> before = new ArrayList<>();
      pixels(
          sampling(sampler)
              .shape(2, 1, 2)
              .batchSize(count)
              .listener(
                  event -> {
                    double[] x = Golden.values(event.x());
                    boolean last = event.step() == event.steps() - 1;
                    double signal = last ? 1 : plan.levelAfter(event.step()).signal();
                    double noise = last ? 0 : plan.levelAfter(event.step()).noise();
                    double[] known = new double[2 * count];
                    double[] drawn = new double[2 * count];
                    Arrays.setAll(known, i -> x[2 * i] - (float) (signal * 0.7f));
                    Arrays.setAll(drawn, i -> x[2 * i + 1]);
                    assertThat(mean(known)).isCloseTo(0, within(4 * noise / Math.sqrt(2 * count)));
                    assertThat(covariance(known, known))
                        .isCloseTo(noise * noise, within(4 * noise * noise / Math.sqrt(count)));
                    before.add(drawn);
                    for (double[] other : before) {
                      requireUncorrelated(known, other);
                    }
                    double[] channel = new double[count];
                    double[] second = new double[count];
                    Arrays.setAll(channel, i -> known[2 * i]);
                    Arrays.setAll(second, i -> known[2 * i + 1]);
                    requireUncorrelated(channel, second);
                    before.clear();
                    before.add(known);
                  })
              .inpaint(images, mask));
    }
  }

  private static double mean(double... values) {
    return Arrays.stream(values).average().orElseThrow();
  }

  private static double covariance(double[] one, double[] other) {
    double[] products = new double[one.length];
    double first = mean(one);
    double second = mean(other);
    Arrays.setAll(products, i -> (one[i] - first) * (other[i] - second));
    return mean(products);
  }

  private static void requireUncorrelated(double[] one, double[] other) {
    double spread = Math.sqrt(covariance(one, one) * covariance(other, other));
    assertThat(covariance(one, other)).isCloseTo(0, within(4 * spread / Math.sqrt(one.length)));
  }

  @Test
  void resampling_rows_keepTheLevels() {
    SamplingPlan base = Samplers.ddim(20).eta(1).plan(DIFFUSION);
    SamplingPlan plan = Samplers.resampling(Samplers.ddim(20).eta(1), 5, 3).plan(DIFFUSION);
    assertThat(plan.steps()).hasSize(20 + 3 * 2 * 5);
    for (int i = 0; i < plan.steps().size(); i++) {
      SamplingPlan.Step row = plan.steps().get(i);
      double kept = row.cX() * row.noise() + row.cEps();
      assertThat(row.cX() * row.signal() + row.cX0())
          .isCloseTo(plan.levelAfter(i).signal(), within(1e-12));
      assertThat(kept * kept + row.noiseHigh() * row.noiseHigh())
          .isCloseTo(plan.levelAfter(i).noise() * plan.levelAfter(i).noise(), within(1e-12));
    }
    assertThat(Samplers.resampling(Samplers.ddim(20).eta(1), 5, 1).plan(DIFFUSION)).isEqualTo(base);
  }

  @Test
  void imageToImage_smallStrengthKeeps_fullStrengthForgets() {
    NDArray images = images();
    double[] before = Golden.values(images);
    double last = 0;
    for (double strength : new double[] {0.001, 0.2, 0.5, 1}) {
      double[] after = pixels(sampling(Samplers.ddim(50)).imageToImage(images, strength));
      double distance = 0;
      for (int i = 0; i < after.length; i++) {
        distance += Math.abs(after[i] - before[i]) / after.length;
      }
      System.out.println("image to image, strength " + strength + ": mean change " + distance);
      assertThat(distance).isGreaterThan(last);
      last = distance;
    }
    double[] whole = pixels(sampling(Samplers.ddim(50)).imageToImage(images, 0.001));
    for (int i = 0; i < whole.length; i++) {
      assertThat(whole[i]).isCloseTo(before[i], within(0.05));
    }
  }

  /** One image above t and many below it; at t = T − 1 each is its own but for the start. */
  @Test
  void generateSharing_sharesTheLatentDownToT() {
    double[][] first = new double[2][];
    for (int t : new int[] {0, 500, 999}) {
      double[][][] seen = new double[51][][];
      double[] images =
          pixels(
              sampling(Samplers.ddpm(50))
                  .batchSize(4)
                  .listener(
                      event -> {
                        double[] x = Golden.values(event.x());
                        seen[event.step()] =
                            new double[][] {
                              Arrays.copyOfRange(x, 0, 32), Arrays.copyOfRange(x, 32, 64)
                            };
                        first[0] = seen[event.step()][0];
                      })
                  .generateSharing(t == 0 ? 20 : t, 4));
      assertThat(images).hasSize(4 * 32);
      int bound = t == 0 ? 20 : t;
      for (int step = 0; step < 50; step++) {
        // row k is asked at 980 − 20 k and ends at 960 − 20 k
        boolean one = 980 - 20 * step > bound;
        assertThat(Arrays.equals(seen[step][0], seen[step][1]))
            .as("step %d, shared down to %d", step, bound)
            .isEqualTo(one);
      }
    }
  }

  @Test
  void decode_ofTheStart_isGenerate() {
    double[] whole = pixels(sampling(Samplers.ddim(10)).generate(3));
    NDArray start = NoiseSource.seeded(7).array(manager, 0, 0, IMAGES, DataType.FLOAT32);
    assertThat(pixels(sampling(Samplers.ddim(10)).decode(start))).isEqualTo(whole);
  }

  @Test
  void badInput_isRefused() {
    NDArray images = images();
    assertRefused(
        () -> sampling(Samplers.ddim(10)).imageToImage(images, 0),
        "strength must be above 0 and at most 1, but was 0.0; 0.5 keeps the layout of an image");
    assertRefused(
        () -> sampling(Samplers.ddim(10)).inpaint(images, manager.ones(new Shape(1, 4, 4))),
        "the mask must be float32 or float64 of shape (N, 1, H, W) or (1, 1, H, W) for images of"
            + " (3, 2, 4, 4), but was float32 of shape (1, 4, 4)");
    assertRefused(
        () ->
            sampling(Samplers.ddim(10))
                .inpaint(images, manager.ones(new Shape(1, 1, 4, 4)).muli(255)),
        "the mask must hold 1 where a pixel is known and 0 where it is not, but lies in [255.0,"
            + " 255.0]");
    assertRefused(
        () -> Samplers.resampling(Samplers.ddpm(10), 0, 1),
        "resampling needs jumps over at least 1 row, made at least once, but jumpLength was 0 and"
            + " jumps 1");
    assertThatThrownBy(() -> sampling(Samplers.ddim(10)).generateSharing(500, 4))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "ddim:10 adds no noise after timestep 500, so all images would be one;"
                + " use ddpm() or ddim(steps).eta(1), or a greater timestep");
  }

  private static void assertRefused(
      org.assertj.core.api.ThrowableAssert.ThrowingCallable call, String message) {
    assertThatThrownBy(call).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
  }

  /** A hundred steps each way bring an image back to 0.01, and twice the steps to half of that. */
  @Test
  void encodeThenDecode_reconstructs_theBetterTheMoreSteps() {
    NDArray images = images();
    double[] before = Golden.values(images);
    double last = Double.POSITIVE_INFINITY;
    for (int steps : new int[] {50, 100, 200, 400}) {
      double greatest = 0;
      try (Samples latents = sampling(Samplers.ddim(1)).encode(images, steps);
          NDArray noise = latents.toNDArray(manager)) {
        double[] after =
            pixels(sampling(Samplers.ddim(steps).spacing(TimestepSpacing.TRAILING)).decode(noise));
        for (int i = 0; i < after.length; i++) {
          greatest = Math.max(greatest, Math.abs(after[i] - before[i]));
        }
      }
      System.out.println(
          "encoded and decoded in " + steps + " steps each: greatest difference " + greatest);
      assertThat(greatest).isLessThan(0.6 * last);
      last = greatest;
    }
  }

  private double[] latent(int image) {
    double[] values = new double[32];
    NoiseSource.seeded(11).normal(image, 0, values);
    return values;
  }

  private NDArray latentArray(double... values) {
    return manager.create(values, IMAGES.slice(1)).toType(DataType.FLOAT32, false);
  }

  /** Along a great circle, and what comes out is what decoding its points gives. */
  @Test
  void interpolateLatents_isDecodeOfPointsOnTheSphere() {
    double[] a = latent(0);
    double[] b = latent(1);
    double[] fractions = {0, 0.25, 0.5, 1};
    double dot = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      dot += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    double theta = Math.acos(dot / Math.sqrt(aa * bb));
    float[] points = new float[fractions.length * a.length];
    for (int k = 0; k < fractions.length; k++) {
      for (int i = 0; i < a.length; i++) {
        points[k * a.length + i] =
            (float)
                ((Math.sin((1 - fractions[k]) * theta) * a[i]
                        + Math.sin(fractions[k] * theta) * b[i])
                    / Math.sin(theta));
      }
    }
    NDArray xT = manager.create(points, new Shape(fractions.length).addAll(IMAGES.slice(1)));
    double[] expected = pixels(sampling(Samplers.ddim(20)).decode(xT));
    double[] found =
        pixels(
            sampling(Samplers.ddim(20))
                .interpolateLatents(latentArray(a), latentArray(b), fractions));
    Golden.assertClose("interpolated latents", found, expected, 1e-5);
    double[] ends =
        pixels(
            sampling(Samplers.ddim(20))
                .decode(NDArrays.stack(new NDList(latentArray(a), latentArray(b)))));
    assertThat(Arrays.copyOf(found, 32)).isEqualTo(Arrays.copyOf(ends, 32));
    assertThat(Arrays.copyOfRange(found, 96, 128)).isEqualTo(Arrays.copyOfRange(ends, 32, 64));
  }

  @Test
  void sphericalPath_keepsTheNorm_andMovesEvenly() {
    double[] a = latent(0);
    double[] b = latent(1);
    double ratio = norm(a) / norm(b);
    Arrays.setAll(b, i -> b[i] * ratio);
    SphericalPath path =
        SphericalPath.between(
            manager.create(a, new Shape(2, 4, 4)), manager.create(b, new Shape(2, 4, 4)));
    double step = 2 * norm(a) * Math.sin(path.angle() / 20 / 2);
    double[] last = a;
    for (int k = 0; k <= 20; k++) {
      double fraction = k / 20.0;
      double[] point = new double[a.length];
      Arrays.setAll(point, i -> path.fromWeight(fraction) * a[i] + path.toWeight(fraction) * b[i]);
      assertThat(norm(point)).isCloseTo(norm(a), within(1e-12));
      double[] before = last;
      double[] move = new double[a.length];
      Arrays.setAll(move, i -> point[i] - before[i]);
      assertThat(norm(move)).isCloseTo(k == 0 ? 0 : step, within(1e-12));
      last = point;
    }
    assertThat(SphericalPath.between(latentArray(a), latentArray(a)).toWeight(0.3))
        .isCloseTo(0.3, within(1e-12));
  }

  private static double norm(double... values) {
    return Math.sqrt(Arrays.stream(values).map(v -> v * v).sum());
  }

  /**
   * Neighbours on the way differ by little: on Gaussian data decoding is linear with a slope of at
   * most 1 in each pixel, so that images move no further than latents do.
   */
  @Test
  void interpolateLatents_movesEvenly() {
    double[] fractions = new double[41];
    Arrays.setAll(fractions, i -> i / 40.0);
    NDArray a = latentArray(latent(0));
    NDArray b = latentArray(latent(1));
    double bound =
        Math.max(norm(latent(0)), norm(latent(1))) * SphericalPath.between(a, b).angle() / 40;
    for (Sampler sampler : List.of(Samplers.ddim(20), Samplers.ddim(20).eta(1))) {
      double[] found = pixels(sampling(sampler).interpolateLatents(a, b, fractions));
      double greatest = 0;
      double least = Double.POSITIVE_INFINITY;
      for (int k = 1; k < fractions.length; k++) {
        double[] move = new double[32];
        int at = 32 * k;
        Arrays.setAll(move, i -> found[at + i] - found[at + i - 32]);
        greatest = Math.max(greatest, norm(move));
        least = Math.min(least, norm(move));
      }
      System.out.println(
          sampler
              + ": latents move by up to "
              + bound
              + ", images by "
              + least
              + " to "
              + greatest);
      assertThat(greatest).isLessThan(bound);
      assertThat(greatest).isLessThan(1.5 * least);
    }
  }

  @Test
  void interpolateLatents_badInput_isRefused() {
    NDArray a = latentArray(latent(0));
    NDArray zero = manager.zeros(IMAGES.slice(1));
    assertRefused(
        () -> sampling(Samplers.ddim(10)).interpolateLatents(a, zero, 0.5),
        "latents to interpolate between must be neither 0 nor opposite to each other, but one was"
            + " 0; take those of encode(...), or noise");
    assertRefused(
        () -> sampling(Samplers.ddim(10)).interpolateLatents(a, a.neg(), 0.5),
        "latents to interpolate between must be neither 0 nor opposite to each other, but the angle"
            + " between them was π; take those of encode(...), or noise");
    assertRefused(
        () -> sampling(Samplers.ddim(10)).interpolateLatents(a, a),
        "interpolation needs at least one fraction");
    assertRefused(
        () -> sampling(Samplers.ddim(10)).interpolateLatents(a, images(), 0.5),
        "to must be one picture of shape (2, 4, 4), but had (3, 2, 4, 4)");
  }

  /** Runs of given images, taken in two parts with a file between: to the same images. */
  @Test
  void start_ofEachUse_isTheSameRunStepByStep(@TempDir Path folder) throws IOException {
    NDArray images = images();
    Path file = folder.resolve("run.safetensors");
    Sampler sampler = Samplers.ddim(10).eta(1);
    Map<Function<Sampling, SamplingRun>, Function<Sampling, Samples>> uses = new LinkedHashMap<>();
    uses.put(s -> s.startDenoising(images, 500), s -> s.denoise(images, 500));
    uses.put(s -> s.startImageToImage(images, 0.7), s -> s.imageToImage(images, 0.7));
    uses.put(s -> s.startInpainting(images, leftHalf()), s -> s.inpaint(images, leftHalf()));
    uses.put(s -> s.startDecoding(images), s -> s.decode(images));
    for (Map.Entry<Function<Sampling, SamplingRun>, Function<Sampling, Samples>> use :
        uses.entrySet()) {
      double[] whole = pixels(use.getValue().apply(sampling(sampler)));
      try (SamplingRun run = use.getKey().apply(sampling(sampler))) {
        for (int i = 0; i < 3; i++) {
          run.next();
        }
        run.save(file);
      }
      try (SamplingRun run = use.getKey().apply(sampling(sampler)).restore(file)) {
        assertThat(run.step()).isEqualTo(3);
        assertThat(pixels(run.finish())).isEqualTo(whole);
      }
    }
  }

  @Test
  void restore_overOtherImagesOrMask_isRefused(@TempDir Path folder) throws IOException {
    NDArray images = images();
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = sampling(Samplers.ddim(10)).startInpainting(images, leftHalf())) {
      run.next();
      run.save(file);
    }
    String message =
        file
            + " was saved by a run with another start: other images, mask or latents, or another"
            + " use of them; set this run up as that one was";
    NDArray rightHalf = leftHalf().neg().add(1);
    for (SamplingRun other :
        List.of(
            sampling(Samplers.ddim(10)).startInpainting(images, rightHalf),
            sampling(Samplers.ddim(10)).startInpainting(images.add(0.1), leftHalf()),
            sampling(Samplers.ddim(10)).startDecoding(images),
            sampling(Samplers.ddim(10)).start(3))) {
      try (other) {
        assertRefused(() -> other.restore(file), message);
      }
    }
    try (SamplingRun labelled =
        sampling(Samplers.ddim(10))
            .condition(Condition.labels(1))
            .startInpainting(images, leftHalf())) {
      assertRefused(
          () -> labelled.restore(file),
          file + " was saved by a run with another condition; set this run up as that one was");
    }
  }

  /**
   * Near pure noise an ε that is wrong by little makes an x̂_0 that is out of all bounds. It is
   * clipped on the way up as on the way down, so that the two still meet.
   */
  @Test
  void encodeThenDecode_ofAnInexactNetworkThatIsClipped_reconstructs() {
    Diffusion cosine =
        new Diffusion(
            Schedules.cosine(1000), Prediction.EPSILON, Variance.FIXED_SMALL, DataRange.DEFAULT);
    Denoiser inexact =
        (x, levels, condition) ->
            StandIns.modelG().predict(x, levels, condition).add(x.mul(3).sin().mul(0.05));
    NDArray images = images();
    double[] before = Golden.values(images);
    double last = Double.POSITIVE_INFINITY;
    for (int steps : new int[] {50, 200, 800}) {
      double greatest = 0;
      Supplier<Sampling> sampling =
          () -> Sampling.of(DenoisingModel.of(cosine, inexact)).shape(2, 4, 4).batchSize(2).seed(7);
      try (Samples latents = sampling.get().encode(images, steps);
          NDArray noise = latents.toNDArray(manager)) {
        double[] after =
            pixels(
                sampling
                    .get()
                    .sampler(Samplers.ddim(steps).spacing(TimestepSpacing.TRAILING))
                    .decode(noise));
        for (int i = 0; i < after.length; i++) {
          greatest = Math.max(greatest, Math.abs(after[i] - before[i]));
        }
      }
      System.out.println(
          "clipped, encoded and decoded in "
              + steps
              + " steps each: greatest difference "
              + greatest);
      assertThat(greatest).isLessThan(0.5 * last);
      last = greatest;
    }
    assertThat(last).isLessThan(0.03);
  }

  /** Step by step by hand, with what is remembered, a run's images come out. */
  @Test
  void step_rowByRow_isGenerate() {
    for (Sampler sampler :
        List.of(Samplers.ddpm(8), Samplers.dpmSolverPlusPlus(6).order(3), Samplers.plms(6))) {
      double[] whole = pixels(sampling(sampler).generate(3));
      SamplingPlan plan = sampler.plan(DIFFUSION);
      NDArray x = NoiseSource.seeded(7).array(manager, 0, 0, IMAGES, DataType.FLOAT32);
      List<NDArray> past = new ArrayList<>();
      for (int row = 0; row < plan.steps().size(); row++) {
        Sampling.Reversed step = sampling(sampler).step(row, x, past.toArray(new NDArray[0]));
        x = step.x();
        past.add(0, step.remembered());
        assertThat(step.predictedX0().getManager()).isSameAs(manager);
      }
      assertThat(Golden.values(x)).as("%s", sampler).isEqualTo(whole);
    }
    assertThatThrownBy(() -> sampling(Samplers.plms(6)).step(4, images()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageMatching(
            "row 4 of .* looks back at \\d steps, but was given what 0 remembered; keep"
                + " Reversed.remembered\\(\\) of the steps before, the latest first");
    assertThatThrownBy(() -> sampling(Samplers.ddim(6)).step(6, images()))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
