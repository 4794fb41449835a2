package io.github.ddpm4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.dataset.Dataset;
import ai.djl.translate.TranslateException;
import ai.djl.util.Progress;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import io.github.ddpm4j.evaluation.Features;
import io.github.ddpm4j.evaluation.Judge;
import io.github.ddpm4j.evaluation.TorchScriptFeatures;
import io.github.ddpm4j.loss.Loss;
import io.github.ddpm4j.loss.Losses;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser.Pass;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Guidance;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Sampling;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.spi.Ops;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * What fails leaves nothing behind: after a refusal, or an exception out of a network, a listener,
 * a hook or a data set, there are as many arrays and managers as before, counted exactly. The slow
 * tests look at the resident memory, too, over many failures.
 */
class FailureMemoryTest {

  private static final int ROUNDS = 1;
  private static final int MANY = 600;

  /** Those that the engine has a part in, one of each kind. */
  private static final Set<String> REPEATED =
      Set.of(
          "ask, EDM, wrong shape",
          "loss, own that throws",
          "generate, wrong shape",
          "generate, guidance throws",
          "inpaint, throws",
          "encode, listener throws",
          "start, advance throws",
          "start, restored from a broken file",
          "fit, listener throws",
          "fit, loss not finite",
          "bitsPerDim, throws",
          "features, wrong output",
          "load, weights cut");

  private static final long ALLOWED_BYTES = 16L << 20;

  /** One that fails, as it must. */
  private interface Failing {
    void run() throws Exception;
  }

  /** What a test throws on purpose. */
  private static final class OnPurpose extends RuntimeException {
    private static final long serialVersionUID = 1;
  }

  @TempDir private Path folder;
  private final NDManager manager = NDManager.newBaseManager();
  private int side;
  private TinyDenoiser network;
  private NDArray images;
  private NDArray mask;
  private NDArray nan;

  /** Of half the width. */
  private NDArray narrow;

  /** Without the axis of the batch. */
  private NDArray first;

  private NDArray second;

  private NDArray scalar;
  private NDArray nanPicture;
  private final Map<String, Failing> cases = new LinkedHashMap<>();

