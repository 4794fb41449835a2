package io.github.ddpm4j.spark;

import org.apache.spark.Partitioner;

/**
 * Leaves the pictures of a block together, so that a batch of the network holds the same pictures
 * however they came.
 */
final class BlockPartitioner extends Partitioner {

  private static final long serialVersionUID = 1;

  private final int block;
  private final int partitions;

  BlockPartitioner(int block, int partitions) {
    this.block = block;
    this.partitions = partitions;
  }

  @Override
  public int numPartitions() {
    return partitions;
  }

  @Override
  public int getPartition(Object index) {
    return Math.floorMod(Math.floorDiv((Long) index, block), partitions);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof BlockPartitioner same
        && same.block == block
        && same.partitions == partitions;
  }

  @Override
  public int hashCode() {
    return 31 * block + partitions;
  }
}
