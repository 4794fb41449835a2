package io.github.ddpm4j.unet.internal.peers;

/** How queries, keys and values lie in one matrix, from the outer to the inner index. */
public enum Packing {
  /** All queries, all keys, all values. */
  QKV_HEAD,
  /** Head by head, and in each the queries, the keys and the values. */
  HEAD_QKV,
  /** Head by head, channel by channel, and for each query, key and value. */
  HEAD_CHANNEL_QKV
}
