package io.github.ddpm4j.internal.training;

import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.training.LossHistory;
import io.github.ddpm4j.training.Validation;
import java.util.List;
import java.util.Map;

/**
 * What a training run leaves: the front door makes its result of it.
 *
 * @param raw the network that was trained, with its last weights; owned by who built it
 * @param averaged a network of its own with the averaged weights; owned by the result
 * @param losses the loss of every step
 * @param validations their results
 * @param seed the seed of the run
 * @param settings what the run was set to, in the words that a model file holds
 */
public record TrainingOutcome(
    TrainableDenoiser raw,
    TrainableDenoiser averaged,
    LossHistory losses,
    List<Validation.Result> validations,
    long seed,
    Map<String, Object> settings) {}
