package io.github.ddpm4j.internal.training;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;
import io.github.ddpm4j.spi.Ops;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Operations on arrays that note the first result that is not finite, and where it was made. */
final class Probe implements InvocationHandler {

  private static final List<String> PARTS = List.of(".weight", ".bias");

  private final Ops<NDArray> ops;
  private final IdentityHashMap<Object, String> names = new IdentityHashMap<>();
  private @Nullable String last;
  private @Nullable String found;

  /**
   * @param ops run the operations
   * @param weights those of the network, by which its layers are named
   */
  Probe(Ops<NDArray> ops, Map<String, NDArray> weights) {
    this.ops = ops;
    weights.forEach((name, weight) -> names.put(weight, layer(name)));
  }

  private static String layer(String weight) {
    return PARTS.stream()
        .filter(weight::endsWith)
        .findFirst()
        .map(part -> weight.substring(0, weight.length() - part.length()))
        .orElse(weight);
  }

  static boolean isFinite(NDArray array) {
    try (NDScope temporary = new NDScope();
        NDArray bad = array.isNaN().logicalOr(array.isInfinite())) {
      return !bad.any().getBoolean();
    }
  }

  /** The operations. */
  @SuppressWarnings("unchecked")
  Ops<NDArray> ops() {
    return (Ops<NDArray>)
        Proxy.newProxyInstance(Ops.class.getClassLoader(), new Class<?>[] {Ops.class}, this);
  }

  /** The operation with its layer, or the one before it; empty if all was finite. */
  Optional<String> found() {
    return Optional.ofNullable(found);
  }

  @Override
  @SuppressWarnings("unchecked")
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] arguments)
      throws Throwable {
    if (method.getName().equals("recomputable") && arguments != null) {
      return ((Function<Object, Object>) arguments[2]).apply(arguments[1]);
    }
    Object result;
    try {
      result = method.invoke(ops, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause() == null ? e : e.getCause();
    }
    if (!method.getName().equals("scope")
        && found == null
        && arguments != null
        && result instanceof NDArray array) {
      String own = null;
      for (Object argument : arguments) {
        own = own == null ? names.get(argument) : own;
      }
      if (!isFinite(array)) {
        found =
            method.getName() + (own != null ? " in " + own : last != null ? " after " + last : "");
      }
      last = own != null ? own : last;
    }
    return result;
  }
}
