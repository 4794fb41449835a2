/** How good samples are, in figures that say on how many samples they rest. */
@NullMarked
package io.github.ddpm4j.evaluation;

import org.jspecify.annotations.NullMarked;
