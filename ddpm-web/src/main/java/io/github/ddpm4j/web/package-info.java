/** A page to draw on, over a sampling service. */
@NullMarked
package io.github.ddpm4j.web;

import org.jspecify.annotations.NullMarked;
