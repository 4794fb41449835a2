package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.ProcessMemory;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ProgramTest {

  private static final String METHODS =
      """
        def total(self, x: Tensor, p: List[Tensor], y: Tensor) -> Tensor:
          r = torch.add(x, y)
          for t in p:
            r = torch.add(r, t)
          return r
        def weighted(self, x: Tensor, p: List[Tensor], q: List[Tensor]) -> Tensor:
          return torch.add(torch.mul(x, p[0]), torch.mul(p[1], q[0]))
        def both(self, x: Tensor) -> List[Tensor]:
          return [torch.mul(x, 2), torch.mul(x, 3)]
        def slope(self, x: Tensor, p: List[Tensor]) -> Tensor:
          loss = torch.sum(torch.mul(torch.square(p[0]), x))
          return unchecked_cast(Tensor, torch.grad([loss], [p[0]])[0])
        def recording(self, x: Tensor) -> Tensor:
          return torch.full_like(x, float(torch.is_grad_enabled()))
      """;

  private static Program program;
  private NDManager manager;

  @BeforeAll
  static void compile() {
    program = Program.compile(METHODS);
  }

  @AfterAll
  static void free() {
    program.close();
  }

  @BeforeEach
  void setUp() {
    manager = NDManager.newBaseManager();
  }

  @AfterEach
  void tearDown() {
    manager.close();
  }

  @Test
  void call_list_oneArgument() {
    NDList list = new NDList(array(10, 20), array(100, 200), array(1000, 2000));

    NDList result = program.call("total", array(1, 2), List.of(list), array(3, 4));

    assertThat(result).hasSize(1);
    assertThat(result.head().toFloatArray()).containsExactly(1114, 2226);
    assertThat(result.head().getManager()).isSameAs(manager);
  }

  @Test
  void call_severalLists_oneArgumentEach() {
    NDArray shared = array(2, 3);

    NDList result =
        program.call(
            "weighted",
            array(1, 1),
            List.of(new NDList(array(5, 5), shared), new NDList(array(10, 100))));

    assertThat(result.head().toFloatArray()).containsExactly(25, 305);
    // the same array in another place
    result = program.call("total", array(0, 0), List.of(new NDList(shared)), array(0, 0));
    assertThat(result.head().toFloatArray()).containsExactly(2, 3);
    result =
        program.call(
            "weighted",
            array(1, 1),
            List.of(new NDList(shared, shared), new NDList(shared.duplicate())));
    assertThat(result.head().toFloatArray()).containsExactly(6, 12);
  }

  @Test
  void call_severalResults_inOrder() {
    NDList result = program.call("both", array(1, 2), List.of());

    assertThat(result).hasSize(2);
    assertThat(result.get(0).toFloatArray()).containsExactly(2, 4);
    assertThat(result.get(1).toFloatArray()).containsExactly(3, 6);
  }

  /** DJL would take the dot for a dictionary and the brackets for a list. */
  @Test
  void call_namesOfTheUser_meanNothingAndStay() {
    NDArray x = array(1, 2);
    x.setName("layer.weight");
    NDArray y = array(3, 4);
    y.setName("a[]");
    NDArray named = array(10, 20);
    named.setName("module_method:both");
    NDArray unnamed = array(100, 200);
    int before = NativeResources.of(manager);

    NDList result = program.call("total", x, List.of(new NDList(named, unnamed)), y);

    assertThat(result.head().toFloatArray()).containsExactly(114, 226);
    assertThat(result.head().getManager()).isSameAs(manager);
    assertThat(x.getName()).isEqualTo("layer.weight");
    assertThat(y.getName()).isEqualTo("a[]");
    assertThat(named.getName()).isEqualTo("module_method:both");
    assertThat(unnamed.getName()).isNull();
    result.close();
    assertThat(NativeResources.of(manager)).isEqualTo(before);
  }

  /** An argument that a failed call held on to would stay in memory until the process ends. */
  @Test
  void call_thatFails_letsGoOfItsArguments() {
    assumeTrue(ProcessMemory.isKnown(), "this system does not tell the resident memory");
    int values = 16 << 20;
    long bytes = 4L * values;
    NDArray three = array(1, 2, 3);
    failingCall(values, three);
    long before = ProcessMemory.residentBytes();

    for (int i = 0; i < 4; i++) {
      failingCall(values, three);
    }

    assertThat(ProcessMemory.residentBytes() - before).isLessThan(bytes);
  }

  private void failingCall(int values, NDArray three) {
    try (NDArray x = manager.ones(new Shape(values));
        NDArray y = manager.ones(new Shape(values))) {
      assertThatThrownBy(() -> program.call("total", x, List.of(new NDList(y)), three))
          .isInstanceOf(EngineException.class);
    }
  }

  /** What stands for an array in a call is no resource, and a scope of the user's leaves it be. */
  @Test
  void call_insideAScope_argumentsOutliveIt() {
    NDArray x = array(1, 2);
    x.setName("x");
    NDArray y = array(3, 4);
    int before = NativeResources.inAll();
    try (NDScope scope = new NDScope()) {
      NDScope.unregister(x, y);
      program.call("total", x, List.of(new NDList(y)), y);
    }
    assertThat(NativeResources.inAll()).isEqualTo(before);
    assertThat(x.toFloatArray()).containsExactly(1, 2);
    assertThat(y.toFloatArray()).containsExactly(3, 4);
  }

  @Test
  void callRecording_gradientInside_isRight() {
    NDArray w = array(2, 3);
    w.setRequiresGradient(true);

    NDList result = program.callRecording("slope", array(10, 100), List.of(new NDList(w)));

    assertThat(result.head().toFloatArray()).containsExactly(40, 600);
  }

  @Test
  void call_gradMode_setAndRestored() throws Exception {
    Callable<Void> task =
        () -> {
          try (GradMode on = GradMode.on()) {
            assertThat(recording(program.call("recording", array(0, 0), List.of()))).isZero();
            assertThat(recording(program.callRecording("recording", array(0, 0), List.of())))
                .isOne();
            assertThat(array(0, 0)).isNotNull();
            assertThat(GradModeTest.isRecording()).isTrue();
          }
          try (GradMode off = GradMode.off()) {
            assertThat(recording(program.callRecording("recording", array(0, 0), List.of())))
                .isOne();
            assertThat(GradModeTest.isRecording()).isFalse();
          }
          return null;
        };
    task.call();
    onThreads(1, task);
  }

  /** What inference made can be saved for backward, as anything else. */
  @Test
  void call_result_isNoInferenceTensor() {
    NDArray w = array(2, 3);
    w.setRequiresGradient(true);
    NDArray inferred = program.call("both", array(10, 100), List.of()).head();

    NDArray slope = program.callRecording("slope", inferred, List.of(new NDList(w))).head();

    assertThat(slope.toFloatArray()).containsExactly(80, 1200);
  }

  @Test
  void call_manyThreads_allRight() throws Exception {
    onThreads(
        4,
        () -> {
          try (NDManager own = NDManager.newBaseManager()) {
            for (int i = 0; i < 500; i++) {
              NDArray x = own.full(new Shape(2), (float) i);
              float[] doubled = program.call("both", x, List.of()).head().toFloatArray();
              assertThat(doubled).containsExactly(2 * i, 2 * i);
            }
            return null;
          }
        });
  }

  @Test
  void call_throwingInside_messageOfTheEngine() {
    assertThatThrownBy(() -> program.call("total", array(1, 2), List.of(), array(1, 2, 3)))
        .isInstanceOf(RuntimeException.class);
    assertThat(program.call("both", array(1, 2), List.of())).hasSize(2);
  }

  @Test
  void call_closed_refused() {
    Program closed = Program.compile(METHODS);
    closed.close();
    closed.close();

    assertThatThrownBy(() -> closed.call("both", array(1, 2), List.of()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("the program is closed; compile it anew");
  }

  @Test
  void compile_noTorchScript_saysWhere() {
    assertThatThrownBy(() -> Program.compile("  def f(self, x: Tensor) -> Tensor:\n    return y\n"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("the program cannot be compiled: ")
        .hasMessageContaining("y");
  }

  private NDArray array(float... values) {
    return manager.create(values).duplicate();
  }

  private static float recording(NDList result) {
    return result.head().getFloat(0);
  }

  private static void onThreads(int count, Callable<Void> task) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(count);
    try {
      List<Future<Void>> results =
          IntStream.range(0, count).mapToObj(i -> threads.submit(task)).toList();
      for (Future<Void> result : results) {
        result.get();
      }
    } finally {
      threads.shutdown();
    }
  }
}
