package io.github.ddpm4j.pretrained;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.ddpm4j.internal.description.EstimateLimit.Thresholding;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What diffusers' files of schedulers say, and what they leave to the defaults of their class. */
class SchedulerFileTest {

  @TempDir private Path folder;

  private final Given given = new Given(Pretrained.options());

  /** Single quotes for double ones. */
  private Facts read(String json) throws IOException {
    Path file = folder.resolve("scheduler_config.json");
    Files.writeString(file, json.replace('\'', '"'));
    return SchedulerFile.read(file, false, given);
  }

  private static Schedule schedule(Facts facts) {
    return Objects.requireNonNull(facts.schedule());
  }

  private static String sampler(Facts facts, int steps) {
    return Objects.requireNonNull(facts.sampler()).apply(steps).toString();
  }

  private static List<Double> timesteps(Facts facts, int steps) {
    Diffusion diffusion =
        new Diffusion(
            schedule(facts),
            Objects.requireNonNull(facts.prediction()),
            Objects.requireNonNull(facts.variance()),
            Objects.requireNonNull(facts.range()));
    return Objects.requireNonNull(facts.sampler()).apply(steps).plan(diffusion).steps().stream()
        .map(step -> step.level().timestep())
        .toList();
  }

  @Test
  void read_nothingButTheClass_itsDefaults() throws IOException {
    Facts facts = read("{'_class_name': 'DDPMScheduler'}");

    assertThat(schedule(facts).describe()).isEqualTo(Schedules.linear(1000).describe());
    assertThat(facts.prediction()).isEqualTo(Prediction.EPSILON);
    assertThat(facts.variance()).isEqualTo(Variance.FIXED_SMALL);
    assertThat(facts.clip()).isTrue();
    assertThat(facts.thresholding()).isNull();
    assertThat(facts.steps()).isEqualTo(1000);
    assertThat(timesteps(facts, 4)).containsExactly(750.0, 500.0, 250.0, 0.0);
    assertThat(given.assumed()).isEmpty();
  }

