package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Sampler;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.schedule.Level;
import io.github.ddpm4j.spi.SamplingPlan;
import io.github.ddpm4j.unet.UNet.Execution;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whole pipelines against what diffusers made of the same folders, step by step. */
class PipelinesTest {

  private final NDManager manager = NDManager.newBaseManager();

  @AfterEach
  void close() {
    manager.close();
  }

  private static TextToImage load(String name, Execution execution) throws IOException {
    return TextToImage.load(PipelineFixture.DATA.resolve(name)).runAs(execution, Precision.FLOAT32);
  }

  private static Drawing prompted(TextToImage model, boolean negatives) {
    Drawing drawing = model.prompt(PipelineFixture.PROMPTS.toArray(new String[0]));
    return negatives
        ? drawing.negativePrompt(PipelineFixture.NEGATIVES.toArray(new String[0]))
        : drawing;
  }

  /** The tokens and contexts of prompts and of what stands for none. */
  private void assertText(TextToImage model, PipelineFixture fixture, boolean negatives) {
    int[][] ids =
        PipelineFixture.PROMPTS.stream().map(model.tokenizer()::encode).toArray(int[][]::new);
    int[][] without =
        PipelineFixture.NEGATIVES.stream()
            .map(text -> model.tokenizer().encode(negatives ? text : ""))
            .toArray(int[][]::new);
    assertThat(ids).isDeepEqualTo(fixture.ids("ids"));
    assertThat(without).isDeepEqualTo(fixture.ids("ids_uncond"));
    PipelineFixture.assertLatents(
        "context", model.textEncoder().encode(manager, ids), fixture.value("context"), 1);
    PipelineFixture.assertLatents(
        "context of none",
        model.textEncoder().encode(manager, without),
        fixture.value("context_uncond"),
        1);
  }

  /**
   * Takes a run step by step: latents after each, and the network's guided answer before it.
   *
   * @param exploding whether the fixture's latents are x_0 + σ ε, not divided by √(1 + σ²)
   */
  private void assertRun(
      LatentDiffusion model,
      Sampler sampler,
      SamplingRun run,
      PipelineFixture fixture,
      Condition guided,
      double scale,
      boolean exploding) {
    SamplingPlan plan = sampler.plan(model.ddpm().model().diffusion());
    int skipped = plan.steps().size() - fixture.steps();
    try (run) {
      assertThat(run.steps()).isEqualTo(fixture.steps());
      NDArray start = start(model, plan.steps().get(skipped).level(), fixture);
      for (int k = 0; k < fixture.steps(); k++) {
        Level level = plan.steps().get(skipped + k).level();
        // Of the fixture's own latents, since guidance magnifies what earlier steps rounded.
        NDArray x = k == 0 ? start : fixture.value("latents." + (k - 1));
        x = exploding && k > 0 ? x.mul(level.signal()) : x;
        assertGuided(model, level, x, guided, scale, fixture.value("guided." + k), k);
        SamplingRun.Event event = run.next();
        assertThat(event.timestep()).as("timestep %d", k).isEqualTo(fixture.timestep(k));
        Level after = plan.levelAfter(skipped + k);
        double factor = exploding ? 1 / after.signal() : 1;
        PipelineFixture.assertLatents(
            "latents " + k, event.x(), fixture.value("latents." + k), factor);
      }
      try (Samples samples = run.finish()) {
        fixture.assertPictures(samples.toNDArray(manager));
      }
    }
  }

  /** x before the first step: noise, or a noised picture. */
  private static NDArray start(LatentDiffusion model, Level level, PipelineFixture fixture) {
    if (fixture.values.containsKey("start")) {
      return fixture.value("start");
    }
    if (!fixture.values.containsKey("picture_uint8") || fixture.values.containsKey("mask_uint8")) {
      return fixture.value("draw.0");
    }
    try (Autoencoder.Latents latents = model.autoencoder().encode(fixture.pictures())) {
      return NoiseLevels.of(level, 2)
          .noised(latents.draw(fixture.value("draw.0")), fixture.value("draw.1"));
    }
  }

