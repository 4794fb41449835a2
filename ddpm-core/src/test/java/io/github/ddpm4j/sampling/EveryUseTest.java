package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Condition.Kind;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.noise.NoiseSource;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Image k is the image k: every use under every option, in batches of two, against {@link ByHand},
 * which draws one image at a time. All states of all rows are compared, as a listener sees them.
 */
class EveryUseTest {

  private static final int IMAGES = 3;
  private static final int PIXELS = 8;
  private static final long SEED = 7;
  private static final Shape IMAGE = new Shape(2, 2, 2);
  private static final Shape BATCH = new Shape(IMAGES, 2, 2, 2);
  private static final int FROM = 650;

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  /* --- options --- */

  /** How a run is set up, on arrays and in plain numbers. */
  private static final class Option {
    private final String name;
    private Sampler sampler = Samplers.ddim(3).eta(0.6);
    private Diffusion diffusion = diffusion(Prediction.EPSILON, Variance.FIXED_SMALL);
    private final Set<Kind> kinds = EnumSet.noneOf(Kind.class);
    private DataType type = DataType.FLOAT64;
    private double tolerance = 1e-10;
    private final List<Consumer<Sampling>> settings = new ArrayList<>();
    private final List<Consumer<ByHand.Terms>> terms = new ArrayList<>();

    /** What the condition of each image adds. */
    private double[][] own = new double[IMAGES][PIXELS];

    private Condition condition = Condition.none();

    Option(String name) {
      this.name = name;
    }

    Option with(Sampler other) {
      sampler = other;
      return this;
    }

    Option with(Prediction prediction, Variance variance) {
      diffusion = diffusion(prediction, variance);
      return this;
    }

    Option with(Consumer<Sampling> setting, Consumer<ByHand.Terms> term) {
      settings.add(setting);
      terms.add(term);
      return this;
    }

    Option sees(Kind... more) {
      kinds.addAll(List.of(more));
      return this;
    }

    /** A condition of the run and what it adds. */
    Option on(Condition more, double[][] adds) {
      own = sum(own, adds);
      condition = condition.isNone() ? more : condition.and(more);
      return this;
    }

    Option inFloat32() {
      type = DataType.FLOAT32;
      tolerance = 2e-4;
      return this;
    }

    /** Another data range than [-1, 1]. */
    Option in(double least, double greatest) {
      diffusion =
          new Diffusion(
              diffusion.schedule(),
              diffusion.prediction(),
              diffusion.variance(),
              new DataRange(least, greatest));
      return this;
    }

    private static Diffusion diffusion(Prediction prediction, Variance variance) {
      return new Diffusion(Schedules.linear(1000), prediction, variance, DataRange.DEFAULT);
    }

    ByHand.Terms terms() {
      ByHand.Terms made = new ByHand.Terms(diffusion);
      made.own = own;
      made.hasOwn = !condition.isNone();
      made.selfConditions = kinds.contains(Kind.PREVIOUS_X0);
      made.learnsVariance = diffusion.variance().isLearned();
      terms.forEach(term -> term.accept(made));
      return made;
    }

    Sampling sampling() {
      ByHand.Network network = new ByHand.Network(kinds, diffusion.variance().isLearned());
      Sampling sampling =
          Sampling.of(DenoisingModel.of(diffusion, network))
              .sampler(sampler)
              .shape(2, 2, 2)
              .batchSize(2)
              .dataType(type)
              .condition(condition)
              .seed(SEED);
      settings.forEach(setting -> setting.accept(sampling));
      return sampling;
    }

    @Override
    public String toString() {
      return name;
    }
  }

  private static double[][] sum(double[][] one, double[][] other) {
    double[][] sum = new double[IMAGES][PIXELS];
    for (int k = 0; k < IMAGES; k++) {
      for (int i = 0; i < PIXELS; i++) {
        sum[k][i] = one[k][i] + other[k][i];
      }
    }
    return sum;
  }

  /** The same in each pixel of an image. */
  private static double[][] adds(double... perImage) {
    return Arrays.stream(perImage)
        .mapToObj(value -> ByHand.each(new double[PIXELS], v -> value))
        .toArray(double[][]::new);
  }

  private static final double INFINITE = Double.POSITIVE_INFINITY;

