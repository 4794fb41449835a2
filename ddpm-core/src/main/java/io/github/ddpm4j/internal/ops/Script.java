package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.types.DataType;
import java.util.Locale;

/**
 * The body of a TorchScript method while it is written: a list of statements, most of which give a
 * name to the value of an expression.
 *
 * <p>No name is used twice, and the interpreter of libtorch lets go of a value after its last use.
 * Not thread-safe.
 */
public final class Script {

  private static final String INDENT = "    ";

  private final StringBuilder body = new StringBuilder();
  private int values;

  /**
   * Something that the method can refer to.
   *
   * @param name an argument of the method, or a name that {@link #let} gave
   */
  public record Value(String name) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** What a network computes in. */
  public enum Type {
    /** 32 bits throughout. */
    FLOAT32(6, Float.MAX_VALUE),
    /** 16 bits with float32's range: weights and inputs are float32 and converted inside. */
    BFLOAT16(15, 0x1.fep127),
    /** 16 bits with a range of its own, up to 65504; converted as {@link #BFLOAT16} is. */
    FLOAT16(5, 65504);

    private final int code;
    private final double greatest;

    Type(int code, double greatest) {
      this.code = code;
      this.greatest = greatest;
    }

    /**
     * The type of DJL's name.
     *
     * @param type FLOAT32, BFLOAT16 or FLOAT16
     * @return the type
     * @throws IllegalArgumentException if it is another
     */
    public static Type of(DataType type) {
      return switch (type) {
        case FLOAT32 -> FLOAT32;
        case BFLOAT16 -> BFLOAT16;
        case FLOAT16 -> FLOAT16;
        default ->
            throw new IllegalArgumentException(
                "networks compute in FLOAT32, BFLOAT16 or FLOAT16, but not in " + type);
      };
    }

    /**
     * The number that TorchScript knows the type by.
     *
     * @return the number
     */
    public int code() {
      return code;
    }

    /** The greatest finite number. */
    double greatest() {
      return greatest;
    }
  }

  /**
   * Gives a name to the value of an expression.
   *
   * @param expression TorchScript, into which the arguments are formatted
   * @param arguments values, numbers or text
   * @return the value
   */
  @SuppressWarnings("AnnotateFormatMethod")
  public Value let(String expression, Object... arguments) {
    Value value = new Value("v" + values++);
    run("%s = %s", value, String.format(Locale.ROOT, expression, arguments));
    return value;
  }

  /**
   * Adds a statement.
   *
   * @param statement TorchScript, into which the arguments are formatted
   * @param arguments values, numbers or text
   */
  @SuppressWarnings("AnnotateFormatMethod")
  public void run(String statement, Object... arguments) {
    body.append(INDENT).append(String.format(Locale.ROOT, statement, arguments)).append('\n');
  }

  /** How much was written. */
  int length() {
    return body.length();
  }

  /** What was written since then. */
  String since(int length) {
    return body.substring(length);
  }

  /**
   * The method as it stands.
   *
   * @param name its name
   * @param arguments its arguments and their types, after {@code self}
   * @param type the type of the result
   * @param result the expression that it returns
   * @return the text, as {@link io.github.ddpm4j.internal.torch.Program#compile} takes it
   */
  public String method(String name, String arguments, String type, Object result) {
    return "  def " + name + "(self, " + arguments + ") -> " + type + ":\n" + body + INDENT
        + "return " + result + "\n";
  }
}