  private static void assertGuided(
      LatentDiffusion model,
      Level level,
      NDArray x,
      Condition condition,
      double scale,
      NDArray expected,
      int step) {
    NoiseLevels levels = NoiseLevels.of(level, 2);
    NDArray guided = model.ddpm().model().output(x, levels, condition);
    if (scale != 1) {
      NDArray without = model.ddpm().model().output(x, levels, condition.dropped());
      guided = without.add(guided.sub(without).mul(scale));
    }
    PipelineFixture.assertLatents("guided " + step, guided, expected, 1);
  }

  @ParameterizedTest
  @CsvSource({
    "ldm_text2im, 3, 6, false, COMPILED",
    "ldm_text2im, 3, 6, false, EAGER",
    "sd1, 4, 7.5, true, COMPILED",
    "sd2, 4, 7.5, true, COMPILED",
    "sd2, 4, 7.5, true, EAGER",
  })
  void generate_textFixture_asThere(
      String name, int steps, double guidance, boolean negatives, Execution execution)
      throws IOException {
    PipelineFixture fixture = PipelineFixture.read(name, "expected.safetensors", manager);
    try (TextToImage model = load(name, execution)) {
      assertText(model, fixture, negatives);
      SamplingRun run =
          prompted(model, negatives)
              .guidance(guidance)
              .steps(steps)
              .noise(fixture.noise("start", ""))
              .start(1);
      assertRun(
          model.latentDiffusion(),
          model.sampler(steps),
          run,
          fixture,
          Condition.contexts(fixture.value("context"), fixture.value("context_uncond")),
          guidance,
          false);
    }
  }

  @Test
  void generate_unconditionalFixture_asThere() throws IOException {
    PipelineFixture fixture =
        PipelineFixture.read("ldm_unconditional", "expected.safetensors", manager);
    try (LatentDiffusion model =
        LatentDiffusion.load(PipelineFixture.DATA.resolve("ldm_unconditional"))) {
      assertThat(model.autoencoder().scale()).isEqualTo(1);
      SamplingRun run = model.drawing().steps(4).noise(fixture.noise("draw.0", "")).start(2);
      assertRun(model, model.sampler(4), run, fixture, Condition.none(), 1, false);
      NDArray codes = model.autoencoder().codes(fixture.value("latents.3"));
      assertThat(codes.toLongArray())
          .isEqualTo(fixture.value("indices").toType(DataType.INT64, false).toLongArray());
    }
  }

  @Test
  void inpaint_fixture_asThere() throws IOException {
    PipelineFixture fixture = PipelineFixture.read("sd_inpaint", "expected.safetensors", manager);
    NDArray known = fixture.value("mask_uint8").neg().add(1);
    NDArray pictures = fixture.pictures();
    try (TextToImage model = load("sd_inpaint", Execution.COMPILED)) {
      assertText(model, fixture, true);
      SamplingRun run =
          prompted(model, true)
              .guidance(7.5)
              .steps(3)
              .noise(fixture.noise("draw.0", "draw.1"))
              .startInpainting(pictures, known);
      LatentDiffusion latent = model.latentDiffusion();
      KnownPart part = KnownPart.of(known, pictures, latent.autoencoder().factor());
      NDArray seen;
      try (Autoencoder.Latents latents =
          latent.autoencoder().encode(part.keptOf(manager, pictures))) {
        seen = latents.draw(fixture.value("draw.1"));
      }
      Condition condition =
          Condition.contexts(fixture.value("context"), fixture.value("context_uncond"))
              .and(Condition.images(part.unknown(manager).concat(seen, 1)).kept());
      assertRun(latent, model.sampler(3), run, fixture, condition, 7.5, true);
    }
  }

  @Test
  void imageToImage_fixture_asThere() throws IOException {
    PipelineFixture fixture = PipelineFixture.read("sd2", "expected_img2img.safetensors", manager);
    PipelineFixture text = PipelineFixture.read("sd2", "expected.safetensors", manager);
    try (TextToImage model = load("sd2", Execution.COMPILED)) {
      SamplingRun run =
          prompted(model, true)
              .guidance(7.5)
              .steps(8)
              .noise(fixture.noise("draw.1", "draw.0"))
              .startImageToImage(fixture.pictures(), 0.6);
      assertRun(
          model.latentDiffusion(),
          model.sampler(8),
          run,
          fixture,
          Condition.contexts(text.value("context"), text.value("context_uncond")),
          7.5,
          false);
    }
  }
}
