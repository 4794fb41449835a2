/** The checkpoints of a training run on disk. */
@NullMarked
package io.github.ddpm4j.internal.checkpoint;

import org.jspecify.annotations.NullMarked;
