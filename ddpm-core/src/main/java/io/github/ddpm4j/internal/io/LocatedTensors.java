package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.io.IOException;

/**
 * A source that knows where the values of a tensor are, and reads them into the engine's memory.
 */
abstract class LocatedTensors implements TensorSource {

  /** Where the values of a tensor that {@link TensorInfo#isReadable} come from. */
  abstract EngineMemory.Bytes values(String name);

  @Override
  public final NDArray read(String name, NDManager manager) throws IOException {
    TensorInfo info = TensorSources.requireReadable(this, name);
    return EngineMemory.create(manager, info.type(), info.shape(), values(name));
  }

  @Override
  public final void readInto(String name, NDArray target) throws IOException {
    TensorInfo info = TensorSources.requireReadable(this, name);
    TensorSources.requireShape(this, name, target);
    if (info.type() == target.getDataType()) {
      EngineMemory.fill(target, values(name));
    } else {
      TensorSources.convertInto(this, name, target);
    }
  }
}
