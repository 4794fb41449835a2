package io.github.ddpm4j.internal.data;

import ai.djl.training.dataset.Sampler;
import java.util.Iterator;
import java.util.List;

/**
 * An order that can be known in advance, so that records are prepared before they are asked for,
 * and that says how much of it lies behind: a resumed run begins in its middle.
 */
public interface PlannedSampler extends Sampler {

  /**
   * How many records the run has visited before this sampler's first batch.
   *
   * @return at least 0
   */
  long recordsBefore();

  /**
   * The batches that {@link #sample} gives, from its first one on. Reading them leaves no trace.
   *
   * @return the indices of the records of each batch
   */
  Iterator<List<Long>> plan();
}
