/** Python's pickles as torch writes them, read without running anything; not for users. */
@NullMarked
package io.github.ddpm4j.internal.pickle;

import org.jspecify.annotations.NullMarked;
