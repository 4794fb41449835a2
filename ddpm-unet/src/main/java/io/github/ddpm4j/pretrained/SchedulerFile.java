package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.internal.description.EstimateLimit.Thresholding;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The {@code scheduler_config.json} of diffusers, with the defaults of version 0.35 by class for
 * what it does not say. Schedule, prediction, variance and clipping are facts about the model, of
 * which nothing unknown is let pass; the class and its options say how to sample, which is a
 * suggestion ({@link SuggestedSampler}).
 */
final class SchedulerFile {

  private static final List<String> ANCESTRAL_OR_HEUN =
      List.of("HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler");

  /** Classes whose networks, or whose noise, ours are not. */
  private static final Map<String, String> REFUSED =
      Map.ofEntries(
          Map.entry("LCMScheduler", "for distilled networks"),
          Map.entry("TCDScheduler", "for distilled networks"),
          Map.entry("EDMEulerScheduler", "for networks with the preconditioning of EDM"),
          Map.entry(
              "EDMDPMSolverMultistepScheduler", "for networks with the preconditioning of EDM"),
          Map.entry("KarrasVeScheduler", "of variance exploding"),
          Map.entry("ScoreSdeVeScheduler", "of variance exploding"),
          Map.entry("ScoreSdeVpScheduler", "of continuous time"),
          Map.entry("VQDiffusionScheduler", "for discrete images"),
          Map.entry("AmusedScheduler", "for discrete images"),
          Map.entry("UnCLIPScheduler", "of unCLIP"),
          Map.entry("RePaintScheduler", "for inpainting alone"),
          Map.entry("SCMScheduler", "for consistency models"),
          Map.entry("CMStochasticIterativeScheduler", "for consistency models"));

  private SchedulerFile() {}

  /**
   * Reads a file.
   *
   * @param file the file
   * @param given what the caller says, which goes before the file
   * @param stableDiffusion whether it lies in a pipeline of Stable Diffusion, which clips no x̂_0
   *     and has a steps_offset of 1 whatever the file says
   * @throws IOException if it says anything that this version does not know
   */
  static Facts read(Path file, boolean stableDiffusion, Given given) throws IOException {
    ConfigFile config = ConfigFile.read(file);
    String type = config.text("_class_name", "");
    requireClass(config, type);
    if (FlowScheduler.knows(type)) {
      return FlowScheduler.read(config, type, given);
    }
    Schedule schedule = schedule(config, type);
    Prediction prediction = prediction(config);
    Variance variance = variance(config, type, given);
    boolean clip = clip(config, type) && !stableDiffusion;
    Thresholding thresholding = thresholding(config);
    SuggestedSampler.Suggestion sampler =
        SuggestedSampler.read(config, type, schedule.timesteps(), stableDiffusion, given);
    requireNoFlow(config);
    config.ignore(
        "clip_predicted_image",
        "dynamic_thresholding_ratio",
        "eta",
        "sample_max_value",
        "tensor_format",
        "timestep_values",
        "variance_type",
        "clip_sample_range");
    config.requireAllSeen();
    return new Facts(
        schedule,
        prediction,
        variance,
        DataRange.DEFAULT,
        clip,
        thresholding,
        sampler.sampler(),
        sampler.steps());
  }

  private static void requireClass(ConfigFile config, String type) throws IOException {
    if (type.isEmpty()) {
      throw config.refused("_class_name", "the name of a scheduler");
    }
    String meaning = REFUSED.get(type);
    if (type.startsWith("CogVideoX")) {
      meaning = "of another process than this library's";
    }
    if (meaning == null && !SuggestedSampler.knows(type) && !FlowScheduler.knows(type)) {
      meaning = "a scheduler that is not known";
    }
    if (meaning != null) {
      throw config.unsupported("_class_name", meaning);
    }
  }

