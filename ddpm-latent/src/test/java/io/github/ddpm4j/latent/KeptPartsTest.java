package io.github.ddpm4j.latent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.sampling.SamplingRun;
import io.github.ddpm4j.unet.UNet.Precision;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models of which only what is needed is in memory. */
class KeptPartsTest {

  private static final Path MODEL = PipelineFixture.DATA.resolve("sd1");

  private final NDManager manager = NDManager.newBaseManager();

  @TempDir private Path folder;

  @AfterEach
  void close() {
    manager.close();
  }

  private static Drawing dog(TextToImage model) {
    return model.prompt("a red dog").negativePrompt("a cat").seed(1).steps(2);
  }

  private float[] drawn(Samples samples) {
    try (samples) {
      return samples.toNDArray(manager).toFloatArray();
    }
  }

  private static final String REFUSED =
      "the autoencoder was loaded with decoderAlone(), so it cannot encode pictures; load the model"
          + " without";

  @Test
  void decoderAlone_drawsTheSame_andEncodesNothing() throws IOException {
    try (TextToImage whole = TextToImage.load(MODEL);
        TextToImage part = TextToImage.options().decoderAlone().load(MODEL)) {
      float[] pictures = drawn(dog(whole).generate(1));
      assertThat(drawn(dog(part).generate(1))).isEqualTo(pictures);
      Autoencoder autoencoder = part.latentDiffusion().autoencoder();
      assertThat(autoencoder.weights().keySet())
          .isNotEmpty()
          .allMatch(name -> name.startsWith("decoder.") || name.startsWith("post_quant_conv."));
      NDArray latents = manager.zeros(new Shape(1, 4, 4, 4));
      assertThat(part.latentDiffusion().preview(latents).getShape())
          .isEqualTo(new Shape(1, 3, 4, 4));
      NDArray picture = manager.zeros(new Shape(1, 3, 32, 32));
      NDArray mask = manager.ones(new Shape(1, 1, 32, 32));
      assertThatThrownBy(() -> autoencoder.encode(picture))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(REFUSED);
      assertThatThrownBy(() -> autoencoder.encodeForTraining(picture)).hasMessage(REFUSED);
      assertThatThrownBy(() -> dog(part).imageToImage(picture, 0.5)).hasMessage(REFUSED);
      assertThatThrownBy(() -> dog(part).inpaint(picture, mask)).hasMessage(REFUSED);
      assertThatThrownBy(() -> autoencoder.save(folder))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage(
              "the autoencoder was loaded with decoderAlone(), so it cannot be saved; load the"
                  + " model without");
      assertThatThrownBy(autoencoder::training)
          .hasMessage(
              "the autoencoder was loaded with decoderAlone(), so it cannot be trained; load the"
                  + " model without");
      assertThat(drawn(dog(part.hold(Precision.BFLOAT16)).generate(1))).hasSameSizeAs(pictures);
    }
  }

  @Test
  void decoderAlone_ofASingleFile_drawsTheSame() throws IOException {
    Path file = PipelineFixture.DATA.resolve("single").resolve("sd1.ckpt");
    try (TextToImage whole = TextToImage.options().configuration(MODEL).load(file);
        TextToImage part = TextToImage.options().configuration(MODEL).decoderAlone().load(file)) {
      assertThat(drawn(dog(part).generate(1))).isEqualTo(drawn(dog(whole).generate(1)));
      assertThat(part.latentDiffusion().autoencoder().weights().keySet())
          .noneMatch(name -> name.startsWith("encoder."));
    }
  }

  /** What the Javadoc says that it saves. */
  @Test
  void encoder_ofStableDiffusion_thisLarge() {
    long encoder =
        new AutoencoderNetwork(AutoencoderConfig.stableDiffusion())
            .parameters().stream()
                .filter(spec -> spec.name().matches("(encoder|quant_conv)\\..*"))
                .mapToLong(spec -> spec.shape().size())
                .sum();
    assertThat(encoder).isEqualTo(34_163_664);
  }

  /** Prompts are encoded when a run starts, and not looked at again. */
  @Test
  void textEncoder_freedAfterTheStart_runGoesOn() throws IOException {
    float[] pictures;
    try (TextToImage model = TextToImage.load(MODEL)) {
      pictures = drawn(dog(model).generate(2));
    }
    try (TextToImage model = TextToImage.load(MODEL);
        SamplingRun run = dog(model).start(2)) {
      model.textEncoder().close();
      assertThat(drawn(run.finish())).isEqualTo(pictures);
      assertThatThrownBy(() -> dog(model).start(1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the text encoder is closed and its weights are freed; load it again");
    }
  }
}
