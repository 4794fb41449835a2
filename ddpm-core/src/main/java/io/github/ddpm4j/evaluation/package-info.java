/**
 * Evaluation of models: sample quality against real images, and likelihood.
 *
 * <p>Feature statistics and the distances based on them use ojAlgo's matrices, as does {@link
 * io.github.ddpm4j.PostHocEma#at(double)}; nothing else in this library does. An application on the
 * module path that uses them adds one line to its {@code module-info.java}, which also brings in
 * {@code java.desktop}:
 *
 * <pre>{@code
 * requires ojalgo;
 * }</pre>
 *
 * <p>Otherwise they throw a {@link NoClassDefFoundError} for a class of {@code org.ojalgo}. On the
 * class path nothing needs to be added.
 */
@NullMarked
package io.github.ddpm4j.evaluation;

import org.jspecify.annotations.NullMarked;
