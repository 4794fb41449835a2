package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.data.IdxFiles;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluateFashionMnistTest {

  private static final int TRAINING = 300;
  private static final int TEST = 60;

  @TempDir private Path folder;

  @Test
  void evaluate_shortlyTrained_putsRealPicturesBeforeNoise() throws Exception {
    write("train", TRAINING);
    write("t10k", TEST);
    Path out = folder.resolve("out");
    Path plain = folder.resolve("plain");
    Printed.by(() -> TrainFashionMnist.run(IdxFiles.training(folder), 2, out, 2, 4, 8));
    Printed.by(() -> TrainFashionMnist.run(IdxFiles.training(folder), 0, plain, 2, 4, 8));

    String printed =
        Printed.by(
            () ->
                EvaluateFashionMnist.main(
                    new String[] {
                      folder.toString(),
                      out.resolve("model").toString(),
                      "30",
                      plain.resolve("model").toString()
                    }));
    assertThat(plain.resolve("report.html")).content().contains("Samples after step 2");

    assertThat(printed)
        .contains("held-out pictures: 60 of 60 as labelled")
        .contains("without classes\n")
        .containsPattern("by class, guidance 4.0: \\d+ of 30 as labelled");
    assertThat(printed.lines().filter(line -> line.contains("recall"))).hasSize(6);
    assertThat(frechet(printed, "other held-out pictures"))
        .isLessThan(frechet(printed, "noise") / 10);
  }

  private static double frechet(String printed, String what) {
    Matcher found =
        Pattern.compile("(?m)^" + what + "\n *Fréchet distance (\\d+\\.?\\d*(?:[eE]-?\\d+)?)")
            .matcher(printed);
    assertThat(found.find()).as(printed).isTrue();
    return Double.parseDouble(found.group(1));
  }

  /** Dark pictures of class 0, and bright ones of class 1. */
  private void write(String name, int count) throws IOException {
    byte[] pixels = new byte[count * 28 * 28];
    byte[] labels = new byte[count];
    Random random = new Random(name.hashCode());
    for (int i = 0; i < pixels.length; i++) {
      labels[i / (28 * 28)] = (byte) (i / (28 * 28) % 2);
      pixels[i] = (byte) (60 + 120 * labels[i / (28 * 28)] + random.nextInt(30));
    }
    write(name + "-images-idx3-ubyte.gz", new int[] {0x803, count, 28, 28}, pixels);
    write(name + "-labels-idx1-ubyte.gz", new int[] {0x801, count}, labels);
  }

  private void write(String name, int[] header, byte[] values) throws IOException {
    try (DataOutputStream data =
        new DataOutputStream(new GZIPOutputStream(Files.newOutputStream(folder.resolve(name))))) {
      for (int number : header) {
        data.writeInt(number);
      }
      data.write(values);
    }
  }
}
