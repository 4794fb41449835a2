package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.training.Recomputation;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.util.Locale;

/** A way to run a network. */
enum Variant {
  /** By {@link PrimitiveOps}, with DJL's own update of each weight. */
  PRIMITIVES(Execution.EAGER, Precision.FLOAT32),
  /** The library's operations one by one. */
  EAGER_FLOAT32(Execution.EAGER, Precision.FLOAT32),
  /** As one program. */
  COMPILED_FLOAT32(Execution.COMPILED, Precision.FLOAT32),
  /** As one program that computes in bfloat16. */
  COMPILED_BFLOAT16(Execution.COMPILED, Precision.BFLOAT16),
  /** As one program that computes in float16, with a scaled loss in training. */
  COMPILED_FLOAT16(Execution.COMPILED, Precision.FLOAT16),
  /** The step of {@link #COMPILED_FLOAT32} with its blocks recomputed for the gradient. */
  RECOMPUTED_FLOAT32(Execution.COMPILED, Precision.FLOAT32),
  /** The step of {@link #COMPILED_BFLOAT16} with its blocks recomputed for the gradient. */
  RECOMPUTED_BFLOAT16(Execution.COMPILED, Precision.BFLOAT16);

  /** What the others are compared with. */
  static final Variant BASE = EAGER_FLOAT32;

  final Execution execution;
  final Precision precision;

  Variant(Execution execution, Precision precision) {
    this.execution = execution;
    this.precision = precision;
  }

  /** What training computes again; it changes nothing but the whole step. */
  Recomputation recomputation() {
    return name().startsWith("RECOMPUTED") ? Recomputation.everywhere() : Recomputation.none();
  }

  /** Whether it is measured unless others are asked for: processors take very long in float16. */
  boolean isUsual() {
    return recomputation().isNone() && precision != Precision.FLOAT16;
  }

  /** What the user calls it, such as {@code compiled-float32}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
