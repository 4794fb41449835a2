/** Judging generated images against real ones. */
@NullMarked
package io.github.ddpm4j.examples.judge;

import org.jspecify.annotations.NullMarked;
