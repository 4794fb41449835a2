/** Counter-based noise: randomness as an explicit argument. */
@NullMarked
package io.github.ddpm4j.noise;

import org.jspecify.annotations.NullMarked;
