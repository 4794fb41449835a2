package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.github.ddpm4j.evaluation.FeatureStatistics;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** evaluate by several processes, each of a shard. */
class EvaluateShardsTest {

  @TempDir private static Path shared;
  @TempDir private Path folder;
  private static Path model;
  private static Path real;

  @BeforeAll
  static void make() throws IOException {
    model = Tiny.model(shared.resolve("model"), 1);
    real = Tiny.pictures(shared.resolve("real"), 40, 1);
  }

  private static String run(Object... args) {
    return Program.run(Stream.concat(Stream.of("evaluate"), Stream.of(args)).toArray())
        .good()
        .strip();
  }

  private static String refused(Object... args) {
    return Program.run(Stream.concat(Stream.of("evaluate"), Stream.of(args)).toArray()).refused();
  }

  private Path file(String name) {
    return folder.resolve(name + ".safetensors");
  }

  /** The files of all shards, by a comma. */
  private String shards(int count, Object... args) {
    List<Path> files = new ArrayList<>();
    for (int k = 1; k <= count; k++) {
      Path file = file(count + "-" + k);
      run(
          Stream.concat(Stream.of(args), Stream.of("--shard", k + "/" + count, "--save", file))
              .toArray());
      files.add(file);
    }
    return files.stream().map(Path::toString).collect(Collectors.joining(","));
  }

  private static double frechet(String json) {
    return JsonParser.parseString(json)
        .getAsJsonObject()
        .getAsJsonObject("Fréchet distance")
        .get("value")
        .getAsDouble();
  }

  /** Blocks of 16 of 100 pictures, the last of 4: more than a batch, and one for each of 7. */
  @Test
  void model_inOneThreeAndSevenShards_hasTheSameFigures() throws IOException {
    Object[] drawn = {model, "-n", "100", "-s", "ddpm:5", "-c", "cat,dog", "--seed", "3"};
    Path whole = file("whole");
    assertThat(run(Stream.concat(Stream.of(drawn), Stream.of("--save", whole)).toArray()))
        .isEqualTo(whole + ": 100 pictures, pixels of 1x8x8");
    double expected = frechet(run(real, "--size", "1x8x8", "--merge", whole, "--json"));
    String said = run(real, "--size", "1x8x8", "--merge", whole);
    for (int count : new int[] {1, 3, 7}) {
      String files = shards(count, drawn);
      assertThat(run(real, "--size", "1x8x8", "--merge", files)).isEqualTo(said);
      assertThat(frechet(run(real, "--size", "1x8x8", "--merge", files, "--json")))
          .isCloseTo(expected, within(1e-9 * expected));
    }
    assertThat(said).contains("(100 generated, 40 reference)");
    assertThat(FeatureStatistics.load(file("7-7")).count()).isEqualTo(4);
    assertThat(FeatureStatistics.load(file("3-1")).count()).isEqualTo(36);
    // They are the pictures of sample.
    Path pictures = folder.resolve("pictures");
    Program.run(
            "sample", "-m", model, "-n", "100", "-s", "ddpm:5", "-c", "cat,dog", "--seed", "3",
            "-o", pictures)
        .good();
    run(pictures, "--size", "1x8x8", "--save", file("pictures"));
    assertThat(FeatureStatistics.load(file("pictures")).mean())
        .isEqualTo(FeatureStatistics.load(whole).mean());
  }

  @Test
  void folder_inShards_isTheWhole() throws IOException {
    Path whole = file("whole");
    run(real, "--size", "1x8x8", "-n", "30", "--save", whole);
    FeatureStatistics expected = FeatureStatistics.load(whole);
    for (int count : new int[] {3, 7}) {
      Path merged = file("merged");
      run("--merge", shards(count, real, "--size", "1x8x8", "-n", "30"), "--save", merged);
      FeatureStatistics all = FeatureStatistics.load(merged);
      assertThat(all.count()).isEqualTo(30);
      assertThat(all.mean()).containsExactly(expected.mean(), within(1e-12));
    }
    assertThat(run(real, "--size", "1x8x8", "-n", "30", "--shard", "2/7", "--save", file("part")))
        .isEqualTo(
            file("part")
                + ": 5 pictures of shard 2/7, 30 of 40 pictures, at random by seed 0, pixels of"
                + " 1x8x8");
    JsonObject json =
        JsonParser.parseString(
                run(real, "--size", "1x8x8", "--shard", "2/7", "--save", file("part"), "--json"))
            .getAsJsonObject();
    assertThat(json)
        .hasToString(
            "{\"file\":\""
                + file("part")
                + "\",\"features\":\"pixels of 1x8x8\",\"pictures\":6,\"shard\":\"2/7\","
                + "\"folder\":{\"taken\":40,\"of\":40}}");
  }

  @Test
  void shards_thatMakeNoSense_areRefused() {
    Path out = file("out");
    assertThat(refused(model, "-n", "40", "-s", "ddim:2", "--shard", "4/4", "--save", out))
        .isEqualTo(
            "evaluate: --shard 4/4 has none of the 3 blocks of 16 pictures; divide them among at"
                + " most 3");
    assertThat(refused(real, "--size", "1x8x8", "-n", "4", "--shard", "5/6", "--save", out))
        .isEqualTo(
            "evaluate: --shard 5/6 has none of the 4 pictures of "
                + real
                + "; divide them among at most 4");
    assertThat(refused(real, model, "--shard", "1/2"))
        .isEqualTo("evaluate: --shard needs --save, whose files --merge puts together");
    assertThat(refused("--merge", out, "--save", out, "--shard", "1/2"))
        .isEqualTo(
            "evaluate: --shard is for what is looked at, but there is --merge; leave it out");
    assertThat(refused(model, "--size", "1x8x8", "--save", out))
        .isEqualTo("evaluate: --size is for folders; a model has its own");
    assertThat(refused(model, "--bits", "2", "--save", out))
        .isEqualTo("evaluate: --bits needs real pictures and a model, but there is --save");
    assertThat(refused(real, "--bits", "2", "--merge", out))
        .isEqualTo("evaluate: --bits needs real pictures and a model, but there is --merge");
    assertThat(Program.run("evaluate", model, "--shard", "3/2", "--save", out).misspelt())
        .isEqualTo(
            "Invalid value for option '--shard': must be K/N with K from 1 to N, such as 3/64, but"
                + " was 3/2");
    assertThat(out).doesNotExist();
  }
}
