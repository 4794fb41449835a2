/** Tensors to pictures and back. */
@NullMarked
package io.github.ddpm4j.image;

import org.jspecify.annotations.NullMarked;
