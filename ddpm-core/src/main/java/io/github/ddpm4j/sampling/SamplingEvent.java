package io.github.ddpm4j.sampling;

import ai.djl.ndarray.NDArray;

/**
 * One step of one batch of a sampling run.
 *
 * @param firstImage the index in the run of the first image of the batch
 * @param step the step that was done, from 0
 * @param steps the number of steps of the plan
 * @param timestep what the network was asked about
 * @param x the images after the step, shape (N, C, H, W); owned by the run, read-only, valid during
 *     the call
 * @param predictedX0 the estimate x̂_0 of the step after clipping, same shape and ownership
 */
public record SamplingEvent(
    long firstImage, int step, int steps, double timestep, NDArray x, NDArray predictedX0) {}
