/** Files that are there whole or not at all, and who may write them; not for users. */
@NullMarked
package io.github.ddpm4j.internal.files;

import org.jspecify.annotations.NullMarked;
