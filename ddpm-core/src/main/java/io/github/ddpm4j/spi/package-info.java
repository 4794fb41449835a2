/**
 * The interfaces for custom samplers, losses and networks: the operations, and the table of steps
 * that a sampler produces.
 */
@NullMarked
package io.github.ddpm4j.spi;

import org.jspecify.annotations.NullMarked;
