/** Training objectives. */
@NullMarked
package io.github.ddpm4j.loss;

import org.jspecify.annotations.NullMarked;
