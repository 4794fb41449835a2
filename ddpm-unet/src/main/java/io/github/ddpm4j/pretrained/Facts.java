package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.EstimateLimit.Thresholding;
import io.github.ddpm4j.internal.description.TunedFor;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedule;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * What a model is beside its network, and how its makers sample from it. Null where nobody says.
 *
 * @param schedule the noise schedule
 * @param prediction what the network predicts
 * @param variance the variance of the reverse process
 * @param range the range of images
 * @param clip whether x̂_0 is clipped to the range
 * @param thresholding in place of clipping
 * @param sampler the sampler for a number of steps
 * @param steps the usual number of steps
 */
record Facts(
    @Nullable Schedule schedule,
    @Nullable Prediction prediction,
    @Nullable Variance variance,
    @Nullable DataRange range,
    boolean clip,
    @Nullable Thresholding thresholding,
    @Nullable IntFunction<Sampler> sampler,
    int steps) {

  /** Nobody says anything. */
  static Facts none() {
    return new Facts(null, null, null, null, true, null, null, 0);
  }

  /** The same of a model as it was tuned: its makers' way to sample makes nothing of it then. */
  Facts tuned(DDPM ddpm) {
    return TunedFor.of(ddpm.metadata(), ddpm.provenance())
        .map(Samplers::parse)
        .map(
            sampler ->
                new Facts(
                    schedule,
                    prediction,
                    variance,
                    range,
                    clip,
                    thresholding,
                    Samplers::consistency,
                    2))
        .orElse(this);
  }
}
