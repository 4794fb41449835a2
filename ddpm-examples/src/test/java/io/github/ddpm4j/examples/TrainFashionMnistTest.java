package io.github.ddpm4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainFashionMnistTest {

  private static final int PICTURES = 8;
  private static final int SIDE = 28;

  @TempDir private Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeEach
  void writeData() throws IOException {
    byte[] pixels = new byte[PICTURES * SIDE * SIDE];
    new Random(1).nextBytes(pixels);
    write("train-images-idx3-ubyte.gz", new int[] {0x803, PICTURES, SIDE, SIDE}, pixels);
    write("train-labels-idx1-ubyte.gz", new int[] {0x801, PICTURES}, new byte[PICTURES]);
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

  private int run(String... args) {
    return Mains.commandLine(new TrainFashionMnist())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(args);
  }

  @Test
  void train_short_writesGridsAndModel() throws IOException {
    Path output = folder.resolve("out");
    int code =
        run(
            "--data", folder.toString(),
            "--steps", "3",
            "--batch", "4",
            "--channels", "32",
            "--samples", "4",
            "--sample-every", "2",
            "--calls", "3",
            "--device", "gpu7",
            "--precision", "bfloat16",
            "-o", output.toString());

    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString())
        .contains("There is no gpu7 here (GPUs that the engine sees: ")
        .contains("going on with the CPU.")
        .contains("on 8 pictures of 28x28 pixels, on cpu(), in BFLOAT16.")
        .contains(output.toString());
    for (String grid : new String[] {"samples-000002.png", "samples-000003.png"}) {
      assertThat(ImageIO.read(output.resolve(grid).toFile()).getWidth()).isGreaterThan(2 * SIDE);
    }
    assertThat(output.resolve("loss.png")).isRegularFile();
    try (DDPM model = DDPM.load(output.resolve("model"))) {
      assertThat(model.denoiser()).isPresent();
    }

    // with a rate of 0 the weights stay those of the model that training began with
    Path further = folder.resolve("further");
    int again =
        run(
            "--data", folder.toString(),
            "--start-from", output.resolve("model").toString(),
            "--steps", "1",
            "--batch", "4",
            "--samples", "1",
            "--calls", "1",
            "--learning-rate", "1e-30",
            "-o", further.toString());

    assertThat(again).as(err.toString()).isZero();
    assertThat(further.resolve("model/weights.safetensors"))
        .hasSameBinaryContentAs(output.resolve("model/weights.safetensors"));
  }

  @Test
  void train_unknownDevice_endsInOneLine() {
    assertThat(run("--data", folder.toString(), "--device", "tpu")).isEqualTo(Mains.USER_ERROR);
    assertThat(err.toString().strip())
        .isEqualTo("TrainFashionMnist: --device must be cpu, gpu0, gpu1, ..., but was tpu");
  }
}
