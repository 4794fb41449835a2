package io.github.ddpm4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.ddpm4j.image.Pictures;
import io.github.ddpm4j.model.Attributes;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Models that draw by attributes. */
class AttributesOptionTest {

  @TempDir private static Path shared;
  private static Path model;
  private static Path drawn;

  @BeforeAll
  static void draw() throws IOException {
    Attributes attributes = Attributes.of(Map.of("hat", List.of("none", "red", "blue")));
    model = Tiny.model(shared.resolve("model"), attributes);
    drawn = shared.resolve("drawn");
    Program.run(
            "sample",
            "-m",
            model,
            "-s",
            "ddim:3",
            "-n",
            "3",
            "--block",
            "2",
            "-a",
            "Hat = red",
            "-a",
            "hat=blue",
            "-g",
            "2",
            "-o",
            drawn)
        .good();
  }

  private static Path picture(int index) {
    return drawn.resolve("0000000" + index + ".png");
  }

  @Test
  void pictures_sayTheirAttributes_andAreDrawnAgain() throws IOException {
    assertThat(Pictures.provenance(picture(0)))
        .containsEntry("attributes", "hat=red")
        .doesNotContainKey("condition");
    assertThat(Pictures.provenance(picture(1))).containsEntry("attributes", "hat=blue");
    assertThat(Pictures.provenance(picture(2))).containsEntry("attributes", "hat=red");
    assertThat(Program.run("reproduce", "-m", model, picture(1), picture(2)).good())
        .isEqualToNormalizingNewlines(picture(1) + ": the same\n" + picture(2) + ": the same\n");
  }

  /** The attributes change the picture, and those that are asked for are its own. */
  @Test
  void attributes_areThoseOfThePicture() throws IOException {
    Path blue = shared.resolve("blue");
    Program.run(
            "sample",
            "-m",
            model,
            "-s",
            "ddim:3",
            "-n",
            "2",
            "--block",
            "2",
            "-a",
            "hat=blue",
            "-g",
            "2",
            "-o",
            blue)
        .good();
    assertThat(Pixels.difference(blue.resolve("00000001.png"), picture(1))).isZero();
    assertThat(Pixels.difference(blue.resolve("00000000.png"), picture(0))).isPositive();
  }

  @Test
  void grid_saysWhatWasAsked() throws IOException {
    Path grid = shared.resolve("grid.png");
    Program.run(
            "sample", "-m", model, "-s", "ddim:1", "-n", "2", "-a", "hat=red", "-a", "", "-o", grid)
        .good();
    assertThat(Pictures.provenance(grid))
        .containsEntry("asked attributes", "[hat=red, ]")
        .doesNotContainKey("attributes");
  }

  @Test
  void badAttributes_areRefused() throws IOException {
    Path out = shared.resolve("none.png");
    assertThat(Program.run("sample", "-m", model, "-a", "hat=big", "-o", out).refused())
        .isEqualTo("sample: hat must be one of [none, red, blue], but was \"hat=big\"");
    assertThat(Program.run("sample", "-m", model, "-a", "nose=big", "-o", out).refused())
        .isEqualTo(
            "sample: attributes are [hat], each with its value as in \"hat=none\", but there was"
                + " \"nose=big\"");
    assertThat(Program.run("sample", "-m", model, "-g", "2", "-o", out).refused())
        .isEqualTo("sample: --guidance needs --class or --attributes, towards which it guides");
    Path classes = Tiny.model(shared.resolve("classes"), 1);
    assertThat(Program.run("sample", "-m", classes, "-a", "hat=red", "-o", out).refused())
        .isEqualTo(
            "sample: --attributes is for models that name some, and "
                + classes
                + " names none; it has classes: --class");
    assertThat(out).doesNotExist();
  }
}
