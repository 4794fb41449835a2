/** The one set of checks for images and datasets; not for users. */
@NullMarked
package io.github.ddpm4j.internal.data;

import org.jspecify.annotations.NullMarked;