  private static Consumer<Sampling> guided(Guidance guidance) {
    return sampling -> sampling.guidance(guidance);
  }

  private static Consumer<ByHand.Terms> pulls(ByHand.Pull... pulls) {
    return terms -> terms.pulls.addAll(List.of(pulls));
  }

  private static Option option(String name) {
    return new Option(name);
  }

  /** Labels 0, 2 and 4, whatever else is set. */
  private static Option labelled(String name) {
    return option(name).sees(Kind.LABELS).on(Condition.labels(0, 2, 4), adds(0.1, 0.3, 0.5));
  }

  /** Borrowed by conditions as long as tests run. */
  private static final NDManager SHARED = NDManager.newBaseManager();

  @AfterAll
  static void closeShared() {
    SHARED.close();
  }

  private static NDArray shared(Shape shape) {
    float[] values = new float[(int) shape.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i * 7 % 16 / 8f - 1;
    }
    return SHARED.create(values, shape);
  }

  private static double[][] rows(NDArray array, double factor) {
    int size = (int) (array.getShape().size() / IMAGES);
    float[] values = array.toFloatArray();
    double[][] rows = new double[IMAGES][PIXELS];
    for (int k = 0; k < IMAGES; k++) {
      for (int i = 0; i < PIXELS; i++) {
        rows[k][i] = factor * values[k * size + i % size];
      }
    }
    return rows;
  }

  /** What contexts add. */
  private static double[][] tokens(NDArray contexts) {
    int count = (int) contexts.getShape().get(1);
    int width = (int) contexts.getShape().get(2);
    float[] values = contexts.toFloatArray();
    double[] sums = new double[IMAGES];
    for (int i = 0; i < values.length; i++) {
      sums[i / (count * width)] += 0.05 * (i / width % count + 1) * values[i];
    }
    return adds(sums);
  }

  private static double[][] negated(double[][] values) {
    return Arrays.stream(values).map(row -> ByHand.each(row, v -> -v)).toArray(double[][]::new);
  }

  private static Option guidedBetween(String name, double least, double greatest) {
    return labelled(name)
        .with(
            guided(Guidance.classifierFree(2.5).interval(least, greatest)),
            pulls(new ByHand.Pull(null, 2.5, least, greatest)));
  }

