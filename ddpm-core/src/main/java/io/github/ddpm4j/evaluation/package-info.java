/** How good a model is: samples against real images, and the likelihood of images. */
@NullMarked
package io.github.ddpm4j.evaluation;

import org.jspecify.annotations.NullMarked;
