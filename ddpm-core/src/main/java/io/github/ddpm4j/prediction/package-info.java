/** What the network predicts, and the variance of the reverse process. */
@NullMarked
package io.github.ddpm4j.prediction;

import org.jspecify.annotations.NullMarked;
