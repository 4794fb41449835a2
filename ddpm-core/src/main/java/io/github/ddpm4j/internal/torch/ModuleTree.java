package io.github.ddpm4j.internal.torch;

import ai.djl.ndarray.types.Shape;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.StringJoiner;
import org.jspecify.annotations.Nullable;

/**
 * The modules of a TorchScript archive and the weights in them, by names such as {@code
 * down_blocks.0.conv1.weight}: each part but the last is a module inside the one before. Modules
 * that hold the same are of one class. Immutable.
 */
public final class ModuleTree {

  /** A float32 tensor: its place among those of the archive, and its shape. */
  private record Weight(int index, Shape shape) {}

  private final Map<String, Weight> weights = new LinkedHashMap<>();
  private final Map<String, ModuleTree> modules = new LinkedHashMap<>();
  private final String type;

  /** What stands in a class, and its name; of all classes but the root's. */
  private final Map<String, String> classes;

  private ModuleTree(
      @Nullable String type, Map<String, Weight> named, Map<String, String> classes) {
    Map<String, Map<String, Weight>> inside = new LinkedHashMap<>();
    named.forEach(
        (name, weight) -> {
          int dot = name.indexOf('.');
          if (dot < 0) {
            weights.put(name, weight);
          } else {
            inside
                .computeIfAbsent(name.substring(0, dot), part -> new LinkedHashMap<>())
                .put(name.substring(dot + 1), weight);
          }
        });
    inside.forEach((name, content) -> modules.put(name, new ModuleTree(null, content, classes)));
    this.classes = classes;
    this.type =
        type != null ? type : classes.computeIfAbsent(body(), body -> "Module" + classes.size());
  }

  /**
   * The tree of some weights.
   *
   * @param type the name of the root's class
   * @param shapes the shapes of the weights by name, in the order in which they will be written
   * @return the tree
   */
  public static ModuleTree of(String type, Map<String, Shape> shapes) {
    Map<String, Weight> weights = new LinkedHashMap<>();
    shapes.forEach((name, shape) -> weights.put(name, new Weight(weights.size(), shape)));
    return new ModuleTree(type, weights, new LinkedHashMap<>());
  }

  /**
   * What a method of the root calls a weight.
   *
   * @param name the name of the weight
   * @return an expression of TorchScript
   */
  public static String expression(String name) {
    String value = "self";
    for (String part : name.split("\\.", -1)) {
      value =
          Character.isDigit(part.charAt(0))
              ? "getattr(" + value + ", \"" + part + "\")"
              : value + "." + part;
    }
    return value;
  }

  /** The text of all classes; {@code methods} are the root's, indented by two spaces. */
  String source(String methods) {
    StringBuilder text = new StringBuilder();
    classes.forEach((body, name) -> text.append(head(name)).append(body));
    return text.append(head(type)).append(body()).append(methods).toString();
  }

  private static String head(String name) {
    return "class " + name + "(Module):\n";
  }

  private String body() {
    StringJoiner parameters = new StringJoiner(", ", "[", "]");
    StringBuilder attributes = new StringBuilder();
    weights
        .keySet()
        .forEach(
            name -> {
              parameters.add("\"" + name + "\"");
              attributes.append(attribute(name, "Tensor"));
            });
    modules.forEach(
        (name, module) -> attributes.append(attribute(name, "__torch__." + module.type)));
    return "  __parameters__ = "
        + parameters
        + "\n  __buffers__ = []\n"
        + "  training : bool\n"
        + attributes;
  }

  /** In this form a name may be a number. */
  private static String attribute(String name, String type) {
    return "  __annotations__[\"" + name + "\"] = " + type + "\n";
  }

  /** The objects: each module with its weights and the modules inside it. */
  byte[] objects() {
    Pickle pickle = new Pickle();
    write(pickle);
    return pickle.finish();
  }

  private void write(Pickle pickle) {
    pickle.global("__torch__", type).emptyTuple().newObject().emptyDict().mark();
    pickle.string("training").bool(false);
    weights.forEach((name, weight) -> write(pickle.string(name), weight));
    modules.forEach((name, module) -> module.write(pickle.string(name)));
    pickle.setItems().build();
  }

  /** The call {@code _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)}. */
  private static void write(Pickle pickle, Weight weight) {
    long[] shape = weight.shape.getShape();
    pickle.global("torch._utils", "_rebuild_tensor_v2").mark();
    pickle
        .mark()
        .string("storage")
        .global("torch", "FloatStorage")
        .string(Integer.toString(weight.index))
        .string("cpu")
        .integer(weight.shape.size())
        .tuple()
        .persistentId();
    pickle.integer(0);
    integers(pickle, shape);
    integers(pickle, strides(shape));
    pickle.bool(true);
    pickle.global("collections", "OrderedDict").emptyTuple().reduce();
    pickle.tuple().reduce();
  }

  private static void integers(Pickle pickle, long[] values) {
    pickle.mark();
    for (long value : values) {
      pickle.integer(value);
    }
    pickle.tuple();
  }

  private static long[] strides(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    return strides;
  }
}