  private void make(int size) throws Exception {
    side = size;
    network = new TinyDenoiser(side, 0.1, 1);
    images = pattern(new Shape(4, 1, side, side));
    mask = manager.ones(new Shape(1, 1, side, side));
    mask.set(new NDIndex(":, :, :, 4:"), 0);
    nan = images.mul(Float.NaN);
    narrow = images.get(new NDIndex(":, :, :4"));
    first = images.get(0);
    second = images.get(1);
    scalar = images.sum();
    nanPicture = nan.get(0);
    model();
    losses();
    sampling();
    runs();
    training();
    evaluation();
    files();
  }

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private NDArray pattern(Shape shape) {
    float[] values = new float[Math.toIntExact(shape.size())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    return manager.create(values, shape).duplicate();
  }

  @TestFactory
  List<DynamicTest> failures_leaveNoArrays() throws Exception {
    make(8);
    return tests(this::leavesNothing);
  }

  @TestFactory
  @Tag("slow")
  List<DynamicTest> manyFailures_doNotGrow() throws Exception {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    make(64);
    cases.keySet().retainAll(REPEATED);
    assertThat(cases).hasSameSizeAs(REPEATED);
    return tests(
        failing -> {
          long halfway = 0;
          for (int round = 0; round < MANY; round++) {
            if (round == MANY / 2) {
              halfway = ProcessMemory.residentBytes();
            }
            assertThat(catchThrowable(failing::run)).isNotNull();
          }
          assertThat(ProcessMemory.residentBytes() - halfway)
              .as("growth of the resident memory from halfway to the end")
              .isLessThanOrEqualTo(ALLOWED_BYTES);
        });
  }

  private interface Check {
    void of(Failing failing) throws Exception;
  }

  private List<DynamicTest> tests(Check check) {
    return cases.entrySet().stream()
        .map(entry -> DynamicTest.dynamicTest(entry.getKey(), () -> check.of(entry.getValue())))
        .toList();
  }

  private void leavesNothing(Failing failing) {
    // What is made once for the whole process is there after the first time.
    Throwable first = catchThrowable(failing::run);
    assertThat(first).isNotNull();
    int before = NativeResources.inAll();
    for (int round = 1; round <= ROUNDS; round++) {
      assertThat(catchThrowable(failing::run)).hasSameClassAs(first);
      assertThat(NativeResources.inAll() - before)
          .as("arrays and managers left by %s of %s", round, first)
          .isZero();
    }
  }

  /* ---------------- Networks that fail ---------------- */

  /** Denoisers that fail at their second call. */
  private Map<String, Supplier<Denoiser>> failingDenoisers() {
    Map<String, Supplier<Denoiser>> all = new LinkedHashMap<>();
    all.put(
        "throws",
        () ->
            failing(
                x -> {
                  throw new OnPurpose();
                }));
    all.put("NaN", () -> failing(x -> x.mul(Float.NaN)));
    all.put("wrong shape", () -> failing(x -> x.get(new NDIndex(":, :, :4"))));
    all.put("wrong type", () -> failing(x -> x.toType(DataType.FLOAT16, true)));
    return all;
  }

  private Denoiser failing(Function<NDArray, NDArray> second) {
    int[] calls = {0};
    return (x, levels, condition) -> calls[0]++ == 0 ? x.mul(0.5) : second.apply(x);
  }

  private void model() {
    for (Prediction prediction : List.of(Prediction.EPSILON, Prediction.edm(0.5))) {
      failingDenoisers()
          .forEach(
              (how, denoiser) -> {
                if (!how.equals("NaN")) {
                  cases.put(
                      "ask, " + prediction.name() + ", " + how,
                      () -> {
                        DDPM ddpm =
                            DDPM.builder().prediction(prediction).denoiser(denoiser.get()).build();
                        NoiseLevels levels = NoiseLevels.of(ddpm.schedule(), 5, 6, 7, 8);
                        ddpm.model().ask(images, levels, Condition.none()).prediction().close();
                        ddpm.model().ask(images, levels, Condition.none());
                      });
                }
              });
    }
    DDPM ddpm = DDPM.builder().denoiser(network).build();
    cases.put(
        "answer, levels of others",
        () -> ddpm.model().answer(images, NoiseLevels.of(ddpm.schedule(), 1), images).x0());
    cases.put(
        "noised, wrong shape",
        () -> NoiseLevels.of(ddpm.schedule(), 1, 2, 3, 4).noised(images, mask));
    cases.put("condition of a wrong shape", () -> Condition.vectors(images));
    cases.put(
        "condition without the kind",
        () -> Condition.images(images).array(Condition.Kind.VECTORS, manager));
  }

  private void losses() {
    Pass pass = new Pass(1, 0);
    DDPM ddpm = DDPM.builder().denoiser(network).build();
    cases.put(
        "loss, wrong shape of images",
        () -> ddpm.loss(Losses.simple(), first, Condition.none(), pass));
    cases.put(
        "loss, own of a wrong shape",
        () -> ddpm.loss(scalarLoss(), images, Condition.none(), pass));
    cases.put("loss, own that throws", () -> ddpm.loss(throwing(), images, Condition.none(), pass));
    cases.put(
        "loss, noise of another shape",
        () ->
            ddpm.loss(
                Losses.simple(),
                images,
                NoiseLevels.of(ddpm.schedule(), 1, 2, 3, 4),
                mask,
                Condition.none(),
                pass));
  }

  private static Loss scalarLoss() {
    return new Loss() {
      @Override
      public <T> T perImage(Ops<T> ops, T output, T target) {
        return ops.mean(ops.square(ops.subtract(output, target)));
      }
    };
  }

  /** At its second call, after the one that tries it out. */
  private static Loss throwing() {
    return new Loss() {
      private int calls;

      @Override
      public <T> T perImage(Ops<T> ops, T output, T target) {
        T loss = ops.meanPerImage(ops.square(ops.subtract(output, target)));
        if (calls++ > 0) {
          throw new OnPurpose();
        }
        return loss;
      }
    };
  }

  /* ---------------- Sampling ---------------- */

  private Sampling run(Denoiser denoiser) {
    return DDPM.builder()
        .timesteps(100)
        .denoiser(denoiser)
        .build()
        .sampling()
        .sampler(Samplers.ddim(4).eta(0.5))
        .shape(1, side, side)
        .batchSize(3)
        .seed(1);
  }

  private Map<String, Function<Sampling, AutoCloseable>> uses() {
    Map<String, Function<Sampling, AutoCloseable>> uses = new LinkedHashMap<>();
    uses.put("generate", s -> s.generate(4));
    uses.put("denoise", s -> s.denoise(images, 70));
    uses.put("interpolate", s -> s.interpolate(first, second, 70, 0.2, 0.5, 0.7));
    uses.put(
        "interpolateLatents",
        s -> s.sampler(Samplers.ddim(4)).interpolateLatents(first, second, 0.2, 0.5));
    uses.put("imageToImage", s -> s.imageToImage(images, 0.8));
    uses.put("inpaint", s -> s.inpaint(images, mask));
    uses.put(
        "inpaint, resampling",
        s -> s.sampler(Samplers.resampling(Samplers.ddpm(4), 2, 2)).inpaint(images, mask));
    uses.put("generateSharing", s -> s.generateSharing(30, 4));
    uses.put("encode", s -> s.sampler(Samplers.ddim(4)).encode(images, 4));
    uses.put("decode", s -> s.sampler(Samplers.ddim(4)).decode(images));
    uses.put("heun", s -> s.sampler(Samplers.heun(4)).generate(4));
    uses.put("uniPc", s -> s.sampler(Samplers.uniPc(4)).generate(4));
    return uses;
  }

  /** Every use, with all that can go wrong. */
  private void sampling() {
    uses()
        .forEach(
            (use, of) -> {
              failingDenoisers()
                  .forEach(
                      (how, denoiser) ->
                          cases.put(use + ", " + how, () -> used(of, run(denoiser.get()))));
              cases.put(
                  use + ", listener throws",
                  () -> used(of, run(network).listener(event -> fail(event.step() == 1))));
              cases.put(
                  use + ", out of time",
                  () -> used(of, run(network).timeLimit(Duration.ofNanos(1))));
              cases.put(
                  use + ", interrupted",
                  () -> {
                    try {
                      used(of, run(network).listener(event -> Thread.currentThread().interrupt()));
                    } finally {
                      Thread.interrupted();
                    }
                  });
              cases.put(
                  use + ", guidance throws",
                  () ->
                      used(
                          of,
                          run(network)
                              .guidance(
                                  Guidance.classifier(
                                      (x, levels) -> {
                                        x.mul(2);
                                        throw new OnPurpose();
                                      },
                                      1))));
              cases.put(
                  use + ", condition of others",
                  () -> used(of, run(network).condition(Condition.labels(new int[17]))));
              cases.put(
                  use + ", noise throws",
                  () ->
                      used(
                          of,
                          run(failing(x -> x.mul(Float.NaN)))
                              .noise((image, draw, target) -> fail(image == 3 || draw == 1))));
            });
    cases.put(
        "guidance of a wrong shape",
        () -> run(network).guidance(Guidance.classifier((x, levels) -> x.sum(), 1)).generate(4));
    cases.put("imageToImage, images NaN", () -> run(network).imageToImage(nan, 0.5));
    cases.put("imageToImage, images of a wrong shape", () -> run(network).imageToImage(first, 0.5));
    cases.put("inpaint, wrong mask", () -> run(network).inpaint(images, narrow));
    cases.put("inpaint, images NaN", () -> run(network).inpaint(nan, mask));
    cases.put("encode, images NaN", () -> run(network).sampler(Samplers.ddim(4)).encode(nan, 4));
    cases.put("decode, images NaN", () -> run(network).sampler(Samplers.ddim(4)).decode(nan));
    cases.put("denoise, images NaN", () -> run(network).denoise(nan, 4));
    cases.put(
        "interpolate, images NaN", () -> run(network).interpolate(nanPicture, nanPicture, 5, 0.5));
    failingDenoisers()
        .forEach(
            (how, denoiser) ->
                cases.put(
                    "step, " + how,
                    () -> {
                      Sampling sampling = run(denoiser.get());
                      close(sampling.step(0, images));
                      close(sampling.step(1, images));
                      throw new OnPurpose();
                    }));
  }

  private static void close(Sampling.Reversed step) {
    step.x().close();
    step.predictedX0().close();
    step.remembered().close();
  }

  private void used(Function<Sampling, AutoCloseable> use, Sampling sampling) throws Exception {
    use.apply(sampling).close();
    // Some have no noise and no time to fail with: those fail here.
    throw new OnPurpose();
  }

  private static void fail(boolean now) {
    if (now) {
      throw new OnPurpose();
    }
  }

  private void runs() throws Exception {
    Map<String, Function<Sampling, SamplingRun>> starts = new LinkedHashMap<>();
    starts.put("start", s -> s.start(4));
    starts.put("startDenoising", s -> s.startDenoising(images, 70));
    starts.put("startImageToImage", s -> s.startImageToImage(images, 0.8));
    starts.put("startInpainting", s -> s.startInpainting(images, mask));
    starts.put("startDecoding", s -> s.sampler(Samplers.ddim(4)).startDecoding(images));
    Path file = folder.resolve("run");
    Path cut = folder.resolve("cut");
    try (SamplingRun saved = run(network).start(4)) {
      saved.next();
      saved.save(file);
    }
    byte[] bytes = Files.readAllBytes(file);
    Files.write(cut, Arrays.copyOf(bytes, bytes.length - 100));
    starts.forEach(
        (name, start) -> {
          cases.put(
              name + ", advance fails",
              () -> {
                try (SamplingRun one = start.apply(run(network));
                    SamplingRun other = start.apply(run(network).seed(2))) {
                  SamplingRun.advance(List.of(one, other));
                  other.cancel();
                  SamplingRun.advance(List.of(one, other));
                }
              });
          failingDenoisers()
              .forEach(
                  (how, denoiser) ->
                      cases.put(
                          name + ", advance " + how,
                          () -> {
                            Denoiser shared = denoiser.get();
                            try (SamplingRun one = start.apply(run(shared));
                                SamplingRun other = start.apply(run(shared).seed(2))) {
                              while (one.hasNext()) {
                                SamplingRun.advance(List.of(one, other));
                              }
                            }
                          }));
          cases.put(
              name + ", restored from a broken file",
              () -> {
                try (SamplingRun run = start.apply(run(network))) {
                  run.restore(cut);
                }
              });
          cases.put(
              name + ", restored from another run's",
              () -> {
                try (SamplingRun run = start.apply(run(network).clip(false))) {
                  run.next();
                  run.restore(file);
                }
              });
          cases.put(
              name + ", used after its end",
              () -> {
                SamplingRun run = start.apply(run(network));
                run.finish().close();
                run.next();
              });
          cases.put(
              name + ", saved where it cannot be",
              () -> {
                try (SamplingRun run = start.apply(run(network))) {
                  run.next();
                  run.save(file.resolve("inside a file"));
                }
              });
        });
  }

  /* ---------------- Training ---------------- */

  private Dataset data(NDArray of) {
    return new ArrayDataset.Builder().setData(of).setSampling(2, false).build();
  }

  /** Images whose second batch cannot be read. */
  private Dataset broken() {
    return new Dataset() {
      @Override
      public Iterable<Batch> getData(NDManager owner) throws IOException, TranslateException {
        Iterator<Batch> good = data(images).getData(owner).iterator();
        return () ->
            new Iterator<>() {
              private int batches;

              @Override
              public boolean hasNext() {
                return true;
              }

              @Override
              public Batch next() {
                fail(batches++ == 1);
                return good.next();
              }
            };
      }

      @Override
      public void prepare(Progress progress) {}
    };
  }

  /** Of a network of its own, since a run that fails has changed it. */
  private void fit(UnaryOperator<Training> setUp, Dataset data) {
    try (TinyDenoiser own = new TinyDenoiser(side, 0.1, 1)) {
      Training training =
          DDPM.builder().denoiser(own).build().training().batchSize(2).steps(4).seed(1);
      setUp.apply(training).fit(data).close();
    }
  }

  private void training() {
    cases.put("fit, NaN", () -> fit(t -> t, data(nan)));
    cases.put("fit, images of another size", () -> fit(t -> t, data(narrow)));
    cases.put("fit, no batch", () -> fit(t -> t.batchSize(5), data(images)));
    cases.put("fit, own loss of a wrong shape", () -> fit(t -> t.loss(scalarLoss()), data(images)));
    cases.put("fit, own loss that throws", () -> fit(t -> t.loss(throwing()), data(images)));
    cases.put(
        "fit, listener throws",
        () -> fit(t -> t.listener(event -> fail(event.step() == 2)), data(images)));
    cases.put(
        "fit, accumulating, listener throws",
        () -> fit(t -> t.accumulation(2).listener(event -> fail(event.step() == 1)), data(images)));
    cases.put(
        "fit, condition throws",
        () ->
            fit(
                t ->
                    t.condition(
                        (x, labels) -> {
                          throw new OnPurpose();
                        }),
                data(images)));
    cases.put(
        "fit, loss not finite",
        () ->
            fit(
                t -> t.learningRate(1e30).gradientClip(Double.POSITIVE_INFINITY).steps(50),
                data(images)));
    cases.put(
        "fit, interrupted",
        () -> {
          try {
            fit(t -> t.listener(event -> Thread.currentThread().interrupt()), data(images));
          } finally {
            Thread.interrupted();
          }
        });
    cases.put("fit, data set throws", () -> fit(t -> t, broken()));
  }

  /* ---------------- Evaluation ---------------- */

  private void evaluation() throws Exception {
    failingDenoisers()
        .forEach(
            (how, denoiser) -> {
              cases.put(
                  "bitsPerDim, " + how,
                  () ->
                      DDPM.builder()
                          .timesteps(3)
                          .denoiser(denoiser.get())
                          .build()
                          .bitsPerDim()
                          .batchSize(2)
                          .of(images));
              cases.put(
                  "samplerPlanner, " + how,
                  () -> {
                    DDPM.builder()
                        .timesteps(20)
                        .denoiser(denoiser.get())
                        .build()
                        .samplerPlanner()
                        .images(4)
                        .setUp(s -> s.shape(1, side, side))
                        .plan(4);
                    throw new OnPurpose();
                  });
            });
    DDPM ddpm = DDPM.builder().timesteps(3).denoiser(network).build();
    cases.put("bitsPerDim, NaN", () -> ddpm.bitsPerDim().of(nan));
    cases.put("bitsPerDim, wrong shape", () -> ddpm.bitsPerDim().of(first));
    cases.put(
        "bitsPerDim, listener throws",
        () -> ddpm.bitsPerDim().batchSize(2).listener(result -> fail(true)).of(images));
    cases.put(
        "bitsPerDim, noise throws",
        () -> ddpm.bitsPerDim().noise((image, draw, target) -> fail(image == 2)).of(images));
    cases.put("bitsPerDim, data set throws", () -> ddpm.bitsPerDim().of(broken()));
    cases.put(
        "bitsPerDim, condition throws",
        () ->
            ddpm.bitsPerDim()
                .condition(
                    (x, labels) -> {
                      throw new OnPurpose();
                    })
                .of(data(images)));
    cases.put(
        "features, function throws",
        () ->
            Features.function(
                    x -> {
                      x.mul(2);
                      throw new OnPurpose();
                    })
                .of(images));
    cases.put(
        "features, function of a wrong shape", () -> Features.function(NDArray::sum).of(images));
    cases.put("features, pixels of a scalar", () -> Features.pixels().of(scalar));
    Path file =
        Path.of(
            Objects.requireNonNull(
                    FailureMemoryTest.class.getResource("/golden/evaluation/features.pt"))
                .toURI());
    cases.put(
        "features, wrong output",
        () -> {
          try (TorchScriptFeatures features = Features.torchScript(file).output(7).load()) {
            features.of(images);
          }
        });
    cases.put(
        "features, wrong shape",
        () -> {
          try (TorchScriptFeatures features = Features.torchScript(file).load()) {
            features.of(first);
          }
        });
    Path broken = folder.resolve("broken.pt");
    Files.write(broken, new byte[] {1, 2, 3});
    cases.put("features, broken file", () -> Features.torchScript(broken).load());
    cases.put("judge, images of another size", () -> Judge.of(images, first));
    cases.put("judge, asked about others", () -> Judge.of(images, images).judge(narrow));
    cases.put(
        "doctor, images of another size", () -> ddpm.trainingDoctor().examine(images, narrow));
    cases.put("doctor, NaN", () -> ddpm.trainingDoctor().examine(nan, images));
    cases.put("statistics, broken file", () -> FeatureStatistics.load(broken));
  }

  /* ---------------- Files ---------------- */

  private void files() throws Exception {
    DDPM ddpm = DDPM.builder().denoiser(network).build();
    Path good = folder.resolve("model");
    ddpm.save(good);
    Path named;
    try (Stream<Path> files = Files.list(good)) {
      named = files.filter(file -> file.toString().endsWith(".safetensors")).findAny().get();
    }
    byte[] weights = Files.readAllBytes(named);
    String json = Files.readString(good.resolve("ddpm.json"));
    Map<String, byte[]> brokenWeights = new LinkedHashMap<>();
    brokenWeights.put("cut", Arrays.copyOf(weights, weights.length - 10));
    brokenWeights.put("cut in the header", Arrays.copyOf(weights, 20));
    brokenWeights.put("empty", new byte[0]);
    byte[] damaged = weights.clone();
    damaged[damaged.length - 1] ^= 1;
    brokenWeights.put("damaged", damaged);
    String text = new String(weights, StandardCharsets.ISO_8859_1);
    brokenWeights.put(
        "of another name",
        text.replace("second.bias", "secund.bias").getBytes(StandardCharsets.ISO_8859_1));
    for (Map.Entry<String, byte[]> entry : brokenWeights.entrySet()) {
      Path model = folder.resolve("weights " + entry.getKey());
      Files.createDirectories(model);
      Files.writeString(model.resolve("ddpm.json"), json);
      Files.write(model.resolve(named.getFileName()), entry.getValue());
      cases.put("load, weights " + entry.getKey(), () -> DDPM.load(model).close());
    }
    Path other = folder.resolve("other");
    Files.createDirectories(other);
    Files.writeString(
        other.resolve("ddpm.json"), json.replaceFirst("\"size\": *\\d+", "\"size\": \"x\""));
    Files.write(other.resolve(named.getFileName()), weights);
    cases.put("load, network that cannot be made", () -> DDPM.load(other).close());
    cases.put("load, no folder", () -> DDPM.load(folder.resolve("missing")).close());
    cases.put("save, into a file", () -> ddpm.save(good.resolve("ddpm.json").resolve("model")));
  }
}
