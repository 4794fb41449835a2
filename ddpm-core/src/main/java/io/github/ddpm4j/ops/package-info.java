/** The operations that networks and losses are written against. */
@NullMarked
package io.github.ddpm4j.ops;

import org.jspecify.annotations.NullMarked;
