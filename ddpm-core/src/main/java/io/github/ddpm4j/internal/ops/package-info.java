/**
 * The interpreters of {@code spi.Ops}, and helpers that move numbers to the engine; not for users.
 */
@NullMarked
package io.github.ddpm4j.internal.ops;

import org.jspecify.annotations.NullMarked;