  static Stream<Option> options() {
    Variance small = Variance.FIXED_SMALL;
    NDArray vectors = shared(new Shape(IMAGES, 1));
    NDArray images = shared(BATCH);
    NDArray contexts = shared(new Shape(IMAGES, 4, 2));
    NDArray negative = shared(new Shape(IMAGES + 1, 4, 2)).get(new NDIndex("1:"));
    double[][] others = adds(0.4, 0.2, 0);
    Condition towards = Condition.labels(3, 1, Condition.ABSENT);
    double middle = Level.of(Schedules.linear(1000), 333).sigma();
    Guidance.LogProbability quarter =
        (x, levels) -> {
          double[] half = IntStream.range(0, levels.size()).mapToDouble(levels::signal).toArray();
          return x.sub(PerImage.column(x, levels.each(level -> 0.25)))
              .square()
              .mul(PerImage.column(x, half))
              .mul(PerImage.column(x, levels.each(level -> -0.5)))
              .sum(new int[] {1, 2, 3});
        };
    return Stream.of(
        option("ddim"),
        option("float32").inFloat32(),
        option("ddpm").with(Samplers.ddpm(3)),
        option("fixed large").with(Samplers.ddpm(3)).with(Prediction.EPSILON, Variance.FIXED_LARGE),
        labelled("learned").with(Samplers.ddpm(3)).with(Prediction.EPSILON, Variance.LEARNED_RANGE),
        labelled("learned, guided")
            .with(Samplers.ddpm(3))
            .with(Prediction.EPSILON, Variance.LEARNED_RANGE)
            .with(
                guided(Guidance.classifierFree(2.5)),
                pulls(new ByHand.Pull(null, 2.5, 0, INFINITE))),
        option("learned, resampled")
            .with(Samplers.resampling(Samplers.ddpm(3), 2, 2))
            .with(Prediction.EPSILON, Variance.LEARNED_RANGE),
        option("x0").with(Prediction.X0, small),
        option("velocity").with(Prediction.VELOCITY, small),
        option("edm prediction").with(Prediction.edm(0.5), small).sees(Kind.PREVIOUS_X0),
        option("resampling").with(Samplers.resampling(Samplers.ddim(3).eta(1), 2, 2)),
        option("churn").with(Samplers.edm(6).churn(2).churnNoise(1.1).churnBetween(0.1, 50)),
        option("dpm++ 3").with(Samplers.dpmSolverPlusPlus(4).order(3)),
        option("dpm++ stochastic").with(Samplers.dpmSolverPlusPlus(4).stochastic(true)),
        option("unipc").with(Samplers.uniPc(4)),
        option("plms").with(Samplers.plms(4)),
        option("euler ancestral").with(Samplers.eulerAncestral(3)),
        option("trailing").with(Samplers.ddim(3).eta(0.6).spacing(TimestepSpacing.TRAILING)),
        option("karras").with(Samplers.dpmSolverPlusPlus(4).spacing(NoiseSpacing.karras())),
        option("eta 1, raw, to the first")
            .with(Samplers.ddim(3).eta(1).rawEpsilon(true).endAtFirstTimestep(true)),
        option("unclipped").with(s -> s.clip(false), t -> t.limit = x0 -> x0),
        option("thresholded")
            .with(s -> s.dynamicThresholding(0.8, 1.5), t -> t.limit = x0 -> thresholded(x0, 0, 1)),
        option("thresholded in [0, 1]")
            .in(0, 1)
            .with(
                s -> s.dynamicThresholding(0.8, 1.5),
                t -> t.limit = x0 -> thresholded(x0, 0.5, 0.5)),
        option("clipped to [0, 1]")
            .in(0, 1)
            .with(s -> {}, t -> t.limit = x0 -> ByHand.each(x0, v -> Math.max(0, Math.min(1, v)))),
        option("one label").sees(Kind.LABELS).on(Condition.labels(3), adds(0.4, 0.4, 0.4)),
        labelled("labels"),
        option("vectors").sees(Kind.VECTORS).on(Condition.vectors(vectors), rows(vectors, 0.15)),
        option("images").sees(Kind.IMAGES).on(Condition.images(images), rows(images, 0.1)),
        labelled("labels, vectors and images")
            .sees(Kind.VECTORS, Kind.IMAGES)
            .on(Condition.vectors(vectors), rows(vectors, 0.15))
            .on(Condition.images(images), rows(images, 0.1)),
        option("contexts").sees(Kind.CONTEXTS).on(Condition.contexts(contexts), tokens(contexts)),
        option("contexts, guided away from others")
            .sees(Kind.CONTEXTS, Kind.IMAGES)
            .on(
                Condition.contexts(contexts, negative),
                sum(tokens(contexts), negated(tokens(negative))))
            .on(Condition.images(images).kept(), new double[IMAGES][PIXELS])
            .with(
                guided(Guidance.classifierFree(2.5)),
                pulls(new ByHand.Pull(null, 2.5, 0, INFINITE)))
            .with(s -> {}, t -> t.always = sum(tokens(negative), rows(images, 0.1))),
        labelled("self-conditioned").sees(Kind.PREVIOUS_X0),
        labelled("self-conditioned and guided")
            .sees(Kind.PREVIOUS_X0)
            .with(
                guided(Guidance.classifierFree(2.5)),
                pulls(new ByHand.Pull(null, 2.5, 0, INFINITE))),
        guidedBetween("guided", 0, INFINITE),
        guidedBetween("guided above", middle, INFINITE),
        guidedBetween("guided up to", 0, middle),
        option("guided towards")
            .sees(Kind.LABELS)
            .with(
                guided(Guidance.towards(towards, 1.5)),
                pulls(new ByHand.Pull(others, 1.5, 0, INFINITE))),
        labelled("guided, and away from others")
            .with(
                guided(Guidance.classifierFree(2).and(Guidance.towards(towards, -0.5))),
                pulls(
                    new ByHand.Pull(null, 2, 0, INFINITE),
                    new ByHand.Pull(others, -0.5, 0, INFINITE))),
        labelled("guided and rescaled")
            .with(guided(Guidance.classifierFree(4).rescale(0.7)), t -> t.rescale = 0.7)
            .with(s -> {}, pulls(new ByHand.Pull(null, 4, 0, INFINITE))),
        labelled("guided by a classifier too")
            .with(
                guided(Guidance.classifierFree(2).and(Guidance.classifier(quarter, 0.8))),
                pulls(new ByHand.Pull(null, 2, 0, INFINITE)))
            .with(s -> {}, t -> t.slope = 0.8),
        option("guided by a classifier")
            .with(Prediction.VELOCITY, small)
            .with(guided(Guidance.classifier(quarter, 0.8)), t -> t.slope = 0.8),
        option("guided by a classifier up to")
            .with(guided(Guidance.classifier(quarter, 0.8).interval(0, middle)), t -> t.slope = 0.8)
            .with(s -> {}, t -> t.slopeUpTo = middle));
  }

