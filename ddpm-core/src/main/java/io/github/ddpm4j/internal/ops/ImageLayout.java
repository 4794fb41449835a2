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
   * With the channels last if a call has enough pixels for what that costs, and else first. For
   * networks that see their largest image at the entrance.
   */
  BY_SIZE;

  /** Of more pixels than this in a call, U-Nets were faster with the channels last. */
  private static final int FEW_PIXELS = 4096;

  /** TorchScript's numbers for memory formats. */
  private static final int CONTIGUOUS = 0;

  private static final int LAST = 2;

  /** The memory format of images that enter, as TorchScript. */
  String format(Script.Value images) {
    return switch (this) {
      case CHANNELS_FIRST -> "" + CONTIGUOUS;
      case CHANNELS_LAST -> "" + LAST;
      case BY_SIZE ->
          String.format(Locale.ROOT, "(%d if %s else %d)", LAST, manyPixels(images), CONTIGUOUS);
    };
  }

  private static String manyPixels(Script.Value images) {
    return ScriptOps.pixels(images) + " > " + FEW_PIXELS;
  }
}
