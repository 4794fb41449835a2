package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.github.ddpm4j.internal.torch.GradMode;
import java.io.IOException;

/** What every source of tensors checks and does in the same way. */
final class TensorSources {

  private TensorSources() {}

  static IllegalArgumentException unknown(TensorSource source, String name) {
    return new IllegalArgumentException(
        "there is no " + source.about(name) + "; ask for one of its tensors()");
  }

  static TensorInfo requireReadable(TensorSource source, String name) throws IOException {
    TensorInfo info = source.info(name);
    if (!info.isReadable()) {
      throw new IOException(
          source.about(name)
              + " cannot be read: it is "
              + info.kind()
              + "; convert it in Python, such as with tensor.float()");
    }
    return info;
  }

  static void requireShape(TensorSource source, String name, NDArray target) {
    TensorInfo info = source.info(name);
    if (!info.shape().equals(target.getShape())) {
      throw new IllegalArgumentException(
          source.about(name)
              + " has the shape "
              + info.shape()
              + ", but the array that receives it has "
              + target.getShape());
    }
  }

  /** Through an array of the file's type. */
  static void convertInto(TensorSource source, String name, NDArray target) throws IOException {
    try (GradMode off = GradMode.off();
        NDManager temporary = target.getManager().newSubManager()) {
      target.set(new NDIndex("..."), source.read(name, temporary));
    }
  }
}
