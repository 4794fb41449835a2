package io.github.ddpm4j.benchmark;

/** What is measured of a network: the columns of the table. */
enum Measure {
  FORWARD("forwardMs", "forward ms"),
  FORWARD_BACKWARD("forwardBackwardMs", "forward+backward ms"),
  OPTIMIZER("optimizerMs", "optimizer ms"),
  EMA("emaMs", "EMA ms"),
  STEP("stepMs", "whole step ms"),
  STEP_ALONE("stepAloneMs", "step between checkpoints ms"),
  STEP_WITH_CHECKPOINT("stepWithCheckpointMs", "step with a checkpoint ms"),
  WAIT("checkpointWaitMs", "wait for a checkpoint ms"),
  COPY("copyMs", "copy of the state ms"),
  STEP_RESUMED("stepResumedMs", "step when resumed ms"),
  READ_WEIGHTS("readWeightsMs", "reading the weights ms"),
  READ_NEW("readIntoNewMemoryMs", "reading into new memory ms"),
  LOAD("loadMs", "load ms"),
  LOAD_RATIO("loadPerRead", "load / reading"),
  LOAD_PEAK("loadPeakPerSize", "peak of load / size"),
  DDIM("ddim50Ms", "DDIM-50 ms"),
  OUTSIDE("outsideNetworkPercent", "outside network %"),
  FIRST_CALL("firstCallMs", "first call ms"),
  FIRST_STEP("firstStepMs", "first step ms"),
  RSS_LOADED("rssLoadedMb", "RSS of engine alone MB"),
  RSS_INFERENCE("peakRssInferenceMb", "peak RSS inference MB"),
  RSS_TRAINING("peakRssTrainingMb", "peak RSS training MB");

  /** The name in JSON. */
  final String key;

  /** The head of the column. */
  final String title;

  Measure(String key, String title) {
    this.key = key;
    this.title = title;
  }
}
