/** Samplers side by side: what they give for how many network calls. */
@NullMarked
package io.github.ddpm4j.examples.comparison;

import org.jspecify.annotations.NullMarked;
