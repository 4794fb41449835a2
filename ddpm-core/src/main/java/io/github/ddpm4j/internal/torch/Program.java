package io.github.ddpm4j.internal.torch;

import ai.djl.Device;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.JniUtils;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;

/**
 * TorchScript that was compiled from its text, ready to be called: each call of a method is one
 * call of the engine, whatever the method does.
 *
 * <p>The text is a list of methods, each with the signature {@code (self, …)} and indented by two
 * spaces. Many threads may call one program at once; closing it needs it for itself.
 */
public final class Program implements AutoCloseable {

  /** What DJL sets the graph optimizer to before each call of a model, if the user wants it. */
  private static final String OPTIMIZER_PROPERTY = "ai.djl.pytorch.graph_optimizer";

  /** Owns the compiled code. */
  private final PtNDManager manager;

  private final PtSymbolBlock block;

  private volatile boolean closed;

  private Program(PtNDManager manager, PtSymbolBlock block) {
    this.manager = manager;
    this.block = block;
  }

  /**
   * Compiles a program.
   *
   * @param methods the text of its methods
   * @return the program; the caller closes it
   * @throws IllegalArgumentException if the text is no valid TorchScript; the message says where
   */
  public static Program compile(String methods) {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    PtNDManager manager = (PtNDManager) NDManager.newBaseManager(Device.cpu(), "PyTorch");
    boolean done = false;
    try {
      ScriptArchive.write(ModuleTree.of("Program", Map.of()), methods, List.of(), archive);
      // Not through a Model: each would leave an empty folder for temporary files behind, until
      // the process ends, and has a finalizer.
      PtSymbolBlock block =
          JniUtils.loadModule(
              manager, new ByteArrayInputStream(archive.toByteArray()), false, false);
      done = true;
      return new Program(manager, block);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (EngineException e) {
      throw new IllegalArgumentException("the program cannot be compiled: " + e.getMessage(), e);
    } finally {
      if (!done) {
        manager.close();
      }
    }
  }

  /**
   * Calls a method that records no gradients.
   *
   * @param method the method, which takes {@code first} as a tensor, each of {@code lists} as a
   *     list of tensors, and the others as a tensor each, in this order, and returns a tensor or a
   *     list of them
   * @param first the first argument
   * @param lists the lists, none of them empty
   * @param others the other arguments
   * @return what the method returned, attached to the manager of {@code first}
   * @throws IllegalStateException if the program is closed
   * @throws java.util.concurrent.CancellationException if the virtual machine shuts down
   */
  public NDList call(String method, NDArray first, List<NDList> lists, NDArray... others) {
    try (GradMode off = GradMode.off()) {
      return run(method, first, lists, others);
    }
  }

  /**
   * Calls a method that records gradients, or works some out inside.
   *
   * @param method the method, as that of {@link #call}
   * @param first the first argument
   * @param lists the lists, none of them empty
   * @param others the other arguments
   * @return what the method returned, attached to the manager of {@code first}
   * @throws IllegalStateException if the program is closed
   * @throws java.util.concurrent.CancellationException if the virtual machine shuts down
   */
  public NDList callRecording(String method, NDArray first, List<NDList> lists, NDArray... others) {
    try (GradMode on = GradMode.on()) {
      return run(method, first, lists, others);
    }
  }

  private NDList run(String method, NDArray first, List<NDList> lists, NDArray... others) {
    if (closed) {
      throw new IllegalStateException("the program is closed; compile it anew");
    }
    Shutdown.requireGoing();
    // The profiling executor costs time in training and pays off nowhere; the switch belongs to
    // the thread, and other models of the user's may run on it.
    JniUtils.setGraphExecutorOptimize(false);
    try (ModuleCall call = new ModuleCall(block, method)) {
      call.with(first);
      lists.forEach(call::with);
      for (NDArray other : others) {
        call.with(other);
      }
      return call.run(first.getManager());
    } finally {
      String wanted = System.getProperty(OPTIMIZER_PROPERTY);
      JniUtils.setGraphExecutorOptimize(wanted == null || Boolean.parseBoolean(wanted));
    }
  }

  /** Frees the compiled code. Does nothing the second time. */
  @Override
  public void close() {
    closed = true;
    manager.close();
  }
}
