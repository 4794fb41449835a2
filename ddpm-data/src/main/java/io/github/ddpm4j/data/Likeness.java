package io.github.ddpm4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Groups of pictures that are the same, or look the same. */
final class Likeness {

  /**
   * Hashes that differ in at most so many bits are compared closer. Of the eight parts of such
   * hashes one is equal, so that few pairs need be looked at.
   */
  private static final int MOST_BITS = 7;

  private static final int PARTS = 8;
  private static final int PART_BITS = 8;

  private Likeness() {}

  /** Groups of two or more with the same pixels, in the order of their first ones. */
  static List<List<Integer>> equal(List<@Nullable Look> looks) {
    Map<String, List<Integer>> groups = new LinkedHashMap<>();
    for (int i = 0; i < looks.size(); i++) {
      Look look = looks.get(i);
      if (look != null) {
        groups.computeIfAbsent(look.digest(), digest -> new ArrayList<>()).add(i);
      }
    }
    return groups.values().stream().filter(group -> group.size() > 1).toList();
  }

  /**
   * Groups of two or more that look the same, of pictures that are not the same in their pixels.
   */
  static List<List<Integer>> alike(List<@Nullable Look> looks) {
    int[] parent = new int[looks.size()];
    Arrays.setAll(parent, i -> i);
    long[] hashes = new long[looks.size()];
    Map<String, Integer> seen = new HashMap<>();
    List<Integer> different = new ArrayList<>();
    for (int i = 0; i < looks.size(); i++) {
      Look look = looks.get(i);
      if (look != null && !look.isFlat() && seen.putIfAbsent(look.digest(), i) == null) {
        hashes[i] = look.hash();
        different.add(i);
      }
    }
    for (int part = 0; part < PARTS; part++) {
      int shift = part * PART_BITS;
      Map<Integer, List<Integer>> buckets = new HashMap<>();
      for (int i : different) {
        List<Integer> bucket =
            buckets.computeIfAbsent((int) (hashes[i] >>> shift) & 0xFF, key -> new ArrayList<>());
        for (int other : bucket) {
          if (Long.bitCount(hashes[i] ^ hashes[other]) <= MOST_BITS && looksLike(looks, i, other)) {
            parent[root(parent, i)] = root(parent, other);
          }
        }
        bucket.add(i);
      }
    }
    Map<Integer, List<Integer>> groups = new LinkedHashMap<>();
    for (int i : different) {
      groups.computeIfAbsent(root(parent, i), root -> new ArrayList<>()).add(i);
    }
    return groups.values().stream().filter(group -> group.size() > 1).toList();
  }

  private static boolean looksLike(List<@Nullable Look> looks, int one, int other) {
    Look first = looks.get(one);
    Look second = looks.get(other);
    return first != null && second != null && first.looksLike(second);
  }

  private static int root(int[] parent, int of) {
    int at = of;
    while (parent[at] != at) {
      parent[at] = parent[parent[at]];
      at = parent[at];
    }
    return at;
  }
}
