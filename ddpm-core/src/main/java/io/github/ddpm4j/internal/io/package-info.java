/** Weights and model folders on disk; not for users. */
@NullMarked
package io.github.ddpm4j.internal.io;

import org.jspecify.annotations.NullMarked;
