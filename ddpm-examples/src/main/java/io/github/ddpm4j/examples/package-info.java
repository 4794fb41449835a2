/** Runnable examples. */
@NullMarked
package io.github.ddpm4j.examples;

import org.jspecify.annotations.NullMarked;