  /** Dynamic thresholding by the quantile 0.8, and up to 1.5. */
  private static double[] thresholded(double[] x0, double centre, double half) {
    double[] sizes = Arrays.stream(x0).map(v -> Math.abs(v - centre) / half).sorted().toArray();
    double place = 0.8 * (sizes.length - 1);
    int below = (int) place;
    double quantile = sizes[below] + (place - below) * (sizes[below + 1] - sizes[below]);
    double s = Math.max(1, Math.min(1.5, quantile));
    return ByHand.each(x0, v -> centre + half * Math.max(-s, Math.min(s, (v - centre) / half)) / s);
  }

  /* --- uses --- */

  /** What an image of a use begins with, and how it goes on. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Course(
      SamplingPlan plan, double[] start, NoiseSource noise, ByHand.@Nullable Known known) {}

  private static final NoiseSource NOISE = NoiseSource.seeded(SEED);
  private static final NoiseSource ALIKE = (image, draw, z) -> NOISE.normal(0, draw, z);

  private static double[] noise(NoiseSource source, int image) {
    double[] z = new double[PIXELS];
    source.normal(image, 0, z);
    return z;
  }

  /** Latents, as float32 holds them. */
  private static double[] latent(int image) {
    return ByHand.each(noise(NoiseSource.seeded(11), image), v -> (float) v);
  }

  private static double[] picture(Option option, int image) {
    DataRange range = option.diffusion.dataRange();
    double[] picture = new double[PIXELS];
    Arrays.setAll(
        picture,
        i -> range.min() + (range.max() - range.min()) * ((image * 5 + i * 7) % 16 / 16.0));
    return picture;
  }

  private static double[] mask(int image) {
    double[] mask = new double[PIXELS / 2];
    Arrays.setAll(mask, i -> new double[] {1, 0, 0.25, 1, 0, 1}[(i + image) % 6]);
    return mask;
  }

  private static double[] noised(Level level, double[] clean, double[] z) {
    double[] noised = new double[clean.length];
    Arrays.setAll(noised, i -> level.signal() * clean[i] + level.noise() * z[i]);
    return noised;
  }

  private static double[] mixed(double[] one, double first, double[] other, double second) {
    double[] mixed = new double[one.length];
    Arrays.setAll(mixed, i -> first * one[i] + second * other[i]);
    return mixed;
  }

