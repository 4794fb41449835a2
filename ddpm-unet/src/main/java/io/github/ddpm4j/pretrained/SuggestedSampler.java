package io.github.ddpm4j.pretrained;

import io.github.ddpm4j.sampling.DpmSolverSampler;
import io.github.ddpm4j.sampling.LevelSampler;
import io.github.ddpm4j.sampling.NoiseSpacing;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.UniPcSampler;
import io.github.ddpm4j.schedule.TimestepSpacing;
import io.github.ddpm4j.unet.internal.peers.ConfigFile;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.IntFunction;

/**
 * How a {@code scheduler_config.json} wants to be sampled. A scheduler that ours are not is
 * replaced by the nearest of ours, which is said.
 */
final class SuggestedSampler {

  private static final int USUAL_STEPS = 50;

  private static final Set<String> REPLACED =
      Set.of(
          "DPMSolverSinglestepScheduler",
          "DPMSolverSDEScheduler",
          "DEISMultistepScheduler",
          "LMSDiscreteScheduler",
          "KDPM2DiscreteScheduler",
          "KDPM2AncestralDiscreteScheduler",
          "SASolverScheduler",
          "IPNDMScheduler",
          "DDIMInverseScheduler");

  private static final Map<String, TimestepSpacing> SPACINGS =
      Map.of(
          "leading", TimestepSpacing.LEADING,
          "linspace", TimestepSpacing.LINSPACE,
          "trailing", TimestepSpacing.TRAILING);

  private static final List<String> LEADING =
      List.of(
          "DDPMScheduler",
          "DDPMParallelScheduler",
          "DDIMScheduler",
          "DDIMParallelScheduler",
          "PNDMScheduler");

  private static final List<String> LINSPACE =
      List.of(
          "EulerDiscreteScheduler",
          "EulerAncestralDiscreteScheduler",
          "HeunDiscreteScheduler",
          "DPMSolverMultistepScheduler",
          "UniPCMultistepScheduler");

  private SuggestedSampler() {}

  /**
   * A sampler for any number of steps.
   *
   * @param sampler the sampler
   * @param steps the number that diffusers' pipelines take unless told otherwise
   */
  record Suggestion(IntFunction<Sampler> sampler, int steps) {}

  /**
   * Where the steps of a sampler between levels stand.
   *
   * @param timesteps T
   * @param offset what is added to each timestep of {@code LEADING}
   */
  private record Places(TimestepSpacing spacing, int timesteps, int offset) {

    LevelSampler of(LevelSampler sampler, int steps) {
      return offset == 0
          ? sampler.spacing(spacing)
          : sampler.timesteps(shifted(timesteps, steps, offset));
    }

    DpmSolverSampler withoutFirst(DpmSolverSampler sampler, int steps) {
      return offset == 0 ? sampler.spacing(spacing) : sampler.timesteps(withoutFirst(steps));
    }

    UniPcSampler withoutFirst(UniPcSampler sampler, int steps) {
      return offset == 0 ? sampler.spacing(spacing) : sampler.timesteps(withoutFirst(steps));
    }

    /** Multistep solvers space one step more and leave out the last. */
    private int[] withoutFirst(int steps) {
      return Arrays.copyOf(shifted(timesteps, steps + 1, offset), steps);
    }
  }

  static boolean knows(String type) {
    return LEADING.contains(type) || LINSPACE.contains(type) || REPLACED.contains(type);
  }

  /** Reads what a class of scheduler says; {@code timesteps} is T. */
  static Suggestion read(
      ConfigFile config, String type, int timesteps, boolean stableDiffusion, Given given)
      throws IOException {
    TimestepSpacing spacing = spacing(config, type);
    boolean toOne = config.flag("set_alpha_to_one", !type.equals("PNDMScheduler"));
    int said = config.integer("steps_offset", 0);
    if (said < 0 || said > 1) {
      throw config.refused("steps_offset", "0 or 1");
    }
    boolean forced = stableDiffusion && said == 0 && spacing == TimestepSpacing.LEADING;
    if (forced) {
      given.assume(
          "steps_offset 1, as Stable Diffusion's pipelines have it whatever the file says");
    }
    int offset = forced ? 1 : said;
    boolean shifts = offset > 0 && spacing == TimestepSpacing.LEADING;
    Places places = new Places(spacing, timesteps, shifts ? offset : 0);
    IntFunction<Sampler> sampler =
        switch (type) {
          case "DDPMScheduler", "DDPMParallelScheduler" ->
              steps ->
                  shifts
                      ? Samplers.ddpm(steps).timesteps(shifted(timesteps, steps, offset))
                      : Samplers.ddpm(steps).spacing(spacing);
          case "DDIMScheduler", "DDIMParallelScheduler" ->
              steps ->
                  (shifts
                          ? Samplers.ddim(steps).timesteps(shifted(timesteps, steps, offset))
                          : Samplers.ddim(steps).spacing(spacing))
                      .rawEpsilon(true)
                      .endAtFirstTimestep(!toOne);
          case "PNDMScheduler" -> plms(config, places, toOne, given);
          case "EulerDiscreteScheduler" -> levels(config, places, Samplers::euler);
          case "EulerAncestralDiscreteScheduler" ->
              levels(config, places, Samplers::eulerAncestral);
          case "HeunDiscreteScheduler" -> levels(config, places, Samplers::heun);
          case "DPMSolverMultistepScheduler" -> dpm(config, places, given);
          case "UniPCMultistepScheduler" -> uniPc(config, places);
          default -> {
            given.assume("the sampler DPM-Solver++ in place of " + type + ", which ours are not");
            if (shifts) {
              given.assume("timesteps of the sampler without steps_offset " + offset);
            }
            config.ignore("solver_order", "algorithm_type", "solver_type", "lower_order_final");
            yield Samplers::dpmSolverPlusPlus;
          }
        };
    ignoreForeign(config);
    boolean whole = type.startsWith("DDPM");
    return new Suggestion(sampler, whole ? timesteps : Math.min(USUAL_STEPS, timesteps));
  }

