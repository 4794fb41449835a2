package io.github.ddpm4j.examples;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.ddpm4j.DDPM;
import io.github.ddpm4j.TrainedModel;
import io.github.ddpm4j.Training;
import io.github.ddpm4j.data.Face;
import io.github.ddpm4j.data.IdxFiles;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.model.Condition;
import io.github.ddpm4j.models.Models;
import io.github.ddpm4j.training.ConsistencyTuning;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A model in the box, how it is trained and tuned, and how its pictures are judged.
 *
 * @param name the name of the model
 * @param tuning the settings of its tuning
 * @param rate the learning rate of its tuning
 * @param fit trains it as it was trained, with what its pictures show as a condition
 * @param real pictures that it has not seen
 * @param others as many others
 * @param asked what the pictures to be drawn are to show, which is what the others do
 * @param shown the share of what is asked for that each picture shows
 * @param end frees what the reading of pictures holds
 */
record TuningTask(
    String name,
    ConsistencyTuning tuning,
    double rate,
    Function<Training, TrainedModel> fit,
    NDArray real,
    NDArray others,
    Condition asked,
    Function<NDArray, double[]> shown,
    Runnable end)
    implements AutoCloseable {

  /** The guidance that both models draw best with, which tuning builds in. */
  static final double GUIDANCE = 2;

  private static final ConsistencyTuning TUNING =
      ConsistencyTuning.usual().stages(6).guidance(GUIDANCE);

  /** The model as it is in the box; the caller closes it. */
  DDPM load() throws IOException {
    return Models.load(name);
  }

  /** The task of a name. */
  static TuningTask of(String name, NDManager manager, Path data, int count, int batch)
      throws IOException {
    return switch (name) {
      case "faces" -> faces(manager, count, batch);
      case "fashion" -> fashion(manager, data, count, batch, 4);
      default ->
          throw new IllegalArgumentException(
              "the model to tune must be faces or fashion, but was " + name);
    };
  }

  /** Faces by their attributes, which are read off their pixels. */
  static TuningTask faces(NDManager manager, int count, int batch) {
    List<Face> held = FaceSets.heldOut(2 * count);
    List<Face> asked = held.subList(count, 2 * count);
    var vectors = manager.create(asked.stream().map(Face::vector).toArray(float[][]::new));
    var seen = FaceSets.training(TrainFaces.COUNT).hidden(0.3).setSampling(batch, true).build();
    return new TuningTask(
        "faces",
        TUNING,
        5e-4,
        run ->
            run.condition((images, attributes) -> Condition.vectors(attributes.head()))
                .conditionDropout(0.1)
                .fit(seen),
        FaceReading.pictures(manager, held.subList(0, count)),
        FaceReading.pictures(manager, asked),
        Condition.vectors(vectors),
        pictures -> FaceReading.shown(pictures, asked),
        () -> {});
  }

  /** Clothes by their classes, which a classifier finds that is trained first. */
  static TuningTask fashion(NDManager manager, Path data, int count, int batch, int epochs)
      throws IOException {
    LabeledImages training = IdxFiles.training(data);
    LabeledImages test = IdxFiles.test(data).slice(0, 2 * count);
    int[] labels = IntStream.range(count, 2 * count).map(test::label).toArray();
    NDArray held = test.toArray(manager);
    var judge = new PictureClassifier(training, 10, epochs);
    // Its network predicts the noise, whose errors grow with the level.
    return new TuningTask(
        "fashion",
        TUNING.sigmaMax(20),
        3e-4,
        run -> run.conditionDropout(0.2).fit(training.toDataset(manager, batch)),
        held.get("0:" + count),
        held.get(count + ":" + 2 * count),
        Condition.labels(labels),
        pictures -> judge.right(pictures, labels),
        judge::close);
  }

  @Override
  public void close() {
    end.run();
  }
}
