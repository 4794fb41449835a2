package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.schedule.Schedules;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompareSamplersTest {

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  /** A network that has learned nothing draws the same from the same noise as any other. */
  @BeforeEach
  void save() throws IOException {
    try (UNet unet = Quickstart.network().seed(1).build()) {
      DDPM.builder()
          .schedule(Schedules.cosine(6))
          .denoiser(unet)
          .build()
          .save(folder.resolve("model"));
    }
  }

  private int run(String... args) {
    return Mains.commandLine(new CompareSamplers())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(args);
  }

  @Test
  void compareSamplers_printsARowPerSamplerAndCalls_andWritesEverySeed() throws IOException {
    Path json = folder.resolve("figures.json");
    String[] args = {
      "--model",
      folder.resolve("model").toString(),
      "--samplers",
      "ddim; ddim, eta=1; heun; dpm++2m",
      "--calls",
      "3,6",
      "--images",
      "8",
      "--repeats",
      "2",
      "--seed",
      "5",
      "--json",
      json.toString()
    };
    assertThat(run(args)).as(err.toString()).isZero();
    List<String> lines = out.toString().lines().toList();
    assertThat(lines.get(0))
        .isEqualTo(
            "| calls | sampler     | MMD, share of noise's |     like real |     precision |"
                + "        recall | RMSE to the long chain |");
    assertThat(lines.stream().skip(2).map(line -> line.substring(2, 21).strip()))
        .containsExactly(
            "- | real images",
            "6 | ddim",
            "6 | ddpm",
            "3 | ddim",
            "3 | ddim, eta=1",
            "3 | heun",
            "3 | dpm++2m",
            "6 | ddim",
            "6 | ddim, eta=1",
            "5 | heun");
    // The chain that the others are measured against has no distance, nor has what adds noise.
    assertThat(lines.get(3)).endsWith(" - |");
    assertThat(lines.get(4)).endsWith(" - |");
    assertThat(lines.get(5)).doesNotEndWith(" - |");
    assertThat(lines.get(6)).endsWith(" - |");
    assertThat(lines.get(9)).endsWith(" 0.0000 |");
    assertThat(err.toString())
        .contains(
            "dpm++2m with 6 calls left out: steps must be less than the 6 timesteps with LINSPACE"
                + " spacing");
    JsonObject report = JsonParser.parseString(Files.readString(json)).getAsJsonObject();
    assertThat(report.getAsJsonObject("settings").getAsJsonArray("seeds").toString())
        .isEqualTo("[5,6]");
    assertThat(report.getAsJsonArray("rows")).hasSize(9);
    assertThat(report.getAsJsonArray("rows").get(2).getAsJsonObject().getAsJsonArray("judgements"))
        .hasSize(2);

    String first = out.toString();
    out.getBuffer().setLength(0);
    run(args);
    assertThat(out.toString()).isEqualTo(first);
  }

  @Test
  void compareSamplers_wrongOptions_endInOneLine() {
    String model = folder.resolve("model").toString();
    assertThat(run("--model", model, "--samplers", "ddim; best")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString())
        .startsWith("CompareSamplers: there is no sampler \"best\", in \"best\"; there are ddim, ");
    err.getBuffer().setLength(0);
    assertThat(run("--model", model, "--images", "501")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("CompareSamplers: --images must be from 4 to 500, but was 501");
    err.getBuffer().setLength(0);
    assertThat(run("--model", model, "--long-chain", "7")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("CompareSamplers: --long-chain must be from 1 to 6, but was 7");
    err.getBuffer().setLength(0);
    assertThat(run("--model", model + "2")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo(
            "CompareSamplers: "
                + model
                + "2 does not exist; run Quickstart first, or name another model with --model");
  }
}
