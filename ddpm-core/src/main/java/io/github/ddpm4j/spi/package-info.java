/**
 * What a sampler, a loss or a network of one's own is written against: operations, and the table
 * that a sampler is worked out as.
 */
@NullMarked
package io.github.ddpm4j.spi;

import org.jspecify.annotations.NullMarked;
