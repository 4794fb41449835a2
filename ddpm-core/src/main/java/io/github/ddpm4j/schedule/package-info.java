/** Noise schedules, in plain Java double arithmetic. */
@NullMarked
package io.github.ddpm4j.schedule;

import org.jspecify.annotations.NullMarked;
