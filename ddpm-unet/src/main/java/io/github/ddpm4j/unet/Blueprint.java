package io.github.ddpm4j.unet;

import io.github.ddpm4j.spi.Ops;
import io.github.ddpm4j.unet.internal.layers.ParameterSpec;
import java.util.List;

/** A network without weights: what it declares, takes in and computes. Immutable. */
interface Blueprint {

  /** Every weight, in the order of the network. */
  List<ParameterSpec> parameters();

  /** Of an image, behind its channels. */
  int axes();

  /** The number of arrays that the network takes conditions in as. */
  int conditions();

  /** The number of layers with dropout, numbered from 0. */
  int dropoutLayers();

  /** How many numbers the network takes a timestep in as. */
  int levelInputs();

  /** The numbers of all timesteps, row by row. */
  double[] levelInputs(double[] timesteps);

  /**
   * The prediction for what lies outside the network; see {@code ScriptedDenoiser.forward}.
   *
   * @param weights in the order of {@link #parameters()}
   * @param conditions as many as {@link #conditions()}
   */
  <T> T forward(Ops<T> ops, List<T> weights, T x, T levels, List<T> conditions);
}
