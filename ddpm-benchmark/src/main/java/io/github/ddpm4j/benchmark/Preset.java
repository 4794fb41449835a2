package io.github.ddpm4j.benchmark;

import io.github.ddpm4j.unet.UNetBuilder;
import java.util.function.Supplier;

/**
 * A network to measure.
 *
 * @param name what the user calls it
 * @param network makes its builder
 */
record Preset(String name, Supplier<UNetBuilder> network) {}
