package io.github.ddpm4j.internal.torch;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.nn.Block;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.JniUtils;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;

/**
 * One call of a method of a TorchScript module. Its arguments are let go of however it ends: DJL's
 * own call keeps what holds them if the method throws, and with it the memory of every argument,
 * weights included, until the process ends.
 *
 * <p>DJL has the native call in a class of its package, which is therefore looked up by name.
 */
public final class ModuleCall implements AutoCloseable {

  private static final String LIBRARY = "ai.djl.pytorch.jni.PyTorchLibrary";

  /** Read once, as DJL does. */
  private static final boolean CUDA_STREAM =
      Boolean.getBoolean("ai.djl.pytorch.enable_cuda_stream");

  /** (module, method, arguments, no inference tensors, a CUDA stream of its own) to a result. */
  private static final MethodHandle RUN;

  /** From what {@link #RUN} returns. */
  private static final MethodHandle RESULT;

  static {
    try {
      Class<?> library = Class.forName(LIBRARY, true, IValue.class.getClassLoader());
      Field instance = library.getDeclaredField("LIB");
      Method run =
          library.getDeclaredMethod(
              "moduleRunMethod",
              long.class,
              String.class,
              long[].class,
              boolean.class,
              boolean.class);
      Constructor<IValue> result = IValue.class.getDeclaredConstructor(long.class);
      instance.setAccessible(true);
      run.setAccessible(true);
      result.setAccessible(true);
      MethodHandles.Lookup lookup = MethodHandles.lookup();
      RUN = lookup.unreflect(run).bindTo(instance.get(null));
      RESULT = lookup.unreflectConstructor(result);
      MethodType expected =
          MethodType.methodType(
              long.class, long.class, String.class, long[].class, boolean.class, boolean.class);
      if (!RUN.type().equals(expected)) {
        throw new NoSuchMethodException(RUN.type().toString());
      }
    } catch (ReflectiveOperationException | RuntimeException e) {
      throw new IllegalStateException(
          "this version of DJL's PyTorch engine runs TorchScript in another way than the one that"
              + " ddpm4j was tested with; take the version that ddpm-bom names",
          e);
    }
  }

  private final PtSymbolBlock module;
  private final String method;
  private final List<IValue> arguments = new ArrayList<>();

  /**
   * Begins a call.
   *
   * @param module the module, a block of DJL's PyTorch engine
   * @param method the name of the method
   */
  public ModuleCall(Block module, String method) {
    this.module = (PtSymbolBlock) module;
    this.method = method;
  }

  /**
   * Sets a module to inference, which turns its dropout off: one is loaded for training.
   *
   * @param module the module, a block of DJL's PyTorch engine
   */
  public static void inference(Block module) {
    JniUtils.enableInferenceMode((PtSymbolBlock) module);
  }

  /**
   * Adds an argument of the type {@code Tensor}.
   *
   * @param array the array, which stays the caller's
   * @return this call
   */
  public ModuleCall with(NDArray array) {
    arguments.add(IValue.from((PtNDArray) array));
    return this;
  }

  /**
   * Adds an argument of the type {@code List[Tensor]}.
   *
   * @param arrays the arrays, which stay the caller's
   * @return this call
   */
  public ModuleCall with(NDList arrays) {
    arguments.add(IValue.listFrom(arrays.stream().toArray(PtNDArray[]::new)));
    return this;
  }

  /**
   * Runs the method.
   *
   * @param owner owns the results
   * @return what the method returned
   * @throws EngineException if the method throws
   */
  public NDList run(NDManager owner) {
    long[] handles = arguments.stream().mapToLong(IValue::getHandle).toArray();
    // In DJL's other mode results are inference tensors, which autograd refuses ever after.
    boolean training = true;
    try (IValue result =
        (IValue)
            RESULT.invokeExact(
                (long)
                    RUN.invokeExact(
                        (long) module.getHandle(), method, handles, training, CUDA_STREAM))) {
      return result.toNDList((PtNDManager) owner);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("a native method threw a checked exception", e);
    }
  }

  /** Lets go of the arguments. */
  @Override
  public void close() {
    arguments.forEach(IValue::close);
    arguments.clear();
  }
}
