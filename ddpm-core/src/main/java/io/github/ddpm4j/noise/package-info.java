/** Randomness as an argument: counter-based noise. */
@NullMarked
package io.github.ddpm4j.noise;

import org.jspecify.annotations.NullMarked;
