/** The U-Net of Ho et al. 2020. */
@NullMarked
package io.github.ddpm4j.unet;

import org.jspecify.annotations.NullMarked;
