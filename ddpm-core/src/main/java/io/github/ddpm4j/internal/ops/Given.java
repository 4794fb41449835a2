package io.github.ddpm4j.internal.ops;

import ai.djl.ndarray.NDArray;
import ai.djl.util.NativeResource;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What callers give, themselves and by what they write. */
public final class Given {

  private Given() {}

  /**
   * An array that can be worked with.
   *
   * @param array what was given
   * @param name its name, for messages
   * @return the array
   * @throws NullPointerException if there is none
   * @throws IllegalStateException if it is closed
   */
  public static NDArray open(NDArray array, String name) {
    Objects.requireNonNull(array, name);
    if (array instanceof NativeResource<?> resource && resource.isReleased()) {
      throw new IllegalStateException(
          name + " is closed; give an array that stays open until the call returns");
    }
    return array;
  }

  /**
   * What an object or a function of the caller's has returned.
   *
   * @param value what it returned
   * @param what it, for messages
   * @param <T> what it returns
   * @return the value
   * @throws IllegalStateException if it is null
   */
  public static <T> T returned(@Nullable T value, String what) {
    if (value == null) {
      throw new IllegalStateException(what + " must return a value, but returned null");
    }
    return value;
  }
}
