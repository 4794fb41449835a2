/** Mains that teach one thing each. They need nothing but the library's modules. */
@NullMarked
package io.github.ddpm4j.examples;

import org.jspecify.annotations.NullMarked;
