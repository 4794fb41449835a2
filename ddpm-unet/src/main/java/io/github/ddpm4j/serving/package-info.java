/** Models behind DJL's Criteria and DJL Serving. */
@NullMarked
package io.github.ddpm4j.serving;

import org.jspecify.annotations.NullMarked;
