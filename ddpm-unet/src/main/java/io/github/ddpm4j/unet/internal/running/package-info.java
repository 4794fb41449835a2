/** How networks hold their weights, are executed, and are shared between threads. */
@NullMarked
package io.github.ddpm4j.unet.internal.running;

import org.jspecify.annotations.NullMarked;
