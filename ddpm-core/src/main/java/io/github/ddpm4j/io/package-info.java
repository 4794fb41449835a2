/** Weights and model folders on disk. */
@NullMarked
package io.github.ddpm4j.io;

import org.jspecify.annotations.NullMarked;
