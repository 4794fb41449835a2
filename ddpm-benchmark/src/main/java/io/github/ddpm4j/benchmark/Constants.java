package io.github.ddpm4j.benchmark;

/** The settings of every training that is measured, here and by the scripts of the peers. */
final class Constants {

  static final float LEARNING_RATE = 2e-4f;
  static final float BETA1 = 0.9f;
  static final float BETA2 = 0.999f;
  static final float EPSILON = 1e-8f;
  static final float WEIGHT_DECAY = 0.01f;
  static final double EMA_DECAY = 0.9999;
  static final double GRADIENT_CLIP = 1;

  private Constants() {}
}
