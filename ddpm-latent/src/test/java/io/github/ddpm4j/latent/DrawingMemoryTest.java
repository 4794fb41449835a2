package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.sampling.SamplingRun;
import java.lang.reflect.Field;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;

/** Drawings leave no array, manager or program behind, however they end. */
class DrawingMemoryTest {

  private static final int ROUNDS = 2;

  /** The number of arrays and managers that live, on whatever manager they hang. */
  private static int resources() throws ReflectiveOperationException {
    try (NDManager manager = NDManager.newBaseManager()) {
      return under(manager.getParentManager()) - 1;
    }
  }

  private static int under(NDManager manager) throws ReflectiveOperationException {
    Field resources = BaseNDManager.class.getDeclaredField("resources");
    resources.setAccessible(true);
    int count = 0;
    for (Object resource : ((Map<?, ?>) resources.get(manager)).values()) {
      count += resource instanceof NDManager below ? 1 + under(below) : 1;
    }
    return count;
  }

  private static Drawing dog(TextToImage model) {
    return model.prompt("a red dog").negativePrompt("a cat").seed(1).steps(2);
  }

  private static void drawInEveryWay(TextToImage model, NDArray picture, NDArray mask) {
    dog(model).generate(2).close();
    dog(model).size(16, 32).generate(1).close();
    model.prompt("a (red:2) dog").weightedPrompts().steps(2).generate(1).close();
    dog(model).imageToImage(picture, 1).close();
    dog(model).inpaint(picture, mask).close();
    try (SamplingRun run = dog(model).start(1)) {
      model.latentDiffusion().preview(run.next().predictedX0());
    }
    dog(model).start(2).close();
    assertThatThrownBy(() -> dog(model).timeLimit(Duration.ofNanos(1)).generate(1))
        .isInstanceOf(CancellationException.class);
    assertThatThrownBy(() -> interrupted(model)).isInstanceOf(CancellationException.class);
    assertThatThrownBy(
            () ->
                dog(model)
                    .listener(
                        event -> {
                          throw new IllegalStateException("no more");
                        })
                    .generate(1))
        .hasMessage("no more");
    assertThatThrownBy(() -> dog(model).noise(DrawingMemoryTest::failing).generate(1))
        .hasMessage("no noise");
    assertThatThrownBy(
            () -> dog(model).noise(DrawingMemoryTest::failing).imageToImage(picture, 0.5))
        .hasMessage("no noise");
    assertThatThrownBy(() -> dog(model).clipSkip(9).generate(1))
        .hasMessage("skipped layers must be in [0, 2), but were 9");
    String beyondFloats = "a (dog:" + "9".repeat(60) + ")";
    assertThatThrownBy(() -> model.prompt(beyondFloats).weightedPrompts().start(1))
        .hasMessageStartingWith("weights of a prompt must leave a mean that can be restored");
  }

  private static void failing(long image, long draw, double[] target) {
    throw new IllegalStateException("no noise");
  }

  private static void interrupted(TextToImage model) {
    Thread.currentThread().interrupt();
    try {
      dog(model).generate(1).close();
    } finally {
      assertThat(Thread.interrupted()).as("interrupted still").isTrue();
    }
  }

  @Test
  void drawings_whateverTheirEnd_leaveNothing() throws Exception {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray picture = manager.zeros(new Shape(1, 3, 32, 32));
      NDArray mask = manager.ones(new Shape(1, 1, 32, 32));
      int before = resources();
      try (TextToImage model = TextToImage.load(PipelineFixture.DATA.resolve("sd1"))) {
        // Programs are made at the first use of each, and kept.
        drawInEveryWay(model, picture, mask);
        int once = resources();
        for (int i = 0; i < ROUNDS; i++) {
          drawInEveryWay(model, picture, mask);
          assertThat(resources()).as("after round %d", i).isEqualTo(once);
        }
      }
      assertThat(resources()).as("after the model").isEqualTo(before);
    }
  }
}
