/** Readers of descriptions, with complaints that name what is wrong; not for users. */
@NullMarked
package io.github.ddpm4j.internal.description;

import org.jspecify.annotations.NullMarked;
