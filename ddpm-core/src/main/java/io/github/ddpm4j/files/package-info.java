/** Files and folders that are there whole or not at all; not for users. */
@NullMarked
package io.github.ddpm4j.files;

import org.jspecify.annotations.NullMarked;
