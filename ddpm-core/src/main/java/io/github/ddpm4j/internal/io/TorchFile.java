package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.internal.pickle.PickledStorage;
import io.github.ddpm4j.internal.pickle.PickledTensor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint of {@code torch.save}. Names are the keys on the way to a tensor, joined by dots.
 * What an optimizer remembers is not listed; {@link #under} with its name has it.
 */
final class TorchFile extends LocatedTensors {

  /** Many tensors may share values, but nobody expands few values to very many. */
  private static final long MOST_TIMES_THE_FILE = 16;

  private static final long ALWAYS_FINE = 1 << 20;

  private final Path file;
  private final TorchStorages storages;
  private final TorchTree tree;
  private final Map<String, TensorInfo> weights = new LinkedHashMap<>();
  private final Map<String, TensorInfo> optimizers = new LinkedHashMap<>();

  private TorchFile(Path file, TorchStorages storages, TorchTree tree) {
    this.file = file;
    this.storages = storages;
    this.tree = tree;
    tree.weights().tensors().forEach((name, tensor) -> weights.put(name, info(tensor)));
    tree.optimizers().tensors().forEach((name, tensor) -> optimizers.put(name, info(tensor)));
  }

  /**
   * A checkpoint that was unpickled.
   *
   * @param file the file
   * @param fileBytes its size
   * @param storages the values; closed with the source
   * @param root what was unpickled
   * @throws IOException if its tensors would take far more memory than the file, or their names do
   *     not make sense
   */
  static TorchFile of(Path file, long fileBytes, TorchStorages storages, @Nullable Object root)
      throws IOException {
    TorchFile opened = new TorchFile(file, storages, TorchTree.of(file, root));
    long most = MOST_TIMES_THE_FILE * fileBytes + ALWAYS_FINE;
    long bytes = 0;
    for (Map<String, TensorInfo> some : List.of(opened.weights, opened.optimizers)) {
      for (Map.Entry<String, TensorInfo> entry : some.entrySet()) {
        TensorInfo info = entry.getValue();
        if (info.isReadable()
            && info.shape().size() > (most - bytes) / info.type().getNumOfBytes()) {
          throw new IOException(
              opened.about(entry.getKey())
                  + " is "
                  + info.shape()
                  + ", and all tensors together take over "
                  + MOST_TIMES_THE_FILE
                  + " times the memory of the file: few values expanded to many; save them with"
                  + " contiguous() or less of them");
        }
        bytes += info.bytes();
      }
    }
    return opened;
  }

  private static TensorInfo info(PickledTensor tensor) {
    PickledStorage storage = tensor.storage();
    if (storage == null) {
      return new TensorInfo(new Shape(), DataType.UNKNOWN, tensor.refusal());
    }
    Shape shape = new Shape(tensor.shape());
    return TorchStorages.type(storage)
        .map(type -> TensorInfo.of(shape, type))
        .orElseGet(() -> new TensorInfo(shape, DataType.UNKNOWN, "of torch." + storage.type()));
  }

  @Override
  public Map<String, TensorInfo> tensors() {
    return Collections.unmodifiableMap(weights);
  }

  @Override
  public Map<String, Object> metadata() {
    return Collections.unmodifiableMap(tree.weights().values());
  }

  @Override
  public TensorSource under(String prefix) {
    for (String path : tree.optimizerPaths()) {
      if (!path.isEmpty() && prefix.startsWith(path)) {
        Map<String, TensorInfo> tensors = new LinkedHashMap<>(weights);
        tensors.putAll(optimizers);
        Map<String, Object> values = new LinkedHashMap<>(tree.weights().values());
        values.putAll(tree.optimizers().values());
        return new PrefixedTensors(this, prefix, tensors, values);
      }
    }
    return super.under(prefix);
  }

  @Override
  public TensorInfo info(String name) {
    TensorInfo info = weights.containsKey(name) ? weights.get(name) : optimizers.get(name);
    if (info == null) {
      throw TensorSources.unknown(this, name);
    }
    return info;
  }

  @Override
  EngineMemory.Bytes values(String name) {
    PickledTensor tensor =
        Objects.requireNonNullElseGet(
            tree.weights().tensors().get(name),
            () -> Objects.requireNonNull(tree.optimizers().tensors().get(name), name));
    PickledStorage storage = Objects.requireNonNull(tensor.storage(), name);
    TensorType type = TorchStorages.type(storage).orElseThrow();
    long start = tensor.offset() * type.bytes();
    if (tensor.isInOrder()) {
      return type.widened((first, target) -> storages.read(storage, start + first, target));
    }
    long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
    long[] stride = tensor.stride().stream().mapToLong(Long::longValue).toArray();
    return type.widened(
        new Gather(
            (first, target) -> storages.read(storage, start + first, target),
            tensor.span() * type.bytes(),
            type.bytes(),
            shape,
            stride,
            about(name)));
  }

  @Override
  public String about(String name) {
    return SafetensorsHeader.about(file, name);
  }

  @Override
  public void close() throws IOException {
    storages.close();
  }
}
