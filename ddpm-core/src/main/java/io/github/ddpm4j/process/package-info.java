/** The forward (noising) process and its posterior. */
@NullMarked
package io.github.ddpm4j.process;

import org.jspecify.annotations.NullMarked;
