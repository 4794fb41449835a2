package io.github.ddpm4j.unet.internal.running;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import io.github.ddpm4j.internal.ops.Script;
import io.github.ddpm4j.internal.ops.Script.Value;
import io.github.ddpm4j.internal.torch.Program;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.List;
import java.util.Locale;

/**
 * What the weights of a network are held in. In 16 bits they take half the memory; a program widens
 * each where it is used, to what it computes in, and frees that at once. Vectors, such as those of
 * norms, stay float32.
 *
 * <p>DJL's arrays know no bfloat16: asking one that holds it for its type or values ends the
 * process. So nobody but programs may see arrays that are held in 16 bits.
 */
public enum Holding {
  /** As they are computed with. */
  FLOAT32,

  /** Rounded to 8 bits of mantissa. */
  BFLOAT16,

  /** Rounded to 11 bits of mantissa, up to 65504. */
  FLOAT16;

  private static final String NARROW = "narrow";
  private static final String WIDEN = "widen";
  private static final String OWN = "own";

  /**
   * What a precision is for weights that are held.
   *
   * @param precision any but AUTO
   * @return the same
   * @throws IllegalArgumentException if it is AUTO
   */
  public static Holding of(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> FLOAT32;
      case BFLOAT16 -> BFLOAT16;
      case FLOAT16 -> FLOAT16;
      case AUTO ->
          throw new IllegalArgumentException(
              "weights must be held in FLOAT32, BFLOAT16 or FLOAT16, but was AUTO");
    };
  }

  /**
   * What a file holds a tensor in, for weights that are pages of it.
   *
   * @param type FLOAT32, FLOAT16 or BFLOAT16
   * @return the same
   * @throws IllegalArgumentException if it is another type
   */
  public static Holding of(DataType type) {
    return switch (type) {
      case FLOAT32 -> FLOAT32;
      case BFLOAT16 -> BFLOAT16;
      case FLOAT16 -> FLOAT16;
      default -> throw new IllegalArgumentException("weights are not held in " + type);
    };
  }

  /**
   * Whether a weight is held so, and not in float32.
   *
   * @param shape that of the weight
   * @return whether it is
   */
  public boolean holds(Shape shape) {
    return this != FLOAT32 && shape.dimension() > 1;
  }

  /** The conversions between what is held and float32. */
  private String code() {
    Script.Type held =
        switch (this) {
          case FLOAT32 -> Script.Type.FLOAT32;
          case BFLOAT16 -> Script.Type.BFLOAT16;
          case FLOAT16 -> Script.Type.FLOAT16;
        };
    return String.format(
        Locale.ROOT,
        """
          def narrow(self, x: Tensor) -> Tensor:
            return torch.to(x, %d)
          def widen(self, x: Tensor) -> Tensor:
            return torch.to(x, %d)
          def own(self, x: Tensor) -> Tensor:
            return torch.to(x, %d, False, True)
        """,
        held.code(),
        Script.Type.FLOAT32.code(),
        Script.Type.FLOAT32.code());
  }

  /** Converts arrays, many with one program. */
  public final class Converter implements AutoCloseable {
    private final Program program = Program.compile(code());

    private Converter() {}

    /**
     * Rounds a weight.
     *
     * @param weight float32
     * @return what is held, attached to its manager; nobody may ask for its type or values
     */
    public NDArray narrowed(NDArray weight) {
      return program.call(NARROW, weight, List.of()).head();
    }

    /**
     * The values of what is held.
     *
     * @param held from {@link #narrowed}
     * @return float32, attached to its manager
     */
    public NDArray widened(NDArray held) {
      return program.call(WIDEN, held, List.of()).head();
    }

    /**
     * The values of pages of a file.
     *
     * @param page a weight that was mapped, of any type
     * @return float32 in memory of its own, attached to the manager of the page
     */
    public NDArray copied(NDArray page) {
      return program.call(OWN, page, List.of()).head();
    }

    /**
     * Rounds the weight of a block, in its place.
     *
     * @param parameter that of the weight, float32, which only programs may use from now on; a
     *     vector stays as it is
     */
    public void hold(Parameter parameter) {
      NDArray own = parameter.getArray();
      if (holds(own.getShape())) {
        replace(parameter, narrowed(own));
      }
    }

    /**
     * Widens the weight of a block, in its place.
     *
     * @param parameter that of a weight that {@link #hold} rounded
     */
    public void release(Parameter parameter) {
      NDArray own = parameter.getArray();
      if (holds(own.getShape())) {
        replace(parameter, widened(own));
      }
    }

    /**
     * Copies the weight of a block out of its file, in its place.
     *
     * @param parameter that of a weight that was mapped
     */
    public void own(Parameter parameter) {
      replace(parameter, copied(parameter.getArray()));
    }

    @Override
    public void close() {
      program.close();
    }
  }

  /**
   * Puts an array into the place of a block's, which is freed.
   *
   * @param parameter that of the weight
   * @param by attached to the manager of the weights
   */
  public static void replace(Parameter parameter, NDArray by) {
    NDManager manager = parameter.getArray().getManager();
    NDScope.unregister(by);
    parameter.close(); // frees the array, too
    parameter.setInitializer((owner, shape, type) -> by);
    parameter.initialize(manager, DataType.FLOAT32);
  }

  /**
   * What converts between this and float32.
   *
   * @return it; closed by the caller
   */
  public Converter converter() {
    return new Converter();
  }

  /**
   * A weight of a program's arguments as it computes with it.
   *
   * @param argument how the program calls the weight
   * @param shape that of the weight
   * @param type what the program computes in
   * @return float32, or what the program computes in
   */
  public Value value(String argument, Shape shape, Script.Type type) {
    if (!holds(shape)) {
      return new Value(argument);
    }
    boolean same =
        (this == BFLOAT16 && type == Script.Type.BFLOAT16)
            || (this == FLOAT16 && type == Script.Type.FLOAT16);
    return new Value(
        same ? argument : "torch.to(" + argument + ", " + Script.Type.FLOAT32.code() + ")");
  }
}
