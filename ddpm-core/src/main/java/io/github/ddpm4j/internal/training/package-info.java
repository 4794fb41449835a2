/**
 * How a training run works: {@code TrainingLoop} is the algorithm, {@code Objective} the loss of a
 * batch, {@code Step} a step in its two forms; not for users.
 */
@NullMarked
package io.github.ddpm4j.internal.training;

import org.jspecify.annotations.NullMarked;
