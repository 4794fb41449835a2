/** The library's entry point, {@link io.github.ddpm4j.DDPM}. */
@NullMarked
package io.github.ddpm4j;

import org.jspecify.annotations.NullMarked;
