/** What the module must show to Java, but not to users: not exported. */
@NullMarked
package io.github.ddpm4j.unet.internal;

import org.jspecify.annotations.NullMarked;
