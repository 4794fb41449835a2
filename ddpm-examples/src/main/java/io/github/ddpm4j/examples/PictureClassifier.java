package io.github.ddpm4j.examples;

import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Blocks;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.convolutional.Conv2d;
import ai.djl.nn.core.Linear;
import ai.djl.nn.pooling.Pool;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.EasyTrain;
import ai.djl.training.Trainer;
import ai.djl.training.dataset.Batch;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import ai.djl.translate.TranslateException;
import io.github.ddpm4j.data.LabeledImages;
import io.github.ddpm4j.evaluation.Features;
import java.io.IOException;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A small convolutional network in blocks of DJL: tells the classes of grey pictures, and gives the
 * features that generated ones are compared with real ones in.
 */
final class PictureClassifier implements AutoCloseable {

  private static final int FEATURES = 64;
  private static final int BATCH = 100;

  private final Model model = Model.newInstance("classifier", "PyTorch");
  private final SequentialBlock body = new SequentialBlock();
  private final SequentialBlock whole = new SequentialBlock().add(body);

  /** Trains for some epochs. */
  PictureClassifier(LabeledImages pictures, int classes, int epochs) throws IOException {
    for (int filters : new int[] {32, 64}) {
      body.add(Conv2d.builder().setFilters(filters).setKernelShape(new Shape(3, 3)).build());
      body.add(Activation::relu).add(Pool.maxPool2dBlock(new Shape(2, 2), new Shape(2, 2)));
    }
    body.add(Blocks.batchFlattenBlock()).add(Linear.builder().setUnits(FEATURES).build());
    whole.add(Activation::relu).add(Linear.builder().setUnits(classes).build());
    model.setBlock(whole);
    Engine.getEngine("PyTorch").setRandomSeed(1);
    int steps = epochs * pictures.size() / BATCH;
    Tracker rate = step -> (float) (2e-3 * (1 - Math.min(1, (double) step / steps)) + 1e-5);
    var settings = new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss());
    settings.optOptimizer(Optimizer.adam().optLearningRateTracker(rate).build());
    try (Trainer trainer = model.newTrainer(settings);
        NDManager manager = NDManager.newBaseManager()) {
      trainer.initialize(new Shape(1, 1, pictures.height(), pictures.width()));
      var data = pictures.toDataset(manager, BATCH);
      for (int epoch = 0; epoch < epochs; epoch++) {
        for (Batch batch : trainer.iterateDataset(data)) {
          try (batch) {
            EasyTrain.trainBatch(trainer, batch);
            trainer.step();
          }
        }
      }
    } catch (TranslateException e) {
      throw new IOException("the pictures could not be read", e);
    }
  }

  /** The activations before the last layer. */
  Features features() {
    return Features.block(body);
  }

  /** Prints how often the class that is found is the label. */
  void printAgreement(String what, NDArray pictures, int[] labels) {
    double[] right = right(pictures, labels);
    long hits = Math.round(Arrays.stream(right).sum());
    System.out.println(what + ": " + hits + " of " + right.length + " as labelled");
  }

  /** 1 for each picture whose class that is found is the label, and 0 for the others. */
  double[] right(NDArray pictures, int[] labels) {
    int[] found = classesOf(pictures);
    return IntStream.range(0, found.length)
        .mapToDouble(i -> found[i] == labels[i] ? 1 : 0)
        .toArray();
  }

  /** The class of each picture. */
  int[] classesOf(NDArray pictures) {
    double[][] scores = Features.block(whole).of(pictures);
    int[] classes = new int[scores.length];
    for (int i = 0; i < classes.length; i++) {
      double[] row = scores[i];
      classes[i] =
          IntStream.range(0, row.length).reduce((a, b) -> row[a] < row[b] ? b : a).orElse(0);
    }
    return classes;
  }

  @Override
  public void close() {
    model.close();
  }
}
