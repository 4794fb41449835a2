package io.github.ddpm4j.internal.ops;

import java.util.Locale;

/** How images lie in memory while a program computes without gradients. */
public enum ImageLayout {

  /** As they are given: all of a channel together. */
  CHANNELS_FIRST,

  /**
   * All of a pixel together. Convolutions are faster then, but each of them first brings its
   * weights into the same order, in every call.
   */
  CHANNELS_LAST,

  /**
   * With the channels last in those layers that see enough pixels in a call for what that costs,
   * and else first. For networks whose layers see images of many sizes.
   */
  BY_SIZE;

  /** Of more pixels than this, layers of U-Nets were no slower with the channels last. */
  private static final int FEW_PIXELS = 4096;

  /** TorchScript's numbers for memory formats. */
  private static final int CONTIGUOUS = 0;

  private static final int LAST = 2;

  /** The memory format of images, as TorchScript. */
  String format(Script.Value images) {
    return switch (this) {
      case CHANNELS_FIRST -> "" + CONTIGUOUS;
      case CHANNELS_LAST -> "" + LAST;
      case BY_SIZE ->
          String.format(Locale.ROOT, "(%d if %s else %d)", LAST, manyPixels(images), CONTIGUOUS);
    };
  }

  /**
   * Images as a convolution takes them, as TorchScript; they are copied where they lie otherwise.
   */
  String convolved(String images) {
    return this == BY_SIZE
        ? String.format(
            Locale.ROOT,
            "torch.contiguous(%s, memory_format=%s)",
            images,
            format(new Script.Value(images)))
        : images;
  }

  private static String manyPixels(Script.Value images) {
    return ScriptOps.pixels(images) + " > " + FEW_PIXELS;
  }
}
