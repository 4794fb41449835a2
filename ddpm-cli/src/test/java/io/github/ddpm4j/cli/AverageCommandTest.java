package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.unet.UNet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** average. */
class AverageCommandTest {

  @TempDir private Path folder;

  private static Map<String, float[]> weights(Path model) throws IOException {
    Map<String, float[]> all = new HashMap<>();
    try (DDPM ddpm = DDPM.load(model)) {
      ddpm.denoiser(UNet.class).weights().forEach((n, weight) -> all.put(n, weight.toFloatArray()));
    }
    return all;
  }

  @Test
  void average_isThatOfEachWeight_byShares() throws IOException {
    Path one = Tiny.model(folder.resolve("one"), 1);
    Path two = Tiny.model(folder.resolve("two"), 2);
    Path three = Tiny.model(folder.resolve("three"), 3);
    Path out = folder.resolve("out");
    assertThat(
            Program.run("average", one, two, three, "--shares", "1,2,5", "-o", out).good().strip())
        .isEqualTo(out.toString());
    Map<String, float[]> a = weights(one);
    Map<String, float[]> b = weights(two);
    Map<String, float[]> c = weights(three);
    Map<String, float[]> mean = weights(out);
    assertThat(mean.keySet()).isEqualTo(a.keySet());
    mean.forEach(
        (name, values) -> {
          for (int i = 0; i < values.length; i++) {
            double exact =
                (double) a.get(name)[i] / 8
                    + (double) b.get(name)[i] / 4
                    + (double) c.get(name)[i] * 5 / 8;
            assertThat(values[i]).as(name).isEqualTo((float) exact);
          }
        });
    assertThat(Program.run("info", out).good())
        .contains("average of         " + one + " * 0.125, " + two + " * 0.25, " + three)
        .contains("classes            cat, dog");
  }

  @Test
  void average_ofOneModelTwice_isIt() throws IOException {
    Path one = Tiny.model(folder.resolve("one"), 1);
    Path out = folder.resolve("out");
    Program.run("average", one, one, one, "-o", out).good();
    Map<String, float[]> mean = weights(out);
    weights(one).forEach((name, values) -> assertThat(mean.get(name)).containsExactly(values));
  }

  @Test
  void average_ofWhatDoesNotFit_isRefused_andWritesNothing() throws IOException {
    Path one = Tiny.model(folder.resolve("one"), 1);
    Path names = Tiny.model(folder.resolve("names"), 1, List.of("cat", "mouse"));
    Path plain = Tiny.model(folder.resolve("plain"), 1, List.of());
    Path out = folder.resolve("out");
    assertThat(Program.run("average", one, names, "-o", out).refused())
        .isEqualTo(
            "average: "
                + names
                + " cannot be averaged with "
                + one
                + ", which has another list of classes: [cat, dog], and not [cat, mouse]");
    assertThat(Program.run("average", one, plain, "-o", out).refused())
        .isEqualTo(
            "average: "
                + plain
                + " cannot be averaged with "
                + one
                + ", which has another network: {classes=2}, and not {classes=none}");
    assertThat(Program.run("average", one, one, "--shares", "1", "-o", out).refused())
        .isEqualTo("average: --shares must be one a model, but were 1 for 2 models");
    assertThat(Program.run("average", one, one, "--shares", "1,0", "-o", out).refused())
        .isEqualTo("average: --shares must be above 0, but one was 0.0");
    assertThat(Program.run("average", one, "none", "-o", out).refused())
        .isEqualTo("average: none does not exist; the models in the box are faces and fashion");
    assertThat(Program.run("average", one, "-o", out).refused())
        .isEqualTo("average: an average needs at least 2 models, but was given [" + one + "]");
    Path file = Files.writeString(folder.resolve("file"), "none");
    assertThat(Program.run("average", one, one, "-o", file).refused())
        .isEqualTo("average: " + file + " is not a folder");
    assertThat(out).doesNotExist();
  }
}
