package io.github.ddpm4j.internal.torch;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.ParameterStore;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class ScriptArchiveTest {

  private static final String METHODS =
      String.format(
          Locale.ROOT,
          """
        def forward(self, x: Tensor) -> Tensor:
          return torch.linear(torch.linear(x, %s, %s), %s, %s)
      """,
          ModuleTree.expression("layers.0.weight"),
          ModuleTree.expression("layers.0.bias"),
          ModuleTree.expression("layers.1.weight"),
          ModuleTree.expression("layers.1.bias"));

  private NDManager manager;
  private Map<String, NDArray> weights;

  @BeforeEach
  void setUp() {
    manager = NDManager.newBaseManager();
    weights = new LinkedHashMap<>();
    weights.put("layers.0.weight", manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(3, 2)));
    weights.put("layers.0.bias", manager.create(new float[] {10, 20, 30}));
    weights.put("layers.1.weight", manager.create(new float[] {1, -1, 2}, new Shape(1, 3)));
    weights.put("layers.1.bias", manager.create(new float[] {0.5f}));
  }

  @AfterEach
  void tearDown() {
    manager.close();
  }

  private byte[] archive() throws Exception {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    weights.forEach((name, weight) -> shapes.put(name, weight.getShape()));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ScriptArchive.write(ModuleTree.of("Two", shapes), METHODS, weights.values(), out);
    return out.toByteArray();
  }

  private static Map<String, byte[]> entries(byte[] archive) throws Exception {
    Map<String, byte[]> entries = new LinkedHashMap<>();
    try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(archive))) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        assertThat(entry.getMethod()).as(entry.getName()).isEqualTo(ZipEntry.STORED);
        entries.put(entry.getName(), zip.readAllBytes());
      }
    }
    return entries;
  }

  @Test
  void write_entries() throws Exception {
    assertThat(entries(archive()).keySet())
        .containsExactly(
            "ddpm4j/data.pkl",
            "ddpm4j/constants.pkl",
            "ddpm4j/version",
            "ddpm4j/code/__torch__.py",
            "ddpm4j/data/0",
            "ddpm4j/data/1",
            "ddpm4j/data/2",
            "ddpm4j/data/3");
  }

  @Test
  void write_weights_littleEndian() throws Exception {
    byte[] bytes = entries(archive()).get("ddpm4j/data/1");

    float[] values = new float[3];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    assertThat(bytes).hasSize(12);
    assertThat(values).containsExactly(10, 20, 30);
  }

  @Test
  void write_code_oneClassForWhatHoldsTheSame() throws Exception {
    assertThat(
            new String(entries(archive()).get("ddpm4j/code/__torch__.py"), StandardCharsets.UTF_8))
        .isEqualTo(
            """
            class Module0(Module):
              __parameters__ = ["weight", "bias"]
              __buffers__ = []
              training : bool
              __annotations__["weight"] = Tensor
              __annotations__["bias"] = Tensor
            class Module1(Module):
              __parameters__ = []
              __buffers__ = []
              training : bool
              __annotations__["0"] = __torch__.Module0
              __annotations__["1"] = __torch__.Module0
            class Two(Module):
              __parameters__ = []
              __buffers__ = []
              training : bool
              __annotations__["layers"] = __torch__.Module1
              def forward(self, x: Tensor) -> Tensor:
                return torch.linear(torch.linear(x, getattr(self.layers, "0").weight,\
             getattr(self.layers, "0").bias), getattr(self.layers, "1").weight,\
             getattr(self.layers, "1").bias)
            """);
  }

  @Test
  void write_loadedByTheEngine_runsWithItsWeights() throws Exception {
    try (Model model = Model.newInstance("two", manager.getDevice(), "PyTorch")) {
      model.load(new ByteArrayInputStream(archive()));

      NDArray x = manager.create(new float[] {1, 1}, new Shape(1, 2));
      NDList result =
          model.getBlock().forward(new ParameterStore(manager, false), new NDList(x), false);

      // (3 + 10) − (7 + 20) + 2 (11 + 30) + 0.5
      assertThat(result.head().toFloatArray()).containsExactly(68.5f);
      assertThat(List.copyOf(model.getBlock().getParameters().keys())).hasSize(4);
    }
  }
}
