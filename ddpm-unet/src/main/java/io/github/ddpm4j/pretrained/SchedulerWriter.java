package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.internal.description.EstimateLimit;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.ProbabilityPath;
import io.github.ddpm4j.schedule.Schedule;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** A schedule, prediction and variance as the {@code scheduler_config.json} of DDPMScheduler. */
final class SchedulerWriter {

  private SchedulerWriter() {}

  static Map<String, @Nullable Object> write(DDPM ddpm, String version) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    Schedule schedule = ddpm.schedule();
    if (schedule.path() != ProbabilityPath.VARIANCE_PRESERVING) {
      throw new IllegalArgumentException(
          "diffusers' DDPMScheduler has no schedule of flow matching, but the model's is "
              + schedule
              + "; save the model by save(folder)");
    }
    map.put("_class_name", "DDPMScheduler");
    map.put("_diffusers_version", version);
    Map<String, Object> words = schedule.describe();
    String type = String.valueOf(words.get("type"));
    @Nullable String name =
        switch (type) {
          case "linear" -> "linear";
          case "scaledLinear" -> "scaled_linear";
          default -> null;
        };
    map.put("beta_end", name == null ? 0.02 : words.get("betaEnd"));
    map.put("beta_schedule", name == null ? "linear" : name);
    map.put("beta_start", name == null ? 1e-4 : words.get("betaStart"));
    EstimateLimit limit = EstimateLimit.of(ddpm.metadata());
    EstimateLimit.Thresholding thresholding = limit.thresholding();
    map.put("clip_sample", limit.clip() && thresholding == null);
    map.put("clip_sample_range", 1.0);
    map.put("dynamic_thresholding_ratio", thresholding == null ? 0.995 : thresholding.share());
    map.put("num_train_timesteps", schedule.timesteps());
    map.put("prediction_type", prediction(ddpm.prediction()));
    map.put("rescale_betas_zero_snr", false);
    map.put("sample_max_value", thresholding == null ? 1.0 : thresholding.greatest());
    map.put("steps_offset", 0);
    map.put("thresholding", thresholding != null);
    map.put("timestep_spacing", "leading");
    // A table says any schedule, to the last digit.
    map.put(
        "trained_betas",
        name == null
            ? IntStream.range(0, schedule.timesteps()).mapToObj(schedule::beta).toList()
            : null);
    map.put(
        "variance_type",
        switch (ddpm.variance()) {
          case FIXED_SMALL -> "fixed_small";
          case FIXED_LARGE -> "fixed_large";
          case LEARNED -> "learned";
          case LEARNED_RANGE -> "learned_range";
        });
    return map;
  }

  private static String prediction(Prediction prediction) {
    if (prediction == Prediction.EPSILON) {
      return "epsilon";
    }
    if (prediction == Prediction.X0) {
      return "sample";
    }
    if (prediction == Prediction.VELOCITY) {
      return "v_prediction";
    }
    throw new IllegalArgumentException(
        "diffusers' DDPMScheduler has no prediction "
            + prediction
            + ", only "
            + List.of(Prediction.EPSILON, Prediction.X0, Prediction.VELOCITY)
            + "; save the model by save(folder)");
  }
}
