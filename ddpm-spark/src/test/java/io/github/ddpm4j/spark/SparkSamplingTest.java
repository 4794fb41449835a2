package io.github.ddpm4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.sampling.Samplers;
import io.github.ddpm4j.sampling.Samples;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pictures on two threads of this machine, which are executors to Spark. */
class SparkSamplingTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static SparkSession spark;

  @BeforeAll
  static void model() throws IOException {
    model = Local.model(shared.resolve("model"), 1);
    spark = Local.spark();
  }

  private static SparkSampling sampling() throws IOException {
    return sampling(SparkModel.shared(model));
  }

  private static SparkSampling sampling(SparkModel of) {
    return SparkSampling.of(spark, of)
        .sampler(Samplers.parse("euler-a:3"))
        .seed(7)
        .labels(0, 1)
        .block(4);
  }

  /** The bytes of each picture by its index. */
  private static Map<Long, String> png(Dataset<Row> rows) {
    Map<Long, String> all = new TreeMap<>();
    for (Row row : rows.collectAsList()) {
      String before = all.put(row.getAs("index"), hex(row.<byte[]>getAs("png")));
      assertThat(before).as("picture %s twice", row.<Object>getAs("index")).isNull();
    }
    return all;
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }

  private static Map<Long, String> files(Path of) throws IOException {
    Map<Long, String> all = new TreeMap<>();
    try (Stream<Path> list = Files.list(of)) {
      list.filter(file -> file.toString().endsWith(".png"))
          .forEach(
              file -> {
                try {
                  String name = String.valueOf(file.getFileName());
                  all.put(Long.valueOf(name.substring(0, 8)), hex(Files.readAllBytes(file)));
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
    }
    return all;
  }

  private static String file(long index) {
    return String.format(Locale.ROOT, "%08d.png", index);
  }

  @Test
  void pictures_areThoseOfOneMachine() throws IOException {
    Row row = sampling().pictures(5, 1).collectAsList().get(0);
    assertThat(row.<Long>getAs("index")).isEqualTo(5);
    assertThat(row.<Long>getAs("seed")).isEqualTo(7);
    assertThat(row.<Integer>getAs("label")).isEqualTo(1);
    Map<String, String> words = row.getJavaMap(row.fieldIndex("provenance"));
    assertThat(words)
        .containsEntry("seed", "7")
        .containsEntry("image", "5")
        .containsEntry("images", "8")
        .containsEntry("batchSize", "4")
        .containsEntry("class", "dog");
    // All eight by one ordinary run, and what the words of the picture reproduce.
    try (DDPM ddpm = DDPM.load(model);
        Samples whole =
            ddpm.sampling()
                .sampler(Samplers.parse("euler-a:3"))
                .seed(7)
                .batchSize(4)
                .condition(Condition.labels(0, 1, 0, 1, 0, 1, 0, 1))
                .generate(8)) {
      var drawn = ImageIO.read(new ByteArrayInputStream(row.<byte[]>getAs("png"))).getRaster();
      var expected = whole.pictures().get(5).getRaster();
      assertThat(drawn.getSamples(0, 0, 8, 8, 0, (int[]) null))
          .isEqualTo(expected.getSamples(0, 0, 8, 8, 0, (int[]) null));
    }
  }

  @Test
  void pictures_ofAnyPartitions_areTheSameBytes() throws IOException {
    Map<Long, String> one = png(sampling().partitions(1).pictures(0, 22));
    assertThat(one).hasSize(22);
    assertThat(one.values()).doesNotHaveDuplicates();
    assertThat(png(sampling().partitions(5).pictures(0, 22))).isEqualTo(one);
    Map<Long, String> part = png(sampling().partitions(3).pictures(6, 9));
    assertThat(part.keySet()).containsExactly(6L, 7L, 8L, 9L, 10L, 11L, 12L, 13L, 14L);
    assertThat(one).containsAllEntriesOf(part);
    assertThat(png(sampling(SparkModel.broadcast(spark, model)).pictures(0, 22))).isEqualTo(one);
  }

  @Test
  void writeFiles_goesOnWithWhatIsThere() throws IOException {
    Path out = folder.resolve("out");
    SparkSampling job = sampling();
    assertThat(job.writeFiles(out, 10)).isEqualTo(10);
    assertThat(job.drawn().sum()).isEqualTo(10);
    Map<Long, String> whole = files(out);
    assertThat(whole).isEqualTo(png(sampling().pictures(0, 10)));
    assertThat(Pictures.provenance(out.resolve(file(9)))).containsEntry("image", "9");
    // What a kill leaves: some files of a block, and one that the disk has lost the end of.
    Files.delete(out.resolve(file(5)));
    byte[] bytes = Files.readAllBytes(out.resolve(file(9)));
    Files.write(out.resolve(file(9)), java.util.Arrays.copyOf(bytes, bytes.length - 1));
    assertThat(sampling().writeFiles(out, 10)).isEqualTo(6);
    assertThat(files(out)).isEqualTo(whole);
    assertThat(sampling().writeFiles(out, 10)).isZero();
    assertThat(sampling().writeFiles(out, 12)).isEqualTo(4);
    assertThat(files(out)).hasSize(12).containsAllEntriesOf(whole);
    assertThatThrownBy(() -> sampling().seed(8).writeFiles(out, 10))
        .hasMessage(
            out
                + " holds pictures that were drawn otherwise (seed was 7, and is 8); choose another"
                + " folder, or the same options");
  }

  @Test
  void writeParquet_goesOnWithWholeChapters() throws IOException {
    String out = folder.resolve("out").toString();
    SparkSampling job = sampling().chapter(2);
    assertThat(job.writeParquet(out, 20)).isEqualTo(20);
    Map<Long, String> whole = png(spark.read().parquet(out));
    assertThat(whole).isEqualTo(png(sampling().pictures(0, 20)));
    // What a kill leaves: a chapter without its mark, and half of its files.
    Path chapter = Path.of(out, "chapter=1");
    Files.delete(chapter.resolve("_whole"));
    try (Stream<Path> parts = Files.list(chapter)) {
      Files.delete(parts.filter(p -> p.toString().endsWith(".parquet")).findFirst().orElseThrow());
    }
    assertThat(png(spark.read().parquet(out))).hasSizeLessThan(20);
    assertThat(sampling().chapter(2).writeParquet(out, 20)).isEqualTo(8);
    assertThat(png(spark.read().parquet(out))).isEqualTo(whole);
    assertThat(sampling().chapter(2).writeParquet(out, 20)).isZero();
    assertThatThrownBy(() -> sampling().chapter(3).writeParquet(out, 20))
        .hasMessage(
            out
                + " holds pictures that were drawn otherwise (chapter was 2, and is 3); choose"
                + " another folder, or the same options");
  }

  @Test
  void model_thatIsNotWhatTheDriverRead_isTold() throws IOException {
    Path changed = Local.model(folder.resolve("changed"), 2);
    SparkModel known = SparkModel.shared(changed);
    Path weights;
    try (Stream<Path> files = Files.list(changed)) {
      weights = files.filter(f -> f.toString().endsWith(".safetensors")).findFirst().orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(weights);
    bytes[bytes.length / 2] ^= 1;
    Files.write(weights, bytes);
    SparkModel damaged = SparkModel.shared(changed);
    assertThatThrownBy(() -> sampling(known).writeFiles(folder.resolve("out"), 4))
        .isInstanceOf(ExecutorException.class)
        .hasMessage(
            "executor driver: loading the model "
                + changed
                + " failed: its files have the digest "
                + damaged.digest()
                + ", but those that the driver read have "
                + known.digest()
                + "; do not change a model while a job uses it, and see that all machines see the"
                + " same");
    assertThatThrownBy(() -> sampling(damaged).writeFiles(folder.resolve("other"), 4))
        .isInstanceOf(ExecutorException.class)
        .hasMessageStartingWith(
            "executor driver: loading the model " + changed + " failed: " + weights);
    assertThatThrownBy(() -> SparkModel.shared(folder))
        .isInstanceOf(NoSuchFileException.class)
        .hasMessage(folder + ": there is no model of this library; DDPM.save writes them");
  }

  @Test
  void arguments_areChecked() throws IOException {
    SparkSampling job = sampling();
    assertThatThrownBy(() -> job.block(0)).hasMessage("block must be at least 1, but was 0");
    assertThatThrownBy(() -> job.chapter(0)).hasMessage("chapter must be at least 1, but was 0");
    assertThatThrownBy(() -> job.partitions(0))
        .hasMessage("partitions must be at least 1, but was 0");
    assertThatThrownBy(() -> job.pictures(-1, 1)).hasMessage("from must be at least 0, but was -1");
    assertThatThrownBy(() -> job.pictures(0, 0)).hasMessage("count must be at least 1, but was 0");
  }
}
