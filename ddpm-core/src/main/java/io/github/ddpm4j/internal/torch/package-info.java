/** What only the PyTorch engine can do; not for users. */
@NullMarked
package io.github.ddpm4j.internal.torch;

import org.jspecify.annotations.NullMarked;
