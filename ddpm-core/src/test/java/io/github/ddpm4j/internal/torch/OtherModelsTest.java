package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Test;

/** Models of the user's own that run on the same threads are none the wiser. */
class OtherModelsTest {

  private static final String SOURCE =
      """
        def forward(self: __torch__.Other, x: Tensor, w: Tensor) -> Tensor:
          h = torch.silu(torch.mul(x, w))
          return torch.add(torch.tanh(h), torch.mul(torch.sigmoid(h), x))
      """;

  private static final String FAILING =
      """
        def fail(self: __torch__.Program, x: Tensor, y: Tensor) -> Tensor:
          return torch.add(x, y)
      """;

  private static final int SIZE = 8;

  /** What a user sees of a model: its outputs and gradients, and the state of the thread. */
  private record Seen(List<float[]> outputs, List<float[]> gradients, boolean recording) {}

  @Test
  void runs_onTheMainThread_changeNothing() throws Exception {
    compare();
  }

  @Test
  void runs_onAWorker_changeNothing() throws Exception {
    ExecutorService worker = Executors.newSingleThreadExecutor();
    try {
      Callable<Void> task =
          () -> {
            compare();
            return null;
          };
      worker.submit(task).get();
    } finally {
      worker.shutdown();
    }
  }

  private static void compare() throws Exception {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    ScriptArchive.write(ModuleTree.of("Other", Map.of()), SOURCE, List.of(), archive);
    try (Model other = Model.newInstance("other", Device.cpu(), "PyTorch");
        NDManager manager = NDManager.newBaseManager()) {
      other.load(new ByteArrayInputStream(archive.toByteArray()));
      Seen before = use(other, manager);
      ddpm();
      Seen after = use(other, manager);
      ddpm();
      Seen later = use(other, manager);
      assertThat(before.outputs.get(0)).isNotEqualTo(before.gradients.get(0));
      assertThat(after).usingRecursiveComparison().isEqualTo(before);
      assertThat(later).usingRecursiveComparison().isEqualTo(before);
    }
  }

  /** Several calls: the engine rewrites a model in the first of them. */
  private static Seen use(Model other, NDManager manager) {
    List<float[]> outputs = new ArrayList<>();
    List<float[]> gradients = new ArrayList<>();
    boolean recording = GradModeTest.isRecording();
    for (int i = 0; i < 4; i++) {
      try (NDManager own = manager.newSubManager()) {
        NDArray x = own.linspace(-2, 2, 64).reshape(8, 8);
        x.setName("images");
        NDArray w = own.linspace(-1, 3, 64).reshape(8, 8).duplicate();
        w.setRequiresGradient(true);
        ParameterStore store = new ParameterStore(own, false);
        try (GradientCollector collector = Engine.getInstance().newGradientCollector()) {
          NDArray y = other.getBlock().forward(store, new NDList(x, w), true).head();
          outputs.add(y.toFloatArray());
          collector.backward(y.sum());
        }
        gradients.add(w.getGradient().toFloatArray());
        assertThat(x.getName()).isEqualTo("images");
        assertThat(w.getName()).isNull();
      }
    }
    assertThat(GradModeTest.isRecording()).isEqualTo(recording);
    return new Seen(outputs, gradients, recording);
  }

  /** Training, sampling and a program that fails. */
  private static void ddpm() {
    try (NDManager manager = NDManager.newBaseManager();
        TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 1);
        TrainedModel result =
            DDPM.builder()
                .timesteps(10)
                .denoiser(network)
                .build()
                .training()
                .batchSize(4)
                .steps(5)
                .seed(1)
                .fit(
                    new ArrayDataset.Builder()
                        .setData(manager.ones(new Shape(8, 1, SIZE, SIZE)))
                        .setSampling(1, false)
                        .build());
        Samples samples = result.ddpm().sampling().sampler(Samplers.ddim(3)).seed(1).generate(2);
        Program failing = Program.compile(FAILING)) {
      assertThat(samples.size()).isEqualTo(2);
      NDArray two = manager.ones(new Shape(2));
      NDArray three = manager.ones(new Shape(3));
      assertThatThrownBy(() -> failing.callRecording("fail", two, List.of(), three))
          .isInstanceOf(RuntimeException.class);
    }
  }
}
