/** Spring AI's image model over a sampling service. */
@NullMarked
package io.github.ddpm4j.springai;

import org.jspecify.annotations.NullMarked;
