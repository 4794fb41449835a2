/**
 * How good a model is: samples against real images, and the likelihood of images.
 *
 * <p>Statistics of features and the distances over them use ojAlgo's matrices, and nothing else in
 * this library does. An application on the module path that uses them adds one line to its {@code
 * module-info.java}; it brings {@code java.desktop} along:
 *
 * <pre>{@code
 * requires ojalgo;
 * }</pre>
 *
 * <p>Without it they end in a {@link NoClassDefFoundError} for a class of {@code org.ojalgo}. On
 * the class path there is nothing to add.
 */
@NullMarked
package io.github.ddpm4j.evaluation;

import org.jspecify.annotations.NullMarked;
