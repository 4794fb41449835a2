/**
 * Tensors to pictures and back.
 *
 * <p>Pictures are {@code java.awt.image.BufferedImage}s of the module {@code java.desktop}, which
 * the module of this library needs for this package alone and therefore asks for with {@code
 * requires static}. An application on the module path that turns samples into pictures or saves
 * them adds one line to its {@code module-info.java}, whether it names this package or only calls
 * {@link io.github.ddpm4j.sampling.Samples#images} or {@link
 * io.github.ddpm4j.sampling.Samples#saveGrid}:
 *
 * <pre>{@code
 * requires java.desktop;
 * }</pre>
 *
 * <p>Without it such a call ends in a {@link NoClassDefFoundError} for a class of {@code java.awt}.
 * On the class path there is nothing to add.
 */
@NullMarked
package io.github.ddpm4j.image;

import org.jspecify.annotations.NullMarked;
