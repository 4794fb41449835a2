/**
 * Small models that were trained with this library: {@link io.github.ddpm4j.models.Models} loads
 * them without a network.
 */
@NullMarked
package io.github.ddpm4j.models;

import org.jspecify.annotations.NullMarked;
