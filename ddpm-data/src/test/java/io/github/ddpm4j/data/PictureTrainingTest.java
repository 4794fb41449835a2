package io.github.ddpm4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.Dataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.data.PictureFolder.BrokenFile;
import io.github.ddpm4j.data.PictureFolder.Fit;
import io.github.ddpm4j.model.DataRange;
import io.github.ddpm4j.training.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on a folder: the same bits whatever the threads, the cache and interruptions are. */
class PictureTrainingTest {

  private static final Shape IMAGE = new Shape(3, 16, 16);
  private static final int STEPS = 14;

  @TempDir private Path folder;

  private final Path photos() {
    return folder.resolve("photos");
  }

  /** Two classes of pictures of all kinds, 17x31 to 900x700, and five that are broken. */
  private List<Path> mixed() throws IOException {
    int[][] sizes = {{31, 17}, {64, 48}, {20, 133}, {40, 40}, {16, 16}};
    String[] endings = {"png", "jpg", "gif", "bmp", "tif"};
    for (int i = 0; i < 15; i++) {
      int own = i;
      String ending = endings[i % endings.length];
      int bands = new int[] {3, 1, 4}[ending.equals("png") ? i % 3 : i % 2];
      int bits = ending.equals("png") || ending.equals("tif") ? 16 : 8;
      int top = (1 << bits) - 1;
      int[] size = i == 6 ? new int[] {700, 900} : sizes[i / 3];
      MadePictures.write(
          MadePictures.picture(
              size[0],
              size[1],
              bands,
              bits,
              (y, x) ->
                  new int[] {
                    (int) ((long) top * x / size[1]),
                    (int) ((long) top * y / size[0]),
                    top * (own % 5) / 4,
                    top / 2
                  }),
          photos().resolve((i % 2 == 0 ? "even/" : "odd/") + i + "." + ending));
    }
    TestFiles.copy("rgba.webp", photos().resolve("odd/w.webp"));
    TestFiles.copy("cmyk.jpg", photos().resolve("even/inks.jpg"));
    MadePictures.write(MadePictures.palette(40, 40), photos().resolve("even/palette.png"));
    List<Path> broken = new ArrayList<>();
    broken.add(Files.write(photos().resolve("even/broken.png"), new byte[0]));
    broken.add(Files.writeString(photos().resolve("even/text.jpg"), "no picture"));
    for (String name : new String[] {"even/0.png", "odd/1.jpg", "odd/3.bmp"}) {
      byte[] whole = Files.readAllBytes(photos().resolve(name));
      Path cut = photos().resolve(name.replace("/", "/cut-"));
      Files.write(cut, Arrays.copyOf(whole, whole.length / 2));
      broken.add(cut);
    }
    return broken;
  }

  private PictureFolder.Builder builder() {
    return PictureFolder.builder(photos(), IMAGE)
        .setSampling(4, true)
        .fit(Fit.RANDOM_CROP)
        .horizontalFlips()
        .shifts(2);
  }

  private static Training training(PixelScale network) {
    return DDPM.builder()
        .timesteps(10)
        .denoiser(network)
        .build()
        .training()
        .steps(STEPS)
        .learningRate(0.01)
        .seed(3);
  }

  private static float[] learned(Dataset dataset) {
    try (PixelScale network = new PixelScale(IMAGE)) {
      training(network).fit(dataset).close();
      return network.learned();
    }
  }

  @Test
  void mixedFolder_trainsTheSame_andListsWhatIsBroken() throws Exception {
    List<Path> broken = mixed();
    PictureFolder pictures = builder().threads(1).cacheInMemory(0).build();
    float[] learned = learned(pictures);
    assertThat(pictures.size()).isEqualTo(18);
    assertThat(pictures.classNames()).containsExactly("even", "odd");
    assertThat(pictures.brokenFiles())
        .extracting(BrokenFile::file)
        .containsExactlyInAnyOrderElementsOf(broken);
    assertThat(learned(builder().threads(6).optPrefetchNumber(5).build())).containsExactly(learned);
    assertThat(learned(builder().cacheInFile(folder.resolve("cache"), 3000).build()))
        .containsExactly(learned);
    assertThat(learned(builder().seed(8).build())).isNotEqualTo(learned);
    assertThat(folder.resolve("cache")).isEmptyDirectory();
  }

  /** The run is ended in the middle of its second epoch; all objects are made anew. */
  @Test
  void run_thatIsKilledAndResumed_endsInTheSameBits() throws Exception {
    mixed();
    float[] unbroken = learned(builder().build());
    Path checkpoints = folder.resolve("checkpoints");
    assertThatThrownBy(() -> run(builder().build(), checkpoints, 8))
        .isInstanceOf(CancellationException.class);
    assertThat(Thread.interrupted()).isTrue();
    assertThat(run(builder().threads(5).cacheInMemory(0).build(), checkpoints, STEPS + 1))
        .containsExactly(unbroken);
  }

