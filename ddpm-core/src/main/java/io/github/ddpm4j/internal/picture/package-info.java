/** Picture files and what their samples mean; not for users. */
@NullMarked
package io.github.ddpm4j.internal.picture;

import org.jspecify.annotations.NullMarked;
