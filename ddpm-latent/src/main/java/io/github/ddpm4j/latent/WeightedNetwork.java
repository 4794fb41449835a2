package io.github.ddpm4j.latent;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.io.MappedTensor;
import io.github.ddpm4j.internal.io.TensorFiles;
import io.github.ddpm4j.internal.io.TensorSource;
import io.github.ddpm4j.internal.ops.EagerOps;
import io.github.ddpm4j.internal.ops.ImageLayout;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.ops.ScriptOps;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.internal.torch.Machine;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.internal.torch.Shutdown;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import io.github.ddpm4j.unet.internal.peers.NameTable;
import io.github.ddpm4j.unet.internal.peers.Transform;
import io.github.ddpm4j.unet.internal.running.FirstWeights;
import io.github.ddpm4j.unet.internal.running.Held;
import io.github.ddpm4j.unet.internal.running.HeldReading;
import io.github.ddpm4j.unet.internal.running.Holding;
import io.github.ddpm4j.unet.internal.running.MappedWeights;
import io.github.ddpm4j.unet.internal.running.RunMode;
import io.github.ddpm4j.unet.internal.running.Usage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The weights of a network and how its passes run: each operation by operation, or as a program,
 * which is compiled when the pass is first taken. Many threads take passes at once; changes wait
 * for them.
 */
final class WeightedNetwork implements AutoCloseable {

  private static final String INFER = "infer";
  private static final String TRAIN = "train";

  private final String what;
  private final NDManager manager;
  private final Map<String, NDArray> weights = new LinkedHashMap<>();
  private final Usage usage = new Usage();
  private final ReentrantLock compiling = new ReentrantLock();
  private final Map<Pass, Program> programs = new HashMap<>();
  private final Map<String, Shape> shapes = new LinkedHashMap<>();
  private volatile RunMode mode;
  private volatile Held held = Held.FLOAT32;
  private volatile boolean closed;

  /**
   * A network of given first weights.
   *
   * @param what how messages call it
   * @param first the values; null if all are put in before it is used
   */
  WeightedNetwork(
      String what,
      List<ParameterSpec> specs,
      @Nullable Device device,
      @Nullable FirstWeights first) {
    this.what = what;
    manager = Machine.newManager(device);
    manager.setName(what);
    boolean done = false;
    try (GradMode off = GradMode.off()) {
      for (int i = 0; i < specs.size(); i++) {
        if (first != null) {
          weights.put(specs.get(i).name(), first.value(manager, specs.get(i), i));
        }
        shapes.put(specs.get(i).name(), specs.get(i).shape());
      }
      mode = RunMode.standard(manager);
      done = true;
    } finally {
      if (!done) {
        manager.close();
      }
    }
  }

  /**
   * A network with the weights of a file.
   *
   * @param old the old name of a weight; a file that has one has them all
   * @param unused whether a tensor of the file means nothing
   * @param kept what weights are held in; each is rounded before the next is read
   */
  static WeightedNetwork read(
      String what,
      List<ParameterSpec> specs,
      @Nullable Device device,
      Path file,
      UnaryOperator<String> old,
      Predicate<String> unused,
      Kept kept)
      throws IOException {
    try (TensorSource source = TensorFiles.open(file)) {
      boolean isOld =
          specs.stream()
              .map(ParameterSpec::name)
              .anyMatch(
                  name ->
                      !old.apply(name).equals(name)
                          && source.tensors().containsKey(old.apply(name)));
      UnaryOperator<String> theirs = isOld ? old : UnaryOperator.identity();
      return read(
          what,
          specs,
          device,
          source,
          file.toString(),
          name -> NameTable.Line.of(name, theirs.apply(name), Transform.copy()),
          unused,
          kept);
    }
  }

  /**
   * A network with the weights of an open file.
   *
   * @param where how messages name the file
   * @param line what a weight is in the file
   * @param unused whether a tensor of the file means nothing
   * @param kept what weights are held in; each is rounded before the next is read
   */
  static WeightedNetwork read(
      String what,
      List<ParameterSpec> specs,
      @Nullable Device device,
      TensorSource source,
      String where,
      Function<String, NameTable.Line> line,
      Predicate<String> unused,
      Kept kept)
      throws IOException {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    specs.forEach(spec -> shapes.put(spec.name(), spec.shape()));
    NameTable table = NameTable.of(shapes, line);
    table.require(source, where, unused);
    Holding holding = kept.held();
    boolean wide = holding == Holding.FLOAT32 && !kept.mapped();
    WeightedNetwork network =
        new WeightedNetwork(what, specs, device, wide ? FirstWeights.unset() : null);
    boolean done = false;
    try {
      requireCompiled(network.mode, Held.in(holding));
      if (kept.mapped()) {
        network.map(table, source, where);
      } else {
        network.fill(table, source, holding);
      }
      done = true;
      return network;
    } finally {
      if (!done) {
        network.close();
      }
    }
  }

