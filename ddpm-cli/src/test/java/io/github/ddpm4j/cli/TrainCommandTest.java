package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.prediction.Prediction;
import io.github.ddpm4j.schedule.Schedules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainCommandTest {

  @TempDir private Path folder;

  private static Program.Result train(Path pictures, Path out, Object... more) {
    return Program.run(
        Stream.concat(
                Stream.of(
                    "train",
                    pictures,
                    "-o",
                    out,
                    "--size",
                    "1x8x8",
                    "--batch",
                    "2",
                    "--channels",
                    "4",
                    "--groups",
                    "2",
                    "--multipliers",
                    "1,1"),
                Stream.of(more))
            .toArray());
  }

  private Path classes() throws IOException {
    Tiny.pictures(folder.resolve("pictures/cat"), 3, 1);
    Tiny.pictures(folder.resolve("pictures/dog"), 3, 10);
    return folder.resolve("pictures");
  }

  @Test
  void prediction_flow_onTheSchedulesOfFlows() throws IOException {
    Path out = folder.resolve("out");
    train(classes(), out, "--steps", "1", "--prediction", "flow").good();
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.prediction()).isEqualTo(Prediction.FLOW);
      assertThat(model.schedule().describe()).isEqualTo(Schedules.flow(1000).describe());
    }
  }

  @Test
  void training_leavesModelCheckpointAndReport_andGoesOn() throws IOException {
    Path pictures = classes();
    Path out = folder.resolve("out");
    assertThat(train(pictures, out, "--steps", "2", "--flips", "--prediction", "velocity").good())
        .isEqualToNormalizingNewlines(out + "\n");
    assertThat(out.resolve("report.html")).isNotEmptyFile();
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.classNames()).containsExactly("cat", "dog");
      assertThat(model.provenance()).containsEntry("steps", 2L);
    }
    assertThat(train(pictures, out, "--steps", "3").refused())
        .isEqualTo(
            "train: "
                + out
                + " holds checkpoints of a run; go on with it by --resume, or choose another"
                + " folder");
    assertThat(train(pictures, out, "--steps", "3", "--flips", "--resume").refused())
        .isEqualTo(
            "train: the checkpoint is that of another run: prediction of the model was VELOCITY and"
                + " is EPSILON; give the options of that run, or choose another folder");
    assertThat(
            train(
                    pictures,
                    out,
                    "--steps",
                    "3",
                    "--resume",
                    "--flips",
                    "--prediction",
                    "velocity",
                    "--multipliers",
                    "1,2",
                    "--ema",
                    "0.5")
                .refused())
        .isEqualTo(
            "train: the checkpoint is that of another run: ema was warm-up to 0.999 and is warm-up"
                + " to 0.5; denoiser of the model was {levelChannels=[4, 4], attentionLevels=[1]}"
                + " and is {levelChannels=[4, 4, 4, 8], attentionLevels=[3]}; give the options of"
                + " that run, or choose another folder");
    train(pictures, out, "--steps", "3", "--flips", "--prediction", "velocity", "--resume").good();
    try (DDPM model = DDPM.load(out.resolve("model"))) {
      assertThat(model.provenance()).containsEntry("steps", 3L);
    }
    Path checkpoint;
    try (Stream<Path> files = Files.list(out.resolve("checkpoints"))) {
      checkpoint =
          files.filter(f -> f.toString().endsWith(".safetensors")).findFirst().orElseThrow();
    }
    assertThat(Program.run("info", checkpoint).good()).contains("steps", "cat, dog");
    assertThat(Program.run("info", out.resolve("checkpoints")).good())
        .startsWith("what               the checkpoints of a training run\n");
    Program.run(
            "sample", "-m", checkpoint, "-s", "ddim:2", "-n", "1", "-o", folder.resolve("a.png"))
        .good();
  }

  @Test
  void resume_withNothingToGoOnWith_begins() throws IOException {
    Path pictures = Tiny.pictures(folder.resolve("plain"), 2, 1);
    train(pictures, folder.resolve("out"), "--steps", "1", "--resume").good();
  }

  @Test
  void brokenPictures_areTold() throws IOException {
    Path pictures = Tiny.pictures(folder.resolve("plain"), 3, 1);
    Path broken = Files.writeString(pictures.resolve("z.png"), "no picture");
    assertThat(train(pictures, folder.resolve("out"), "--steps", "3").out())
        .startsWith(broken + ": ");
  }

  @Test
  void options_thatMakeNoSense_areRefused() throws IOException {
    Path pictures = Tiny.pictures(folder.resolve("plain"), 2, 1);
    Path out = folder.resolve("out");
    assertThat(train(pictures, out, "--steps", "0").refused())
        .isEqualTo("train: --steps must be at least 1, but was 0");
    assertThat(train(pictures, out, "--samples-every", "0").refused())
        .isEqualTo("train: --samples-every must be at least 1, but was 0");
    assertThat(train(pictures, out, "--checkpoint-every", "0").refused())
        .isEqualTo("train: --checkpoint-every must be at least 1, but was 0");
    assertThat(Program.run("train", pictures, "-o", out, "--batch", "0").refused())
        .isEqualTo("train: --batch must be at least 1, but was 0");
    assertThat(Program.run("train", pictures, "-o", out, "--size", "8x8").misspelt())
        .isEqualTo(
            "Invalid value for option '--size': must be channels (1, 3 or 4), height and width,"
                + " such as 3x64x64, but was 8x8");
    assertThat(Program.run("train", pictures, "-o", out, "--channels", "6").refused())
        .isEqualTo(
            "train: groups must divide the channels of every level, but 8 does not divide 6 at"
                + " level 0; 1, 2, 3 or 6 would do");
    assertThat(train(pictures, out, "--rate", "-1").refused())
        .isEqualTo("train: --rate must be positive and finite, but was -1.0");
    assertThat(train(pictures, out, "--ema", "1").refused())
        .isEqualTo("train: --ema must lie in [0, 1), but was 1.0");
    Path none = folder.resolve("none");
    assertThat(train(none, out).refused()).isEqualTo("train: " + none + " does not exist");
    Path empty = Files.createDirectories(folder.resolve("empty"));
    assertThat(train(empty, out).refused())
        .isEqualTo(
            "train: "
                + empty
                + " holds no pictures; name a folder of PNG, JPEG, GIF, BMP, TIFF or WebP files, or"
                + " one with a folder of them for each class");
    Path file = Tiny.picture(folder.resolve("file.png"), 8, 1);
    assertThat(train(pictures, file).refused()).isEqualTo("train: " + file + " is not a folder");
    assertThat(out).doesNotExist();
  }
}