  /** That of google/ddpm-cifar10-32, with keys of 2022. */
  @Test
  void read_fileOfTheHub_itsModel() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'DDPMScheduler', '_diffusers_version': '0.1.1', 'beta_end': 0.02,"
                + " 'beta_schedule': 'linear', 'beta_start': 0.0001, 'clip_sample': true,"
                + " 'num_train_timesteps': 1000, 'trained_betas': null, 'variance_type':"
                + " 'fixed_large', 'tensor_format': 'pt', 'predict_epsilon': true}");

    assertThat(facts.variance()).isEqualTo(Variance.FIXED_LARGE);
    assertThat(facts.prediction()).isEqualTo(Prediction.EPSILON);
  }

  @Test
  void read_ddimOfStableDiffusion2_offsetAndEnd() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'DDIMScheduler', 'beta_schedule': 'scaled_linear', 'beta_start':"
                + " 0.00085, 'beta_end': 0.012, 'clip_sample': false, 'set_alpha_to_one': false,"
                + " 'steps_offset': 1, 'prediction_type': 'v_prediction', 'skip_prk_steps': true}");

    assertThat(schedule(facts).describe()).isEqualTo(Schedules.scaledLinear(1000).describe());
    assertThat(facts.prediction()).isEqualTo(Prediction.VELOCITY);
    assertThat(facts.clip()).isFalse();
    assertThat(facts.steps()).isEqualTo(50);
    assertThat(timesteps(facts, 4)).containsExactly(751.0, 501.0, 251.0, 1.0);
    assertThat(sampler(facts, 4)).endsWith(", rawEpsilon, endAtFirstTimestep");
    assertThatThrownBy(() -> sampler(facts, 1000))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "steps must be fewer than the 1000 timesteps where steps_offset is 1, but were 1000,"
                + " which asks for timestep 1000");
  }

  /** Diffusers' pipelines of Stable Diffusion rewrite what their schedulers say. */
  @Test
  void read_inStableDiffusion_offsetAndNoClipping() throws IOException {
    Path file = folder.resolve("scheduler_config.json");
    Files.writeString(file, "{\"_class_name\": \"DDIMScheduler\"}");
    Facts facts = SchedulerFile.read(file, true, given);

    assertThat(facts.clip()).isFalse();
    assertThat(timesteps(facts, 4)).containsExactly(751.0, 501.0, 251.0, 1.0);
    assertThat(given.assumed())
        .contains("steps_offset 1, as Stable Diffusion's pipelines have it whatever the file says");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "PNDMScheduler | plms, timesteps=751 501 251 1, endAtFirstTimestep",
        "EulerDiscreteScheduler | euler, timesteps=751 501 251 1",
        "EulerAncestralDiscreteScheduler | euler-a, timesteps=751 501 251 1",
        "HeunDiscreteScheduler | heun, timesteps=751 501 251 1",
        "DPMSolverMultistepScheduler | dpm++2m, timesteps=801 601 401 201",
        "UniPCMultistepScheduler | unipc, timesteps=801 601 401 201",
      })
  void read_leadingWithOffset_theList(String type, String sampler) throws IOException {
    Facts facts =
        read("{'_class_name': '" + type + "', 'timestep_spacing': 'leading', 'steps_offset': 1}");

    assertThat(sampler(facts, 4)).isEqualTo(sampler);
    assertThat(given.assumed()).noneMatch(line -> line.contains("steps_offset"));
  }

  @Test
  void read_oldKeysAndTables_asMeant() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'DDPMScheduler', 'predict_epsilon': false, 'trained_betas': [0.1, 0.2,"
                + " 0.3], 'variance_type': 'learned_range', 'thresholding': true,"
                + " 'dynamic_thresholding_ratio': 0.9, 'sample_max_value': 1.5}");

    assertThat(schedule(facts).describe()).isEqualTo(Schedules.ofBetas(0.1, 0.2, 0.3).describe());
    assertThat(facts.prediction()).isEqualTo(Prediction.X0);
    assertThat(facts.variance()).isEqualTo(Variance.LEARNED_RANGE);
    assertThat(facts.thresholding()).isEqualTo(new Thresholding(0.9, 1.5));
  }

  @Test
  void read_zeroTerminalSnr_asTheSchedule() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'DDIMScheduler', 'beta_schedule': 'squaredcos_cap_v2',"
                + " 'rescale_betas_zero_snr': true, 'prediction_type': 'sample',"
                + " 'timestep_spacing': 'trailing'}");

    assertThat(schedule(facts).describe())
        .isEqualTo(Schedules.zeroTerminalSnr(Schedules.cosine(1000)).describe());
    assertThat(timesteps(facts, 2)).containsExactly(999.0, 499.0);
  }

  /** Where classes differ in what they mean by the same silence. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "DDPMScheduler                   | 1.0E-4  | true  | 'ddpm:4, leading'",
        "DDPMParallelScheduler           | 1.0E-4  | true  | 'ddpm:4, leading'",
        "DDIMScheduler                   | 1.0E-4  | true  | 'ddim:4, leading, rawEpsilon'",
        "PNDMScheduler                   | 1.0E-4  | false | 'plms:4, leading, endAtFirstTimestep'",
        "EulerDiscreteScheduler          | 1.0E-4  | false | 'euler:4, linspace'",
        "EulerAncestralDiscreteScheduler | 1.0E-4  | false | 'euler-a:4, linspace'",
        "HeunDiscreteScheduler           | 8.5E-4  | false | 'heun:4, linspace'",
        "DPMSolverMultistepScheduler     | 1.0E-4  | false | 'dpm++2m:4, linspace'",
        "UniPCMultistepScheduler         | 1.0E-4  | false | 'unipc:4, linspace'",
        "KDPM2DiscreteScheduler          | 8.5E-4  | false | 'dpm++2m:4, linspace'",
        "DEISMultistepScheduler          | 1.0E-4  | false | 'dpm++2m:4, linspace'",
      })
  void read_class_itsOwnDefaults(String type, double start, boolean clip, String sampler)
      throws IOException {
    Facts facts = read("{'_class_name': '" + type + "'}");

    assertThat(schedule(facts).beta(0)).isEqualTo(start);
    assertThat(facts.clip()).isEqualTo(clip);
    assertThat(sampler(facts, 4)).isEqualTo(sampler);
  }

  @Test
  void read_solverOptions_asTheSampler() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'DPMSolverMultistepScheduler', 'solver_order': 3, 'algorithm_type':"
                + " 'sde-dpmsolver++', 'use_karras_sigmas': true, 'euler_at_final': true}");
    assertThat(sampler(facts, 9)).isEqualTo("dpm++3m-sde:9, karras, eulerAtFinal");
  }

  @Test
  void read_samplerThatOursAreNot_replacedAndSaid() throws IOException {
    read("{'_class_name': 'DPMSolverSinglestepScheduler', 'solver_order': 2}");

    assertThat(given.assumed())
        .containsExactly(
            "variance FIXED_SMALL, which DPMSolverSinglestepScheduler does not need",
            "the sampler DPM-Solver++ in place of DPMSolverSinglestepScheduler, which ours are not");
  }

  /** That of Stable Diffusion 3's kind, as diffusers 0.35 writes it. */
  @Test
  void read_flow_itsScheduleAndPrediction() throws IOException {
    Facts facts =
        read(
            "{'_class_name': 'FlowMatchEulerDiscreteScheduler', '_diffusers_version': '0.35.2',"
                + " 'base_image_seq_len': 256, 'base_shift': 0.5, 'invert_sigmas': false,"
                + " 'max_image_seq_len': 4096, 'max_shift': 1.15, 'num_train_timesteps': 1000,"
                + " 'shift': 3.0, 'shift_terminal': null, 'stochastic_sampling': false,"
                + " 'time_shift_type': 'exponential', 'use_beta_sigmas': false,"
                + " 'use_dynamic_shifting': false, 'use_exponential_sigmas': false,"
                + " 'use_karras_sigmas': false}");

    assertThat(schedule(facts).describe()).isEqualTo(Schedules.flow(1000, 3).describe());
    assertThat(facts.prediction()).isSameAs(Prediction.FLOW);
    assertThat(facts.clip()).isFalse();
    assertThat(facts.steps()).isEqualTo(50);
    assertThat(given.assumed())
        .containsExactly(
            "variance FIXED_SMALL, which FlowMatchEulerDiscreteScheduler does not need");
    assertThat(sampler(facts, 1)).isEqualTo("euler:1, trailing");
  }

  /** The sigmas that diffusers takes for 5 steps are those of make_flow.py. */
  @ParameterizedTest
  @CsvSource({
    "1.0, 1 0.75025 0.5005 0.25075 0.001",
    "3.0, 1 0.900359066427289 0.7511210762331838 0.5029850746268658 0.00892857142857143",
    "0.5, 1 0.6001600960576347 0.3335557038025351 0.1431022158684775 0.0002501876407305479"
  })
  void read_flow_stepsAreAtTheTimesOfDiffusers(double shift, String sigmas) throws IOException {
    for (String type :
        List.of("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")) {
      Facts facts = read("{'_class_name': '" + type + "', 'shift': " + shift + "}");
      String[] expected = sigmas.split(" ");
      List<Double> asked = timesteps(facts, 5).stream().distinct().toList();
      assertThat(asked).hasSize(5);
      for (int i = 0; i < 5; i++) {
        double sigma = Double.parseDouble(expected[i]);
        double place = 1000 * sigma / (sigma + shift * (1 - sigma)) - 1;
        assertThat(asked.get(i)).as("step %d of %s", i, type).isCloseTo(place, within(0.5001));
      }
    }
  }

  /** Facts about a model that are not known are never passed over. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{} | : \"_class_name\" must be the name of a scheduler, but was null",
        "{'_class_name': 'LCMScheduler'} | : \"_class_name\" is LCMScheduler, for distilled"
            + " networks, which this version does not load",
        "{'_class_name': 'CogVideoXDDIMScheduler'} | : \"_class_name\" is"
            + " CogVideoXDDIMScheduler, of another process than this library's, which this version"
            + " does not load",
        "{'_class_name': 'FlowMatchLCMScheduler'} | : \"_class_name\" is FlowMatchLCMScheduler, a"
            + " scheduler that is not known, which this version does not load",
        "{'_class_name': 'FlowMatchEulerDiscreteScheduler', 'use_dynamic_shifting': true} | :"
            + " \"use_dynamic_shifting\" is true, where the shift depends on the size, which this"
            + " version does not load",
        "{'_class_name': 'FlowMatchEulerDiscreteScheduler', 'shift_terminal': 0.1} | :"
            + " \"shift_terminal\" is 0.1, where the last time is moved, which this version does"
            + " not load",
        "{'_class_name': 'FlowMatchEulerDiscreteScheduler', 'invert_sigmas': true} | :"
            + " \"invert_sigmas\" is true, where images are at time 1, which this version does"
            + " not load",
        "{'_class_name': 'FlowMatchEulerDiscreteScheduler', 'stochastic_sampling': true} | :"
            + " \"stochastic_sampling\" is true, where all noise of a step is fresh, which this"
            + " version does not load",
        "{'_class_name': 'FlowMatchEulerDiscreteScheduler', 'use_beta_sigmas': true} | :"
            + " \"use_beta_sigmas\" is true, by which the times of a flow are spread otherwise,"
            + " which this version does not load",
        "{'_class_name': 'FlowMatchHeunDiscreteScheduler', 'num_train_timesteps': 500} | :"
            + " \"num_train_timesteps\" is 500, where networks are told another time than 1000"
            + " sigma, which this version does not load",
        "{'_class_name': 'FlowMatchHeunDiscreteScheduler', 'shift': 0} | ~ is not valid: shift"
            + " must be from 0.001 to 1000, but was 0.0; 1 spreads the times evenly, 3 suits images"
            + " of 1024x1024~",
        "{'_class_name': 'FlowMatchHeunDiscreteScheduler', 'beta_start': 0.1} | ~ has the unknown"
            + " setting \"beta_start\" with the value 0.1; what it would change is not known to this"
            + " version~",
        "{'_class_name': 'MyScheduler'} | : \"_class_name\" is MyScheduler, a scheduler that is"
            + " not known, which this version does not load",
        "{'_class_name': 'DDPMScheduler', 'prediction_type': 'flow_prediction'} | :"
            + " \"prediction_type\" is flow_prediction, a prediction that is not known, which this"
            + " version does not load",
        "{'_class_name': 'DDPMScheduler', 'beta_schedule': 'laplace'} | : \"beta_schedule\" is"
            + " laplace, a schedule that is not known, which this version does not load",
        "{'_class_name': 'DDPMScheduler', 'variance_type': 'other'} | : \"variance_type\" is"
            + " other, a variance that is not known, which this version does not load",
        "{'_class_name': 'DDPMScheduler', 'clip_sample_range': 2.0} | : \"clip_sample_range\" is"
            + " 2.0, where estimates beyond [-1, 1] are kept, which this version does not load",
        "{'_class_name': 'EulerDiscreteScheduler', 'use_flow_sigmas': true} | :"
            + " \"use_flow_sigmas\" is true, as flow matching has, which is read of FlowMatch"
            + " schedulers alone, which this version does not load",
        "{'_class_name': 'DDPMScheduler', 'timestep_spacing': 'random'} | :"
            + " \"timestep_spacing\" must be leading, linspace or trailing, but was random",
        "{'_class_name': 'DDPMScheduler', 'steps_offset': 7} | : \"steps_offset\" must be 0 or 1,"
            + " but was 7",
        "{'_class_name': 'DDPMScheduler', 'magic': 3} | ~ has the unknown setting \"magic\" with"
            + " the value 3; what it would change is not known to this version~",
        "{'_class_name': 'DDPMScheduler', 'beta_end': 2} | ~ is not valid: betaEnd must be above"
            + " 0 and below 1, but was 2.0; it is the variance of one noising step, such as 0.02~",
        "{'_class_name': 'DDPMScheduler', 'num_train_timesteps': 3, 'trained_betas': [0.1]} | :"
            + " \"num_train_timesteps\" must be 1, as many as trained_betas, but was 3",
      })
  void read_whatIsNotKnown_refused(String json, String message) {
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(IOException.class)
        .hasMessage(folder.resolve("scheduler_config.json") + message);
  }
}
