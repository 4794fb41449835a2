/** What the benchmark measures, and how. */
@NullMarked
package io.github.ddpm4j.benchmark;

import org.jspecify.annotations.NullMarked;
