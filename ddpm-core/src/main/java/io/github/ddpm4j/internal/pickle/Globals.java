package io.github.ddpm4j.internal.pickle;

import io.github.ddpm4j.internal.description.Quote;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a pickle may call, by name, and what comes of it. Nothing of Python runs: torch's few
 * functions that put tensors together are done here, and what others would make is not kept.
 */
final class Globals {

  private static final String ORDERED_DICT = "collections.OrderedDict";
  private static final String STORAGES = "torch.";

  /** The results are maps, filled by what follows in the pickle. */
  private static final Set<String> MAPS = Set.of(ORDERED_DICT, "collections.defaultdict");

  private static final Set<String> TENSORS =
      Set.of("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor");

  private static final Set<String> PARAMETERS =
      Set.of("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state");

  /** Tensors of kinds that are not read; the file's others are. */
  private static final Map<String, String> UNREAD =
      Map.of(
          "torch._utils._rebuild_tensor_v3", "a tensor of a type such as float8",
          "torch._utils._rebuild_sparse_tensor", "a sparse tensor",
          "torch._utils._rebuild_sparse_csr_tensor", "a sparse tensor",
          "torch._utils._rebuild_qtensor", "a quantized tensor",
          "torch._utils._rebuild_nested_tensor", "a nested tensor",
          "torch._utils._rebuild_meta_tensor_no_storage", "a tensor without values",
          "torch._utils._rebuild_device_tensor_from_numpy", "a tensor of a foreign device",
          "torch._tensor._rebuild_from_type_v2", "a tensor of a class of its own");

  /** What lies beside weights in the files of trainers: results are not kept. */
  private static final Set<String> OPAQUE =
      Set.of(
          "numpy.core.multiarray.scalar",
          "numpy._core.multiarray.scalar",
          "numpy.core.multiarray._reconstruct",
          "numpy._core.multiarray._reconstruct",
          "numpy.dtype",
          "numpy.ndarray",
          "_codecs.encode",
          "torch.device",
          "torch.Size",
          "torch.serialization._get_layout",
          "__builtin__.set",
          "builtins.set",
          "__builtin__.int",
          "builtins.int",
          "argparse.Namespace",
          "collections.Counter",
          "pathlib.PosixPath",
          "pathlib.PurePosixPath",
          "pathlib.WindowsPath",
          "omegaconf.dictconfig.DictConfig",
          "omegaconf.listconfig.ListConfig",
          "omegaconf.base.ContainerMetadata",
          "omegaconf.base.Metadata",
          "omegaconf.nodes.AnyNode");

  private static final String WAY_OUT =
      "; save its weights alone in Python: torch.save(model.state_dict(), path)";

  /** What EDM's training writes: source code and pickles within pickles. */
  private static final String EDM = "torch_utils.persistence._reconstruct_persistent_obj";

  private Globals() {}

  /** What calling a function gives. */
  static Object call(@Nullable Object function, @Nullable Object arguments) throws PickleException {
    if (!(function instanceof Mention mention) || !(arguments instanceof Object[] given)) {
      throw new PickleException("calls something that is no function");
    }
    String name = mention.name();
    if (MAPS.contains(name)) {
      return map(given, name);
    }
    if (TENSORS.contains(name)) {
      return tensor(given);
    }
    if (PARAMETERS.contains(name)) {
      if (given.length > 0 && given[0] instanceof PickledTensor tensor) {
        return tensor;
      }
      throw new PickleException("holds a parameter that is no tensor");
    }
    String unread = UNREAD.get(name);
    if (unread != null) {
      return PickledTensor.unread(unread);
    }
    if (OPAQUE.contains(name)) {
      return Opaque.VALUE;
    }
    if (name.equals(EDM)) {
      throw new PickleException(
          "holds a network as source code, as EDM's training writes it, and nothing of it was run;"
              + " save its weights alone in Python: torch.save(pickle.load(open(path,"
              + " \"rb\"))[\"ema\"].state_dict(), \"ema.pt\")");
    }
    throw new PickleException(
        "calls "
            + Quote.of(name)
            + ", which no file of weights needs, and nothing of it was run"
            + WAY_OUT);
  }

