/** The terms of the variational bound; not for users. */
@NullMarked
package io.github.ddpm4j.internal.bound;

import org.jspecify.annotations.NullMarked;
