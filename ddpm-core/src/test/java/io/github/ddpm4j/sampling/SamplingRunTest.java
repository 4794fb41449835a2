package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Golden;
import io.github.ddpm4j.internal.ops.PerImage;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.model.Denoiser;
import io.github.ddpm4j.model.DenoisingModel;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.spi.SamplingPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntToDoubleFunction;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run that is taken step by step gives the images of one that is not. */
class SamplingRunTest {

  private static final int SIZE = 8;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
  private final DDPM ddpm = DDPM.builder().timesteps(50).denoiser(network).build();

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Sampling sampling(Sampler sampler, long seed) {
    return ddpm.sampling().sampler(sampler).seed(seed).batchSize(4);
  }

  private double[] pixels(Samples samples) {
    try (samples;
        NDArray array = samples.toNDArray(manager)) {
      return Golden.values(array);
    }
  }

  @Test
  void next_stepByStep_givesTheImagesOfGenerate() {
    double[] whole = pixels(sampling(Samplers.ddim(10).eta(1), 3).generate(6));
    List<Integer> seen = new ArrayList<>();
    try (SamplingRun run = sampling(Samplers.ddim(10).eta(1), 3).start(6)) {
      assertThat(run.steps()).isEqualTo(20);
      while (run.hasNext()) {
        seen.add(run.step());
        SamplingRun.Event event = run.next();
        assertThat(event.predictedX0().getShape()).isEqualTo(event.x().getShape());
        assertThat(Arrays.stream(Golden.values(event.predictedX0())).max().orElse(2))
            .isLessThanOrEqualTo(1);
      }
      assertThat(seen).hasSize(20).first().isEqualTo(0);
      assertThat(seen.get(13)).isEqualTo(13);
      assertThatThrownBy(run::next)
          .isInstanceOf(NoSuchElementException.class)
          .hasMessage("all 20 steps of this run are done; finish() gives its images");
      assertThat(pixels(run.finish())).isEqualTo(whole);
      assertThatThrownBy(run::next)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "this run is over: it was closed, or finish() has given its images; start another");
    }
  }

  /** Different samplers, numbers of images and places, one network call: as if each were alone. */
  @Test
  void advance_runsAtDifferentSteps_equalLoneRuns() {
    List<Sampler> samplers =
        List.of(Samplers.ddpm(), Samplers.ddim(7), Samplers.ddim(20).eta(0.5), Samplers.ddpm(9));
    List<double[]> alone = new ArrayList<>();
    List<SamplingRun> runs = new ArrayList<>();
    for (int i = 0; i < samplers.size(); i++) {
      alone.add(pixels(sampling(samplers.get(i), i).generate(i + 1)));
      runs.add(
          Sampling.of(DenoisingModel.of(diffusion(), network))
              .sampler(samplers.get(i))
              .seed(i)
              .start(i + 1));
    }
    int calls = 0;
    while (runs.stream().anyMatch(SamplingRun::hasNext)) {
      int joined = Math.min(runs.size(), 1 + calls / 3);
      List<SamplingRun> going =
          runs.subList(0, joined).stream().filter(SamplingRun::hasNext).toList();
      calls++;
      if (!going.isEmpty()) {
        assertThat(SamplingRun.advance(going)).hasSize(going.size());
      }
    }
    assertThat(calls).isLessThan(60);
    for (int i = 0; i < runs.size(); i++) {
      double[] together = pixels(runs.get(i).finish());
      double greatest = 0;
      for (int k = 0; k < together.length; k++) {
        greatest = Math.max(greatest, Math.abs(together[k] - alone.get(i)[k]));
      }
      System.out.println("mixed batch, " + samplers.get(i) + ": greatest difference " + greatest);
      assertThat(greatest).isLessThan(1e-5);
    }
  }

  private io.github.ddpm4j.model.Diffusion diffusion() {
    return new io.github.ddpm4j.model.Diffusion(
        ddpm.schedule(), ddpm.prediction(), ddpm.variance(), ddpm.dataRange());
  }

  @Test
  void save_midChain_goesOnToTheSameImages(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    for (Sampler sampler : List.of(Samplers.ddim(10).eta(1), lookingBack())) {
      double[] whole = pixels(sampling(sampler, 3).generate(6));
      for (int at : new int[] {0, 3, 10, 15, 20}) {
        try (SamplingRun run = sampling(sampler, 3).start(6)) {
          for (int i = 0; i < at; i++) {
            run.next();
          }
          run.save(file);
        }
        try (SamplingRun run = sampling(sampler, 3).start(6).restore(file)) {
          assertThat(run.step()).isEqualTo(at);
          assertThat(pixels(run.finish())).as("%s from step %d", sampler, at).isEqualTo(whole);
        }
      }
      assertThat(folder.toFile().list()).containsExactly("run.safetensors");
    }
  }

  /** Second order by looking back one call. */
  private static Sampler lookingBack() {
    return (diffusion, start) -> {
      SamplingPlan base = Samplers.ddim(10).plan(diffusion, start);
      List<SamplingPlan.Step> rows = new ArrayList<>();
      for (SamplingPlan.Step row : base.steps()) {
        rows.add(
            rows.isEmpty()
                ? row
                : new SamplingPlan.Step(
                    row.level(), row.cX(), row.cX0() + 0.1, row.cEps(), List.of(-0.1), 0));
      }
      return new SamplingPlan(rows, base.memory(), 1, Level.CLEAN);
    };
  }

  @Test
  void restore_ofAnotherRun_isRefusedAndNothingIsLost(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(6)) {
      run.next();
      run.save(file);
    }
    double[] whole = pixels(sampling(Samplers.ddim(10), 4).generate(6));
    try (SamplingRun run = sampling(Samplers.ddim(10), 4).start(6)) {
      run.next();
      assertThatThrownBy(() -> run.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              file + " was saved by a run with another seed; set this run up as that one was");
      assertThat(pixels(run.finish())).isEqualTo(whole);
    }
    try (SamplingRun run = sampling(Samplers.ddim(9), 3).start(6)) {
      assertThatThrownBy(() -> run.restore(file))
          .hasMessage(
              file
                  + " was saved by a run with another sampler, schedule or path of noise; set this"
                  + " run up as that one was");
    }
    Path missing = folder.resolve("missing.safetensors");
    try (SamplingRun run = sampling(Samplers.ddim(9), 3).start(6)) {
      assertThatThrownBy(() -> run.restore(missing))
          .isInstanceOf(NoSuchFileException.class)
          .hasMessage(
              missing
                  + ": does not exist, where a saved sampling run was looked for; SamplingRun.save"
                  + " writes such files");
    }
    try (SamplingRun run = ddpm.sampling().noise((i, d, z) -> {}).start(1)) {
      assertThatThrownBy(() -> run.save(file))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "a run over a noise source cannot be saved, since its noise cannot; use seed(...)");
    }
  }

  /** The file of a run is one more name in a folder that is the user's. */
  @Test
  void save_filesBesideIt_areLeftAlone(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    Path foreign = Files.writeString(folder.resolve("run.safetensors.part"), "precious");
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(1)) {
      run.save(file);
      run.next();
      run.save(file);
      assertThat(run.restore(file).step()).isEqualTo(1);
    }
    assertThat(foreign).hasContent("precious");
    assertThat(folder.toFile().list()).containsExactlyInAnyOrder(names(file, foreign));
  }

  @Test
  void save_ontoAFolder_isRefusedAndTheFolderStays(@TempDir Path folder) throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(1)) {
      assertThatThrownBy(() -> run.save(empty))
          .isInstanceOf(IOException.class)
          .hasMessage(empty + " is a folder; name a file in it");
    }
    assertThat(empty).isEmptyDirectory();
    assertThat(folder.toFile().list()).containsExactly("empty");
  }

  private static String[] names(Path... files) {
    return Arrays.stream(files).map(file -> file.getFileName().toString()).toArray(String[]::new);
  }

  @Test
  void cancelAndTimeLimit_stopBetweenSteps() {
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(6)) {
      run.next();
      run.cancel();
      assertThatThrownBy(run::next)
          .isInstanceOf(CancellationException.class)
          .hasMessage(
              "sampling was cancelled before step 1 of 10 of the images from 0; no image was kept");
    }
    assertThatThrownBy(
            () -> sampling(Samplers.ddpm(), 3).timeLimit(Duration.ofNanos(1)).generate(2))
        .isInstanceOf(CancellationException.class)
        .hasMessage(
            "sampling was stopped by its time limit of PT0.000000001S before step 0 of 50 of the"
                + " images from 0; no image was kept");
    assertThatThrownBy(() -> ddpm.sampling().timeLimit(Duration.ZERO))
        .hasMessage("timeLimit must be longer than 0, but was PT0S; leave it out for no limit");
  }

  /** As a limit that means "none" would be given. */
  @Test
  void timeLimit_ofAges_isNone() {
    Duration ages = Duration.ofSeconds(Long.MAX_VALUE);
    assertThat(pixels(sampling(Samplers.ddim(2), 3).timeLimit(ages).generate(1)))
        .isEqualTo(pixels(sampling(Samplers.ddim(2), 3).generate(1)));
  }

  @Test
  void step_afterABatchThatIsNotFull_isThatOfAll() {
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(6)) {
      run.finish().close();
      assertThat(run.step()).isEqualTo(20).isEqualTo(run.steps());
    }
  }

  /** A run whose images are broken gives none, and those that went along with it go on. */
  @Test
  void imagesThatAreNotFinite_areNeverGiven() {
    Denoiser broken =
        (x, levels, condition) ->
            x.mul(
                PerImage.column(x, each(levels, i -> levels.timestep(i) > 0 ? 0.5 : Math.log(-1))));
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion(), broken))
            .sampler(Samplers.ddim(5).spacing(TimestepSpacing.LEADING))
            .shape(1, 2, 2);
    Sampler whole = Samplers.ddim(5).timesteps(40, 30, 20, 15, 10);
    try (SamplingRun run = sampling.seed(1).start(2);
        SamplingRun other =
            Sampling.of(DenoisingModel.of(diffusion(), broken))
                .sampler(whole)
                .shape(1, 2, 2)
                .seed(1)
                .start(2)) {
      for (int i = 0; i < 4; i++) {
        SamplingRun.advance(List.of(run, other));
      }
      String message =
          "the images from 0 are not finite after the last step: the denoiser returned NaN or"
              + " infinity; check its weights";
      assertThatThrownBy(() -> SamplingRun.advance(List.of(run, other)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "of the 2 runs that advance together, that at index 0, SamplingRun[step 4 of 5, 2"
                  + " images, seed 1, failed], stops all, and the others can go on without it: "
                  + message);
      assertThat(other.step()).isEqualTo(4);
      assertThat(run.state()).isEqualTo(SamplingRun.State.FAILED);
      assertThatThrownBy(run::finish)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "this run failed before step 4 of 5 of the images from 0: "
                  + message
                  + "; restore a saved run, or start another");
      assertThat(pixels(other.finish())).hasSize(8).doesNotContain(Double.NaN);
    }
  }

  private static double[] each(NoiseLevels levels, IntToDoubleFunction value) {
    return IntStream.range(0, levels.size()).mapToDouble(value).toArray();
  }

  @Test
  void advance_imagesOfDifferentKinds_isRefusedBeforeAnyMoves() {
    Denoiser shared = StandIns.modelG();
    Sampling small =
        Sampling.of(DenoisingModel.of(diffusion(), shared)).sampler(Samplers.ddim(5)).seed(1);
    try (SamplingRun first = small.shape(1, 2, 2).start(1);
        SamplingRun wide = small.dataType(DataType.FLOAT64).start(1);
        SamplingRun large = small.dataType(DataType.FLOAT32).shape(1, 4, 4).start(1);
        SamplingRun second = small.shape(1, 2, 2).sampler(Samplers.ddim(3)).start(2);
        SamplingRun elsewhere =
            Sampling.of(DenoisingModel.of(diffusion(), StandIns.modelG()))
                .sampler(Samplers.ddim(5))
                .seed(1)
                .shape(1, 2, 2)
                .start(1)) {
      assertThat(first.advancesWith(second)).isTrue();
      assertThat(List.of(first, wide, large, elsewhere)).noneMatch(first::advancesWith);
      String start =
          "runs that advance together must be of images of one shape and type, but one has (1, 2,"
              + " 2) float32 and another ";
      assertThatThrownBy(() -> SamplingRun.advance(List.of(first, wide)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(start + "(1, 2, 2) float64; advance them one by one");
      assertThatThrownBy(() -> SamplingRun.advance(List.of(first, large)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(start + "(1, 4, 4) float32; advance them one by one");
      assertThat(first.step()).isZero();
    }
  }

  /** The next run of the same settings may have others. */
  @Test
  void start_settingsThatChangeLater_areNotItsOwn() {
    NDArray images = manager.zeros(new Shape(3, 1, SIZE, SIZE));
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion(), StandIns.modelG())).shape(1, SIZE, SIZE).seed(1);
    sampling.sampler(Samplers.ddim(5)).batchSize(2);
    double[] whole = pixels(sampling.generate(3));
    double[] varied = pixels(sampling.imageToImage(images, 0.5));
    try (SamplingRun run = sampling.start(3);
        SamplingRun variation = sampling.startImageToImage(images, 0.5)) {
      sampling.dataType(DataType.FLOAT64).sampler(Samplers.ddim(2)).seed(2).clip(false);
      assertThat(run.next().x().getDataType()).isEqualTo(DataType.FLOAT32);
      assertThat(pixels(run.finish())).isEqualTo(whole);
      assertThat(pixels(variation.finish())).isEqualTo(varied);
    }
  }

  /** A caller's scope ends between two steps; what the run keeps is not the scope's. */
  @Test
  void next_insideAScope_keepsTheRun() {
    Sampler sampler = Samplers.dpmSolverPlusPlus(6);
    double[] whole = pixels(sampling(sampler, 3).generate(5));
    try (SamplingRun run = sampling(sampler, 3).start(5)) {
      while (run.hasNext()) {
        try (NDScope scope = new NDScope()) {
          scope.suppressNotUsedWarning();
          run.next();
        }
      }
      assertThat(pixels(run.finish())).isEqualTo(whole);
    }
  }

  @Test
  void restore_twice_leavesNoArrayBehind(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = sampling(Samplers.ddim(4), 3).start(10)) {
      for (int i = 0; i < 9; i++) {
        run.next();
      }
      run.save(file);
      int[] held = new int[2];
      for (int i = 0; i < 2; i++) {
        run.restore(file);
        held[i] = run.next().x().getManager().getParentManager().getManagedArrays().size();
      }
      assertThat(held[1]).isEqualTo(held[0]);
    }
  }

  /** What would change the images, and is not part of the plan. */
  @Test
  void restore_ofARunSetUpDifferently_isRefused(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    NDArray vectors = manager.ones(new Shape(1, 3));
    NDArray others = manager.zeros(new Shape(1, 3));
    NDArray images = manager.zeros(new Shape(2, 1, 2, 2));
    String settings = "prediction, variance, data range, clipping, data type or image shape";
    Condition labels = Condition.labels(1);
    Map<UnaryOperator<Sampling>, String> changes = new LinkedHashMap<>();
    changes.put(s -> s.clip(false), settings);
    changes.put(s -> s.dynamicThresholding(0.99, 2), settings);
    changes.put(s -> s.noise((image, draw, z) -> {}).seed(2), "seed");
    changes.put(s -> s.dataType(DataType.FLOAT64), settings);
    changes.put(s -> s.shape(1, 2, 4), settings);
    changes.put(s -> s.condition(labels), "condition");
    changes.put(s -> s.condition(Condition.vectors(others)), "condition");
    changes.put(s -> s.guidance(Guidance.classifierFree(3)), "guidance");
    changes.put(s -> s.guidance(Guidance.classifierFree(2).interval(0, 1)), "guidance");
    changes.put(s -> s.guidance(Guidance.classifierFree(2).rescale(0.7)), "guidance");
    changes.put(
        s -> s.guidance(Guidance.classifierFree(2).and(Guidance.towards(Condition.labels(2), 1))),
        "guidance");
    try (SamplingRun run = conditioned(vectors).start(2)) {
      run.next();
      run.save(file);
      assertThat(run.restore(file).step()).isEqualTo(1);
    }
    for (Map.Entry<UnaryOperator<Sampling>, String> change : changes.entrySet()) {
      try (SamplingRun run = change.getKey().apply(conditioned(vectors)).start(2)) {
        assertThatThrownBy(() -> run.restore(file))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                file
                    + " was saved by a run with another "
                    + change.getValue()
                    + "; set this run up as that one was");
      }
    }
    try (SamplingRun run = conditioned(vectors).startImageToImage(images, 0.5)) {
      run.next();
      run.save(file);
    }
    try (SamplingRun run = conditioned(vectors).startDenoising(images, 24)) {
      assertThatThrownBy(() -> run.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              file
                  + " was saved by a run with another start: other images, mask or latents, or"
                  + " another use of them; set this run up as that one was");
    }
  }

  /** Limits that differ in one number, and networks that mean something else by their output. */
  @Test
  void restore_ofAnotherLimitOrPrediction_isRefused(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = limited(Prediction.EPSILON, 0.9, 1.5).start(1)) {
      run.next();
      run.save(file);
    }
    for (Sampling other :
        List.of(
            limited(Prediction.VELOCITY, 0.9, 1.5),
            limited(Prediction.EPSILON, 0.8, 1.5),
            limited(Prediction.EPSILON, 0.9, 1.4))) {
      try (SamplingRun run = other.start(1)) {
        assertThatThrownBy(() -> run.restore(file))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                file
                    + " was saved by a run with another prediction, variance, data range, clipping,"
                    + " data type or image shape; set this run up as that one was");
      }
    }
  }

  private Sampling limited(Prediction prediction, double ratio, double greatest) {
    return Sampling.of(
            DenoisingModel.of(
                new io.github.ddpm4j.model.Diffusion(
                    ddpm.schedule(), prediction, ddpm.variance(), ddpm.dataRange()),
                StandIns.modelG()))
        .sampler(Samplers.ddim(5))
        .shape(1, 2, 2)
        .seed(1)
        .dynamicThresholding(ratio, greatest);
  }

  private Sampling conditioned(NDArray vectors) {
    return Sampling.of(DenoisingModel.of(diffusion(), StandIns.modelG()))
        .sampler(Samplers.ddim(5))
        .shape(1, 2, 2)
        .seed(1)
        .condition(Condition.vectors(vectors))
        .guidance(Guidance.classifierFree(2));
  }

  /** What a call takes memory for is known before it. */
  @Test
  void predictionsOfNextStep_areThoseThatAreMade() {
    AtomicInteger made = new AtomicInteger();
    Denoiser counting =
        (x, levels, condition) -> {
          made.addAndGet(levels.size());
          return StandIns.modelG().predict(x, levels, condition);
        };
    NDArray vectors = manager.ones(new Shape(3, 2));
    Condition other = Condition.vectors(manager.zeros(new Shape(1, 2)));
    Map<Guidance, List<Integer>> each = new LinkedHashMap<>();
    each.put(Guidance.none(), List.of(1, 1));
    each.put(Guidance.classifierFree(1), List.of(1, 1));
    each.put(Guidance.classifierFree(2), List.of(2, 2));
    each.put(Guidance.classifierFree(2).interval(0, 0.2), List.of(1, 2));
    each.put(Guidance.classifierFree(2).and(Guidance.towards(other, 1.5)), List.of(3, 3));
    Denoiser worse = (x, levels, condition) -> counting.predict(x, levels, condition).mul(0.9);
    each.put(Guidance.autoguidance(DenoisingModel.of(diffusion(), worse), 2), List.of(2, 2));
    each.forEach(
        (guidance, expected) -> {
          try (SamplingRun run =
              Sampling.of(DenoisingModel.of(diffusion(), counting))
                  .sampler(Samplers.ddim(5))
                  .shape(1, 2, 2)
                  .seed(1)
                  .batchSize(2)
                  .condition(Condition.vectors(vectors))
                  .guidance(guidance)
                  .start(3)) {
            assertThat(run.predictionsPerImage()).isEqualTo(expected.get(1));
            assertThat(run.predictionsOfNextStep()).isEqualTo(2 * expected.get(0));
            while (run.hasNext()) {
              int next = run.predictionsOfNextStep();
              made.set(0);
              run.next();
              assertThat(made).hasValue(next);
            }
            assertThat(run.predictionsOfNextStep()).isZero();
          }
        });
  }

  @Test
  void predictionsPerCall_setTheBatchSize() {
    Map<Guidance, Integer> images = new LinkedHashMap<>();
    images.put(Guidance.none(), 5);
    images.put(Guidance.classifierFree(2), 2);
    images.put(Guidance.classifierFree(2).interval(0, 0.2), 2);
    NDArray vectors = manager.ones(new Shape(1, 2));
    images.forEach(
        (guidance, expected) -> {
          Sampling sampling = conditioned(vectors).guidance(guidance).predictionsPerCall(5);
          try (SamplingRun run = sampling.start(6);
              SamplingRun other = sampling.batchSize(3).start(6);
              Samples one = sampling.predictionsPerCall(1).generate(2)) {
            assertThat(run.imagesOfNextStep()).isEqualTo(expected);
            assertThat(other.imagesOfNextStep()).isEqualTo(3);
            assertThat(one.provenance(0)).containsEntry("batchSize", "1");
          }
        });
    assertThatThrownBy(() -> ddpm.sampling().predictionsPerCall(0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("predictionsPerCall must be at least 1, but was 0");
  }

  @Test
  void advance_oneRunTwice_isRefused() {
    try (SamplingRun run = sampling(Samplers.ddim(10), 3).start(1)) {
      assertThatThrownBy(() -> SamplingRun.advance(List.of(run, run)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith(
              "runs that advance together must be at least one, each named once, but were ");
    }
  }

  @Test
  void dynamicThresholding_ofRowsOfTheirOwn_isPerImage() {
    double[] values = {0, 1, 2, 4, 0.1, 0.2, 0.3, 0.4};
    X0Limit limit = X0Limit.dynamic(ddpm.dataRange(), 0.5, 10);
    NDArray x0 = manager.create(values, new ai.djl.ndarray.types.Shape(2, 1, 2, 2));
    double[] limited = limit.apply(x0).toDoubleArray();
    double[] expected = {0, 1 / 1.5, 1, 1, 0.1, 0.2, 0.3, 0.4}; // median 1.5, and 0.25 raised to 1
    for (int i = 0; i < expected.length; i++) {
      assertThat(limited[i]).isCloseTo(expected[i], within(1e-15));
    }
  }

  /** In [0, 1] the middle is 1/2, from where sizes are measured and values are drawn in. */
  @Test
  void dynamicThresholding_ofARangeThatIsNotCentred_isAboutItsMiddle() {
    double[] values = {0.5, 1, 1.5, 2.5, 0.55, 0.6, 0.65, 0.7};
    DataRange range = new DataRange(0, 1);
    NDArray x0 = manager.create(values, new ai.djl.ndarray.types.Shape(2, 1, 2, 2));
    double[] limited = X0Limit.dynamic(range, 0.5, 10).apply(x0).toDoubleArray();
    double[] expected = {0.5, 0.5 + 0.5 / 1.5, 1, 1, 0.55, 0.6, 0.65, 0.7};
    for (int i = 0; i < expected.length; i++) {
      assertThat(limited[i]).isCloseTo(expected[i], within(1e-15));
    }
    // and a run takes the range of its model
    Denoiser two = (x, levels, condition) -> x.zerosLike().add(x.getManager().create(PAIR));
    Diffusion diffusion =
        new Diffusion(Schedules.linear(50), Prediction.X0, Variance.FIXED_SMALL, range);
    Sampling sampling =
        Sampling.of(DenoisingModel.of(diffusion, two))
            .sampler(Samplers.ddim(1))
            .shape(1, 1, 2)
            .seed(1)
            .dynamicThresholding(1, 10);
    try (Samples samples = sampling.generate(1);
        NDArray drawn = samples.toNDArray(manager)) {
      assertThat(drawn.toFloatArray()).containsExactly(0.4375f, 1); // ±4 about 1/2
    }
  }

  private static final float[] PAIR = {0.25f, 2.5f};

  /* --- what is made of the images at the end --- */

  /** Doubles rows and columns, and counts how often it is closed. */
  private static class Doubling implements Sampling.Decoding {
    private final double factor;
    private int closed;

    Doubling(double factor) {
      this.factor = factor;
    }

    @Override
    public NDArray decode(NDArray latents) {
      return latents.mul(factor).repeat(2, 2).repeat(3, 2);
    }

    @Override
    public DataRange range() {
      return new DataRange(-2, 2);
    }

    @Override
    public Map<String, String> words(int image) {
      Map<String, String> words = new LinkedHashMap<>();
      words.put("of", "all");
      words.put("own", "the " + image);
      return words;
    }

    @Override
    public void close() {
      closed++;
    }
  }

  @Test
  void finish_withADecoding_picturesOfTheLatents() {
    double[] latents = pixels(sampling(Samplers.ddim(3), 3).generate(6));
    Doubling decoding = new Doubling(2);
    try (SamplingRun run = sampling(Samplers.ddim(3), 3).decoding(decoding).start(6)) {
      assertThat(run.next().x().getShape()).isEqualTo(new Shape(4, 1, SIZE, SIZE));
      assertThat(decoding.closed).isZero();
      Samples pictures = run.finish();
      assertThat(decoding.closed).isEqualTo(1);
      assertThat(pictures.provenance(4))
          .containsEntry("of", "all")
          .containsEntry("own", "the 4")
          .containsEntry("image", "4");
      double[] doubled = pixels(pictures);
      for (int i = 0; i < doubled.length; i++) {
        int row = i / (2 * SIZE) % (2 * SIZE) / 2;
        int column = i % (2 * SIZE) / 2;
        int image = i / (4 * SIZE * SIZE);
        assertThat(doubled[i])
            .isEqualTo((float) (2 * latents[(image * SIZE + row) * SIZE + column]));
      }
    }
    assertThat(decoding.closed).isEqualTo(1);
  }

  @Test
  void close_withADecoding_closesItOnce() {
    Doubling decoding = new Doubling(1);
    Sampling sampling = sampling(Samplers.ddim(3), 3).decoding(decoding);
    SamplingRun run = sampling.start(1);
    run.close();
    run.close();
    assertThat(decoding.closed).isEqualTo(1);
    // It served one run.
    try (Samples plain = sampling.generate(1)) {
      assertThat(plain.toNDArray(manager).getShape()).isEqualTo(new Shape(1, 1, SIZE, SIZE));
    }
    assertThatThrownBy(() -> sampling.decoding(decoding).start(0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(decoding.closed).isEqualTo(1);
  }

  @Test
  void finish_decodingDoesNotClose_leavesNoImages() {
    Doubling decoding =
        new Doubling(2) {
          @Override
          public void close() {
            throw new IllegalStateException("on purpose");
          }
        };
    try (SamplingRun run = sampling(Samplers.ddim(1), 3).decoding(decoding).start(1)) {
      NDManager images = run.next().x().getManager().getParentManager();
      assertThat(images.isOpen()).isTrue();
      assertThatThrownBy(run::finish)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("on purpose");
      assertThat(images.isOpen()).isFalse();
    }
  }

  @Test
  void finish_decodingGivesNaN_isRefused() {
    Doubling decoding = new Doubling(Double.NaN);
    try (SamplingRun run = sampling(Samplers.ddim(2), 3).decoding(decoding).start(1)) {
      assertThatThrownBy(run::finish)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the picture of image 0 is not finite, although its latents are: the decoder returned"
                  + " NaN or infinity; check its weights");
      assertThat(decoding.closed).isZero();
    }
    assertThat(decoding.closed).isEqualTo(1);
  }
}