  /** What making an object of a class gives. */
  static Object make(@Nullable Object type, @Nullable Object arguments) throws PickleException {
    if (type instanceof Mention mention
        && (MAPS.contains(mention.name()) || OPAQUE.contains(mention.name()))) {
      return call(mention, arguments);
    }
    throw new PickleException(
        "holds an object of "
            + (type instanceof Mention mention
                ? "the class " + Quote.of(mention.name())
                : "no class")
            + " instead of tensors alone, and making it would run code"
            + WAY_OUT);
  }

  /** {@code OrderedDict()} or {@code OrderedDict([(key, value), …])}. */
  private static Map<Object, @Nullable Object> map(Object[] given, String name)
      throws PickleException {
    Map<Object, @Nullable Object> map = new LinkedHashMap<>();
    if (name.equals(ORDERED_DICT) && given.length > 0) {
      if (given.length > 1 || !(given[0] instanceof List<?> pairs)) {
        throw new PickleException("holds an OrderedDict of something else than pairs");
      }
      for (Object pair : pairs) {
        Object[] two =
            pair instanceof List<?> list ? list.toArray() : pair instanceof Object[] t ? t : null;
        if (two == null || two.length != 2) {
          throw new PickleException("holds an OrderedDict of something else than pairs");
        }
        put(map, two[0], two[1]);
      }
    }
    return map;
  }

  /** Keys are texts and whole numbers; what has another key is no weight. */
  static void put(Map<Object, @Nullable Object> map, @Nullable Object key, @Nullable Object value)
      throws PickleException {
    if (key instanceof String || key instanceof Long) {
      if (map.containsKey(key)) {
        throw new PickleException("has the key " + Quote.of(key) + " twice in one dictionary");
      }
      map.put(key, value);
    }
  }

  /** {@code (storage, offset, shape, stride, requires_grad, hooks[, metadata])}. */
  private static PickledTensor tensor(Object[] given) throws PickleException {
    if (given.length < 4
        || !(given[0] instanceof PickledStorage storage)
        || !(given[1] instanceof Long offset)) {
      throw new PickleException("holds a tensor without storage, place, shape or strides");
    }
    if (given.length > 6 && given[6] instanceof Map<?, ?> metadata && !metadata.isEmpty()) {
      return PickledTensor.unread("a tensor that is conjugated or negated when it is read");
    }
    return PickledTensor.of(storage, offset, numbers(given[2]), numbers(given[3]));
  }

  private static List<Long> numbers(@Nullable Object tuple) throws PickleException {
    if (!(tuple instanceof Object[] values) || values.length > PickleInput.MOST_DIMENSIONS) {
      throw new PickleException(
          "holds a tensor whose shape or strides are no tuple of at most "
              + PickleInput.MOST_DIMENSIONS
              + " whole numbers");
    }
    List<Long> numbers = new ArrayList<>(values.length);
    for (Object value : values) {
      if (!(value instanceof Long number)) {
        throw new PickleException("holds a tensor whose shape or strides are no whole numbers");
      }
      numbers.add(number);
    }
    return List.copyOf(numbers);
  }

  /** {@code ("storage", type, key, location, count[, view])}; the location is ignored. */
  static PickledStorage storage(@Nullable Object id) throws PickleException {
    if (!(id instanceof Object[] given)
        || given.length < 5
        || !"storage".equals(given[0])
        || !(given[1] instanceof Mention type)
        || !(given[2] instanceof String key)
        || !(given[4] instanceof Long count)
        || count < 0) {
      throw new PickleException("refers to something outside that is no storage of torch");
    }
    if (given.length > 5 && given[5] != null) {
      throw new PickleException(
          "is of a torch before 0.4, whose storages are views of others; load it in a later torch"
              + " and save it again");
    }
    if (type.name().equals("torch.storage.UntypedStorage")) {
      return new PickledStorage("UntypedStorage", key, count);
    }
    if (!type.name().startsWith(STORAGES) || !type.name().endsWith("Storage")) {
      throw new PickleException("has a storage of the class " + Quote.of(type.name()));
    }
    return new PickledStorage(type.name().substring(STORAGES.length()), key, count);
  }
}
