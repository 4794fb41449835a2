/**
 * Conversion between tensors and pictures.
 *
 * <p>Pictures are {@code java.awt.image.BufferedImage}s from the module {@code java.desktop}, which
 * this library needs only for this package and therefore declares as {@code requires static}. An
 * application on the module path that converts samples to pictures or saves them adds one line to
 * its {@code module-info.java}, whether it uses this package directly or only calls {@link
 * io.github.ddpm4j.sampling.Samples#images} or {@link io.github.ddpm4j.sampling.Samples#saveGrid}:
 *
 * <pre>{@code
 * requires java.desktop;
 * }</pre>
 *
 * <p>Otherwise such a call throws a {@link NoClassDefFoundError} for a class of {@code java.awt}.
 * On the class path nothing needs to be added.
 */
@NullMarked
package io.github.ddpm4j.image;

import org.jspecify.annotations.NullMarked;
