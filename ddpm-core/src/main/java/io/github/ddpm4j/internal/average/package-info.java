/** Averages of weights whose profile is a power of the step, and least squares over them. */
@NullMarked
package io.github.ddpm4j.internal.average;

import org.jspecify.annotations.NullMarked;
