/** Samplers as tables, and the loop that executes them. */
@NullMarked
package io.github.ddpm4j.sampling;

import org.jspecify.annotations.NullMarked;