  private static TimestepSpacing spacing(ConfigFile config, String type) throws IOException {
    String name = config.text("timestep_spacing", LEADING.contains(type) ? "leading" : "linspace");
    TimestepSpacing spacing = SPACINGS.get(name);
    if (spacing == null) {
      throw config.refused("timestep_spacing", "leading, linspace or trailing");
    }
    return spacing;
  }

  /** The timesteps of leading spacing, each later by an offset. */
  static int[] shifted(int timesteps, int steps, int offset) {
    int[] shifted = TimestepSpacing.LEADING.timesteps(timesteps, steps);
    Arrays.setAll(shifted, i -> shifted[i] + offset);
    if (shifted[0] >= timesteps) {
      throw new IllegalArgumentException(
          "steps must be fewer than the "
              + timesteps
              + " timesteps where steps_offset is "
              + offset
              + ", but were "
              + steps
              + ", which asks for timestep "
              + shifted[0]);
    }
    return shifted;
  }

  private static IntFunction<Sampler> plms(
      ConfigFile config, Places places, boolean toOne, Given given) throws IOException {
    if (!config.flag("skip_prk_steps", false)) {
      given.assume("the sampler PLMS without the steps of Runge and Kutta that PNDM starts with");
    }
    return steps -> places.of(Samplers.plms(steps), steps).endAtFirstTimestep(!toOne);
  }

  private static IntFunction<Sampler> levels(
      ConfigFile config, Places places, IntFunction<LevelSampler> sampler) throws IOException {
    boolean karras = config.flag("use_karras_sigmas", false);
    return steps ->
        karras
            ? sampler.apply(steps).spacing(NoiseSpacing.karras())
            : places.of(sampler.apply(steps), steps);
  }

  private static IntFunction<Sampler> dpm(ConfigFile config, Places places, Given given)
      throws IOException {
    String algorithm = config.text("algorithm_type", "dpmsolver++");
    boolean plusPlus = algorithm.endsWith("dpmsolver++");
    boolean stochastic = algorithm.startsWith("sde-");
    if (!List.of("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++")
        .contains(algorithm)) {
      throw config.refused("algorithm_type", "dpmsolver or dpmsolver++, with sde- or without");
    }
    if (stochastic && !plusPlus) {
      given.assume("the sampler SDE-DPM-Solver++ in place of sde-dpmsolver");
    }
    int order = config.integer("solver_order", 2);
    String type = config.text("solver_type", "midpoint");
    boolean heun = type.equals("heun");
    if (!heun && !List.of("midpoint", "logrho", "bh1", "bh2").contains(type)) {
      throw config.refused("solver_type", "midpoint or heun");
    }
    boolean lower = config.flag("lower_order_final", true);
    boolean euler = config.flag("euler_at_final", false);
    boolean karras = config.flag("use_karras_sigmas", false);
    BiFunction<DpmSolverSampler, Integer, DpmSolverSampler> options =
        (sampler, steps) -> {
          DpmSolverSampler chosen = sampler.order(order);
          chosen = heun && order == 2 ? chosen.heun(true) : chosen;
          chosen = stochastic ? chosen.stochastic(true) : chosen;
          chosen = lower ? chosen : chosen.lowerOrderFinal(false);
          chosen = euler ? chosen.eulerAtFinal(true) : chosen;
          return karras
              ? chosen.spacing(NoiseSpacing.karras())
              : places.withoutFirst(chosen, steps);
        };
    return steps ->
        options.apply(
            plusPlus || stochastic ? Samplers.dpmSolverPlusPlus(steps) : Samplers.dpmSolver(steps),
            steps);
  }

  private static IntFunction<Sampler> uniPc(ConfigFile config, Places places) throws IOException {
    int order = config.integer("solver_order", 2);
    boolean bh1 = config.text("solver_type", "bh2").equals("bh1");
    boolean lower = config.flag("lower_order_final", true);
    boolean karras = config.flag("use_karras_sigmas", false);
    return steps -> {
      UniPcSampler chosen = Samplers.uniPc(steps).order(order).bh1(bh1).lowerOrderFinal(lower);
      return karras ? chosen.spacing(NoiseSpacing.karras()) : places.withoutFirst(chosen, steps);
    };
  }

  /** Options of other solvers, which many files keep from the class that they had before. */
  private static void ignoreForeign(ConfigFile config) {
    config.ignore(
        "algorithm_type",
        "disable_corrector",
        "euler_at_final",
        "final_sigmas_type",
        "interpolation_type",
        "lambda_min_clipped",
        "lower_order_final",
        "predict_x0",
        "rho",
        "sigma_max",
        "sigma_min",
        "skip_prk_steps",
        "solver_order",
        "solver_p",
        "solver_type",
        "timestep_type",
        "use_beta_sigmas",
        "use_exponential_sigmas",
        "use_karras_sigmas",
        "use_lu_lambdas");
  }
}
