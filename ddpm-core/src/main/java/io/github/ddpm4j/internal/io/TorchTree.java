package io.github.ddpm4j.internal.io;

import io.github.ddpm4j.internal.description.Quote;
import io.github.ddpm4j.internal.pickle.PickledTensor;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The leaves of what a checkpoint holds, by the keys on the way to them, joined by dots: tensors,
 * and beside them texts, numbers, truth values and lists of these. What an optimizer remembers is
 * kept apart.
 */
final class TorchTree {

  private static final int DEEPEST = 64;
  private static final int MOST_VISITS = 20_000_000;
  private static final int MOST_NAMES = 1_000_000;
  private static final int LONGEST_NAME = 1000;

  /** What the leaves of one kind are. */
  record Leaves(Map<String, PickledTensor> tensors, Map<String, Object> values) {
    Leaves() {
      this(new LinkedHashMap<>(), new LinkedHashMap<>());
    }
  }

  private record Level(
      @Nullable String path, Object container, Iterator<Member> members, boolean optimizer) {}

  private record Member(Object key, @Nullable Object value) {}

  private final Leaves weights = new Leaves();
  private final Leaves optimizers = new Leaves();
  private final List<String> optimizerPaths = new ArrayList<>();
  private final Deque<Level> levels = new ArrayDeque<>();
  private final Set<Object> open = Collections.newSetFromMap(new IdentityHashMap<>());
  private int visits;

  private TorchTree() {}

  /**
   * Finds the leaves.
   *
   * @param file the file, for messages
   * @param root what was unpickled
   * @return its leaves
   * @throws IOException if two have the same name, or it is too large or deep, or holds itself
   */
  static TorchTree of(Object file, @Nullable Object root) throws IOException {
    TorchTree tree = new TorchTree();
    try {
      tree.visit(null, root, false);
      while (!tree.levels.isEmpty()) {
        tree.next();
      }
    } catch (Unfit e) {
      throw new IOException(file + " " + e.getMessage(), e);
    }
    return tree;
  }

  /** Everything but what optimizers remember. */
  Leaves weights() {
    return weights;
  }

  /** What optimizers remember. */
  Leaves optimizers() {
    return optimizers;
  }

  /** Where optimizers are. */
  List<String> optimizerPaths() {
    return optimizerPaths;
  }

  /** Something that cannot be flattened; the message does not name the file. */
  private static final class Unfit extends IOException {

    private static final long serialVersionUID = 1;

    Unfit(String message) {
      super(message);
    }
  }

  private void next() throws Unfit {
    Level level = levels.getLast();
    if (!level.members.hasNext()) {
      levels.removeLast();
      open.remove(level.container);
      return;
    }
    Member member = level.members.next();
    String path = level.path == null ? member.key.toString() : level.path + "." + member.key;
    visit(path, member.value, level.optimizer);
  }

  private void visit(@Nullable String path, @Nullable Object value, boolean optimizer)
      throws Unfit {
    count(1);
    if (path != null && path.length() > LONGEST_NAME) {
      throw new Unfit("has a name of more than " + LONGEST_NAME + " characters: " + Quote.of(path));
    }
    if (value instanceof Map<?, ?> map) {
      boolean remembers = map.containsKey("state") && map.containsKey("param_groups");
      if (remembers) {
        optimizerPaths.add(path == null ? "" : path);
      }
      enter(
          path,
          map,
          map.entrySet().stream().map(e -> new Member(e.getKey(), e.getValue())).iterator(),
          optimizer || remembers);
    } else if (value instanceof List<?> || value instanceof Object[]) {
      List<?> list = value instanceof Object[] tuple ? Arrays.asList(tuple) : (List<?>) value;
      count(list.size());
      if (list.stream().allMatch(TorchTree::isPlain)) {
        put(path, List.copyOf(list), (optimizer ? optimizers : weights).values);
      } else {
        enter(path, value, indexed(list), optimizer);
      }
    } else if (value instanceof PickledTensor tensor) {
      put(path, tensor, (optimizer ? optimizers : weights).tensors);
    } else if (value != null && isPlain(value)) {
      put(path, value, (optimizer ? optimizers : weights).values);
    }
  }

  private void count(int visited) throws Unfit {
    visits += visited;
    if (visits > MOST_VISITS) {
      throw new Unfit("holds more than " + MOST_VISITS + " values, more than any model");
    }
  }

  private void enter(
      @Nullable String path, Object container, Iterator<Member> members, boolean optimizer)
      throws Unfit {
    if (!open.add(container)) {
      throw new Unfit("has a part that holds itself, at " + Quote.of(path));
    }
    if (levels.size() == DEEPEST) {
      throw new Unfit("has parts within parts, deeper than " + DEEPEST + ", at " + Quote.of(path));
    }
    levels.addLast(new Level(path, container, members, optimizer));
  }

  private static Iterator<Member> indexed(List<?> list) {
    return new Iterator<>() {
      private int next;

      @Override
      public boolean hasNext() {
        return next < list.size();
      }

      @Override
      public Member next() {
        return new Member(next, list.get(next++));
      }
    };
  }

  private static boolean isPlain(@Nullable Object value) {
    return value instanceof String
        || value instanceof Long
        || value instanceof Double
        || value instanceof Boolean;
  }

  private <T> void put(@Nullable String path, T value, Map<String, T> leaves) throws Unfit {
    String name = path == null ? "" : path;
    boolean twice = false;
    for (Leaves each : List.of(weights, optimizers)) {
      twice |= each.tensors.containsKey(name) || each.values.containsKey(name);
    }
    if (twice) {
      throw new Unfit("has two values of the name " + Quote.of(name));
    }
    if (leaves.size() == MOST_NAMES) {
      throw new Unfit("holds more than " + MOST_NAMES + " values by name, more than any model");
    }
    leaves.put(name, value);
  }
}
