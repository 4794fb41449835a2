package io.github.ddpm4j;

import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDManager;
import java.lang.reflect.Field;
import java.util.Map;

/** What managers own: arrays and sub-managers, which their public methods do not count together. */
public final class NativeResources {

  private NativeResources() {}

  /** The number of arrays and managers that hang directly on the engine's system manager. */
  public static int ofSystem() {
    try (NDManager manager = NDManager.newBaseManager()) {
      return of(manager.getParentManager()) - 1;
    }
  }

  /** The number of all arrays and managers that live, on whatever manager they hang. */
  public static int inAll() {
    try (NDManager manager = NDManager.newBaseManager()) {
      return under(manager.getParentManager()) - 1;
    }
  }

  private static int under(NDManager manager) {
    int count = 0;
    for (Object resource : resources(manager).values()) {
      count += resource instanceof NDManager below ? 1 + under(below) : 1;
    }
    return count;
  }

  /** The number of arrays and sub-managers that hang directly on a manager. */
  public static int of(NDManager manager) {
    return resources(manager).size();
  }

  private static Map<?, ?> resources(NDManager manager) {
    try {
      Field resources = BaseNDManager.class.getDeclaredField("resources");
      resources.setAccessible(true);
      return (Map<?, ?>) resources.get(manager);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }
}
