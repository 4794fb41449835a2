package io.github.ddpm4j.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.dataset.ArrayDataset;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.NativeResources;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.internal.description.History;
import io.github.ddpm4j.internal.files.WholeFile;
import io.github.ddpm4j.internal.torch.GradMode;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.model.TinyDenoiser;
import io.github.ddpm4j.model.TrainableDenoiser;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.prediction.Variance;
import io.github.ddpm4j.process.NoiseLevels;
import io.github.ddpm4j.sampling.Samples;
import io.github.ddpm4j.schedule.Schedule;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code ddpm.save(folder)} writes and {@code DDPM.load(folder)} reads. */
class ModelFolderTest {

  private static final int SIZE = 6;

  private final NDManager manager = NDManager.newBaseManager();
  private final TinyDenoiser network = new TinyDenoiser(SIZE, 0.1, 3);
  private final DDPM ddpm = DDPM.builder().timesteps(20).denoiser(network).build();
  @TempDir Path parent;

  @AfterEach
  void close() {
    network.close();
    manager.close();
  }

  private Path folder() {
    return parent.resolve("model");
  }

  private Path description() {
    return folder().resolve("ddpm.json");
  }

  private List<String> namesIn(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
    }
  }

  /** The file of the weights, by the one name that it may have. */
  private static Path weightsIn(Path directory) throws IOException {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries
          .filter(
              file -> file.getFileName().toString().matches("weights-[0-9a-f]{16}\\.safetensors"))
          .findFirst()
          .orElseThrow();
    }
  }

  private static String sha256(Path file) throws IOException {
    return HexFormat.of().formatHex(WholeFile.sha256().digest(Files.readAllBytes(file)));
  }

  private void assertHoldsAModel(Path directory) throws IOException {
    assertThat(namesIn(directory))
        .containsExactly("ddpm.json", weightsIn(directory).getFileName().toString());
  }

  private void assertIsSaved(TinyDenoiser expected) throws IOException {
    assertThat(namesIn(parent)).containsExactly("model");
    assertHoldsAModel(folder());
    try (DDPM loaded = DDPM.load(folder())) {
      assertSameWeights(loaded, expected);
    }
  }

  private static void assertSameWeights(DDPM model, TinyDenoiser expected) {
    TinyDenoiser actual = (TinyDenoiser) model.denoiser().orElseThrow();
    assertThat(actual.weights().keySet()).isEqualTo(expected.weights().keySet());
    expected
        .weights()
        .forEach(
            (name, weight) ->
                assertThat(actual.weights().get(name).toByteArray())
                    .as(name)
                    .isEqualTo(weight.toByteArray()));
  }

  private float[] images(DDPM model) {
    try (Samples samples = model.sampling().seed(42).generate(4);
        NDArray array = samples.toNDArray(manager)) {
      return array.toFloatArray();
    }
  }

  /* --- round trips --- */

  @Test
  void load_whatWasSaved_isTheSameToTheBit() throws IOException {
    float[] expected = images(ddpm);
    ddpm.save(folder());
    assertIsSaved(network);
    try (DDPM loaded = DDPM.load(folder(), Device.cpu())) {
      assertThat(loaded.denoiser()).isPresent().get().isNotSameAs(network);
      assertThat(images(loaded)).isEqualTo(expected);
      assertThat(loaded.provenance()).isEmpty();
    }
  }

  @Test
  void load_trainedModel_keepsProvenanceAndTrainsOn() throws IOException {
    ArrayDataset data =
        new ArrayDataset.Builder()
            .setData(manager.ones(new Shape(4, 1, SIZE, SIZE)))
            .setSampling(1, false)
            .build();
    Map<String, Object> provenance;
    try (TrainedModel result =
        ddpm.training().batchSize(4).steps(3).seed(Long.MIN_VALUE).ema(0.5).fit(data)) {
      provenance = result.ddpm().provenance();
      result.ddpm().save(folder());
      try (DDPM loaded = DDPM.load(folder())) {
        assertSameWeights(loaded, (TinyDenoiser) result.ddpm().denoiser().orElseThrow());
        assertThat(images(loaded)).isEqualTo(images(result.ddpm()));
      }
      result.raw().save(folder());
      assertIsSaved(network);
    }
    assertThat(provenance)
        .containsEntry("weights", "averaged")
        .containsEntry("steps", 3L)
        .containsEntry("batchSize", 4L)
        .containsEntry("data", "4 records")
        .containsEntry("accumulation", 1L)
        .containsEntry("loss", "simple")
        .containsEntry("ema", "warm-up to 0.5")
        .containsEntry("seed", Long.MIN_VALUE)
        .containsKey("meanLossOfLast100Steps");
    try (DDPM loaded = DDPM.load(folder())) {
      assertThat(loaded.provenance().keySet()).containsExactlyElementsOf(provenance.keySet());
      assertThat(loaded.provenance())
          .containsEntry("weights", "last")
          .containsEntry("seed", Long.MIN_VALUE)
          .containsEntry("meanLossOfLast100Steps", provenance.get("meanLossOfLast100Steps"));
      try (TrainedModel further = loaded.training().batchSize(4).steps(2).seed(1).fit(data)) {
        assertThat(further.losses().steps()).isEqualTo(2);
        further.ddpm().save(folder());
        provenance = further.ddpm().provenance();
      }
    }
    try (DDPM loaded = DDPM.load(folder())) {
      assertThat(loaded.provenance()).isEqualTo(provenance).containsEntry("steps", 2L);
      assertThat(History.runs(loaded.provenance()))
          .extracting(run -> run.get("steps"))
          .containsExactly(3L, 2L);
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void save_brokenWeights_leavesTheGoodOnes(float broken) throws IOException {
    ddpm.save(folder());
    Map.Entry<String, NDArray> last = null;
    for (Map.Entry<String, NDArray> weight : network.weights().entrySet()) {
      last = weight.getValue().size() > 1 ? weight : last;
    }
    NDArray good = last.getValue().duplicate();
    try (GradMode off = GradMode.off()) {
      last.getValue().reshape(-1).set(new NDIndex("-1"), broken);
    }
    assertThat(last.getValue().toFloatArray()).contains(broken).contains(good.toFloatArray()[0]);
    assertThatThrownBy(() -> ddpm.save(folder()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "weights must be finite to be saved, but "
                + last.getKey()
                + " holds NaN or infinity, with which every prediction is NaN; go back to weights"
                + " from before, or call saveUnchecked(folder) to keep them for a look");
    try (DDPM loaded = DDPM.load(folder())) {
      assertThat(loaded.denoiser(TinyDenoiser.class).weights().get(last.getKey())).isEqualTo(good);
    }
    ddpm.saveUnchecked(folder());
    assertIsSaved(network);
  }

  static Stream<Schedule> schedules() {
    return Stream.of(
        Schedules.linear(1000),
        Schedules.linear(30, 1e-3, 0.3),
        Schedules.linearScaled(50),
        Schedules.scaledLinear(1000),
        Schedules.quadratic(40),
        Schedules.cosine(1000),
        Schedules.cosine(10, 0.01, 0.99),
        Schedules.sigmoidJabri(1000),
        Schedules.sigmoidJabri(10, -2, 4, 0.7),
        Schedules.sigmoidGeoDiff(1000),
        Schedules.constant(7, 0.1),
        Schedules.ofBetas(0.1, 1.0 / 3, 1e-12, Math.nextDown(1.0)),
        Schedules.ofBetas(0.5),
        Schedules.zeroTerminalSnr(Schedules.linear(1000)),
        Schedules.zeroTerminalSnr(Schedules.ofBetas(0.1, 0.2)));
  }

  @ParameterizedTest
  @MethodSource("schedules")
  void load_everySchedule_isEqualToTheBit(Schedule schedule) throws IOException {
    DDPM.builder()
        .schedule(schedule)
        .prediction(Prediction.VELOCITY)
        .denoiser(network)
        .build()
        .save(folder());
    try (DDPM loaded = DDPM.load(folder())) {
      Schedule actual = loaded.schedule();
      assertThat(actual.timesteps()).isEqualTo(schedule.timesteps());
      for (int t = 0; t < schedule.timesteps(); t++) {
        assertThat(actual.beta(t)).isEqualTo(schedule.beta(t));
        assertThat(actual.alphaBar(t)).isEqualTo(schedule.alphaBar(t));
      }
      assertThat(actual.describe()).isEqualTo(schedule.describe());
      assertThat(loaded.prediction()).isEqualTo(Prediction.VELOCITY);
    }
  }

  static Stream<Prediction> predictions() {
    return Stream.concat(Prediction.plain().stream(), Stream.of(Prediction.edm(0.4)));
  }

  @ParameterizedTest
  @MethodSource("predictions")
  void load_everyPredictionAndVariance_isTheSame(Prediction prediction) throws IOException {
    try (TinyDenoiser wide = TinyDenoiser.withVariance(8)) {
      for (Variance variance : Variance.values()) {
        DDPM.builder()
            .prediction(prediction)
            .variance(variance)
            .dataRange(-0.1, 255)
            .denoiser(variance.isLearned() ? wide : network)
            .build()
            .save(folder());
        try (DDPM loaded = DDPM.load(folder())) {
          assertThat(loaded.prediction()).isEqualTo(prediction);
          assertThat(loaded.variance()).isEqualTo(variance);
          assertThat(loaded.dataRange().min()).isEqualTo(-0.1);
          assertThat(loaded.dataRange().max()).isEqualTo(255);
        }
      }
    }
  }

  @Test
  void load_flow_isTheSame() throws IOException {
    DDPM.builder()
        .schedule(Schedules.flow(12, 3))
        .prediction(Prediction.FLOW)
        .denoiser(network)
        .build()
        .save(folder());
    assertThat(Files.readString(description()))
        .contains("\"prediction\": \"FLOW\"")
        .contains("\"shift\": 3.0");
    try (DDPM loaded = DDPM.load(folder())) {
      assertThat(loaded.prediction()).isSameAs(Prediction.FLOW);
      assertThat(loaded.schedule().describe()).isEqualTo(Schedules.flow(12, 3).describe());
      assertThat(loaded.schedule().noise(5)).isEqualTo(0.75);
    }
  }

  @Test
  void save_description_isReadable() throws IOException {
    DDPM.builder()
        .schedule(Schedules.zeroTerminalSnr(Schedules.ofBetas(1e-4, 0.2)))
        .prediction(Prediction.X0)
        .denoiser(network)
        .build()
        .save(folder());
    assertThat(Files.readString(description()))
        .isEqualTo(
            """
            {
              "format": "ddpm4j",
              "version": 2,
              "savedBy": {
                "ddpm4j": "VERSION",
                "djl": "DJL"
              },
              "weights": {
                "file": "NAME",
                "sha256": "DIGEST"
              },
              "schedule": {
                "type": "zeroTerminalSnr",
                "schedule": {
                  "type": "ofBetas",
                  "betas": [1.0E-4, 0.2]
                }
              },
              "prediction": "X0",
              "variance": "FIXED_LARGE",
              "dataRange": [-1.0, 1.0],
              "denoiser": {
                "type": "tiny",
                "size": 6,
                "dropout": 0.1
              }
            }
            """
                .replace("VERSION", Versions.own())
                .replace("DJL", Engine.getDjlVersion())
                .replace("NAME", weightsIn(folder()).getFileName().toString())
                .replace("DIGEST", sha256(weightsIn(folder()))));
  }

  /* --- where to --- */

  @Test
  void save_olderModel_isReplacedAsAWhole() throws IOException {
    ddpm.save(folder());
    try (TinyDenoiser other = new TinyDenoiser(SIZE, 0, 4)) {
      ddpm.withDenoiser(other).save(folder());
      assertIsSaved(other);
    }
  }

  @Test
  void save_intoFoldersThatAreMissing_makesThem() throws IOException {
    Path deep = parent.resolve("a/b/model");
    ddpm.save(deep);
    assertHoldsAModel(deep);
  }

  @Test
  void save_emptyFolder_isFilled() throws IOException {
    Files.createDirectory(folder());
    ddpm.save(folder());
    assertIsSaved(network);
  }

  @Test
  void save_link_replacesWhatItPointsTo() throws IOException {
    ddpm.save(folder());
    Path link = Files.createSymbolicLink(parent.resolve("link"), folder());
    try (TinyDenoiser other = new TinyDenoiser(SIZE, 0, 4)) {
      ddpm.withDenoiser(other).save(link);
      Files.delete(link);
      assertIsSaved(other);
    }
  }

  @Test
  void save_intoALinkedFolder_isFilled() throws IOException {
    Path real = Files.createDirectory(parent.resolve("real"));
    Path link = Files.createSymbolicLink(parent.resolve("link"), real);
    ddpm.save(link.resolve("model"));
    assertThat(namesIn(real)).containsExactly("model");
    assertHoldsAModel(real.resolve("model"));
  }

  /** As readable for others as any folder of the user. */
  @Test
  void save_permissions_areTheOnesOfTheUser() throws IOException {
    Path plain = Files.createDirectory(parent.resolve("plain"));
    ddpm.save(folder());
    assertThat(Files.getPosixFilePermissions(folder()))
        .isEqualTo(Files.getPosixFilePermissions(plain));
  }

  @Test
  void save_otherFolderOrFile_isRefusedAndKept() throws IOException {
    Path precious = Files.createDirectory(folder()).resolve("precious");
    Files.writeString(precious, "data");
    for (Path taken : List.of(folder(), precious)) {
      assertThatThrownBy(() -> ddpm.save(taken))
          .isInstanceOf(FileAlreadyExistsException.class)
          .hasMessage(
              taken.toRealPath()
                  + ": it exists and is no model folder, so it is not replaced; choose another"
                  + " name");
    }
    assertThat(namesIn(parent)).containsExactly("model");
    assertThat(namesIn(folder())).containsExactly("precious");
    assertThat(Files.readString(precious)).isEqualTo("data");
  }

  @Test
  void save_modelWithOtherFilesBesideIt_isRefusedAndKept() throws IOException {
    ddpm.save(folder());
    Path samples = Files.writeString(folder().resolve("samples.png"), "precious");
    assertThatThrownBy(() -> ddpm.save(folder()))
        .isInstanceOf(FileAlreadyExistsException.class)
        .hasMessage(
            folder().toRealPath()
                + ": besides an older model it holds [samples.png], which would be no part of the"
                + " new one; move that away or choose another name");
    assertThat(Files.readString(samples)).isEqualTo("precious");
    try (DDPM loaded = DDPM.load(folder())) {
      assertSameWeights(loaded, network);
    }
  }

  @Test
  void save_theRootFolder_isRefused() {
    assertThatThrownBy(() -> ddpm.save(Path.of("/")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a model folder needs a name, but was /");
  }

  /** Most likely a setting that is missing. */
  @Test
  void save_emptyName_isRefused() {
    assertThatThrownBy(() -> ddpm.save(Path.of("")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "a model folder needs a name, but was \"\"; for the working directory, write \".\"");
  }

  /** What saving would refuse is refused before, as before days of training. */
  @Test
  void requireSavable_refusesWhatSaveRefuses_andMakesNothing() throws IOException {
    ddpm.requireSavable(folder());
    ddpm.requireSavable(parent.resolve("a/b/model"));
    assertThat(namesIn(parent)).isEmpty();
    ddpm.save(folder());
    ddpm.requireSavable(folder());

    Path file = Files.writeString(parent.resolve("file"), "data");
    Files.writeString(folder().resolve("samples.png"), "precious");
    for (Path taken : List.of(Path.of(""), Path.of("/"), file, folder(), file.resolve("model"))) {
      Throwable saving = catchThrowable(() -> ddpm.save(taken));
      assertThat(saving).isNotNull();
      assertThatThrownBy(() -> ddpm.requireSavable(taken))
          .hasSameClassAs(saving)
          .hasMessage(saving.getMessage());
    }
    assertThatThrownBy(() -> DDPM.builder().build().requireSavable(folder()))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "a model without a denoiser cannot be saved; set denoiser(...) when building DDPM");
  }

  @Test
  void save_thatFails_keepsTheOldModelAndLeavesNothing() throws IOException {
    ddpm.save(folder());
    IllegalStateException failure = new IllegalStateException("no weights today");
    TrainableDenoiser failing =
        new Unsavable(
            () -> {
              throw failure;
            });
    assertThatThrownBy(() -> ddpm.withDenoiser(failing).save(folder())).isSameAs(failure);
    assertIsSaved(network);
    NDArray integers = manager.zeros(new Shape(2), DataType.INT32);
    assertThatThrownBy(
            () -> ddpm.withDenoiser(new Unsavable(() -> Map.of("w", integers))).save(folder()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("tensor w must be FLOAT32 or FLOAT64 to be written, but is int32");
    assertIsSaved(network);
  }

  /* --- what can go wrong in reading --- */

  private void assertRefused(Class<? extends IOException> type, String message) throws IOException {
    assertLoadFails(() -> DDPM.load(folder()), type, message);
  }

  private void assertLoadFails(
      ThrowingCallable load, Class<? extends IOException> type, String message) throws IOException {
    boolean there = message.matches("(?s).*(WEIGHTS|NAME|DIGEST).*");
    String weights = there ? weightsIn(folder()).toString() : "";
    String name = there ? weightsIn(folder()).getFileName().toString() : "";
    String digest = there ? sha256(weightsIn(folder())) : "";
    int before = NativeResources.ofSystem();
    assertThatThrownBy(load)
        .isInstanceOf(type)
        .hasMessage(
            message
                .replace("FILE", description().toString())
                .replace("WEIGHTS", weights)
                .replace("VERSION", Versions.own())
                .replace("NAME", name)
                .replace("DIGEST", digest)
                .replace("FOLDER", folder().toString()));
    assertThat(NativeResources.ofSystem()).as("what is left behind").isEqualTo(before);
  }

  private void edit(String from, String to) throws IOException {
    ddpm.save(folder());
    String text = Files.readString(description());
    assertThat(text).contains(from);
    Files.writeString(description(), text.replace(from, to));
  }

  @Test
  void load_noModelFolder_isRefused() throws IOException {
    String without = "FOLDER: no model folder: it has no ";
    String wayOut = "; choose a folder that DDPM.save wrote, with all of its files";
    assertRefused(NoSuchFileException.class, without + "ddpm.json" + wayOut);
    Files.createDirectory(folder());
    assertRefused(NoSuchFileException.class, without + "ddpm.json" + wayOut);
    ddpm.save(folder());
    Path weights = weightsIn(folder());
    Files.delete(weights);
    assertRefused(NoSuchFileException.class, without + weights.getFileName() + wayOut);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "``|FILE is empty; choose a folder that DDPM.save wrote",
        "null|FILE is no JSON object; choose a folder that DDPM.save wrote",
        "[1, 2]|FILE is no JSON object; choose a folder that DDPM.save wrote",
        "{ \"format\": |FILE is no JSON object: End of input at line 1 column 12 path $.format;"
            + " choose a folder that DDPM.save wrote",
        "{'format': 1}|FILE is no JSON object: malformed JSON at line 1 column 3 path $.; choose a"
            + " folder that DDPM.save wrote",
        "{\"format\": \"ddpm4j\", \"format\": \"ddpm4j\"}|FILE has the name \"format\" twice in one"
            + " object; choose a folder that DDPM.save wrote",
        "{\"a\": [1e999]}|FILE has a number that is too large: 1e999; choose a folder that DDPM.save"
            + " wrote",
        "{\"a\": NaN}|FILE is no JSON object: malformed JSON at line 1 column 7 path $.a; choose a"
            + " folder that DDPM.save wrote",
        "{}|FILE must have format ddpm4j and a version from 1 to 2, but has null and null; choose a"
            + " folder that DDPM.save wrote",
      })
  void load_brokenDescription_isRefused(String text, String message) throws IOException {
    ddpm.save(folder());
    Files.writeString(description(), text);
    assertRefused(IOException.class, message);
  }

  @Test
  void load_descriptionThatIsNoText_isRefused() throws IOException {
    ddpm.save(folder());
    Files.write(description(), new byte[] {(byte) 0xff, (byte) 0xfe, 0, 1});
    assertThatThrownBy(() -> DDPM.load(folder()))
        .isInstanceOf(IOException.class)
        .hasMessage(
            description()
                + " is no JSON object: it is not in UTF-8; choose a folder that DDPM.save wrote");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"version\": 2|\"version\": 3|"
            + "FILE must have format ddpm4j and a version from 1 to 2, but has ddpm4j and 3; it was"
            + " saved by ddpm4j VERSION; load it with the version of ddpm4j that saved it, or a newer"
            + " one",
        "\"version\": 2|\"version\": 2.0|"
            + "FILE must have format ddpm4j and a version from 1 to 2, but has ddpm4j and 2.0; it"
            + " was saved by ddpm4j VERSION; load it with the version of ddpm4j that saved it, or a"
            + " newer one",
        "\"format\": \"ddpm4j\"|\"format\": \"other\"|"
            + "FILE must have format ddpm4j and a version from 1 to 2, but has other and 2; choose a"
            + " folder that DDPM.save wrote",
        "\"file\": \"weights-|\"file\": \"../weights-|"
            + "FILE is not valid: \"file\" of weights must be a name such as"
            + " weights-0123456789abcdef.safetensors, but was ../NAME",
        "\"sha256\": \"|\"sha256\": \"0|"
            + "FILE is not valid: \"sha256\" of weights must have 64 hexadecimal digits, but was"
            + " 0DIGEST",
        "\"sha256\"|\"sha\"|FILE is not valid: weights lacks \"sha256\"",
        "\"weights\"|\"wait\"|FILE is not valid: the model lacks \"weights\"",
        "\"EPSILON\"|\"NOISE\"|"
            + "FILE is not valid: prediction must be one of [EPSILON, X0, VELOCITY, PREVIOUS_MEAN,"
            + " FLOW], but was NOISE",
        "\"FIXED_LARGE\"|\"HUGE\"|"
            + "FILE is not valid: \"variance\" of the model must be one of FIXED_SMALL, FIXED_LARGE,"
            + " LEARNED, LEARNED_RANGE, but was HUGE",
        "\"EPSILON\"|{\"type\": \"EDM\"}|"
            + "FILE is not valid: prediction EDM lacks \"sigmaData\"",
        "\"EPSILON\"|7|"
            + "FILE is not valid: prediction must be a name or an object with type and settings,"
            + " but was 7",
        "\"variance\"|\"varianz\"|FILE is not valid: the model lacks \"variance\"",
        "[-1.0, 1.0]|[1.0]|"
            + "FILE is not valid: \"dataRange\" of the model must be a list of two numbers, or one of"
            + " such pairs, but was [1.0]",
        "[-1.0, 1.0]|[[0, 1], [1, 2, 3]]|"
            + "FILE is not valid: \"dataRange\" of the model must be a list of two numbers, or one of"
            + " such pairs, but was [[0, 1], [1, 2, 3]]",
        "[-1.0, 1.0]|[[0, 1], [1, 1]]|"
            + "FILE is not valid: data range must have finite ends with min < max, but was [1.0,"
            + " 1.0] in channel 1",
        "[-1.0, 1.0]|[1, -1]|"
            + "FILE is not valid: data range must have finite ends with min < max, but was [1.0,"
            + " -1.0]",
        "\"type\": \"tiny\"|\"type\": \"huge\"|"
            + "FILE is not valid: denoiser type huge is unknown; known are [tiny]; is the module"
            + " that holds it, such as ddpm-unet, a dependency?",
        "\"size\": 6|\"length\": 6|"
            + "FILE is not valid: size and dropout must be numbers in {length=6,"
            + " dropout=0.1}",
        "\"schedule\"|\"plan\"|FILE is not valid: the model lacks \"schedule\"",
        "\"type\": \"linear\"|\"type\": \"wavy\"|"
            + "FILE is not valid: schedule type must be one of linear, linearScaled, scaledLinear,"
            + " cosine, sigmoidJabri, sigmoidGeoDiff, constant, ofBetas, zeroTerminalSnr and flow,"
            + " but was wavy",
        "\"timesteps\": 20|\"timesteps\": 0|"
            + "FILE is not valid: timesteps must be at least 1, but was 0",
      })
  void load_wrongDescription_isRefused(String from, String to, String message) throws IOException {
    edit(from, to);
    assertRefused(IOException.class, message);
  }

  @Test
  void load_hugeDescription_isRefusedBeforeItIsRead() throws IOException {
    ddpm.save(folder());
    try (RandomAccessFile sparse = new RandomAccessFile(description().toFile(), "rw")) {
      sparse.setLength(40_000_000);
    }
    assertRefused(
        IOException.class,
        "FILE has 40000000 bytes, but a description has at most 33554432; choose a folder that"
            + " DDPM.save wrote");
  }

  /** A stack that overflows is an error of the machine, not of the file. */
  @Test
  void load_deepDescription_isRefused() throws IOException {
    ddpm.save(folder());
    Files.writeString(description(), "{\"a\": " + "[".repeat(100_000));
    assertRefused(
        IOException.class,
        "FILE is no JSON object: Nesting limit 32 reached at line 1 column 39 path"
            + " $.a[0][0][0][0][0][0][0][0][0…; choose a folder that DDPM.save wrote");
  }

  /** Names, words and lists of a description may be of any length; messages are not. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"ddpm4j\"",
        "\"version\": 2|\"version\": LIST",
        "\"EPSILON\"",
        "\"EPSILON\"|LIST",
        "\"EPSILON\"|{\"type\": LONG}",
        "\"EPSILON\"|{\"type\": \"EDM\", LONG: 1}",
        "\"FIXED_LARGE\"",
        "\"FIXED_LARGE\"|LIST",
        "[-1.0, 1.0]|LIST",
        "[-1.0, 1.0]|[LONG]",
        "\"tiny\"",
        "\"tiny\"|LIST",
        "\"size\": 6|\"size\": LONG",
        "\"linear\"",
        "\"linear\"|\"ofBetas\", \"betas\": LIST",
        "\"linear\"|\"ofBetas\", \"betas\": [LONG]",
        "\"linear\"|\"linear\", LONG: 2",
        "\"timesteps\": 20|\"timesteps\": LONG",
        "\"timesteps\": 20|\"timesteps\": LIST",
        "\"schedule\"",
      })
  void load_longTexts_areCutInMessages(String edit) throws IOException {
    ddpm.save(folder());
    String from = edit.contains("|") ? edit.substring(0, edit.indexOf('|')) : edit;
    String to = edit.contains("|") ? edit.substring(edit.indexOf('|') + 1) : "LONG";
    edit(
        from,
        to.replace("LONG", "\"" + "x".repeat(100_000) + "\"")
            .replace("LIST", "[7" + ", 7".repeat(50_000) + "]"));
    assertThatThrownBy(() -> DDPM.load(folder()))
        .isInstanceOf(IOException.class)
        .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(1500));
  }

  @Test
  void load_illegalCombination_isRefused() throws IOException {
    DDPM.builder()
        .schedule(Schedules.zeroTerminalSnr(Schedules.linear(20)))
        .prediction(Prediction.VELOCITY)
        .denoiser(network)
        .build()
        .save(folder());
    Files.writeString(
        description(), Files.readString(description()).replace("VELOCITY", "EPSILON"));
    assertRefused(
        IOException.class,
        "FILE is not valid: prediction EPSILON cannot be used with a schedule of zero terminal SNR:"
            + " at timestep 19 no signal is left, so x_0 cannot be told from it; use"
            + " Prediction.VELOCITY, Prediction.FLOW or Prediction.X0");
  }

  @Test
  void load_otherTensors_isRefused() throws IOException {
    ddpm.save(folder());
    Safetensors.write(
        weightsIn(folder()),
        Map.of("first.weight", manager.zeros(new Shape(4, 1, 3, 3)), "b", manager.create(1f)),
        Map.of());
    assertRefused(
        IOException.class,
        "WEIGHTS does not fit the network: missing [first.bias, second.bias, second.weight], unused"
            + " [b]");
  }

  @Test
  void load_tensorOfOtherShapeOrType_isRefused() throws IOException {
    for (NDArray wrong :
        List.of(manager.zeros(new Shape(5)), manager.zeros(new Shape(4), DataType.FLOAT64))) {
      ddpm.save(folder());
      Map<String, NDArray> weights = new LinkedHashMap<>(network.weights());
      weights.put("first.bias", wrong);
      Safetensors.write(weightsIn(folder()), weights, Map.of());
      assertRefused(
          IOException.class,
          "tensor first.bias of WEIGHTS must be (4) of float32, but is "
              + wrong.getShape()
              + " of "
              + wrong.getDataType());
    }
  }

  @Test
  void load_weightsCutOff_isRefused() throws IOException {
    ddpm.save(folder());
    Path weights = weightsIn(folder());
    byte[] whole = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(whole, whole.length - 10));
    assertRefused(
        IOException.class,
        "WEIGHTS should hold 308 bytes of tensors, but holds 298; it is cut off");
  }

  /** A network with a flaw in its weights. */
  private record Unsavable(Supplier<Map<String, NDArray>> source) implements TrainableDenoiser {
    @Override
    public NDArray predict(NDArray x, NoiseLevels levels, Condition condition) {
      return x;
    }

    @Override
    public NDArray predictForTraining(
        NDArray x, NoiseLevels levels, Condition condition, TrainableDenoiser.Pass pass) {
      return x;
    }

    @Override
    public Map<String, NDArray> weights() {
      return source.get();
    }

    @Override
    public TrainableDenoiser copy() {
      return this;
    }

    @Override
    public String type() {
      return TinyDenoiser.TYPE;
    }

    @Override
    public Map<String, Object> describe() {
      return Map.of("size", 1, "dropout", 0);
    }
  }
}
