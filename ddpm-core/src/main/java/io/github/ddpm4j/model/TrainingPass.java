package io.github.ddpm4j.model;

/**
 * One forward pass of training, as far as randomness inside the network is concerned: the dropout
 * mask of a layer is a pure function of (seed, index, layer).
 *
 * @param seed the seed of the training run
 * @param index the number of the pass, counted from 0 over the whole run
 */
public record TrainingPass(long seed, long index) {}
