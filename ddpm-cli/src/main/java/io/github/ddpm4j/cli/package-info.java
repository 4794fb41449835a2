/** The program {@code ddpm}: one class a command, and the options that several share. */
@NullMarked
package io.github.ddpm4j.cli;

import org.jspecify.annotations.NullMarked;
