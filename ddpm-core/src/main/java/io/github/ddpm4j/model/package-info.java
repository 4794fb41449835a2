/** What a denoising network is to this library. */
@NullMarked
package io.github.ddpm4j.model;

import org.jspecify.annotations.NullMarked;
