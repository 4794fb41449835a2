package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.Device;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** verify, and that its numbers are those of the library's tests. */
class VerifyCommandTest {

  private static final Path KNOWN = Path.of("src/main/resources/io/github/ddpm4j/cli");
  private static final Path GOLDEN = Path.of("../ddpm-core/src/test/resources/golden");
  private static final Path FIXTURES = Path.of("../ddpm-unet/src/test/resources/fixtures");

  private static JsonObject json(Path file) throws IOException {
    return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
  }

  private static JsonElement end(String file, String key) throws IOException {
    JsonObject one = json(GOLDEN.resolve(file)).getAsJsonObject(key);
    return one.getAsJsonObject("final").get("data");
  }

  @Test
  void verify_saysOfEachCheckHowItWent() {
    JsonObject json =
        JsonParser.parseString(Program.run("verify", "--json").good()).getAsJsonObject();
    assertThat(json.get("failed").getAsInt()).isZero();
    assertThat(json.getAsJsonArray("checks")).hasSize(8);
    assertThat(Program.run("verify", "--device", "gpu9").refused())
        .startsWith("verify: --device must be one that is here, but was gpu9");
  }

  @Test
  void check_tooFarOrNoNumber_isWrong() {
    assertThat(new Verification.Check("x", 1e-4, 1e-4).passed()).isTrue();
    assertThat(new Verification.Check("x", 1.1e-4, 1e-4).passed()).isFalse();
    assertThat(new Verification.Check("x", Double.NaN, 1e-4).passed()).isFalse();
    assertThat(Verification.difference(new double[] {1, Double.NaN}, new double[] {1, 2})).isNaN();
    assertThat(Verification.difference(new double[] {Double.NaN, 1}, new double[] {1, 1})).isNaN();
    assertThat(Verification.difference(new double[] {1, 2}, new double[] {1})).isInfinite();
    assertThat(Verification.difference(new double[] {0.5, 30}, new double[] {0.25, 10}))
        .isEqualTo(2);
  }

  @Test
  void verify_ofAWrongNumber_endsWith1_andSaysWhich() {
    StringWriter text = new StringWriter();
    PrintWriter out = new PrintWriter(text);
    int code =
        VerifyCommand.told(
            out,
            "cpu",
            false,
            List.of(
                new Verification.Check("one", 1e-9, 1e-4),
                new Verification.Check("another", 0.25, 1e-4)));
    assertThat(code).isEqualTo(1);
    assertThat(text.toString().lines().skip(1))
        .containsExactly(
            "good    1.0e-09 of 1.0e-04  one",
            "WRONG   2.5e-01 of 1.0e-04  another",
            "1 of 2 are wrong; results on this machine and device are not to be trusted");
  }

  /** {@code -Dddpm4j.rewrite=true} draws the pictures anew, for another model in the box. */
  @Test
  void numbers_areThoseOfTheLibrarysTests() throws IOException {
    assertThat(KNOWN.resolve("verify.safetensors"))
        .hasSameBinaryContentAs(FIXTURES.resolve("classes.safetensors"));
    Path file = KNOWN.resolve("verify.json");
    JsonObject known = json(file);
    if (Boolean.getBoolean("ddpm4j.rewrite")) {
      int[] levels =
          Arrays.stream(new Verification(Device.cpu()).fashion())
              .mapToInt(level -> (int) level)
              .toArray();
      known.add("fashion", new GsonBuilder().create().toJsonTree(levels));
      Files.writeString(file, known + "\n");
    }
    JsonObject start = json(GOLDEN.resolve("inputs.json")).getAsJsonObject("x_T");
    assertThat(known.get("start")).isEqualTo(start.getAsJsonObject("data").get("data"));
    assertThat(known.get("ddim"))
        .isEqualTo(end("ddim.json", "linear|leading|50|eta=0.0|clip=False|model=G"));
    assertThat(known.get("dpmsolver++"))
        .isEqualTo(end("dpmsolver.json", "linear|leading|20|dpmsolver++|order=2|midpoint|model=G"));
    assertThat(known.getAsJsonArray("fashion")).hasSize(2 * 28 * 28);
  }
}
