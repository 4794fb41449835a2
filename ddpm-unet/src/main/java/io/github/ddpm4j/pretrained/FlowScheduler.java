package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.sampling.LevelSampler;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** The schedulers of flow matching among those of diffusers. */
final class FlowScheduler {

  private static final String EULER = "FlowMatchEulerDiscreteScheduler";
  private static final String HEUN = "FlowMatchHeunDiscreteScheduler";

  private static final int USUAL_STEPS = 50;

  private FlowScheduler() {}

  static boolean knows(String type) {
    return type.equals(EULER) || type.equals(HEUN);
  }

  /**
   * Reads what a class of scheduler says.
   *
   * @throws IOException if it says anything that this version does not know
   */
  static Facts read(ConfigFile config, String type, Given given) throws IOException {
    int timesteps = config.integer("num_train_timesteps", 1000);
    if (timesteps != (int) Prediction.FLOW_TIME_SCALE) {
      throw config.unsupported(
          "num_train_timesteps", "where networks are told another time than 1000 sigma");
    }
    config.requireOnly("use_dynamic_shifting", false, "where the shift depends on the size");
    config.requireOnly("invert_sigmas", false, "where images are at time 1");
    config.requireOnly("stochastic_sampling", false, "where all noise of a step is fresh");
    for (String key :
        new String[] {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"}) {
      config.requireOnly(key, false, "by which the times of a flow are spread otherwise");
    }
    if (config.has("shift_terminal")) {
      throw config.unsupported("shift_terminal", "where the last time is moved");
    }
    config.ignore(
        "base_image_seq_len", "base_shift", "max_image_seq_len", "max_shift", "time_shift_type");
    double shift = config.number("shift", Schedules.NO_SHIFT);
    Schedule schedule;
    try {
      schedule = Schedules.flow(timesteps, shift);
    } catch (IllegalArgumentException e) {
      throw new IOException(config.file() + " is not valid: " + e.getMessage(), e);
    }
    config.requireAllSeen();
    given.assume("variance FIXED_SMALL, which " + type + " does not need");
    IntFunction<LevelSampler> sampler = type.equals(HEUN) ? Samplers::heun : Samplers::euler;
    return new Facts(
        schedule,
        Prediction.FLOW,
        Variance.FIXED_SMALL,
        DataRange.DEFAULT,
        false,
        null,
        steps -> spaced(sampler.apply(steps), schedule, steps),
        USUAL_STEPS);
  }

  /**
   * The timesteps nearest to diffusers' times. Those are spread evenly from 1 to the least time of
   * training, which is shifted already, and are shifted then.
   */
  private static Sampler spaced(LevelSampler sampler, Schedule schedule, int steps) {
    int timesteps = schedule.timesteps();
    double least = timesteps * schedule.noise(0) - 1;
    if (least == 0 || steps == 1) {
      return sampler.spacing(steps == 1 ? TimestepSpacing.TRAILING : TimestepSpacing.LINSPACE);
    }
    double stride = (timesteps - 1 - least) / (steps - 1);
    return sampler.timesteps(
        IntStream.range(0, steps)
            .map(i -> (int) Math.max(0, Math.rint(timesteps - 1 - i * stride)))
            .distinct()
            .toArray());
  }
}
