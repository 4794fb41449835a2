/** Reports on runs: progress, pages, plots and tables of pictures. */
@NullMarked
package io.github.ddpm4j.report;

import org.jspecify.annotations.NullMarked;