  private static Schedule schedule(ConfigFile config, String type) throws IOException {
    boolean later = ANCESTRAL_OR_HEUN.contains(type);
    int timesteps = config.integer("num_train_timesteps", 1000);
    double start = config.number("beta_start", later ? 0.00085 : 1e-4);
    double end = config.number("beta_end", later ? 0.012 : 0.02);
    String name = config.text("beta_schedule", "linear");
    try {
      Schedule schedule;
      if (config.has("trained_betas")) {
        double[] betas = config.numbers("trained_betas");
        if (config.has("num_train_timesteps") && betas.length != timesteps) {
          throw config.refused("num_train_timesteps", betas.length + ", as many as trained_betas");
        }
        schedule = Schedules.ofBetas(betas);
      } else {
        schedule =
            switch (name) {
              case "linear" -> Schedules.linear(timesteps, start, end);
              case "scaled_linear" -> Schedules.scaledLinear(timesteps, start, end);
              case "squaredcos_cap_v2" -> Schedules.cosine(timesteps);
              case "sigmoid" -> Schedules.sigmoidGeoDiff(timesteps, start, end);
              default -> throw config.unsupported("beta_schedule", "a schedule that is not known");
            };
      }
      return config.flag("rescale_betas_zero_snr", false)
          ? Schedules.zeroTerminalSnr(schedule)
          : schedule;
    } catch (IllegalArgumentException e) {
      throw new IOException(config.file() + " is not valid: " + e.getMessage(), e);
    }
  }

  private static Prediction prediction(ConfigFile config) throws IOException {
    boolean old = config.mentions("predict_epsilon") && !config.flag("predict_epsilon", true);
    String name = config.text("prediction_type", old ? "sample" : "epsilon");
    return switch (name) {
      case "epsilon" -> Prediction.EPSILON;
      case "sample", "original_sample" -> Prediction.X0;
      case "v_prediction" -> Prediction.VELOCITY;
      default -> throw config.unsupported("prediction_type", "a prediction that is not known");
    };
  }

  private static Variance variance(ConfigFile config, String type, Given given) throws IOException {
    if (!config.has("variance_type")) {
      if (!type.startsWith("DDPM")) {
        given.assume("variance FIXED_SMALL, which " + type + " does not need");
      }
      return Variance.FIXED_SMALL;
    }
    String name = config.text("variance_type", "");
    return switch (name) {
      case "fixed_small", "fixed_small_log" -> Variance.FIXED_SMALL;
      case "fixed_large" -> Variance.FIXED_LARGE;
      case "fixed_large_log" -> {
        given.assume("variance FIXED_LARGE for fixed_large_log, whose steps are NaN in diffusers");
        yield Variance.FIXED_LARGE;
      }
      case "learned" -> Variance.LEARNED;
      case "learned_range" -> Variance.LEARNED_RANGE;
      default -> throw config.unsupported("variance_type", "a variance that is not known");
    };
  }

  private static boolean clip(ConfigFile config, String type) throws IOException {
    boolean byDefault = type.startsWith("DDPM") || type.startsWith("DDIM");
    boolean clips = byDefault || type.equals("HeunDiscreteScheduler");
    boolean clip = clips && config.flag("clip_sample", byDefault);
    config.ignore("clip_sample");
    double range = config.number("clip_sample_range", 1);
    if (clip && range != 1) {
      throw config.unsupported("clip_sample_range", "where estimates beyond [-1, 1] are kept");
    }
    return clip;
  }

  private static @Nullable Thresholding thresholding(ConfigFile config) throws IOException {
    if (!config.flag("thresholding", false)) {
      return null;
    }
    return new Thresholding(
        config.number("dynamic_thresholding_ratio", 0.995), config.number("sample_max_value", 1));
  }

  private static void requireNoFlow(ConfigFile config) throws IOException {
    for (String key : List.of("use_flow_sigmas", "use_dynamic_shifting")) {
      config.requireOnly(
          key, false, "as flow matching has, which is read of FlowMatch schedulers alone");
    }
    config.ignore("flow_shift", "time_shift_type");
  }
}
