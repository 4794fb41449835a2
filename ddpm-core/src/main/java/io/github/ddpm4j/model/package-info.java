/** The interface between the library and its denoising networks. */
@NullMarked
package io.github.ddpm4j.model;

import org.jspecify.annotations.NullMarked;