  private float[] run(Dataset dataset, Path checkpoints, int interruptedAfter) {
    try (PixelScale network = new PixelScale(IMAGE)) {
      training(network)
          .checkpoints(Checkpoints.in(checkpoints).everySteps(3))
          .resume()
          .listener(
              event -> {
                if (event.step() == interruptedAfter) {
                  Thread.currentThread().interrupt();
                }
              })
          .fit(dataset)
          .close();
      return network.learned();
    }
  }

  @Test
  void resume_withOtherAugmentation_isRefused() throws Exception {
    mixed();
    Path checkpoints = folder.resolve("checkpoints");
    run(builder().build(), checkpoints, STEPS + 1);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> run(builder().seed(5).build(), checkpoints, STEPS + 1))
        .withMessageMatching(
            "the checkpoint is that of another run: data was 18 records, sample [0-9a-f]{16}, seed"
                + " 0: crops, flips, shifts 2 and is 18 records, sample [0-9a-f]{16}, seed 5:"
                + " crops, flips, shifts 2; set it as it was, or allow the change by resume\\(Change.DATA\\)");
  }

  /** Without the data range of the normalization, the file of what lies outside is named. */
  @Test
  void dataOutOfRange_isRefusedWithItsFile() throws Exception {
    MadePictures.flat(photos().resolve("bright/1.png"), 16, 16, 255, 255, 255);
    MadePictures.flat(photos().resolve("grey/1.png"), 16, 16, 128, 128, 128);
    PictureFolder.Builder normal =
        PictureFolder.builder(photos(), IMAGE)
            .setSampling(2, true)
            .normalization(Normalization.IMAGENET);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> learned(normal.build()))
        .withMessageStartingWith(
            "training data (image 0 of the dataset (bright/1.png)) must lie in the data range"
                + " [-1.0, 1.0], but holds values from 0.074");
    DataRange range = normal.build().normalization().range();
    assertThat(range.minima())
        .containsExactly(
            (double) (float) (-0.485 / 0.229),
            (double) (float) (-0.456 / 0.224),
            (double) (float) (-0.406 / 0.225));
    assertThat(range.maxima())
        .containsExactly(
            (double) (float) ((1 - 0.485) / 0.229),
            (double) (float) ((1 - 0.456) / 0.224),
            (double) (float) ((1 - 0.406) / 0.225));
    DataRange narrow =
        new DataRange(range.minima(), List.of(range.maxima().get(0), 2.0, range.maxima().get(2)));
    try (PixelScale network = new PixelScale(IMAGE)) {
      DDPM ddpm = DDPM.builder().timesteps(10).dataRange(narrow).denoiser(network).build();
      Dataset data = normal.build();
      assertThatIllegalArgumentException()
          .isThrownBy(() -> ddpm.training().steps(1).fit(data))
          .withMessage(
              "training data (image 0 of the dataset (bright/1.png)) must lie in the data range"
                  + " [-2.0357143878936768, 2.0] of channel 1, but holds values from"
                  + " 0.20518207550048828 to 2.4285714626312256; scale them to the range, or set"
                  + " dataRange(min, max) when building DDPM");
    }
    assertThat(Normalization.CENTRED.range()).isEqualTo(DataRange.DEFAULT);
    try (PixelScale network = new PixelScale(IMAGE)) {
      DDPM.builder()
          .timesteps(10)
          .dataRange(range)
          .denoiser(network)
          .build()
          .training()
          .steps(2)
          .fit(normal.build())
          .close();
    }
  }

  @Test
  void fileThatIsLost_isNamed() throws Exception {
    Path lost = MadePictures.flat(photos().resolve("a.png"), 16, 16, 0, 128, 255);
    PictureFolder pictures =
        PictureFolder.builder(photos(), IMAGE).setSampling(1, true).cacheInMemory(0).build();
    pictures.prepare();
    Files.delete(lost);
    assertThatThrownBy(() -> learned(pictures))
        .hasMessage(
            "image 0 of the dataset (a.png) could not be read: " + lost + ": does not exist");
  }

  @Test
  void orderAndBatchSize_areUsedOrRefused() throws Exception {
    MadePictures.flat(photos().resolve("a.png"), 16, 16, 0, 128, 255);
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> learned(PictureFolder.builder(photos(), IMAGE).setSampling(1, false).build()))
        .withMessageStartingWith(
            "the dataset was built to be read in order, by setSampling(1, false)");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> learned(PictureFolder.builder(photos(), IMAGE).setSampling(2, true).build()))
        .withMessage(
            "batchSize must be at most the size of the dataset, 1, but was 2; use batchSize(1) or"
                + " less");
  }
}
