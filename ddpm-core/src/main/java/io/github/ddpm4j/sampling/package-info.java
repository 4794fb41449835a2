/** Samplers, expressed as tables of steps, and the loop that executes them. */
@NullMarked
package io.github.ddpm4j.sampling;

import org.jspecify.annotations.NullMarked;
