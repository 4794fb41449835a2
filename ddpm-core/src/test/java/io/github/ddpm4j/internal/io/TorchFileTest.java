package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Checkpoints of torch, against what torch itself reads of them (make_torch.py). */
class TorchFileTest {

  private final NDManager manager = NDManager.newBaseManager();
  @TempDir Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private record Expected(List<Long> shape, String type, String sha256) {}

  static Path resource(String name) {
    try {
      return Path.of(TorchFileTest.class.getResource("/torch/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Map<String, Map<String, Expected>> expected() throws IOException {
    return new Gson()
        .fromJson(
            Files.readString(resource("expected.json")),
            new TypeToken<Map<String, Map<String, Expected>>>() {}.getType());
  }

  static Stream<String> readable() throws IOException {
    return expected().keySet().stream();
  }

  private static final Map<String, String> KINDS =
      Map.of(
          "float64",
          "F64",
          "float32",
          "F32",
          "float16",
          "F16",
          "bfloat16",
          "BF16",
          "int64",
          "I64",
          "int32",
          "I32",
          "int16",
          "I16",
          "int8",
          "I8",
          "uint8",
          "U8",
          "bool",
          "BOOL");

  private static String sha256(NDArray floats) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(floats.toByteArray()));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /* --- against torch --- */

  @ParameterizedTest
  @MethodSource("readable")
  void everyTensor_isAsTorchReadsIt(String name) throws IOException {
    Map<String, Expected> all = expected().get(name);
    try (TensorSource source = TensorFiles.open(resource(name))) {
      TreeSet<String> found = new TreeSet<>(source.tensors().keySet());
      if (name.startsWith("trainer")) {
        source.under("opt.").tensors().keySet().forEach(key -> found.add("opt." + key));
      }
      assertThat(found).isEqualTo(new TreeSet<>(all.keySet()));
      for (Map.Entry<String, Expected> entry : all.entrySet()) {
        String key = entry.getKey();
        TensorInfo info = source.info(key);
        assertThat(info.kind()).as(key).isEqualTo(KINDS.get(entry.getValue().type()));
        assertThat(info.shape()).as(key).isEqualTo(new Shape(entry.getValue().shape()));
        NDArray read = source.read(key, manager);
        assertThat(read.getDataType()).as(key).isEqualTo(info.type());
        NDArray floats = read.toType(DataType.FLOAT32, true);
        assertThat(sha256(floats)).as(key).isEqualTo(entry.getValue().sha256());
        NDArray target = manager.zeros(info.shape());
        source.readInto(key, target);
        assertThat(sha256(target)).as(key).isEqualTo(entry.getValue().sha256());
      }
    }
  }

  @Test
  void views_haveTheirOwnValues() throws IOException {
    for (String name : List.of("views.pt", "legacy.pt", "protocol4.pt")) {
      try (TensorSource source = TensorFiles.open(resource(name))) {
        assertThat(source.tensors().keySet())
            .containsExactly(
                "plain",
                "transposed",
                "slice",
                "expanded",
                "stepped",
                "scalar",
                "empty",
                "channels_last");
        assertThat(source.read("transposed", manager).toFloatArray())
            .containsExactly(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
        assertThat(source.read("expanded", manager).toFloatArray())
            .containsExactly(0, 0, 0, 1, 1, 1);
        assertThat(source.read("scalar", manager).getFloat()).isEqualTo(3.5f);
        assertThat(source.read("empty", manager).getShape()).isEqualTo(new Shape(0, 4));
      }
    }
  }

  /* --- what a trainer writes --- */

  @ParameterizedTest
  @CsvSource({"trainer.pt", "trainer-legacy.pt"})
  void trainer_hasWeightsAndValues_andItsOptimizerWhenAsked(String name) throws IOException {
    try (TensorSource source = TensorFiles.open(resource(name))) {
      assertThat(source.tensors().keySet())
          .containsExactly(
              "model.weight",
              "model.bias",
              "ema.ema_model.weight",
              "ema.ema_model.bias",
              "ema.online.weight",
              "ema.online.bias",
              "shadow_params.0",
              "shadow_params.1");
      assertThat(source.metadata())
          .containsExactly(
              Map.entry("step", 7L),
              Map.entry("lr", 0.5),
              Map.entry("version", "2.3.1"),
              Map.entry("amp", false),
              Map.entry("mults", List.of(1L, 2L, 2L)));
      TensorSource ema = source.under("ema.ema_model.");
      assertThat(ema.tensors().keySet()).containsExactly("weight", "bias");
      assertThat(ema.read("bias", manager)).isEqualTo(source.read("model.bias", manager).mul(2));
      TensorSource optimizer = source.under("opt.state.0.");
      assertThat(optimizer.tensors().keySet()).containsExactly("step", "exp_avg", "exp_avg_sq");
      assertThat(optimizer.read("step", manager).getFloat()).isEqualTo(1);
      assertThat(source.under("opt.").metadata())
          .containsEntry("param_groups.0.betas", List.of(0.9, 0.99));
    }
  }

  @Test
  void lightning_hasItsWeights_andNothingOfWhatIsForeign() throws IOException {
    try (TensorSource source = TensorFiles.open(resource("lightning.ckpt"))) {
      assertThat(source.tensors().keySet()).containsExactly("state_dict.w");
      assertThat(source.metadata())
          .containsExactly(
              Map.entry("epoch", 1L),
              Map.entry("global_step", 2L),
              Map.entry("pytorch-lightning_version", "1.4.2"),
              Map.entry("lr_schedulers", List.of()));
    }
  }

  @Test
  void kinds_thatAreNotRead_areRefusedOneByOne() throws IOException {
    Path file = resource("kinds.pt");
    try (TensorSource source = TensorFiles.open(file)) {
      assertThat(source.read("dense", manager).toFloatArray()).containsExactly(0, 1, 2);
      Map<String, String> kinds =
          Map.of(
              "float8", "a tensor of a type such as float8",
              "complex", "of torch.ComplexFloatStorage",
              "sparse", "a sparse tensor",
              "quantized", "a quantized tensor",
              "conjugated", "a tensor that is conjugated or negated when it is read");
      kinds.forEach(
          (name, kind) ->
              assertThatThrownBy(() -> source.read(name, manager))
                  .isInstanceOf(IOException.class)
                  .hasMessage(
                      "tensor "
                          + name
                          + " of "
                          + file
                          + " cannot be read: it is "
                          + kind
                          + "; convert it in Python, such as with tensor.float()"));
    }
  }

  /* --- what is refused --- */

  private static void assertRefused(Path file, String message) {
    assertThatThrownBy(() -> TensorFiles.open(file))
        .isInstanceOf(IOException.class)
        .hasMessage(message.replace("FILE", file.toString()));
  }

  @Test
  void calls_areRefusedByName() {
    assertRefused(
        resource("evil.pt"),
        "FILE calls __builtin__.print, which no file of weights needs, and nothing of it was run;"
            + " save its weights alone in Python: torch.save(model.state_dict(), path)");
  }

  @Test
  void wholeModules_areRefusedWithTheWayOut() {
    assertRefused(
        resource("whole-module.pt"),
        "FILE holds an object of the class torch.nn.modules.linear.Linear instead of tensors alone,"
            + " and making it would run code; save its weights alone in Python:"
            + " torch.save(model.state_dict(), path)");
  }

  @Test
  void programs_areRefused() {
    assertRefused(
        resource("script.pt"),
        "FILE is TorchScript, a program, not weights; save its weights in Python:"
            + " torch.save(torch.jit.load(path).state_dict(), other)");
  }

  @Test
  void otherPickles_areRefused() {
    assertRefused(
        resource("plain.pkl"),
        "FILE is a pickle, but not of torch.save; save the weights in Python:"
            + " torch.save(model.state_dict(), path)");
  }

  private Path file(byte[] content) throws IOException {
    return Files.write(folder.resolve("file"), content);
  }

  @Test
  void otherFiles_areRefusedByTheirKind() throws IOException {
    byte[] tar = new byte[1024];
    System.arraycopy("ustar".getBytes(StandardCharsets.US_ASCII), 0, tar, 257, 5);
    assertRefused(
        file(tar),
        "FILE is a tar file, as torch wrote before 0.1.10; load it in a later torch and save it"
            + " again");
    assertRefused(
        file("version https://git-lfs.github.com/spec/v1\n".getBytes(StandardCharsets.UTF_8)),
        "FILE is a pointer of Git LFS, not the file itself; get that with: git lfs pull");
    assertRefused(
        file("\n<!DOCTYPE html><html>".getBytes(StandardCharsets.UTF_8)),
        "FILE is a web page, not the file itself; download that");
    assertRefused(
        file("\u0089HDF\r\n".getBytes(StandardCharsets.ISO_8859_1)),
        "FILE is an HDF5 file, as Keras writes; save its weights as safetensors");
    assertRefused(file(new byte[0]), "FILE ends too early: it is cut off or no safetensors file");
    assertRefused(folder, "FILE must be a file, but is a folder");
  }

  /** Copies a container, with some of its parts changed. */
  private Path changed(String name, Map<String, byte[]> changes, boolean compressed)
      throws IOException {
    Path copy = folder.resolve("changed.pt");
    try (ZipFile from = new ZipFile(resource(name).toFile());
        ZipOutputStream to = new ZipOutputStream(Files.newOutputStream(copy))) {
      for (ZipEntry entry : from.stream().toList()) {
        byte[] content = from.getInputStream(entry).readAllBytes();
        for (Map.Entry<String, byte[]> change : changes.entrySet()) {
          if (entry.getName().endsWith(change.getKey())) {
            content = change.getValue();
          }
        }
        ZipEntry written = new ZipEntry(entry.getName());
        if (!compressed) {
          CRC32 crc = new CRC32();
          crc.update(content);
          written.setMethod(ZipEntry.STORED);
          written.setSize(content.length);
          written.setCrc(crc.getValue());
        }
        to.putNextEntry(written);
        to.write(content);
      }
    }
    return copy;
  }

  @Test
  void container_thatIsNotAsTorchWritesIt_isRefused() throws IOException {
    assertRefused(
        changed("parameters.pt", Map.of("/byteorder", new byte[] {'b', 'i', 'g'}), false),
        "FILE has the byte order big, but only \"little\" is read; save it on another machine");
    assertRefused(
        changed("parameters.pt", Map.of("/data/0", new byte[12]), false),
        "FILE should hold 16 bytes in parameters/data/0, but holds 12");
    assertThatThrownBy(() -> TensorFiles.open(changed("parameters.pt", Map.of(), true)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("has compressed its part parameters/");
    Path none = folder.resolve("none.pt");
    try (ZipOutputStream to = new ZipOutputStream(Files.newOutputStream(none))) {
      to.putNextEntry(new ZipEntry("a/b"));
    }
    assertRefused(
        none, "FILE is a zip file, but no checkpoint of torch: it has no folder with data.pkl");
    byte[] whole = Files.readAllBytes(resource("parameters.pt"));
    assertThatThrownBy(() -> TensorFiles.open(file(Arrays.copyOf(whole, whole.length / 2))))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith(folder.resolve("file") + " is no whole zip file, or is cut off: ");
  }

  @Test
  void container_withCommentThatIsNoText_isRefused() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream to = new ZipOutputStream(bytes)) {
      ZipEntry entry = new ZipEntry("a/é");
      entry.setComment("#");
      to.putNextEntry(entry);
    }
    byte[] damaged = bytes.toByteArray();
    for (int i = 0; i < damaged.length; i++) {
      damaged[i] = damaged[i] == '#' ? (byte) 0xff : damaged[i];
    }
    assertRefused(file(damaged), "FILE is a damaged zip file: it has a text that is no UTF-8");
  }

  @Test
  void read_afterClose_isRefused() throws IOException {
    for (String name : List.of("views.pt", "legacy.pt")) {
      TensorSource source = TensorFiles.open(resource(name));
      source.close();
      assertThatThrownBy(() -> source.read("plain", manager))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(resource(name) + " was closed; read from it before");
    }
  }

  @Test
  void legacy_withMoreOrLessThanItSays_isRefused() throws IOException {
    byte[] whole = Files.readAllBytes(resource("legacy.pt"));
    assertRefused(
        file(Arrays.copyOf(whole, whole.length + 1)),
        "FILE should have 1256 bytes, but has 1257; it is damaged");
    assertThatThrownBy(() -> TensorFiles.open(file(Arrays.copyOf(whole, whole.length - 1))))
        .isInstanceOf(IOException.class)
        .hasMessageMatching(
            ".*file should hold \\d+ bytes from \\d+ on, but has 1255 in all; it is cut off");
  }

  /* --- large files --- */

  /**
   * A hole of 4.5 GB stands before everything, as other tensors would; the directory says so in
   * zip64.
   */
  @Test
  void container_beyondFourGigabytes_isRead() throws IOException {
    Path big = folder.resolve("big.pt");
    long hole = 4_500_000_000L;
    byte[] whole = Files.readAllBytes(resource("parameters.pt"));
    Zip64.shifted(whole, hole, big);
    try (TensorSource source = TensorFiles.open(big)) {
      assertThat(source.read("w", manager).toFloatArray()).containsExactly(1, 1, 1, 1);
      assertThat(source.read("frozen", manager).toFloatArray()).containsExactly(0, 0);
    }
  }
}
