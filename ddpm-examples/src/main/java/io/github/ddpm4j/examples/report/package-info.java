/** What a run leaves to look at: a plot of the loss and a page. */
@NullMarked
package io.github.ddpm4j.examples.report;

import org.jspecify.annotations.NullMarked;
