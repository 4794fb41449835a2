/** What the module must show to the programs of this project, but not to users: not exported. */
@NullMarked
package io.github.ddpm4j.report.internal;

import org.jspecify.annotations.NullMarked;