  /** The SHA-256 of all weights, with their names and shapes. */
  String digest() {
    MessageDigest sha256 = WholeFile.sha256();
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireWide();
      weights.forEach(
          (name, weight) -> {
            sha256.update((name + weight.getShape()).getBytes(StandardCharsets.UTF_8));
            sha256.update(weight.toByteBuffer());
          });
    }
    return HexFormat.of().formatHex(sha256.digest());
  }

  /** Reads the weights, each of which is rounded at once where they are to be held so. */
  private void fill(NameTable table, TensorSource source, Holding wanted) throws IOException {
    if (wanted == Holding.FLOAT32) {
      table.read(source, weights);
      return;
    }
    try (GradMode off = GradMode.off();
        HeldReading reading = new HeldReading(manager, wanted, shapes.values())) {
      table.read(
          source,
          name -> {
            Shape shape = shape(name);
            return isHeld(name, wanted) ? reading.target(shape) : manager.create(shape);
          },
          (name, read) -> {
            NDArray own = isHeld(name, wanted) ? reading.rounded(read) : read;
            NDScope.unregister(own);
            weights.put(name, own);
          });
    }
    held = Held.in(wanted);
  }

  /** Maps what can be mapped, and reads the rest. */
  private void map(NameTable table, TensorSource source, String where) throws IOException {
    Map<String, MappedTensor> mapped = table.map(source, this::isMatrix, manager);
    Map<String, NDArray> all = new HashMap<>();
    mapped.forEach((name, tensor) -> all.put(name, tensor.array()));
    table
        .without(mapped.keySet())
        .read(source, name -> manager.create(shape(name)), (name, read) -> all.put(name, read));
    for (String name : shapes.keySet()) {
      NDArray own = Objects.requireNonNull(all.get(name), name);
      NDScope.unregister(own);
      weights.put(name, own);
    }
    held = Held.mapped(mapped);
    requireCompiled(mode, held);
    MappedWeights.tell(where, mapped.values(), shapes.values());
  }

  static long count(List<ParameterSpec> specs) {
    return specs.stream().mapToLong(spec -> spec.shape().size()).sum();
  }

  Device device() {
    return manager.getDevice();
  }

  RunMode mode() {
    return mode;
  }

  Map<String, NDArray> weights() {
    try (Usage.Hold hold = usage.shared()) {
      requireWide();
      return Collections.unmodifiableMap(weights);
    }
  }

  /** Keeps the weights as they are until its end; other threads may use them, too. */
  Usage.Hold reading() {
    return usage.shared(this::requireOpen);
  }

  /** Keeps everybody else from the weights until its end, for one who changes them. */
  Usage.Hold changing() {
    Usage.Hold hold = usage.alone();
    boolean done = false;
    try {
      requireWide();
      done = true;
      return hold;
    } finally {
      if (!done) {
        hold.close();
      }
    }
  }

  void runAs(Execution execution, Precision precision) {
    try (Usage.Hold hold = usage.alone()) {
      requireOpen();
      RunMode other = RunMode.of(execution, precision, manager);
      requireCompiled(other, held);
      forget();
      mode = other;
    }
  }

  /** Changes what the weights are held in; from 16 bits with the rounded values. */
  void hold(Precision precision) {
    Holding wanted = Holding.of(precision);
    try (Usage.Hold hold = usage.alone();
        GradMode off = GradMode.off()) {
      requireOpen();
      requireCompiled(mode, Held.in(wanted));
      if (held != Held.in(wanted)) {
        forget();
        convert(wanted);
        held = Held.in(wanted);
      }
    }
  }

  private void convert(Holding wanted) {
    try (Holding.Converter from = held.inMemory().converter();
        Holding.Converter to = wanted.converter()) {
      for (String name : weights.keySet()) {
        convert(name, from, wanted, to);
      }
    }
  }

  /** Converts one weight; the old array is freed. */
  private void convert(String name, Holding.Converter from, Holding wanted, Holding.Converter to) {
    NDArray own = weight(name);
    NDArray wide =
        held.isMapped(name)
            ? from.copied(own)
            : isHeld(name, held.inMemory()) ? from.widened(own) : own;
    NDArray next = isHeld(name, wanted) ? to.narrowed(wide) : wide;
    NDScope.unregister(next);
    weights.put(name, next);
    if (wide != own && wide != next) {
      wide.close();
    }
    if (own != next) {
      own.close();
    }
  }

  private boolean isHeld(String name, Holding in) {
    return isMatrix(name) && in.holds(shape(name));
  }

  /** Whether a weight may be in 16 bits. A book of codes is compared with, and stays as it is. */
  private boolean isMatrix(String name) {
    return !name.equals(AutoencoderNetwork.codeBook()) && shape(name).dimension() > 1;
  }

  private Shape shape(String name) {
    return shapes.getOrDefault(name, new Shape());
  }

  private static void requireCompiled(RunMode mode, Held held) {
    if (!held.isWide() && !mode.isCompiled()) {
      throw new IllegalArgumentException(
          "execution EAGER needs weights in FLOAT32, but they are held in "
              + held
              + "; choose execution COMPILED or call hold(Precision.FLOAT32)");
    }
  }

  private void requireWide() {
    requireOpen();
    if (!held.isWide()) {
      throw new IllegalStateException(
          "the weights of "
              + what
              + " are held in "
              + held
              + ", for use alone; call hold(Precision.FLOAT32) first");
    }
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(what + " is closed and its weights are freed; load it again");
    }
  }

  /** Requires arrays to lie where the weights are. */
  void requireDevice(NDArray array, String name) {
    if (!array.getDevice().equals(device())) {
      throw new IllegalArgumentException(
          name
              + " must be on the device of "
              + what
              + ", "
              + device()
              + ", but is on "
              + array.getDevice()
              + "; move it by toDevice(…)");
    }
  }

  /** A pass that records nothing; the result is attached to the manager of the first array. */
  NDArray infer(Pass pass, NDArray... in) {
    try (Usage.Hold hold = usage.shared();
        GradMode off = GradMode.off()) {
      requireOpen();
      return mode.isCompiled()
          ? program(pass).call(INFER, in[0], List.of(list()), rest(in)).head()
          : eager(pass, in);
    }
  }

  /** A pass that records gradients. */
  NDArray train(Pass pass, NDArray... in) {
    try (Usage.Hold hold = usage.shared()) {
      requireWide();
      return mode.isCompiled()
          ? program(pass).callRecording(TRAIN, in[0], List.of(list()), rest(in)).head()
          : eager(pass, in);
    }
  }

  private NDArray eager(Pass pass, NDArray... in) {
    Shutdown.requireGoing();
    EagerOps ops = EagerOps.inference();
    return ops.scope(() -> pass.forward(ops, this::weight, List.of(in)));
  }

  NDArray weight(String name) {
    return Objects.requireNonNull(weights.get(name), name);
  }

  private NDList list() {
    return new NDList(weights.values());
  }

  private static NDArray[] rest(NDArray... in) {
    NDArray[] rest = new NDArray[in.length - 1];
    System.arraycopy(in, 1, rest, 0, rest.length);
    return rest;
  }

  private Program program(Pass pass) {
    GradMode.lock(compiling);
    try {
      return programs.computeIfAbsent(pass, this::compile);
    } finally {
      compiling.unlock();
    }
  }

  private Program compile(Pass pass) {
    Map<String, Value> values = new HashMap<>();
    int i = 0;
    for (String name : weights.keySet()) {
      String argument = "p[" + i++ + "]";
      values.put(
          name,
          isMatrix(name)
              ? held.value(name, argument, shape(name), mode.type())
              : new Value(argument));
    }
    List<Value> in = IntStream.range(0, pass.inputs()).mapToObj(k -> new Value("x" + k)).toList();
    String arguments =
        "x0: Tensor, p: List[Tensor]"
            + in.stream()
                .skip(1)
                .map(value -> ", " + value + ": Tensor")
                .collect(Collectors.joining());
    Script infer = new Script();
    // Decoders see their largest image at the exit.
    ImageLayout layout = mode.layout(device(), ImageLayout.CHANNELS_LAST);
    ScriptOps plain = ScriptOps.inference(infer, mode.type(), layout);
    Value inferred = pass.forward(plain, name -> value(values, name), in);
    // These networks have no dropout, so there are no seeds.
    Script train = new Script();
    ScriptOps recording = ScriptOps.training(train, mode.type(), new Value("none"));
    Value trained = pass.forward(recording, name -> value(values, name), in);
    return Program.compile(
        infer.method(INFER, arguments, "Tensor", inferred)
            + train.method(TRAIN, arguments, "Tensor", trained));
  }

  private static Value value(Map<String, Value> values, String name) {
    return Objects.requireNonNull(values.get(name), name);
  }

  private void forget() {
    GradMode.lock(compiling);
    try {
      new ArrayList<>(programs.values()).forEach(Program::close);
      programs.clear();
    } finally {
      compiling.unlock();
    }
  }

  /** Frees weights and programs, once the passes that have begun are done. */
  @Override
  public void close() {
    try (Usage.Hold hold = usage.alone()) {
      closed = true;
      forget();
      manager.close();
    }
  }
}
