/** How files of other libraries are read: their settings, and their names of weights. */
@NullMarked
package io.github.ddpm4j.unet.internal.peers;

import org.jspecify.annotations.NullMarked;
