package io.github.ddpm4j.internal.torch;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;

/**
 * The end of the virtual machine, which waits for work in libtorch. Without it, libtorch takes its
 * global state down under the threads that still compute, and the process crashes.
 *
 * <p>Once the machine shuts down, no step begins any more. The shutdown goes on when every thread
 * that has used a network has ended or waits for something, for a while and all of them at once.
 */
public final class Shutdown {

  /** The longest time that the shutdown waits, in seconds: {@value}. */
  public static final int SECONDS = 60;

  /** So often in a row the threads must be seen at rest, {@value} times. */
  private static final int LOOKS = 10;

  private static final long MILLIS_BETWEEN = 20;

  private static final Set<Thread> users =
      Collections.synchronizedSet(Collections.newSetFromMap(new WeakHashMap<>()));

  /** How many steps a thread is in. */
  private static final ThreadLocal<Integer> depth = ThreadLocal.withInitial(() -> 0);

  private static final Object lock = new Object();
  private static volatile boolean installed;
  private static volatile boolean begun;

  private Shutdown() {}

  /** Installs the hook, once for the process. */
  public static void install() {
    synchronized (lock) {
      if (!installed) {
        Runtime.getRuntime().addShutdownHook(new Thread(Shutdown::run, "ddpm4j-shutdown"));
        installed = true;
      }
    }
  }

  /**
   * Begins a step, within which this thread may use networks until {@link #leave}.
   *
   * @return false if the machine shuts down, so that the step must not begin
   */
  public static boolean enter() {
    if (installed) {
      // In this order, so that the hook, which looks in the other, cannot miss a thread.
      users.add(Thread.currentThread());
      if (begun && depth.get() == 0) {
        return false;
      }
    }
    depth.set(depth.get() + 1);
    return true;
  }

  /** Ends the step that {@link #enter} began. */
  public static void leave() {
    depth.set(depth.get() - 1);
  }

  /**
   * Refuses the use of a network outside of steps once the machine shuts down.
   *
   * @throws CancellationException if it does
   */
  public static void requireGoing() {
    if (!installed) {
      return;
    }
    if (!enter()) {
      throw new CancellationException(
          "the network was not asked, since the virtual machine is shutting down");
    }
    leave();
  }

  private static void run() {
    begun = true;
    long start = System.nanoTime();
    int rests = 0;
    while (rests < LOOKS && System.nanoTime() - start < TimeUnit.SECONDS.toNanos(SECONDS)) {
      List<Thread> alive = alive();
      if (alive.isEmpty()) {
        return;
      }
      rests = alive.stream().anyMatch(Shutdown::works) ? 0 : rests + 1;
      try {
        TimeUnit.MILLISECONDS.sleep(MILLIS_BETWEEN);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private static List<Thread> alive() {
    synchronized (users) {
      List<Thread> alive = new ArrayList<>(users);
      alive.removeIf(thread -> !thread.isAlive());
      return alive;
    }
  }

  /**
   * Whether a thread runs in the engine or in this library. One that waits in native code, as for a
   * connection, counts as running too, but works for somebody else.
   */
  private static boolean works(Thread thread) {
    return thread.getState() == Thread.State.RUNNABLE
        && Arrays.stream(thread.getStackTrace())
            .map(StackTraceElement::getClassName)
            .anyMatch(name -> name.startsWith("ai.djl.") || name.startsWith("io.github.ddpm4j."));
  }
}
