package io.github.ddpm4j.sampling;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.internal.io.Safetensors;
import io.github.ddpm4j.model.Condition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A run goes on from the file of a run like it alone: every value counts, the last ones too. */
class RunFileTest {

  private static final int IMAGES = 12;

  @TempDir private Path folder;
  private final NDManager manager = NDManager.newBaseManager();
  private final DDPM ddpm = DDPM.builder().timesteps(50).denoiser(StandIns.modelG()).build();

  @AfterEach
  void close() {
    manager.close();
  }

  private static Condition labels(int image, int other) {
    return Condition.labels(
        IntStream.range(0, IMAGES).map(i -> i == image ? other : i % 3).toArray());
  }

  private NDArray array(Shape shape, boolean otherAtTheEnd) {
    NDArray array = manager.arange((float) shape.size()).div(shape.size()).reshape(shape);
    if (otherAtTheEnd) {
      array.reshape(shape.size()).set(new NDIndex("{}", shape.size() - 1), 0.5f);
    }
    return array;
  }

  private Sampling sampling() {
    return ddpm.sampling()
        .sampler(Samplers.ddim(5))
        .shape(1, 2, 2)
        .seed(1)
        .condition(labels(-1, 0))
        .guidance(Guidance.towards(labels(-1, 0), 2));
  }

  private interface Start {
    SamplingRun of(Sampling sampling);
  }

