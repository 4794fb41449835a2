/** The training loop. */
@NullMarked
package io.github.ddpm4j.training;

import org.jspecify.annotations.NullMarked;
