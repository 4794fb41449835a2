/** The data of the examples: the bundled digits, and IDX files. */
@NullMarked
package io.github.ddpm4j.examples.data;

import org.jspecify.annotations.NullMarked;
