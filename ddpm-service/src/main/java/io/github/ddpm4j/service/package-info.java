/** Serves samples to many callers: a queue, a worker that batches by the step, and figures. */
@NullMarked
package io.github.ddpm4j.service;

import org.jspecify.annotations.NullMarked;