  private void assertRefused(Start saved, Start other, String what) throws IOException {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = saved.of(sampling())) {
      run.next();
      run.save(file);
    }
    try (SamplingRun run = saved.of(sampling())) {
      assertThat(run.restore(file).step()).isEqualTo(1);
    }
    try (SamplingRun run = other.of(sampling())) {
      int resources = NativeResources.inAll();
      assertThatThrownBy(() -> run.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              file
                  + " was saved by a run with another "
                  + what
                  + "; set this run up as that one was");
      assertThat(NativeResources.inAll()).as("arrays and managers").isEqualTo(resources);
    }
  }

  private void assertRefused(UnaryOperator<Sampling> change, String what) throws IOException {
    assertRefused(
        sampling -> sampling.start(IMAGES), sampling -> change.apply(sampling).start(IMAGES), what);
  }

  @Test
  void restore_labelsThatDifferFarBehind_refused() throws IOException {
    assertRefused(sampling -> sampling.condition(labels(8, 9)), "condition");
    assertRefused(sampling -> sampling.condition(labels(11, Condition.ABSENT)), "condition");
  }

  @Test
  void restore_conditionsOfGuidanceThatDiffer_refused() throws IOException {
    assertRefused(sampling -> sampling.guidance(Guidance.towards(labels(11, 9), 2)), "guidance");
    NDArray vectors = array(new Shape(IMAGES, 3), false);
    NDArray others = array(new Shape(IMAGES, 3), true);
    assertRefused(
        sampling ->
            sampling.guidance(Guidance.towards(Condition.vectors(vectors), 2)).start(IMAGES),
        sampling -> sampling.guidance(Guidance.towards(Condition.vectors(others), 2)).start(IMAGES),
        "guidance");
  }

  @Test
  void restore_vectorsAndWhatIsAbsentThatDiffer_refused() throws IOException {
    Condition vectors = Condition.vectors(array(new Shape(IMAGES, 3), false));
    Condition others = Condition.vectors(array(new Shape(IMAGES, 3), true));
    Condition zeros = Condition.vectors(manager.zeros(new Shape(IMAGES, 3)));
    assertRefused(
        sampling -> sampling.condition(vectors).start(IMAGES),
        sampling -> sampling.condition(others).start(IMAGES),
        "condition");
    assertRefused(
        sampling -> sampling.condition(zeros).start(IMAGES),
        sampling -> sampling.condition(zeros.dropped(image -> image == 11)).start(IMAGES),
        "condition");
  }

  @Test
  void restore_contextsOrWhatStandsForNoneThatDiffer_refused() throws IOException {
    Shape shape = new Shape(IMAGES, 3, 2);
    NDArray contexts = array(shape, false);
    NDArray others = array(shape, true);
    Condition own = Condition.contexts(contexts, contexts);
    assertRefused(
        sampling -> sampling.condition(own).start(IMAGES),
        sampling -> sampling.condition(Condition.contexts(others, contexts)).start(IMAGES),
        "condition");
    assertRefused(
        sampling -> sampling.condition(own).start(IMAGES),
        sampling -> sampling.condition(Condition.contexts(contexts, others)).start(IMAGES),
        "condition");
    assertRefused(
        sampling -> sampling.start(IMAGES),
        sampling -> sampling.condition(labels(-1, 0).kept()).start(IMAGES),
        "condition");
  }

  @Test
  void restore_knownPixelsOrMaskThatDifferFarBehind_refused() throws IOException {
    String start = "start: other images, mask or latents, or another use of them";
    Shape shape = new Shape(IMAGES, 1, 2, 2);
    NDArray images = array(shape, false);
    NDArray otherImages = array(shape, true);
    NDArray mask = array(shape, false);
    NDArray otherMask = array(shape, true);
    assertRefused(
        sampling -> sampling.startInpainting(images, mask),
        sampling -> sampling.startInpainting(otherImages, mask),
        start);
    assertRefused(
        sampling -> sampling.startInpainting(images, mask),
        sampling -> sampling.startInpainting(images, otherMask),
        start);
    assertRefused(
        sampling -> sampling.startDecoding(images),
        sampling -> sampling.startDecoding(otherImages),
        start);
  }

  /** What fits by its digests and not by its arrays is damaged, and the run stays as it was. */
  @Test
  void restore_damagedFile_refusedAndTheRunGoesOn() throws IOException {
    Path file = folder.resolve("run.safetensors");
    try (SamplingRun run = sampling().batchSize(4).start(IMAGES)) {
      for (int i = 0; i < 7; i++) {
        run.next();
      }
      run.save(file);
    }
    // firstImage is the number at 5: in the middle of a batch, and of another batch
    for (String missing : new String[] {"x", "finished.0", "", "one more batch"}) {
      Map<String, NDArray> tensors = new LinkedHashMap<>(Safetensors.read(file, manager));
      NDArray state = tensors.get("state");
      if (missing.isEmpty()) {
        state.set(new NDIndex("5"), state.getDouble(5) - 1);
        NDArray kept = tensors.get("finished.0");
        tensors.put("finished.0", kept.get("1:"));
      } else if (missing.contains(" ")) {
        state.set(new NDIndex("5"), state.getDouble(5) + 4);
      }
      tensors.remove(missing);
      Path damaged = folder.resolve("damaged.safetensors");
      Safetensors.write(damaged, tensors, Map.of());
      try (SamplingRun run = sampling().batchSize(4).start(IMAGES)) {
        run.next();
        int resources = NativeResources.inAll();
        assertThatThrownBy(() -> run.restore(damaged))
            .isInstanceOf(IOException.class)
            .hasMessage(
                damaged
                    + " is damaged: its images are not those that its numbers say; save the run"
                    + " again");
        assertThat(NativeResources.inAll()).isEqualTo(resources);
        assertThat(run.step()).isEqualTo(1);
        assertThat(run.next().step()).isEqualTo(1);
      }
    }
    try (SamplingRun run = sampling().batchSize(4).start(IMAGES).restore(file)) {
      assertThat(run.step()).isEqualTo(7);
    }
  }

  @Test
  void restore_withoutWhatThePlanLooksBackAt_refused() throws IOException {
    Path file = folder.resolve("run.safetensors");
    Sampler lookingBack = Samplers.dpmSolverPlusPlus(5);
    try (SamplingRun run = sampling().sampler(lookingBack).start(IMAGES)) {
      run.next();
      run.next();
      run.save(file);
    }
    Map<String, NDArray> tensors = new LinkedHashMap<>(Safetensors.read(file, manager));
    assertThat(tensors.remove("past.0")).isNotNull();
    Safetensors.write(file, tensors, Map.of());
    try (SamplingRun run = sampling().sampler(lookingBack).start(IMAGES)) {
      assertThatThrownBy(() -> run.restore(file))
          .isInstanceOf(IOException.class)
          .hasMessage(
              file
                  + " is damaged: its images are not those that its numbers say; save the run"
                  + " again");
    }
  }
}
