/** Counter-based random numbers: every stream is a function of a seed and two counters. */
@NullMarked
package io.github.ddpm4j.internal.random;

import org.jspecify.annotations.NullMarked;
