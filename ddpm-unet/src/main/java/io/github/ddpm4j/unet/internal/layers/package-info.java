/**
 * What networks are made of, written against {@link io.github.ddpm4j.spi.Ops}: layers with weights,
 * and the blocks that the U-Net and autoencoders share. Nothing here holds a weight: layers name
 * and shape those they need.
 */
@NullMarked
package io.github.ddpm4j.unet.internal.layers;

import org.jspecify.annotations.NullMarked;
