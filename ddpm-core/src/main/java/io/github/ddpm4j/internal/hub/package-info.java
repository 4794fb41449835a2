/** Models by name: the cache of Hugging Face on this machine, and what fills it; not for users. */
@NullMarked
package io.github.ddpm4j.internal.hub;

import org.jspecify.annotations.NullMarked;