  private NDArray array(Shape shape, IntFunction<double[]> each) {
    int size = (int) (shape.size() / shape.get(0));
    float[] values = new float[(int) shape.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) each.apply(i / size)[i % size];
    }
    return manager.create(values, shape);
  }

  private NDArray one(double[] values) {
    return array(new Shape(1).addAll(IMAGE), k -> values).reshape(IMAGE);
  }

  private static final double[] FRACTIONS = {0.25, 0.5, 0.875};

  private NDArray pictures(Option option) {
    return array(BATCH, k -> picture(option, k));
  }

  private enum Use {
    GENERATE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.generate(IMAGES);
      }

      @Override
      Course course(Option option, int image) {
        SamplingPlan plan = option.sampler.plan(option.diffusion);
        double[] start = ByHand.each(noise(NOISE, image), z -> plan.initialScale() * z);
        return new Course(plan, start, NOISE, null);
      }
    },
    GENERATE_SHARING {
      @Override
      boolean serves(Option option) {
        SamplingPlan plan = option.sampler.plan(option.diffusion);
        return plan.steps().stream().skip(shared(plan)).anyMatch(row -> row.noiseHigh() != 0);
      }

      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.generateSharing(500, IMAGES);
      }

      @Override
      Course course(Option option, int image) {
        SamplingPlan plan = option.sampler.plan(option.diffusion);
        int last = shared(plan);
        NoiseSource noise = (k, draw, z) -> NOISE.normal(draw <= last ? 0 : k, draw, z);
        double[] start = ByHand.each(noise(noise, image), z -> plan.initialScale() * z);
        return new Course(plan, start, noise, null);
      }

      private static int shared(SamplingPlan plan) {
        return (int) plan.steps().stream().takeWhile(row -> row.timestep() > 500).count();
      }
    },
    DENOISE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.denoise(test.array(BATCH, EveryUseTest::latent), FROM);
      }

      @Override
      Course course(Option option, int image) {
        SamplingPlan plan = option.sampler.plan(option.diffusion, FROM);
        return new Course(plan, latent(image), NOISE, null);
      }
    },
    IMAGE_TO_IMAGE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.imageToImage(test.pictures(option), 0.65);
      }

      @Override
      Course course(Option option, int image) {
        SamplingPlan plan = option.sampler.plan(option.diffusion, 649);
        Level level = Level.of(option.diffusion.schedule(), 649);
        double[] start = noised(level, picture(option, image), noise(NOISE, image));
        return new Course(plan, start, NOISE, null);
      }
    },
    INPAINT {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        NDArray masks = test.array(new Shape(IMAGES, 1, 2, 2), EveryUseTest::mask);
        return sampling.inpaint(test.pictures(option), masks);
      }

      @Override
      Course course(Option option, int image) {
        return inpainting(option, image, EveryUseTest::mask);
      }
    },
    INPAINT_BY_ONE_MASK {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        NDArray one = test.array(new Shape(1, 1, 2, 2), k -> mask(1));
        return sampling.inpaint(test.pictures(option), one);
      }

      @Override
      Course course(Option option, int image) {
        return inpainting(option, image, k -> mask(1));
      }
    },
    DECODE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.decode(test.array(BATCH, EveryUseTest::latent));
      }

      @Override
      Course course(Option option, int image) {
        return new Course(option.sampler.plan(option.diffusion), latent(image), NOISE, null);
      }
    },
    INTERPOLATE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        NDArray from = test.one(picture(option, 0));
        return sampling.interpolate(from, test.one(picture(option, 1)), FROM, FRACTIONS);
      }

      @Override
      Course course(Option option, int image) {
        double fraction = FRACTIONS[image];
        double[] mixed = mixed(picture(option, 0), 1 - fraction, picture(option, 1), fraction);
        SamplingPlan plan = option.sampler.plan(option.diffusion, FROM);
        Level level = Level.of(option.diffusion.schedule(), FROM);
        return new Course(plan, noised(level, mixed, noise(NOISE, 0)), ALIKE, null);
      }
    },
    INTERPOLATE_LATENTS {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.interpolateLatents(test.one(latent(0)), test.one(latent(1)), FRACTIONS);
      }

      @Override
      Course course(Option option, int image) {
        double[] a = latent(0);
        double[] b = latent(1);
        double angle = Math.acos(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)));
        double fraction = FRACTIONS[image];
        double[] start =
            mixed(
                a,
                Math.sin((1 - fraction) * angle) / Math.sin(angle),
                b,
                Math.sin(fraction * angle) / Math.sin(angle));
        return new Course(option.sampler.plan(option.diffusion), start, ALIKE, null);
      }

      private static double dot(double[] a, double[] b) {
        return IntStream.range(0, a.length).mapToDouble(i -> a[i] * b[i]).sum();
      }
    },
    ENCODE {
      @Override
      Samples of(EveryUseTest test, Option option, Sampling sampling) {
        return sampling.encode(test.pictures(option), 3);
      }

      @Override
      ByHand.Terms terms(Option option) {
        return option.terms().unguided();
      }

      @Override
      Course course(Option option, int image) {
        // these say nothing of the noise of a clean image, which is then taken as x at timestep 0
        Prediction prediction = option.diffusion.prediction();
        boolean needsNoise = prediction == Prediction.X0 || prediction.sigmaData().isPresent();
        SamplingPlan plan =
            Samplers.ddim(3)
                .spacing(TimestepSpacing.TRAILING)
                .endAtFirstTimestep(needsNoise)
                .inversion()
                .plan(option.diffusion);
        return new Course(plan, picture(option, image), NOISE, null);
      }
    };

    boolean serves(Option option) {
      return true;
    }

    abstract Samples of(EveryUseTest test, Option option, Sampling sampling);

    ByHand.Terms terms(Option option) {
      return option.terms();
    }

    abstract Course course(Option option, int image);

    private static Course inpainting(Option option, int image, IntFunction<double[]> mask) {
      Course course = GENERATE.course(option, image);
      double[][] images = new double[IMAGES][];
      double[][] masks = new double[IMAGES][];
      Arrays.setAll(images, k -> picture(option, k));
      Arrays.setAll(masks, mask);
      ByHand.Known known = new ByHand.Known(images, masks);
      return new Course(course.plan, course.start, NOISE, known);
    }
  }

  /* --- tests --- */

  @ParameterizedTest
  @MethodSource("options")
  void image_inAnyBatchOfAnyUse_isTheSame(Option option) {
    for (Use use : Use.values()) {
      if (use.serves(option)) {
        requireByHand(option, use);
      }
    }
  }

  private void requireByHand(Option option, Use use) {
    Map<Integer, List<ByHand.State>> seen = new TreeMap<>();
    Sampling sampling = option.sampling().listener(event -> note(event, seen));
    double[] last;
    try (Samples samples = use.of(this, option, sampling);
        NDArray array = samples.toNDArray(manager)) {
      assertThat(array.getDataType()).as("%s, %s", option, use).isEqualTo(option.type);
      last = Golden.values(array);
    }
    assertThat(last).hasSize(IMAGES * PIXELS);
    ByHand.Terms terms = use.terms(option);
    for (int k = 0; k < IMAGES; k++) {
      Course course = use.course(option, k);
      List<ByHand.State> expected =
          ByHand.follow(terms, course.plan, course.noise, k, course.start, course.known);
      assertThat(seen.get(k))
          .as("%s, %s: rows of image %d", option, use, k)
          .hasSameSizeAs(expected);
      for (int row = 0; row < expected.size(); row++) {
        String what = option + ", " + use + ": image " + k + " after row " + row;
        assertClose(what, seen.get(k).get(row).x(), expected.get(row).x(), option.tolerance);
        assertClose(what, seen.get(k).get(row).x0(), expected.get(row).x0(), option.tolerance);
      }
      List<Double> image = list(Arrays.copyOfRange(last, k * PIXELS, (k + 1) * PIXELS));
      assertThat(image).isEqualTo(seen.get(k).get(expected.size() - 1).x());
    }
  }

  private static void note(SamplingRun.Event event, Map<Integer, List<ByHand.State>> seen) {
    assertThat(event.x().getShape().get(0)).isLessThanOrEqualTo(2);
    double[] x = Golden.values(event.x());
    double[] x0 = Golden.values(event.predictedX0());
    for (int i = 0; i < x.length / PIXELS; i++) {
      List<ByHand.State> states =
          seen.computeIfAbsent(Math.toIntExact(event.firstImage()) + i, k -> new ArrayList<>());
      assertThat(states).hasSize(event.step());
      int from = i * PIXELS;
      states.add(
          new ByHand.State(
              list(Arrays.copyOfRange(x, from, from + PIXELS)),
              list(Arrays.copyOfRange(x0, from, from + PIXELS))));
    }
  }

  private static List<Double> list(double[] values) {
    return Arrays.stream(values).boxed().toList();
  }

  private static void assertClose(
      String what, List<Double> found, List<Double> expected, double tolerance) {
    for (int i = 0; i < PIXELS; i++) {
      double value = expected.get(i);
      if (!(Math.abs(found.get(i) - value) <= tolerance * Math.max(1, Math.abs(value)))) {
        fail("%s: found %s where %s is right", what, found, expected);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Use.class)
  void timeLimit_endsEveryUse(Use use) {
    Option option = option("any");
    Sampling sampling = option.sampling().timeLimit(Duration.ofNanos(1));
    assertThatThrownBy(() -> use.of(this, option, sampling))
        .isInstanceOf(CancellationException.class)
        .hasMessageStartingWith(
            "sampling was stopped by its time limit of PT0.000000001S before step 0 of ");
  }
}
