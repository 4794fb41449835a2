package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.checkpoint.CheckpointFolder;
import io.github.ddpm4j.model.Diffusion;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.training.Checkpoints;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What a model folder says for people: names of classes, metadata, who saved it. */
class ModelWordsTest {

  private static final int SIZE = 6;

  @TempDir private Path temporary;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0, 1);

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private static Map<String, String> words(String... pairs) {
    Map<String, String> words = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      words.put(pairs[i], pairs[i + 1]);
    }
    return words;
  }

  private DDPM ddpm(Map<String, String> metadata) {
    return DDPM.builder().timesteps(20).denoiser(network).metadata(metadata).build();
  }

  @Test
  void metadata_ofAnyText_comesBackInItsOrder() throws IOException {
    Map<String, String> words =
        words("z", "", "", "<a & \"b\">\\\n\t\u2028\u0000", "ᾱ", "😀", "a[\n1, 2\n]", "[1, 2]");
    Path folder = temporary.resolve("model");
    ddpm(words).save(folder);
    try (DDPM loaded = DDPM.load(folder)) {
      assertThat(loaded.metadata()).containsExactlyEntriesOf(words);
      assertThatThrownBy(() -> loaded.metadata().put("a", "b"))
          .isInstanceOf(UnsupportedOperationException.class);
    }
  }

  /** The caller's map may change afterwards. */
  @Test
  void withMetadata_replacesIt_andKeepsTheRest() throws IOException {
    Map<String, String> words = words("licence", "MIT");
    DDPM ddpm = ddpm(words);
    words.put("licence", "none");
    assertThat(ddpm.metadata()).containsExactly(Map.entry("licence", "MIT"));

    DDPM other = ddpm.withMetadata(Map.of("fid", "3.17"));
    assertThat(other.metadata()).containsExactly(Map.entry("fid", "3.17"));
    assertThat(ddpm.metadata()).containsExactly(Map.entry("licence", "MIT"));
    assertThat(other.denoiser()).contains(network);
    assertThat(other.schedule()).isSameAs(ddpm.schedule());
    other.close();
    assertThat(network.isClosed()).isFalse();
  }

  /** Through training, its checkpoints, saving and loading; and training goes on with others. */
  @Test
  void words_ofATrainedModel_areThoseOfTheModel() throws IOException {
    ArrayDataset data =
        new ArrayDataset.Builder()
            .setData(manager.ones(new Shape(4, 1, SIZE, SIZE)))
            .setSampling(4, true)
            .build();
    Path run = temporary.resolve("run");
    Path folder = temporary.resolve("model");
    DDPM ddpm = ddpm(words("licence", "MIT"));
    Checkpoints checkpoints = Checkpoints.in(run).everySteps(1);
    try (TrainedModel trained =
        ddpm.training().steps(2).seed(1).checkpoints(checkpoints).fit(data)) {
      assertThat(trained.ddpm().metadata()).containsEntry("licence", "MIT");
      DDPM said = trained.ddpm().withMetadata(words("fid", "3.17"));
      assertThat(said.provenance()).isEqualTo(trained.ddpm().provenance()).isNotEmpty();
      said.save(folder);
    }
    try (DDPM loaded = DDPM.load(folder)) {
      assertThat(loaded.metadata()).containsExactly(Map.entry("fid", "3.17"));
      assertThat(loaded.provenance()).containsEntry("steps", 2L);
    }
    Path newest = new CheckpointFolder(run).entries().get(0).file();
    try (DDPM loaded = DDPM.load(newest)) {
      assertThat(loaded.metadata()).containsExactly(Map.entry("licence", "MIT"));
    }
    ddpm.withMetadata(words("licence", "other"))
        .training()
        .steps(2)
        .checkpoints(checkpoints)
        .resume()
        .fit(data)
        .close();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "cat, |the name of class 1 must not be blank, but was \"\"",
        "cat,dog,cat|the names of classes must differ, but \"cat\" is that of classes 0 and 2",
        "\uD83D,dog|the name of class 0 must be text, but has half of a surrogate pair: \uD83D",
      })
  void classNames_thatAreNone_areRefused(String names, String message) {
    Diffusion diffusion = ddpm(Map.of()).model().diffusion();
    List<String> list = List.of(names.split(",", -1)).stream().map(String::strip).toList();
    assertThatThrownBy(() -> diffusion.with(list, Map.of()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void classNames_withoutLabels_areRefused() {
    assertThatThrownBy(
            () -> DDPM.builder().denoiser(network).classNames(List.of("cat", "dog")).build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "classNames are for a network that is conditioned on labels, but "
                + String.valueOf((Object) network)
                + " is not; leave them out, or build it with classes(2)");
    assertThat(DDPM.builder().classNames(List.of("cat", "dog")).build().classNames())
        .containsExactly("cat", "dog");
  }

  @Test
  void metadata_thatIsNoText_isRefused() {
    assertThatThrownBy(() -> ddpm(words("a", "b\uDE00")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("the metadata \"a\" must be text, but has half of a surrogate pair: b\uDE00");
    assertThatThrownBy(() -> ddpm(words("\uD83D", "b")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a name of the metadata must be text, but has half of a surrogate pair: \uD83D");
  }

  /** As many as a checkpoint has room for in its header, in the longest form of JSON. */
  @Test
  void metadata_thatIsTooLong_isRefused() throws IOException {
    int most = 1 << 20;
    DDPM ddpm = ddpm(words("a", "\u0001".repeat(most - 1)));
    Path folder = temporary.resolve("model");
    ddpm.save(folder);
    DDPM.load(folder).close();
    assertThatThrownBy(() -> ddpm(words("a", "ᾱ".repeat(most / 3 + 1))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "names of classes and metadata must take at most 1048576 bytes together, but take"
                + " 1048579; keep long texts beside the model folder");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"metadata\": {\"a\": 1}|\"metadata\" of the model must be an object of strings, but was"
            + " {a=1}",
        "\"metadata\": []|\"metadata\" of the model must be an object, but was []",
        "\"classNames\": [1]|\"classNames\" of the model must be a list of strings, but was [1]",
        "\"classNames\": \"cat\"|\"classNames\" of the model must be a list of strings, but was cat",
        "\"classNames\": [\"a\", \"a\"]|the names of classes must differ, but \"a\" is that of"
            + " classes 0 and 1",
      })
  void load_wordsThatAreNone_areRefused(String words, String message) throws IOException {
    Path folder = temporary.resolve("model");
    ddpm(Map.of()).save(folder);
    Path file = folder.resolve("ddpm.json");
    Files.writeString(
        file, Files.readString(file).replace("\"denoiser\"", words + ", \"denoiser\""));
    assertThatThrownBy(() -> DDPM.load(folder))
        .isInstanceOf(IOException.class)
        .hasMessage(file + " is not valid: " + message);
  }

  /** Digits, commas and letters of the user's language are no part of the files. */
  @ParameterizedTest
  @ValueSource(strings = {"ar-EG-u-nu-arab", "tr-TR", "de-DE", "hi-IN-u-nu-deva"})
  void save_inAnyLanguage_isTheSame(String language) throws IOException {
    Path folder = temporary.resolve("model");
    Path other = temporary.resolve("other");
    ddpm(words("I", "1,5")).save(folder);
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag(language));
    try {
      ddpm(words("I", "1,5")).save(other);
      DDPM.load(other).close();
    } finally {
      Locale.setDefault(before);
    }
    assertThat(other.resolve("ddpm.json")).hasSameTextualContentAs(folder.resolve("ddpm.json"));
  }

  /** The build writes it; what plain javac compiled does not know it. */
  @Test
  void savedBy_isTheVersionOfTheBuild() {
    String classes = Versions.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    assertThat(Versions.own())
        .matches(classes.contains("/target/") ? "\\d+\\.\\d+\\.\\d+(-SNAPSHOT)?" : "unknown");
    assertThat(Versions.ofLibraries()).containsOnlyKeys("ddpm4j", "djl");
  }
}
