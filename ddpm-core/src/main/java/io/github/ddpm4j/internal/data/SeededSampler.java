package io.github.ddpm4j.internal.data;

import ai.djl.training.dataset.RandomAccessDataset;
import io.github.ddpm4j.internal.random.CounterRandom;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.commons.rng.sampling.ArraySampler;

/**
 * Endless batches of indices, for DJL to read by: every epoch is a permutation that is a function
 * of (seed, epoch), and batches run across epochs. It remembers how far it was read. One thread at
 * a time.
 */
public final class SeededSampler implements PlannedSampler {

  private final int size;
  private final int batchSize;
  private final long seed;
  private final long before;
  private final EndlessOrder order;

  /**
   * Begins an order, or goes on with it.
   *
   * @param size how many records there are, at least 1
   * @param batchSize the records of a batch, at least 1
   * @param seed the seed
   * @param before the batches before the first one that it gives
   */
  public SeededSampler(int size, int batchSize, long seed, long before) {
    this.size = size;
    this.batchSize = batchSize;
    this.seed = seed;
    this.before = before;
    this.order = order();
  }

  private EndlessOrder order() {
    EndlessOrder fresh = new EndlessOrder(size, batchSize, seed);
    fresh.skip(before);
    return fresh;
  }

  @Override
  public long recordsBefore() {
    return Math.multiplyExact(before, (long) batchSize);
  }

  @Override
  public Iterator<List<Long>> plan() {
    return order();
  }

  /**
   * What was read last.
   *
   * @return the indices of the last batch; empty before the first
   */
  public List<Long> last() {
    return order.last;
  }

  @Override
  public Iterator<List<Long>> sample(RandomAccessDataset dataset) {
    return order;
  }

  @Override
  public int getBatchSize() {
    return batchSize;
  }

  private static final class EndlessOrder implements Iterator<List<Long>> {
    private final int[] order;
    private final int batchSize;
    private final CounterRandom random;
    private long epoch;
    private int position;
    private List<Long> last = List.of();

    EndlessOrder(int size, int batchSize, long seed) {
      this.order = new int[size];
      this.batchSize = batchSize;
      this.random = CounterRandom.of(seed, CounterRandom.Stream.DATA_ORDER);
      this.position = size;
    }

    /** Begins after some batches. */
    void skip(long batches) {
      long images = Math.multiplyExact(batches, (long) batchSize);
      epoch = images / order.length;
      if (images % order.length > 0) {
        shuffle();
        position = (int) (images % order.length);
      }
    }

    private void shuffle() {
      for (int i = 0; i < order.length; i++) {
        order[i] = i;
      }
      ArraySampler.shuffle(random.at(epoch++, 0), order);
      position = 0;
    }

    @Override
    public boolean hasNext() {
      return true;
    }

    @Override
    public List<Long> next() {
      List<Long> batch = new ArrayList<>(batchSize);
      while (batch.size() < batchSize) {
        if (position == order.length) {
          shuffle();
        }
        batch.add((long) order[position++]);
      }
      last = List.copyOf(batch);
      return batch;
    }
  }
}
