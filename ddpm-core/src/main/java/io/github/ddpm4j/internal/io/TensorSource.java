package io.github.ddpm4j.internal.io;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.io.IOException;
import java.util.Map;

/**
 * Tensors by name in a file, or in files that belong together. What there is is known once it is
 * open; values are read when they are asked for, and no others.
 *
 * <p>The file must not be written in place while it is open; replacing it by a rename is fine. One
 * thread at a time.
 */
public interface TensorSource extends AutoCloseable {

  /**
   * The tensors.
   *
   * @return what each is, by name, in the order of the file; unmodifiable
   */
  Map<String, TensorInfo> tensors();

  /**
   * What a tensor is.
   *
   * @param name its name
   * @return what the file says of it
   * @throws IllegalArgumentException if there is no such tensor
   */
  default TensorInfo info(String name) {
    TensorInfo info = tensors().get(name);
    if (info == null) {
      throw TensorSources.unknown(this, name);
    }
    return info;
  }

  /**
   * What the file holds beside tensors.
   *
   * @return texts ({@code String}), numbers ({@code Long}, {@code Double}), truth values and lists
   *     of these, by name, in the order of the file; unmodifiable
   */
  Map<String, Object> metadata();

  /**
   * Reads a tensor.
   *
   * @param name one of {@link #tensors}
   * @param manager owns the array that is returned, on its device
   * @return the values, of the type that {@link TensorInfo} says
   * @throws IllegalArgumentException if there is no such tensor
   * @throws IOException if reading fails or the type cannot be read, naming file, tensor and type
   */
  NDArray read(String name, NDManager manager) throws IOException;

  /**
   * Reads a tensor of floats as float32. From float16 and bfloat16 that is exact; float64 is
   * rounded.
   *
   * @param name one of {@link #tensors}
   * @param manager owns the array that is returned, on its device
   * @return the values, float32
   * @throws IllegalArgumentException if there is no such tensor
   * @throws IOException if reading fails or the tensor holds no floats, naming file, tensor and
   *     type
   */
  default NDArray readFloat32(String name, NDManager manager) throws IOException {
    TensorInfo info = info(name);
    if (info.isReadable() && !info.type().isFloating()) {
      throw new IOException(about(name) + " must hold floats, but is " + info.kind());
    }
    NDArray values = read(name, manager);
    if (values.getDataType() == DataType.FLOAT32) {
      return values;
    }
    try (values) {
      return values.toType(DataType.FLOAT32, false);
    }
  }

  /**
   * Reads a tensor into an array that is there. If it has the type that {@link TensorInfo} says,
   * the values go from the file into the array's own memory, without a copy between; otherwise they
   * are converted as {@link NDArray#toType} does.
   *
   * @param name one of {@link #tensors}
   * @param target receives the values; its gradients may not be recorded meanwhile
   * @throws IllegalArgumentException if there is no such tensor, or the array has another shape
   * @throws IOException if reading fails or the type cannot be read, naming file, tensor and type
   */
  void readInto(String name, NDArray target) throws IOException;

  /**
   * Maps tensors: arrays whose memory is pages of the file. Those that do not lie in it as arrays
   * have them are left out: other types than float32, float16 and bfloat16, and values at an odd
   * place. The file may be renamed, replaced by a rename or deleted meanwhile, but the process dies
   * when it uses what another one has cut off.
   *
   * @param shapes the shape that the array of each tensor is to have, of as many values, by the
   *     name of the tensor
   * @param manager owns the arrays, on the CPU
   * @return the arrays that could be mapped, by name; closing the last one ends the mapping
   * @throws IllegalArgumentException if there is no such tensor, or the manager is that of a GPU
   * @throws IOException if mapping fails, or files of this kind cannot be mapped
   */
  default Map<String, MappedTensor> map(Map<String, Shape> shapes, NDManager manager)
      throws IOException {
    String first = shapes.keySet().stream().findFirst().map(this::about).orElse("a tensor");
    throw new IOException(
        first
            + " cannot be mapped, as those of safetensors files alone can be; convert the file, or"
            + " leave out mapped()");
  }

  /**
   * How messages name a tensor.
   *
   * @param name its name
   * @return its name and that of the file
   */
  String about(String name);

  /**
   * The tensors below a name, such as {@code ema.ema_model.model.}, and what else is there.
   *
   * @param prefix what the names begin with; they lose it
   * @return a view of this source, which closes it
   */
  default TensorSource under(String prefix) {
    return new PrefixedTensors(this, prefix);
  }

  /**
   * Lets go of the file.
   *
   * @throws IOException if that fails
   */
  @Override
  void close() throws IOException;
}
