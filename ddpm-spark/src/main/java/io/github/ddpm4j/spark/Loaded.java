package io.github.ddpm4j.spark;

import io.github.ddpm4j.internal.torch.Machine;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.apache.spark.TaskContext;
import org.jspecify.annotations.Nullable;

/**
 * What the tasks of an executor share, since loading it takes long: loaded by the first, and freed
 * when a task needs another and none is using it. One for models, one for features.
 *
 * @param <T> what is loaded; closed if it is AutoCloseable
 */
final class Loaded<T> {

  /** As DJL calls it. */
  private static final String THREADS = "ai.djl.pytorch.num_threads";

  /** In use by a task; to be closed by it. */
  interface Lease<T> extends AutoCloseable {

    /** What was loaded; owned by the executor. */
    T get();

    @Override
    void close();
  }

  private static final class Entry<T> {
    private final T value;
    private int users;

    Entry(T value) {
      this.value = value;
    }
  }

  private final Map<String, Entry<T>> entries = new LinkedHashMap<>();

  /**
   * Takes what has a key.
   *
   * @param key what tells it from others of its kind
   * @param loader loads it
   * @return in use until the lease is closed
   * @throws Exception if loading fails; nothing is kept then, and the next task tries again
   */
  synchronized Lease<T> use(String key, Callable<T> loader) throws Exception {
    Entry<T> entry = entries.get(key);
    if (entry == null) {
      freeUnused();
      beginEngine();
      entry = new Entry<>(loader.call());
      entries.put(key, entry);
    }
    return lease(entry);
  }

  private Lease<T> lease(Entry<T> entry) {
    entry.users++;
    return new Lease<>() {
      private boolean closed;

      @Override
      public T get() {
        return entry.value;
      }

      @Override
      public void close() {
        synchronized (Loaded.this) {
          entry.users -= closed ? 0 : 1;
          closed = true;
        }
      }
    };
  }

  private void freeUnused() throws Exception {
    for (String key : entries.keySet().toArray(new String[0])) {
      Entry<T> entry = Objects.requireNonNull(entries.get(key));
      if (entry.users == 0) {
        entries.remove(key);
        if (entry.value instanceof AutoCloseable closing) {
          closing.close();
        }
      }
    }
  }

  /** Says first what is missing of the engine, and leaves it the processors of a task. */
  private static void beginEngine() {
    @Nullable TaskContext task = TaskContext.get();
    if (System.getProperty(THREADS) == null && task != null) {
      System.setProperty(THREADS, Integer.toString(task.cpus()));
    }
    Machine.engine();
  }
}
